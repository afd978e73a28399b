"""What the fake engines share: answers can be queued, the last calls are kept.

The fakes are real engines chosen by settings, as Django's ``locmem`` mail backend is: tests and
front-end work use them where no weights are wanted.
"""

from __future__ import annotations

import time
from collections import deque
from typing import Final, Generic, TypeVar

from pipeline.base import Deadline

Answer = TypeVar("Answer")
Call = TypeVar("Call")


LOOK_S: Final = 0.02

KEPT: Final = 32
"""Calls, for tests to look at. A server may run on fakes for long."""


def pass_time(seconds: float, deadline: Deadline) -> None:
    """As an engine at work does.

    :raises EngineTimeout, ClientGone: it is of no use any more.
    """
    done = time.monotonic() + seconds
    while (left_s := done - time.monotonic()) > 0:
        deadline.check()
        time.sleep(min(LOOK_S, left_s))


class Calls(list[Call]):
    """The last ``KEPT`` of what was asked for, in order."""

    def append(self, call: Call) -> None:
        super().append(call)
        del self[:-KEPT]


class Script(Generic[Answer]):
    """Answers to give, in order; an exception is raised instead of given."""

    def __init__(self) -> None:
        self._queue: deque[Answer | Exception] = deque()

    def enqueue(self, *answers: Answer | Exception) -> None:
        self._queue.extend(answers)

    def next(self, default: Answer) -> Answer:
        answer = self._queue.popleft() if self._queue else default
        if isinstance(answer, Exception):
            raise answer
        return answer
