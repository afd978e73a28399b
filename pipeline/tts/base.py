"""Text to speech: the contract."""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

import numpy as np
from django.conf import settings
from django.utils.translation import gettext as _

from pipeline import metrics, returned
from pipeline.admission import admission
from pipeline.ahead import ahead
from pipeline.audio import Audio
from pipeline.base import CacheState, Deadline, Engine
from pipeline.errors import EngineError, InputError, TextTooLong, UnknownVoice, UnsupportedLanguage
from pipeline.sentences import split
from pipeline.speakable import speakable

MAX_TEXT_CHARS = 5_000
MIN_SPEED, MAX_SPEED = 0.5, 2.0


@dataclass(frozen=True, slots=True)
class Voice:
    id: str
    language: str  # ISO 639-1
    name: str
    gender: Literal["female", "male"] | None = None  # None: not known


@dataclass(frozen=True, slots=True)
class Speech:
    """Audio of one sentence of a reply, or of a piece of one."""

    text: str  # as it was spoken: numbers in words, no Markdown
    audio: Audio
    voice: str
    engine: str  # that spoke it, now or when it was kept
    outbound: bool  # the text left the machine to be spoken
    cache: CacheState = "off"
    key: str | None = None  # address in the speech cache, where it is kept
    last: bool = True  # False: a piece, after which the sentence goes on


def whole(pieces: Iterable[Speech]) -> Iterator[Speech]:
    """The sentences that ``pieces`` make, in order; what is known of each is its last piece's."""
    begun: list[Speech] = []
    for piece in pieces:
        begun.append(piece)
        if piece.last:
            yield _joined(begun)
            begun = []
    if begun:  # broken off
        yield _joined(begun)


def _joined(pieces: Sequence[Speech]) -> Speech:
    samples = np.concatenate([piece.audio.samples for piece in pieces])
    return replace(pieces[-1], audio=Audio(samples, pieces[0].audio.sample_rate), last=True)


class TextToSpeech(Engine):
    """Speaks text aloud, a sentence at a time."""

    role = "tts"

    @property
    @abstractmethod
    def voices(self) -> Sequence[Voice]:
        """Known without loading."""

    @property
    @abstractmethod
    def default_voices(self) -> Mapping[str, str]:
        """Language → id of the voice that speaks it when none is asked for."""

    @property
    def languages(self) -> Sequence[str]:
        return sorted(self.default_voices)

    def choose_voice(self, voice: str | None = None, language: str | None = None) -> Voice:
        """The voice asked for, or the default one of ``language``.

        :raises UnknownVoice: there is none of that name, or it speaks another language.
        :raises UnsupportedLanguage: no voice speaks it.
        """
        if voice is None:
            language = language or settings.VOICEBOT_LANGUAGE
            if language not in self.default_voices:
                raise UnsupportedLanguage(language, self.languages)
            voice = self.default_voices[language]
        valid = {v.id: v for v in self.voices if language in (None, v.language)}
        if language is not None and not valid:
            raise UnsupportedLanguage(language, self.languages)
        if voice not in valid:
            raise UnknownVoice(voice, valid)
        return valid[voice]

    def synthesize(
        self,
        text: str,
        *,
        voice: str | None = None,
        language: str | None = None,
        speed: float = 1.0,
        eager: bool = False,
    ) -> Generator[Speech, None, None]:
        """Speech of ``text``, one chunk per sentence, in order.

        Text that holds nothing to say aloud (an emoji alone) gives no chunk. ``speed`` 1 is
        the voice's own pace. ``eager`` is for speech that is heard while it is made: its first
        sentence comes in pieces where the engine can, see ``whole``.

        :raises UnknownVoice, UnsupportedLanguage, TextTooLong, InputError: at the call.
        :raises EngineError: see its tree; while iterating.
        """
        chosen = self.choose_voice(voice, language)
        if len(text) > MAX_TEXT_CHARS:
            raise TextTooLong(len(text), MAX_TEXT_CHARS)
        if not MIN_SPEED <= speed <= MAX_SPEED:
            text = _("The speed must lie between %(min)s and %(max)s.")
            raise InputError(text % {"min": MIN_SPEED, "max": MAX_SPEED})
        return self._speak_all(self.sentences(text, chosen.language), chosen, speed, eager=eager)

    def sentences(self, text: str, language: str) -> Iterator[str]:
        """Those of ``text`` as they are said aloud, each short."""
        # Split again once it is in words: numbers grow, and engines want bounded text.
        return (
            spoken
            for written in split(text)
            for spoken in split(speakable(self._pronounced(written, language), language))
        )

    def recall(self, key: str) -> Audio | None:
        """The speech that is kept under ``key``, see ``Speech.key``; None when it is not."""
        return None

    def forget(self, key: str, *, unused_since: datetime) -> None:
        """Keep the speech under ``key`` no longer, unless it was used after ``unused_since``."""

    def _pronounced(self, text: str, language: str) -> str:
        """``text`` as it is to be written to be said right: for who wraps an engine."""
        return text

    def _speak_all(
        self, sentences: Iterable[str], voice: Voice, speed: float, *, eager: bool
    ) -> Generator[Speech, None, None]:
        for sentence in sentences:
            with closing(self._speak(sentence, voice, speed, eager=eager)) as pieces:
                for speech in pieces:
                    if speech.last:
                        metrics.CACHE.labels(self.role, speech.cache).inc()
                    metrics.AUDIO.labels("out").inc(speech.audio.duration)
                    yield speech
                    # Who stands in for another stays to the end.
                    voice = self.choose_voice(speech.voice)
            eager = False

    def _speak(
        self, sentence: str, voice: Voice, speed: float, *, eager: bool = False
    ) -> Generator[Speech, None, None]:
        # In a thread ahead: a client that takes its time is not to keep the slot from others.
        with ahead(self._made(sentence, voice, speed, eager=eager)) as pieces:
            for audio, last in pieces:
                yield self._speech(sentence, audio, voice, last=last)

    def _made(
        self, sentence: str, voice: Voice, speed: float, *, eager: bool
    ) -> Generator[tuple[Audio, bool], None, None]:
        with self._at_work() as deadline:
            started = time.monotonic()
            pieces = (
                self._synthesize_pieces(sentence, voice, speed, deadline)
                if eager
                else iter([(self._synthesize(sentence, voice, speed, deadline), True)])
            )
            for audio, last in pieces:
                audio = self._looked_at(audio)
                if last:
                    admission.pace.spoke(len(sentence), time.monotonic() - started)
                yield audio, last

    def _looked_at(self, audio: Audio) -> Audio:
        audio = replace(returned.instance(audio, Audio))  # which looks at what is in it
        if audio.samples.size == 0:
            raise EngineError(_("%(engine)s failed.") % {"engine": self.name})
        return audio

    def _speech(self, text: str, audio: Audio, voice: Voice, *, last: bool = True) -> Speech:
        return Speech(text, audio, voice.id, engine=self.name, outbound=self.outbound, last=last)

    @abstractmethod
    def _synthesize(self, sentence: str, voice: Voice, speed: float, deadline: Deadline) -> Audio:
        """``sentence`` is speakable and short; ``voice`` is one of ours."""

    def _synthesize_pieces(
        self, sentence: str, voice: Voice, speed: float, deadline: Deadline
    ) -> Iterator[tuple[Audio, bool]]:
        """As ``_synthesize``, piece by piece, each once it is made and with whether it is the last.

        For engines whose first samples are ready before the last: as it stands, all is one.
        """
        yield self._synthesize(sentence, voice, speed, deadline), True
