"""What the fake engines share: answers can be queued, calls are kept.

The fakes are real engines chosen by settings, as Django's ``locmem`` mail backend is: tests and
front-end work use them where no weights are wanted.
"""

from __future__ import annotations

import time
from collections import deque
from typing import Final, Generic, TypeVar

from pipeline.base import Deadline

Answer = TypeVar("Answer")


LOOK_S: Final = 0.02


def pass_time(seconds: float, deadline: Deadline) -> None:
    """As an engine at work does.

    :raises EngineTimeout, ClientGone: it is of no use any more.
    """
    done = time.monotonic() + seconds
    while (left_s := done - time.monotonic()) > 0:
        deadline.check()
        time.sleep(min(LOOK_S, left_s))


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
