"""How long work has waited for that of others, told apart from what it takes itself."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final

LEAST_S: Final = 0.001
"""To ask somewhere else takes a moment as well, which is no waiting."""


@dataclass(slots=True)
class Waited:
    total_s: float = 0.0


_current: ContextVar[Waited | None] = ContextVar("waited", default=None)


@contextmanager
def counted() -> Iterator[Waited]:
    """What is done meanwhile, in threads that are begun on the way too, adds how long it waits."""
    waited = Waited()
    token = _current.set(waited)
    try:
        yield waited
    finally:
        _current.reset(token)


@contextmanager
def waiting() -> Iterator[None]:
    """All that is done meanwhile is to wait until others are done: what is free is taken without
    it, as a busy machine may take long even for that."""
    started = time.monotonic()
    try:
        yield
    finally:
        took_s = time.monotonic() - started
        if took_s >= LEAST_S and (waited := _current.get()) is not None:
            waited.total_s += took_s
