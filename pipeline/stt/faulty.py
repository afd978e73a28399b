"""A speech to text that goes wrong now and then: see ``pipeline.faults``."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from math import inf, nan
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.audio import Audio
from pipeline.base import Deadline
from pipeline.faults import Failing, Garbage
from pipeline.stt.base import Segment, SpeechToText, Stretches, Transcript, Wanted, Word

GARBAGE: Mapping[str, Garbage] = {
    "returns nothing": lambda: None,
    "returns a text": lambda: "Bonjour.",
    "returns bytes": lambda: _transcript(b"Bonjour."),
    "hears nothing": lambda: Transcript("", "fr"),
    "returns half a character": lambda: Transcript("Bon\ud800jour.", "fr"),
    "returns no language": lambda: _transcript("Bonjour.", None),
    "returns times that are none": lambda: Transcript(
        "Bonjour.", "fr", (Segment(nan, inf, "Bonjour."),), (Word(nan, 0.0, "Bonjour."),)
    ),
}


class Faulty(Failing[SpeechToText], SpeechToText):
    """Hears as ``engine`` does, or not at all."""

    contract = SpeechToText
    others = GARBAGE

    @property
    def languages(self) -> Collection[str]:
        return self.engine.languages

    @property
    def translates(self) -> bool:
        return self.engine.translates

    @property
    def times_words(self) -> bool:
        return self.engine.times_words

    def speech_in(self, samples: NDArray[np.float32]) -> Stretches:
        return self.engine.speech_in(samples)

    def _transcribe(self, audio: Audio, wanted: Wanted, deadline: Deadline) -> Transcript:
        if not (fault := self.faults.draw()):
            return self.engine._transcribe(audio, wanted, deadline)
        self.faults.befall(fault, deadline)
        garbage: Transcript = GARBAGE[fault]()
        return garbage


def _transcript(text: Any, language: Any = "fr") -> Transcript:
    return Transcript(text, language)
