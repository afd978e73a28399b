"""The language model that writes replies: the contract."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Literal

from pipeline.base import Deadline, Engine
from pipeline.errors import TextTooLong

MAX_MESSAGES_CHARS = 32_000
"""More than any spoken conversation holds; the context of the weights is usually smaller."""


@dataclass(frozen=True, slots=True)
class Message:
    role: Literal["system", "user", "assistant"]
    text: str


class LanguageModel(Engine):
    """Writes the assistant's next message."""

    role = "llm"

    def reply(self, messages: Sequence[Message]) -> Generator[str, None, None]:
        """Deltas of the reply to ``messages``, the last of which is the user's.

        Closing the generator stops the work and frees the slot.

        :raises TextTooLong: at the call; the messages do not fit.
        :raises EngineError: see its tree; while iterating.
        """
        if not messages or messages[-1].role != "user":
            raise ValueError("the last message must be the user's")
        length = sum(len(message.text) for message in messages)
        if length > MAX_MESSAGES_CHARS:
            raise TextTooLong(length, MAX_MESSAGES_CHARS)
        return self._guarded(messages)

    def _guarded(self, messages: Sequence[Message]) -> Generator[str, None, None]:
        with self._at_work() as deadline, closing(self._reply(messages, deadline)) as deltas:
            for delta in deltas:
                deadline.check()
                if delta:
                    yield delta

    @abstractmethod
    def _reply(self, messages: Sequence[Message], deadline: Deadline) -> Generator[str, None, None]:
        """Yield text as it is generated; stop generating when closed."""
