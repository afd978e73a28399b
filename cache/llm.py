"""A language model that remembers what another one has replied."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import astuple, replace

from cache import memory
from pipeline import metrics
from pipeline.base import Deadline
from pipeline.llm.base import AS_EVER, Deltas, LanguageModel, Message, Sampling, Usage
from pipeline.wrapping import Wrapping


class CachedLanguageModel(Wrapping[LanguageModel], LanguageModel):
    """Replies to the same messages once, where the reply is always the same: when it is greedy.

    What a reply took is part of it, so one that an engine does not count is not remembered; nor is
    one that was left before its end.
    """

    def __init__(self, *, engine: Mapping[str, object]) -> None:
        """``engine``: the entry, as in ``ENGINES``, of the language model to wrap."""
        super().__init__(engine=engine, contract=LanguageModel)
        self._entry = engine

    @property
    def bare(self) -> LanguageModel:
        return self.engine

    def reply(self, messages: Sequence[Message], sampling: Sampling = AS_EVER) -> Deltas:
        if sampling.temperature or not memory.on():
            return self.engine.reply(messages, sampling)
        asked = [[astuple(message) for message in messages], astuple(sampling)]
        key = memory.key("llm", self._entry, self.identity, asked)
        known: tuple[str, Usage] | None = memory.recall(key)
        if known is not None:
            return _recalled(*known)
        return _kept(key, self.engine.reply(messages, sampling))

    def fits(self, messages: Sequence[Message]) -> bool:
        return self.engine.fits(messages)

    def _reply(self, messages: Sequence[Message], sampling: Sampling, deadline: Deadline) -> Deltas:
        return self.engine._reply(messages, sampling, deadline)


def _recalled(text: str, usage: Usage) -> Deltas:
    metrics.CACHE.labels("llm", "hit").inc()
    yield text
    return replace(usage, cache="hit")


def _kept(key: str, deltas: Deltas) -> Deltas:
    text = ""
    with closing(deltas):
        while True:
            try:
                delta = next(deltas)
            except StopIteration as end:
                usage: Usage | None = end.value
                break
            text += delta
            yield delta
    if usage is None or not text:
        metrics.CACHE.labels("llm", "off").inc()
        return usage
    memory.keep(key, (text, usage))
    metrics.CACHE.labels("llm", "miss").inc()
    return replace(usage, cache="miss")
