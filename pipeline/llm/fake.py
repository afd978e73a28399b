"""A language model that needs no weights: it repeats what it was asked."""

from __future__ import annotations

import re
from collections.abc import Generator, Sequence

from pipeline.base import Deadline
from pipeline.llm.base import LanguageModel, Message
from pipeline.scripted import Script


class Fake(LanguageModel):
    """Replies word by word with the user's last message; ``script`` overrides call by call."""

    def __init__(self, *, slots: int = 1, wait_s: float = 30, timeout_s: float = 120) -> None:
        super().__init__(slots=slots, wait_s=wait_s, timeout_s=timeout_s)
        self.script: Script[str] = Script()
        self.asked: list[tuple[Message, ...]] = []
        self.stopped = 0  # replies that were closed before their end

    def _load(self) -> None:
        pass

    def _reply(self, messages: Sequence[Message], deadline: Deadline) -> Generator[str, None, None]:
        self.asked.append(tuple(messages))
        text = self.script.next(f"Vous avez dit : {messages[-1].text}")
        try:
            yield from re.findall(r"\S+\s*", text)
        except GeneratorExit:
            self.stopped += 1
            raise
