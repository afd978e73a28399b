"""Engines of a server that tests watch from outside its process."""

from __future__ import annotations

import time
from collections.abc import Generator, Sequence
from pathlib import Path

from pipeline.base import Deadline
from pipeline.llm.base import LanguageModel, Message, Sampling


class Gated(LanguageModel):
    """Says a sentence, then nothing but blanks until there is a file ``gate``; then another."""

    def __init__(self, *, gate: str, wait_s: float = 10) -> None:
        super().__init__(slots=1, wait_s=wait_s)
        self._gate = Path(gate)

    def _load(self) -> None:
        pass

    def _reply(
        self, messages: Sequence[Message], sampling: Sampling, deadline: Deadline
    ) -> Generator[str, None, None]:
        yield "Bonjour à vous tous. "
        while not self._gate.exists():
            time.sleep(0.02)
            yield " "
        yield "Il fait beau."
