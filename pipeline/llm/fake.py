"""A language model that needs no weights: it repeats what it was asked."""

from __future__ import annotations

import re
from collections.abc import Sequence

from pipeline.base import Deadline
from pipeline.llm.base import Deltas, LanguageModel, Message, Sampling, Stops, Usage
from pipeline.scripted import Calls, Script, pass_time


class Fake(LanguageModel):
    """Replies word by word with the user's last message; ``script`` overrides call by call.

    A reply takes ``takes_s``. A word is a token, of which ``context_tokens`` fit. There is nothing
    random in it, whatever the temperature.
    """

    elsewhere = True  # it computes nothing

    def __init__(
        self,
        *,
        context_tokens: int = 4096,
        takes_s: float = 0.0,
        slots: int = 1,
        wait_s: float = 30,
        timeout_s: float = 120,
    ) -> None:
        super().__init__(slots=slots, wait_s=wait_s, timeout_s=timeout_s)
        self._context_tokens = context_tokens
        self._takes_s = takes_s
        self.script: Script[str] = Script()
        self.asked: Calls[tuple[Message, ...]] = Calls()
        self.sampled: Calls[Sampling] = Calls()
        self.stopped = 0  # replies that were closed before their end

    def _load(self) -> None:
        pass

    def _fits(self, messages: Sequence[Message]) -> bool:
        return _tokens(messages) <= self._context_tokens

    def _reply(self, messages: Sequence[Message], sampling: Sampling, deadline: Deadline) -> Deltas:
        self.asked.append(tuple(messages))
        self.sampled.append(sampling)
        words = re.findall(r"\S+\s*", self.script.next(f"Vous avez dit : {messages[-1].text}"))
        stops = Stops(sampling.stop)
        written = 0
        try:
            for word in words[: sampling.max_tokens]:
                pass_time(self._takes_s / len(words), deadline)
                written += 1
                yield stops.feed(word)
                if stops.reached:
                    break
            yield stops.flush()
        except GeneratorExit:
            self.stopped += 1
            raise
        return Usage(_tokens(messages), written, cut=not stops.reached and written < len(words))


def _tokens(messages: Sequence[Message]) -> int:
    return sum(len(message.text.split()) for message in messages)
