"""A language model that goes wrong now and then: see ``pipeline.faults``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from typing import Any, cast

from pipeline.base import Deadline
from pipeline.faults import HANGS, Failing
from pipeline.llm.base import Deltas, LanguageModel, Message, Sampling, Usage

GARBAGE: Mapping[str, Iterable[Any]] = {
    "writes nothing": [],
    "writes blanks": [" ", "\n"],
    "writes a number": ["Il est ", 12, " heures."],
    "writes bytes": [b"Bonjour."],
    "writes half a character": ["Bon", "\ud800", "jour."],
}
BREAKS, STALLS, MISCOUNTS = "breaks off", "stalls", "miscounts"


class Faulty(Failing[LanguageModel], LanguageModel):
    """Replies as ``engine`` does, or not to the end."""

    contract = LanguageModel
    others = (*GARBAGE, BREAKS, STALLS, MISCOUNTS)

    def _fits(self, messages: Sequence[Message]) -> bool:
        return self.engine._fits(messages)

    def _reply(self, messages: Sequence[Message], sampling: Sampling, deadline: Deadline) -> Deltas:
        fault = self.faults.draw()
        self.faults.befall(fault, deadline)
        if fault in GARBAGE:
            yield from GARBAGE[fault]
            return None
        with closing(self.engine._reply(messages, sampling, deadline)) as deltas:
            if fault == BREAKS:
                yield next(deltas)
                raise ConnectionResetError(104, "Connection reset by peer")
            if fault == STALLS:
                yield next(deltas)
                self.faults.befall(HANGS, deadline)
            usage = yield from deltas
        return cast("Usage", "many") if fault == MISCOUNTS else usage
