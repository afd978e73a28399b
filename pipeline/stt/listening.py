"""What every Whisper needs, whatever runs it, to hear speech and nothing else.

Whisper invents text where nobody speaks. So Silero VAD decides first whether anybody does, only
what lies between the first and the last word is transcribed, and what Whisper itself doubts is
dropped: in the end there is a transcript of speech, or ``NoSpeech``.
"""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from pipeline.audio import SAMPLE_RATE, Audio
from pipeline.base import Deadline
from pipeline.errors import NoSpeech
from pipeline.stt.base import (
    SILENCE_PEAK,
    Segment,
    SpeechToText,
    Stretches,
    Transcript,
    Wanted,
    Word,
)

Device = Literal["auto", "cpu", "cuda"]

PAUSE_MS = 250
"""Between two words, speakers pause less."""

MARGIN_S = 0.2
"""Kept before the first and after the last word: consonants are quieter than VAD expects."""

MAX_NO_SPEECH, MIN_LOGPROB = 0.4, -1.0
"""Whisper's own doubts, as its paper combines them (https://arxiv.org/abs/2212.04356, §4.5):
a segment that it takes for silence and is unsure of is dropped. Its 0.6 lets knocks and dialling
pass, of which ``make torture`` has some; speech stays below 0.1."""

MAX_COMPRESSION = 2.4
"""Text that compresses better than this repeats itself: a loop, not speech (same place)."""

LOOP = re.compile(
    r"([^\W\d_]{2,}?)\1{3}"  # within a word: POUPOUPOUPOU
    r"|\b(\w+(?:\W+\w+){1,20}?)(?:\W+\2\b){3}",  # of words
    re.IGNORECASE,
)
"""A phrase four times running, in a text too short to be seen by its compression. A word alone is
none: people do say “non, non, non, non”, and numbers."""

AGAIN = 3
"""So many segments of the same text are believed, one after another."""


@dataclass(frozen=True, slots=True)
class Heard:
    """A segment as Whisper decodes it: times in seconds of the sound it was given."""

    start: float
    end: float
    text: str
    no_speech_prob: float
    avg_logprob: float
    compression_ratio: float
    words: tuple[Word, ...] = ()

    @property
    def silent(self) -> bool:
        """Nobody spoke: there are no words in it, or Whisper has its doubts."""
        doubted = self.no_speech_prob > MAX_NO_SPEECH and self.avg_logprob < MIN_LOGPROB
        return doubted or not any(char.isalnum() for char in self.text)

    @property
    def loops(self) -> bool:
        return self.compression_ratio > MAX_COMPRESSION or repeats(self.text)


class Gated(SpeechToText):
    """A Whisper that is given speech alone and believed where it believes itself."""

    packages = {"faster_whisper": "faster-whisper"}

    def _load(self) -> None:
        """Silero VAD, which comes inside faster-whisper; an engine adds its Whisper."""
        from faster_whisper.vad import get_vad_model

        get_vad_model()

    def _warm_up(self) -> None:
        """One second of noise through the encoder and a few steps of the decoder."""
        noise = np.random.default_rng(0).normal(0, 0.01, SAMPLE_RATE).astype(np.float32)
        with self._at_work() as deadline:
            self._decode(noise, Wanted("fr"), deadline)

    def _transcribe(self, audio: Audio, wanted: Wanted, deadline: Deadline) -> Transcript:
        speech = spoken(audio.samples)
        decoded, heard_language = self._decode(audio.samples[speech], wanted, deadline)
        offset = speech.start / SAMPLE_RATE

        def inside(time: float) -> float:
            # Whisper may end a segment beyond the sound it was given, by up to a second.
            return float(min(time + offset, audio.duration))

        kept: list[Segment] = []
        words: list[Word] = []
        for heard in decoded:
            deadline.check()
            text = heard.text.strip()
            if heard.silent or heard.loops or [s.text for s in kept[-AGAIN:]] == [text] * AGAIN:
                continue
            start, end = inside(heard.start), inside(heard.end)
            kept.append(Segment(start, end, text, heard.avg_logprob, heard.no_speech_prob))
            words += [Word(inside(w.start), inside(w.end), w.text) for w in heard.words]
        text = " ".join(segment.text for segment in kept)
        return Transcript(text, heard_language, tuple(kept), tuple(words))

    def speech_in(self, samples: NDArray[np.float32]) -> Stretches:
        """As Silero hears it, from pause to pause; known once it is loaded."""
        from faster_whisper.vad import get_speech_timestamps

        if not super().speech_in(samples):
            return []
        found = get_speech_timestamps(samples, min_silence_duration_ms=PAUSE_MS, speech_pad_ms=0)
        return [(stretch["start"], stretch["end"]) for stretch in found]

    @abstractmethod
    def _decode(
        self, samples: NDArray[np.float32], wanted: Wanted, deadline: Deadline
    ) -> tuple[Iterable[Heard], str]:
        """What Whisper hears in ``samples``, of shape ``(n,)`` at 16 kHz, and the language.

        Greedy, so that the same sound gives the same text, and each stretch of 30 s on its own:
        text carried over would carry its errors on.
        """


def repeats(text: str) -> bool:
    """Whether ``text`` says a phrase four times running."""
    loops = LOOP.finditer(text)
    return any(any(char.isalpha() for char in loop[0]) for loop in loops)


def translating(weights: str) -> bool:
    """Whether ``weights`` of this name were trained to: all that hear many languages were, but for
    those made from transcripts alone (https://github.com/openai/whisper/discussions/2363)."""
    return not any(kind in weights for kind in ("turbo", "distil"))


def spoken(samples: NDArray[np.float32]) -> slice:
    """Where speech lies in ``samples``, of shape ``(n,)`` at 16 kHz, with a margin.

    :raises NoSpeech: there is none.
    """
    from faster_whisper.vad import get_speech_timestamps

    if float(np.abs(samples).max()) < SILENCE_PEAK:
        raise NoSpeech
    stretches = get_speech_timestamps(samples)
    if not stretches:
        raise NoSpeech
    margin = int(MARGIN_S * SAMPLE_RATE)
    return slice(max(0, stretches[0]["start"] - margin), stretches[-1]["end"] + margin)
