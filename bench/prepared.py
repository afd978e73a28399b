"""A language model whose replies are written in advance, for pictures of a page that answers."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from pipeline.base import Deadline
from pipeline.llm.base import Deltas, LanguageModel, Message, Sampling


class Prepared(LanguageModel):
    """Gives the first of ``replies`` whose word is in the question."""

    def __init__(self, *, replies: Mapping[str, str]) -> None:
        super().__init__()
        self._replies = replies

    def _load(self) -> None:
        pass

    def _reply(self, messages: Sequence[Message], sampling: Sampling, deadline: Deadline) -> Deltas:
        question = messages[-1].text.lower()
        reply = next(reply for word, reply in self._replies.items() if word in question)
        yield from re.findall(r"\S+\s*", reply)
        return None
