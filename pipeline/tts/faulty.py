"""A text to speech that goes wrong now and then: see ``pipeline.faults``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pipeline.audio import Audio
from pipeline.base import Deadline
from pipeline.faults import Failing, Garbage
from pipeline.tts.base import TextToSpeech, Voice

RATE = 24_000  # Hz

GARBAGE: Mapping[str, Garbage] = {
    "returns nothing": lambda: None,
    "returns samples alone": lambda: np.zeros(RATE, np.float32),
    "returns no samples": lambda: Audio(np.zeros(0, np.float32), RATE),
    "returns NaN": lambda: _audio(np.full(RATE, np.nan, np.float32)),
    "returns infinities": lambda: _audio(np.full(RATE, np.inf, np.float32)),
    "returns integers": lambda: _audio(np.zeros(RATE, np.int16)),
    "returns stereo": lambda: _audio(np.zeros((RATE, 2), np.float32)),
    "returns bytes": lambda: _audio(bytes(RATE)),
    "returns no sample rate": lambda: _audio(np.zeros(RATE, np.float32), 0),
    "returns another sample rate": lambda: Audio(np.full(RATE, 0.1, np.float32), RATE // 2),
    "returns too loud a sound": lambda: Audio(np.full(RATE, 1e6, np.float32), RATE),
}


class Faulty(Failing[TextToSpeech], TextToSpeech):
    """Speaks as ``engine`` does, or not at all."""

    contract = TextToSpeech
    others = GARBAGE

    @property
    def voices(self) -> Sequence[Voice]:
        return self.engine.voices

    @property
    def default_voices(self) -> Mapping[str, str]:
        return self.engine.default_voices

    def _synthesize(self, sentence: str, voice: Voice, speed: float, deadline: Deadline) -> Audio:
        if not (fault := self.faults.draw()):
            return self.engine._synthesize(sentence, voice, speed, deadline)
        self.faults.befall(fault, deadline)
        garbage: Audio = GARBAGE[fault]()
        return garbage


def _audio(samples: Any, sample_rate: int = RATE) -> Audio:
    """What ``Audio`` would not hold, as a library might fill it in."""
    audio = Audio(np.zeros(1, np.float32), RATE)
    object.__setattr__(audio, "samples", samples)
    object.__setattr__(audio, "sample_rate", sample_rate)
    return audio
