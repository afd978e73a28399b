"""Work that runs in a thread of its own, ahead of whoever reads its results."""

from __future__ import annotations

import contextvars
import queue
import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from typing import Final, TypeVar

from django.utils import translation

T = TypeVar("T")

DEPTH: Final = 256  # results; work that is further ahead than this waits


class _End:
    """The last thing in the queue; ``error`` is what ended the work early."""

    def __init__(self, error: BaseException | None) -> None:
        self.error = error


@contextmanager
def pushed(work: Callable[[Callable[[T], bool]], object]) -> Iterator[Iterator[T]]:
    """Iterate over what ``work`` pushes while it already works on what comes next.

    ``work`` is called in another thread with a function to push results with, which returns
    False once nobody reads any more: it should then return. Leaving the block, by whatever way,
    waits for that, so nothing keeps running for a caller that is gone. What ``work`` raises is
    raised where its results are read.
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

    def read() -> Iterator[T]:
        while not isinstance(item := items.get(), _End):
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
        thread.join()


def ahead(source: Generator[T, None, None]) -> AbstractContextManager[Iterator[T]]:
    """Iterate over ``source`` while it runs ahead; it is closed in the thread that runs it."""

    def work(push: Callable[[T], bool]) -> None:
        with closing(source):
            for item in source:
                if not push(item):
                    return

    return pushed(work)
