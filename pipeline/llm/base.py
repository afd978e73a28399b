"""The language model that writes replies: the contract."""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Generator, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Literal

from pipeline import returned
from pipeline.admission import admission
from pipeline.base import CacheState, Deadline, Engine
from pipeline.errors import TextTooLong

MAX_MESSAGES_CHARS = 32_000
"""More than any spoken conversation holds; the context of the weights is usually smaller."""


@dataclass(frozen=True, slots=True)
class Message:
    role: Literal["system", "user", "assistant"]
    text: str


@dataclass(frozen=True, slots=True)
class Sampling:
    """How a reply is to be written; by default as ever, so that the same gets the same."""

    max_tokens: int | None = None  # of the reply; never more than the engine's own limit
    temperature: float = 0.0  # 0: always the likeliest token
    top_p: float = 1.0  # above temperature 0: only tokens that are so likely, taken together
    stop: tuple[str, ...] = ()  # the reply ends before any of these texts


@dataclass(frozen=True, slots=True)
class Usage:
    """What a reply took, as the engine counts."""

    prompt_tokens: int
    reply_tokens: int
    cut: bool = False  # it ended at the most tokens it may have, not by itself
    cache: CacheState = "off"


Deltas = Generator[str, None, Usage | None]
"""Text as it is written, then what it took, where that is known."""

AS_EVER = Sampling()


class LanguageModel(Engine):
    """Writes the assistant's next message."""

    role = "llm"

    def reply(self, messages: Sequence[Message], sampling: Sampling = AS_EVER) -> Deltas:
        """Deltas of the reply to ``messages``, the last of which is the user's.

        Closing the generator stops the work and frees the slot. What it returns in the end is
        the ``Usage``, or None where the engine cannot tell.

        :raises TextTooLong: at the call; the messages do not fit.
        :raises EngineError: see its tree; while iterating.
        """
        if not messages or messages[-1].role != "user":
            raise ValueError("the last message must be the user's")
        length = sum(len(message.text) for message in messages)
        if length > MAX_MESSAGES_CHARS:
            raise TextTooLong(length, MAX_MESSAGES_CHARS)
        return self._guarded(messages, sampling)

    def fits(self, messages: Sequence[Message]) -> bool:
        """Whether the context of the weights has room for ``messages`` and a reply to them.

        :raises EngineError: see its tree; it cannot be told.
        """
        if sum(len(message.text) for message in messages) > MAX_MESSAGES_CHARS:
            return False
        self.load()
        with self._foreign_errors():
            return self._fits(messages)

    def _fits(self, messages: Sequence[Message]) -> bool:
        """An engine that has no context of its own finds room for whatever is not too long."""
        return True

    def _guarded(self, messages: Sequence[Message], sampling: Sampling) -> Deltas:
        with (
            self._at_work() as deadline,
            closing(self._reply(messages, sampling, deadline)) as deltas,
        ):
            started = time.monotonic()
            tokens = chars = 0
            while True:
                try:
                    delta = next(deltas)
                except StopIteration as end:
                    if sampling.max_tokens is None:
                        admission.pace.wrote(tokens, chars, time.monotonic() - started)
                    return None if end.value is None else returned.instance(end.value, Usage)
                deadline.check()
                if returned.text(delta):
                    tokens, chars = tokens + 1, chars + len(delta)
                    yield delta

    @abstractmethod
    def _reply(self, messages: Sequence[Message], sampling: Sampling, deadline: Deadline) -> Deltas:
        """Yield text as it is generated, and return what it took; stop generating when closed."""


class Stops:
    """Ends a text before the first of some others, wherever its pieces were cut."""

    def __init__(self, texts: Iterable[str]) -> None:
        self._texts = tuple(filter(None, texts))
        self._held = ""  # it may be the beginning of one of them
        self.reached = False

    def feed(self, delta: str) -> str:
        """What is sure to come before the end; all that follows is the end once it is reached."""
        if self.reached:
            return ""
        text, self._held = self._held + delta, ""
        if ends := [text.find(stop) for stop in self._texts if stop in text]:
            self.reached = True
            return text[: min(ends)]
        for length in range(max(map(len, self._texts), default=1) - 1, 0, -1):
            if any(stop.startswith(text[-length:]) for stop in self._texts if len(text) >= length):
                text, self._held = text[:-length], text[-length:]
                break
        return text

    def flush(self) -> str:
        """What was held back, when nothing follows."""
        held, self._held = self._held, ""
        return held
