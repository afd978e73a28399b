"""Speech to text: the contract."""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

import numpy as np
from django.utils.translation import gettext as _
from numpy.typing import NDArray

from pipeline import metrics, returned
from pipeline.admission import admission
from pipeline.ahead import aside
from pipeline.audio import SAMPLE_RATE, Audio
from pipeline.base import CacheState, Deadline, Engine
from pipeline.errors import NoSpeech, UnsupportedLanguage, UnsupportedTask

SILENCE_PEAK = 1e-3
"""Of full scale (-60 dB): quieter than the noise of any microphone in use."""

Stretches = Sequence[tuple[int, int]]
"""Where somebody speaks, from sample to sample."""

Task = Literal["transcribe", "translate"]

OPENING = frozenset("«“„([{¿¡")
GOING_ON = frozenset("-‐'’.,:/@")
"""A piece that begins so, without a blank, is the rest of a word: ``-il``, ``'Italie``, ``,5``."""


@dataclass(frozen=True, slots=True)
class Word:
    """When a word was said, with the punctuation that belongs to it."""

    start: float  # seconds from the beginning of the utterance
    end: float  # seconds
    text: str  # an engine may leave the blank before it, which tells what is a word of its own


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of an utterance that was heard as one."""

    start: float  # seconds from the beginning of the utterance
    end: float  # seconds
    text: str
    # What the engine thinks of it; 0 where it does not tell.
    avg_logprob: float = 0.0  # of its tokens
    no_speech_prob: float = 0.0


@dataclass(frozen=True, slots=True)
class Transcript:
    """What was heard."""

    text: str
    language: str  # ISO 639-1, of the text
    segments: tuple[Segment, ...] = ()
    words: tuple[Word, ...] = ()  # where they were asked for
    cache: CacheState = "off"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a transcript is to be like."""

    language: str | None = None  # ISO 639-1, of the utterance; None: to be detected
    task: Task = "transcribe"  # "translate": into English
    prompt: str = ""  # text that may have come before: names, spelling, punctuation
    words: bool = False  # the time of each


class SpeechToText(Engine):
    """Writes down what is said in an utterance."""

    role = "stt"

    @property
    @abstractmethod
    def languages(self) -> Collection[str]:
        """ISO 639-1 codes that ``transcribe`` accepts."""

    @property
    def translates(self) -> bool:
        """Whether it can, into English; known once it is loaded."""
        return False

    @property
    def times_words(self) -> bool:
        """Whether it can tell when each word was said; known once it is loaded."""
        return False

    def transcribe(
        self,
        audio: Audio,
        *,
        language: str | None = None,
        task: Task = "transcribe",
        prompt: str = "",
        words: bool = False,
    ) -> Transcript:
        """The transcript of ``audio``; what the arguments mean is told by ``Wanted``.

        :raises NoSpeech: nothing was said; never an invented text.
        :raises UnsupportedLanguage: lists the languages there are.
        :raises UnsupportedTask: it cannot translate, or cannot tell the times of words.
        :raises EngineError: see its tree.
        """
        audio = audio.resampled(SAMPLE_RATE)
        if audio.samples.size == 0:
            raise NoSpeech
        wanted = Wanted(language, task, prompt.strip(), words)
        transcript = aside(partial(self._heard, audio, wanted))
        if not transcript.text.strip():
            raise NoSpeech
        written = "en" if task == "translate" else transcript.language
        return replace(transcript, language=written, words=tuple(joined(transcript.words)))

    def speech_in(self, samples: NDArray[np.float32]) -> Stretches:
        """Where somebody speaks in ``samples``, of shape ``(n,)`` at 16 kHz: as far as this engine
        can tell, hence all of it where there is any sound."""
        quiet = float(np.abs(samples).max(initial=0.0)) < SILENCE_PEAK
        return [] if quiet else [(0, len(samples))]

    def _heard(self, audio: Audio, wanted: Wanted) -> Transcript:
        with self._at_work() as deadline:
            self._check(wanted)
            metrics.AUDIO.labels("in").inc(audio.duration)
            started = time.monotonic()
            transcript = _checked(self._transcribe(audio, wanted, deadline))
            admission.pace.heard(audio.duration, time.monotonic() - started)
            return transcript

    def _check(self, wanted: Wanted) -> None:
        if wanted.language is not None and wanted.language not in self.languages:
            raise UnsupportedLanguage(wanted.language, sorted(self.languages))
        if wanted.task == "translate" and not self.translates:
            raise UnsupportedTask(_("%(engine)s cannot translate.") % {"engine": self.name})
        if wanted.words and not self.times_words:
            text = _("%(engine)s cannot tell when each word is said.")
            raise UnsupportedTask(text % {"engine": self.name})

    @abstractmethod
    def _transcribe(self, audio: Audio, wanted: Wanted, deadline: Deadline) -> Transcript:
        """``audio`` is at 16 kHz and not empty; what is ``wanted`` is supported."""


def _checked(given: Any) -> Transcript:
    """:raises TypeError, ValueError: no engine may return that."""
    transcript = returned.instance(given, Transcript)
    returned.text(transcript.text)
    if not returned.text(transcript.language):
        raise ValueError("a language was to be returned")
    pieces: list[Segment | Word] = [*transcript.segments, *transcript.words]
    for piece in pieces:
        returned.text(piece.text)
        returned.times(piece.start, piece.end)
    return transcript


def joined(pieces: Iterable[Word]) -> Iterator[Word]:
    """Words as they are written, of the pieces that tokenizers make of them.

    Marks go with the word that they follow, or open: French sets them apart. What goes on with a
    word (``-il``, ``'Italie``) is part of it.
    """
    before, word = "", None
    for piece in pieces:
        if any(char.isalnum() for char in piece.text):
            if word and not before and piece.text[0] in GOING_ON:
                word = Word(word.start, piece.end, word.text + piece.text)
                continue
            if word:
                yield word
            word, before = replace(piece, text=(before + piece.text).strip()), ""
        elif word is None or piece.text.strip() in OPENING:
            before += piece.text
        else:  # a mark takes no time
            word, before = replace(word, text=word.text + before + piece.text), ""
    if word:
        yield replace(word, text=(word.text + before).rstrip())
