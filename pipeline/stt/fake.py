"""A speech to text that needs no weights: it hears what it is told to hear."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from pipeline.audio import Audio
from pipeline.base import Deadline
from pipeline.errors import NoSpeech
from pipeline.scripted import Script
from pipeline.stt.base import Segment, SpeechToText, Transcript

SILENCE_PEAK = 1e-3  # of full scale


class Fake(SpeechToText):
    """Any sound is ``text``, silence is no speech; ``script`` overrides call by call."""

    languages: Collection[str] = ("en", "es", "fr", "de")

    def __init__(self, *, text: str = "Quelle heure est-il ?", slots: int = 1, wait_s: float = 30):
        super().__init__(slots=slots, wait_s=wait_s)
        self._text = text
        self.script: Script[str] = Script()
        self.heard: list[Audio] = []

    def _load(self) -> None:
        pass

    def _transcribe(self, audio: Audio, language: str | None, deadline: Deadline) -> Transcript:
        self.heard.append(audio)
        if float(np.abs(audio.samples).max()) < SILENCE_PEAK:
            raise NoSpeech
        text = self.script.next(self._text)
        return Transcript(text, language or "fr", (Segment(0.0, audio.duration, text),))
