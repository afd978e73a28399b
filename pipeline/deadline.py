"""How long work may go on, and whether anybody still waits for it.

The deadline of a turn travels with the context of its work, as its tenant does: whatever is done
for it, in whichever thread, has that deadline above its own.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from contextvars import ContextVar
from typing import Final

from pipeline.errors import ClientGone, EngineTimeout

LOOK_S: Final = 0.5
"""How soon whoever waits for something notices that nobody waits for it any more."""

HANGS_S: Final = 10.0
"""Work that goes on for so long after its deadline does not look at it: it may never end."""


class Deadline:
    """The moment after which the work is of no use any more."""

    def __init__(self, timeout_s: float, within: Deadline | None = None) -> None:
        """No later than ``within``, of the work that this one is part of."""
        self._end = time.monotonic() + timeout_s
        self._within = within
        self._left_at = math.inf
        self._lock = threading.Lock()
        self._stops: list[Callable[[], None]] = []

    def leave(self) -> None:
        """Nobody waits any more."""
        with self._lock:
            self._left_at = min(self._left_at, time.monotonic())
            for stop in self._stops:
                stop()

    @contextmanager
    def interrupting(self, stop: Callable[[], None]) -> Iterator[None]:
        """Should somebody leave meanwhile, or have left, ``stop`` is called: at once, in whichever
        thread finds out."""
        if self._within is not None:
            with self._within.interrupting(stop):
                yield
            return
        with self._lock:
            if self._left_at < math.inf:
                stop()
            self._stops.append(stop)
        try:
            yield
        finally:
            with self._lock:
                self._stops.remove(stop)

    @property
    def left(self) -> bool:
        return self._left_at < math.inf or (self._within is not None and self._within.left)

    @property
    def remaining_s(self) -> float:
        if self.left:
            return 0.0
        own_s = max(0.0, self._end - time.monotonic())
        return own_s if self._within is None else min(own_s, self._within.remaining_s)

    @property
    def overdue_s(self) -> float:
        """For how long it has passed, or nobody has waited any more; 0 before."""
        own_s = max(0.0, time.monotonic() - min(self._end, self._left_at))
        return own_s if self._within is None else max(own_s, self._within.overdue_s)

    @property
    def hangs(self) -> bool:
        """Whatever should have ended by now is not to be waited for."""
        return self.overdue_s > HANGS_S

    def check(self) -> None:
        """Raise ``EngineTimeout`` when it has passed, ``ClientGone`` when nobody waits."""
        if self.left:
            raise ClientGone
        if self.remaining_s == 0.0:
            raise EngineTimeout


_current: ContextVar[Deadline | None] = ContextVar("deadline", default=None)


def current() -> Deadline | None:
    """Of the work that is being done; None where there is none, as on the command line."""
    return _current.get()


def interrupting(stop: Callable[[], None]) -> AbstractContextManager[None]:
    """``stop`` ends what is done meanwhile, should nobody wait for it any more."""
    deadline = current()
    return nullcontext() if deadline is None else deadline.interrupting(stop)


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


def moments(timeout_s: float) -> Iterator[float]:
    """Seconds to wait for something, a moment at a time, until there are no more of ``timeout_s``;
    one at least.

    :raises EngineTimeout, ClientGone: what is being done is of no use any more.
    """
    patience = Deadline(timeout_s)
    while True:
        check()
        yield min(LOOK_S, patience.remaining_s)
        if not patience.remaining_s:
            return


@contextmanager
def held(lock: Callable[[float], AbstractContextManager[None]], timeout_s: float) -> Iterator[None]:
    """With ``lock``, which is given the seconds that it may be waited for, a moment at a time.

    :raises TimeoutError: others have held it for ``timeout_s``.
    :raises EngineTimeout, ClientGone: what is being done is of no use any more.
    """
    with ExitStack() as stack:
        for moment_s in moments(timeout_s):
            try:
                stack.enter_context(lock(moment_s))
            except TimeoutError:
                continue
            break
        else:
            raise TimeoutError
        yield


@contextmanager
def _having(deadline: Deadline) -> Iterator[Deadline]:
    token = _current.set(deadline)
    try:
        yield deadline
    finally:
        _current.reset(token)
