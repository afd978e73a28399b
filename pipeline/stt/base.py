"""Speech to text: the contract."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection
from dataclasses import dataclass

from pipeline import metrics
from pipeline.audio import SAMPLE_RATE, Audio
from pipeline.base import Deadline, Engine
from pipeline.errors import NoSpeech, UnsupportedLanguage


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of an utterance that was heard as one."""

    start: float  # seconds from the beginning of the utterance
    end: float  # seconds
    text: str


@dataclass(frozen=True, slots=True)
class Transcript:
    """What was heard."""

    text: str
    language: str  # ISO 639-1
    segments: tuple[Segment, ...] = ()


class SpeechToText(Engine):
    """Writes down what is said in an utterance."""

    role = "stt"

    @property
    @abstractmethod
    def languages(self) -> Collection[str]:
        """ISO 639-1 codes that ``transcribe`` accepts."""

    def transcribe(self, audio: Audio, *, language: str | None = None) -> Transcript:
        """The transcript of ``audio``; ``language`` None detects it.

        :raises NoSpeech: nothing was said; never an invented text.
        :raises UnsupportedLanguage: lists the languages there are.
        :raises EngineError: see its tree.
        """
        audio = audio.resampled(SAMPLE_RATE)
        if audio.samples.size == 0:
            raise NoSpeech
        with self._at_work() as deadline:
            if language is not None and language not in self.languages:
                raise UnsupportedLanguage(language, sorted(self.languages))
            metrics.AUDIO.labels("in").inc(audio.duration)
            transcript = self._transcribe(audio, language, deadline)
        if not transcript.text.strip():
            raise NoSpeech
        return transcript

    @abstractmethod
    def _transcribe(self, audio: Audio, language: str | None, deadline: Deadline) -> Transcript:
        """``audio`` is at 16 kHz and not empty; ``language`` is supported or None."""
