"""OpenAI's own names of voices, which its clients were written with, as voices of ours."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

from django.conf import settings

from pipeline.engines import engines
from pipeline.tts.base import Voice

NAMES: Final[Mapping[str, Literal["female", "male"]]] = {
    "alloy": "female",
    "ash": "male",
    "ballad": "male",
    "cedar": "male",
    "coral": "female",
    "echo": "male",
    "fable": "male",
    "marin": "female",
    "nova": "female",
    "onyx": "male",
    "sage": "female",
    "shimmer": "female",
    "verse": "male",
}
"""What they are heard as. https://platform.openai.com/docs/guides/text-to-speech"""


def is_ours(name: str) -> bool:
    """Whether ``name`` is the id of a voice of the engine that speaks."""
    return any(voice.id == name for voice in engines.tts.voices)


def choose(name: str, language: str | None = None) -> Voice:
    """The voice that ``name`` stands for: one of ours by its id, or the nearest to OpenAI's of that
    name in ``language``. Without a name, the default one of ``language``.

    OpenAI's speak every language, ours one each. Nearest is the one that is called the same, else
    one of the same gender, a different one for each name as long as there are enough, else the
    default one.

    :raises UnknownVoice, UnsupportedLanguage: as ``TextToSpeech.choose_voice`` does.
    """
    if not name:
        return engines.tts.choose_voice(None, language)
    if name not in NAMES or is_ours(name):
        return engines.tts.choose_voice(name, language)
    default = engines.tts.choose_voice(None, language or settings.VOICEBOT_LANGUAGE)
    there = [voice for voice in engines.tts.voices if voice.language == default.language]
    for voice in there:
        if voice.name.lower() == name:
            return voice
    gender = NAMES[name]
    alike = [voice for voice in there if voice.gender == gender]
    # What is called as one of OpenAI's is left to that one.
    alike = [voice for voice in alike if voice.name.lower() not in NAMES] or alike
    if not alike:
        return default
    alike.sort(key=lambda voice: voice.id != default.id)  # the default one first
    place = [other for other, its in NAMES.items() if its == gender].index(name)
    return alike[place % len(alike)]


def aliases() -> dict[str, str]:
    """OpenAI's name → id of the voice that it stands for in the default language."""
    if settings.VOICEBOT_LANGUAGE not in engines.tts.default_voices:
        return {}
    return {name: choose(name).id for name in NAMES}
