"""Work that runs in a thread of its own, ahead of whoever reads its results."""

from __future__ import annotations

import contextvars
import logging
import queue
import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from typing import Final, TypeVar

from django.utils import translation

from pipeline import deadline
from pipeline.errors import EngineTimeout

logger = logging.getLogger(__name__)

T = TypeVar("T")

DEPTH: Final = 256  # results; work that is further ahead than this waits
LOOK_S: Final = 0.5  # how soon it is noticed that work hangs


class _End:
    """The last thing in the queue; ``error`` is what ended the work early."""

    def __init__(self, error: BaseException | None) -> None:
        self.error = error


@contextmanager
def pushed(
    work: Callable[[Callable[[T], bool]], object], *, leaves_what_hangs: bool = False
) -> Iterator[Iterator[T]]:
    """Iterate over what ``work`` pushes while it already works on what comes next.

    ``work`` is called in another thread with a function to push results with, which returns
    False once nobody reads any more: it should then return. Leaving the block, by whatever way,
    waits for that, so nothing keeps running for a caller that is gone. What ``work`` raises is
    raised where its results are read.

    Work that ``leaves_what_hangs`` is left alone, with what it holds, once it should have ended
    long ago: see ``Deadline.hangs``.

    :raises EngineTimeout: it was left alone; while iterating.
    """
    items: queue.Queue[T | _End] = queue.Queue(DEPTH)
    gone = threading.Event()

    def push(item: T | _End) -> bool:
        while not gone.is_set():
            try:
                items.put(item, timeout=0.1)
            except queue.Full:
                continue
            return True
        return False

    language = translation.get_language()

    def run() -> None:
        error = None
        try:
            # Django keeps it per thread: errors speak the caller's language.
            with translation.override(language):
                work(push)
        except BaseException as exc:
            error = exc
        push(_End(error))

    until = deadline.current() if leaves_what_hangs else None

    def hangs() -> bool:
        return until is not None and until.hangs

    def next_item() -> T | _End:
        while True:
            try:
                return items.get(timeout=LOOK_S)
            except queue.Empty:
                if hangs():
                    raise EngineTimeout from None

    def read() -> Iterator[T]:
        while not isinstance(item := next_item(), _End):
            yield item
        if item.error is not None:
            raise item.error

    context = contextvars.copy_context()  # it is the caller's work
    thread = threading.Thread(target=context.run, args=[run], name="ahead", daemon=True)
    thread.start()
    try:
        yield read()
    finally:
        gone.set()
        while thread.is_alive() and not hangs():
            thread.join(LOOK_S)
        if thread.is_alive():
            logger.error("Work is left alone that does not end.")


def ahead(source: Generator[T, None, None]) -> AbstractContextManager[Iterator[T]]:
    """Iterate over ``source`` while it runs ahead; it is closed in the thread that runs it.

    It is to hold what it works with itself, a slot for one: should it hang, it is left alone.
    """

    def work(push: Callable[[T], bool]) -> None:
        with closing(source):
            for item in source:
                if not push(item):
                    return

    return pushed(work, leaves_what_hangs=True)


def aside(work: Callable[[], T]) -> T:
    """What ``work`` returns, which is done in another thread: should it hang, it is left alone."""

    def push_result(push: Callable[[T], bool]) -> None:
        push(work())

    with pushed(push_result, leaves_what_hangs=True) as results:
        [result] = results
        return result
