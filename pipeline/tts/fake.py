"""A text to speech that needs no weights: a tone as long as the sentence would take."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from pipeline.audio import Audio
from pipeline.base import Deadline
from pipeline.scripted import Calls, Script, pass_time
from pipeline.tts.base import TextToSpeech, Voice

RATE = 24_000  # Hz
CHARS_PER_S = 15  # a calm French reader


class Fake(TextToSpeech):
    """Two French voices and one English, told apart by their pitch. Each sentence takes ``takes_s``
    seconds."""

    voices: Sequence[Voice] = (
        Voice("grave", "fr", "Grave", "male"),
        Voice("claire", "fr", "Claire", "female"),
        Voice("low", "en", "Low", "male"),
    )
    default_voices: Mapping[str, str] = {"fr": "grave", "en": "low"}
    pitches = {"grave": 110.0, "claire": 220.0, "low": 100.0}  # Hz

    elsewhere = True  # it computes nothing

    def __init__(
        self,
        *,
        takes_s: float = 0.0,
        slots: int = 1,
        wait_s: float = 30.0,
        timeout_s: float = 120.0,
    ) -> None:
        super().__init__(slots=slots, wait_s=wait_s, timeout_s=timeout_s)
        self._takes_s = takes_s
        self.script: Script[Audio] = Script()
        self.spoken: Calls[str] = Calls()

    def _load(self) -> None:
        pass

    def _synthesize(self, sentence: str, voice: Voice, speed: float, deadline: Deadline) -> Audio:
        self.spoken.append(sentence)
        pass_time(self._takes_s, deadline)
        time = np.arange(int(RATE * len(sentence) / CHARS_PER_S / speed)) / RATE
        tone = 0.3 * np.sin(2 * np.pi * self.pitches[voice.id] * time)
        return self.script.next(Audio(tone.astype(np.float32), RATE))
