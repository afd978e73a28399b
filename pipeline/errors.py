"""Everything that can go wrong in a turn, as one tree.

::

    PipelineError
    ├── InputError               what the caller sent cannot be used
    │   ├── AudioDecodeError     not audio we can read
    │   ├── AudioTooLong         says both durations
    │   ├── TextTooLong
    │   ├── NoSpeech             nothing was said
    │   ├── UnknownVoice         lists the valid ones
    │   ├── UnsupportedLanguage  lists the valid ones
    │   └── UnsupportedTask      the weights, or the server, were not made for it
    ├── ClientGone               nobody waits for the answer any more
    └── EngineError              ours; raised from its cause
        ├── EngineUnavailable    not loaded, or what it needs is missing
        ├── EngineBusy           every slot is taken
        └── EngineTimeout        it took too long
    InvalidEngineError           a configuration error, at start-up only

``code`` is for machines and never changes; the message is for people and is translated.
HTTP statuses are not known here: they live in ``api.exceptions``.
"""

from __future__ import annotations

from collections.abc import Iterable

from django.core.exceptions import ImproperlyConfigured
from django.utils.translation import gettext as _

__all__ = [
    "AudioDecodeError",
    "AudioTooLong",
    "ClientGone",
    "EngineBusy",
    "EngineError",
    "EngineTimeout",
    "EngineUnavailable",
    "InputError",
    "InvalidEngineError",
    "NoSpeech",
    "PipelineError",
    "TextTooLong",
    "UnknownVoice",
    "UnsupportedLanguage",
    "UnsupportedTask",
]


class PipelineError(Exception):
    """The root: catch this to catch whatever a turn may raise."""

    code = "pipeline_error"

    @property
    def message(self) -> str:
        """What to tell people, in the language active when it was raised."""
        return str(self)


class InputError(PipelineError):
    code = "invalid_input"


class AudioDecodeError(InputError):
    code = "audio_unreadable"


class AudioTooLong(InputError):
    code = "audio_too_long"

    def __init__(self, duration: float, limit: float, *, at_least: bool = False) -> None:
        """``duration`` and ``limit`` in seconds; ``at_least`` when decoding stopped there."""
        self.duration, self.limit = duration, limit
        text = (
            _("The audio lasts more than %(duration).0f s; at most %(limit).0f s are accepted.")
            if at_least
            else _("The audio lasts %(duration).0f s; at most %(limit).0f s are accepted.")
        )
        super().__init__(text % {"duration": duration, "limit": limit})


class TextTooLong(InputError):
    code = "text_too_long"

    def __init__(self, length: int, limit: int) -> None:
        """``length`` and ``limit`` in characters."""
        self.length, self.limit = length, limit
        text = _("The text has %(length)d characters; at most %(limit)d are accepted.")
        super().__init__(text % {"length": length, "limit": limit})


class NoSpeech(InputError):
    code = "no_speech"

    def __init__(self) -> None:
        super().__init__(_("No speech was heard in the audio."))


class UnknownVoice(InputError):
    code = "unknown_voice"

    def __init__(self, voice: str, valid: Iterable[str]) -> None:
        self.voice, self.valid = voice, tuple(valid)
        text = _("There is no voice “%(voice)s”. The voices are: %(valid)s.")
        super().__init__(text % {"voice": voice[:64], "valid": ", ".join(self.valid)})


class UnsupportedLanguage(InputError):
    code = "unsupported_language"

    def __init__(self, language: str, valid: Iterable[str]) -> None:
        self.language, self.valid = language, tuple(valid)
        text = _("The language “%(language)s” is not supported. The languages are: %(valid)s.")
        super().__init__(text % {"language": language[:64], "valid": ", ".join(self.valid)})


class UnsupportedTask(InputError):
    code = "unsupported_task"


class ClientGone(PipelineError):
    code = "client_gone"


class EngineError(PipelineError):
    """An engine failed. Raise it ``from`` the cause; the cause is for the log, not the caller."""

    code = "engine_failed"


class EngineUnavailable(EngineError):
    code = "engine_unavailable"


class EngineBusy(EngineError):
    code = "engine_busy"

    def __init__(self, retry_after_s: int) -> None:
        """``retry_after_s``: when it is worth asking again, in seconds."""
        self.retry_after_s = retry_after_s
        super().__init__(
            _("The assistant is busy. Try again in %(seconds)d s.") % {"seconds": retry_after_s}
        )


class EngineTimeout(EngineError):
    code = "engine_timeout"

    def __init__(self, text: str = "") -> None:
        super().__init__(text or _("The answer took too long."))


class InvalidEngineError(ImproperlyConfigured):
    """The ``ENGINES`` setting cannot be used as it is written. Raised at start-up only."""
