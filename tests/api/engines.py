"""Engines that only tests want."""

from __future__ import annotations

from pipeline.audio import Audio
from pipeline.base import Deadline
from pipeline.stt import fake
from pipeline.stt.base import Transcript


class HearsGerman(fake.Fake):
    """Whoever lets it detect the language."""

    def _transcribe(self, audio: Audio, language: str | None, deadline: Deadline) -> Transcript:
        return super()._transcribe(audio, language or "de", deadline)


class Unfetched(fake.Fake):
    """Its weights are never here."""

    def missing(self) -> str | None:
        return "no-such-weights are not here."
