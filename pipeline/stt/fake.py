"""A speech to text that needs no weights: it hears what it is told to hear."""

from __future__ import annotations

from collections.abc import Collection, Iterator

import numpy as np

from pipeline.audio import Audio
from pipeline.base import Deadline
from pipeline.errors import NoSpeech
from pipeline.scripted import Calls, Script, pass_time
from pipeline.stt.base import SILENCE_PEAK, Segment, SpeechToText, Transcript, Wanted, Word


class Fake(SpeechToText):
    """Any sound is ``text``, silence is no speech; ``script`` overrides call by call. Each takes
    ``takes_s``.

    It understands no English, hence no translation either: that is ``text`` as well.
    """

    languages: Collection[str] = ("en", "es", "fr", "de")
    translates = True
    times_words = True

    elsewhere = True  # it computes nothing

    def __init__(
        self,
        *,
        text: str = "Quelle heure est-il ?",
        takes_s: float = 0.0,
        slots: int = 1,
        wait_s: float = 30,
        timeout_s: float = 120,
    ) -> None:
        super().__init__(slots=slots, wait_s=wait_s, timeout_s=timeout_s)
        self._takes_s = takes_s
        self._text = text
        self.script: Script[str] = Script()
        self.heard: Calls[Audio] = Calls()
        self.wanted: Calls[Wanted] = Calls()

    def _load(self) -> None:
        pass

    def _transcribe(self, audio: Audio, wanted: Wanted, deadline: Deadline) -> Transcript:
        self.heard.append(audio)
        self.wanted.append(wanted)
        pass_time(self._takes_s, deadline)
        if float(np.abs(audio.samples).max()) < SILENCE_PEAK:
            raise NoSpeech
        text = self.script.next(self._text)
        pieces = [f" {word}" for word in text.split()]
        words = tuple(_evenly(pieces, audio.duration)) if wanted.words else ()
        segment = Segment(0.0, audio.duration, text)
        return Transcript(text, wanted.language or "fr", (segment,), words)


def _evenly(texts: list[str], duration: float) -> Iterator[Word]:
    """``texts`` over ``duration`` seconds, each as long as the others."""
    each = duration / max(1, len(texts))
    for place, text in enumerate(texts):
        yield Word(place * each, (place + 1) * each, text)
