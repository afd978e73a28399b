"""Engines that only tests want."""

from __future__ import annotations

import threading
import time
from collections.abc import Generator, Sequence
from dataclasses import replace

from pipeline.audio import Audio
from pipeline.base import Deadline
from pipeline.llm.base import LanguageModel, Message, Sampling
from pipeline.stt import fake
from pipeline.stt.base import Transcript, Wanted


class HearsGerman(fake.Fake):
    """Whoever lets it detect the language."""

    def _transcribe(self, audio: Audio, wanted: Wanted, deadline: Deadline) -> Transcript:
        heard = replace(wanted, language=wanted.language or "de")
        return super()._transcribe(audio, heard, deadline)


class Unfetched(fake.Fake):
    """Its weights are never here."""

    def missing(self) -> str | None:
        return "no-such-weights are not here."


class Gated(LanguageModel):
    """Says a sentence, then waits for a test to let it go on; then says the other ``rest``."""

    def __init__(self) -> None:
        super().__init__(wait_s=60)
        self.go_on = threading.Event()
        self.begun = threading.Event()
        self.first = "Bonjour à vous tous. "
        self.rest: Sequence[str | Exception] = ("Il fait ", "beau, ", "très beau.")

    def _load(self) -> None:
        pass

    def _reply(
        self, messages: Sequence[Message], sampling: Sampling, deadline: Deadline
    ) -> Generator[str, None, None]:
        self.begun.set()
        if self.first:
            yield self.first
        if not self.go_on.wait(timeout=60):
            raise TimeoutError
        for delta in self.rest:
            if isinstance(delta, Exception):
                raise delta
            yield delta


class Endless(LanguageModel):
    """Repeats ``delta`` as long as somebody listens."""

    def __init__(self, *, delta: str = "Il fait beau. ") -> None:
        super().__init__(wait_s=60)
        self._delta = delta
        self.begun = threading.Event()
        self.stopped = threading.Event()

    def _load(self) -> None:
        pass

    def _reply(
        self, messages: Sequence[Message], sampling: Sampling, deadline: Deadline
    ) -> Generator[str, None, None]:
        self.begun.set()
        try:
            while True:
                time.sleep(0.01)
                yield self._delta
        finally:
            self.stopped.set()


class DeafToEnglish(fake.Fake):
    """It cannot translate."""

    translates = False


class Uncounting(LanguageModel):
    """Begins with a blank, and does not tell what a reply took."""

    def _load(self) -> None:
        pass

    def _reply(
        self, messages: Sequence[Message], sampling: Sampling, deadline: Deadline
    ) -> Generator[str, None, None]:
        yield from (" ", "\n", "Bonjour ", "!")
