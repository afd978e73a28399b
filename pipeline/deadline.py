"""How long work may go on, and whether anybody still waits for it.

The deadline of a turn travels with the context of its work, as its tenant does: whatever is done
for it, in whichever thread, has that deadline above its own.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar

from django.utils.translation import gettext as _

from pipeline.errors import ClientGone, EngineTimeout


class Deadline:
    """The moment after which the work is of no use any more."""

    def __init__(self, timeout_s: float, within: Deadline | None = None) -> None:
        """No later than ``within``, of the work that this one is part of."""
        self._end = time.monotonic() + timeout_s
        self._within = within
        self._left = threading.Event()

    def leave(self) -> None:
        """Nobody waits any more."""
        self._left.set()

    @property
    def left(self) -> bool:
        return self._left.is_set() or (self._within is not None and self._within.left)

    @property
    def remaining_s(self) -> float:
        if self.left:
            return 0.0
        own_s = max(0.0, self._end - time.monotonic())
        return own_s if self._within is None else min(own_s, self._within.remaining_s)

    def check(self) -> None:
        """Raise ``EngineTimeout`` when it has passed, ``ClientGone`` when nobody waits."""
        if self.left:
            raise ClientGone
        if self.remaining_s == 0.0:
            raise EngineTimeout(_("The answer took too long."))


_current: ContextVar[Deadline | None] = ContextVar("deadline", default=None)


def current() -> Deadline | None:
    """Of the work that is being done; None where there is none, as on the command line."""
    return _current.get()


def check() -> None:
    """:raises EngineTimeout, ClientGone: the work that is being done is of no use any more."""
    if (deadline := current()) is not None:
        deadline.check()


def within(timeout_s: float) -> AbstractContextManager[Deadline]:
    """What is done meanwhile, and threads that are begun on the way, have ``timeout_s`` for it."""
    return _having(Deadline(timeout_s, current()))


def waited_for() -> AbstractContextManager[Deadline]:
    """What is done meanwhile is waited for until somebody leaves. It is part of nothing else: a
    server may begin a request in the context of another one, whose connection it came by."""
    return _having(Deadline(math.inf))


@contextmanager
def _having(deadline: Deadline) -> Iterator[Deadline]:
    token = _current.set(deadline)
    try:
        yield deadline
    finally:
        _current.reset(token)
