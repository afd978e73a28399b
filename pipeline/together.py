"""Work that several threads ask for at a time, done in one go."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import Future
from typing import Generic, TypeVar

A = TypeVar("A")
R = TypeVar("R")


class Together(Generic[A, R]):
    """Whoever comes while nobody works works at once; what comes meanwhile is done together by the
    first who then can. Nobody waits for company."""

    def __init__(self, work: Callable[[Sequence[A]], Sequence[R]], most: int) -> None:
        """``work`` gives a result for each of what it is asked, ``most`` at a time, in order."""
        self._work = work
        self._most = most
        self._waiting: dict[Hashable, list[tuple[A, Future[R]]]] = {}
        self._lock = threading.Lock()
        self._working = threading.Lock()

    def __call__(self, kind: Hashable, asked: A) -> R:
        """Only what is of one ``kind`` is done together. What ``work`` raises, all of it does."""
        mine: Future[R] = Future()
        with self._lock:
            self._waiting.setdefault(kind, []).append((asked, mine))
        with self._working:
            while not mine.done():
                self._do(self._next(kind))
        return mine.result()

    def _next(self, kind: Hashable) -> list[tuple[A, Future[R]]]:
        """Those that have waited longest."""
        with self._lock:
            waiting = self._waiting.pop(kind)
            if waiting[self._most :]:
                self._waiting[kind] = waiting[self._most :]
            return waiting[: self._most]

    def _do(self, batch: Sequence[tuple[A, Future[R]]]) -> None:
        try:
            results = self._work([asked for asked, _result in batch])
        except BaseException as exc:
            for _asked, result in batch:
                result.set_exception(exc)
        else:
            for (_asked, result), value in zip(batch, results, strict=True):
                result.set_result(value)
