"""Work ahead of its reader: in order, bounded, and never left behind."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextvars import ContextVar, copy_context

import pytest
from django.utils import translation

from pipeline.ahead import DEPTH, ahead, pushed


@pytest.fixture(autouse=True)
def nothing_left_behind() -> Iterator[None]:
    yield
    assert "ahead" not in {thread.name for thread in threading.enumerate()}


class Counting:
    """Numbers without end, which remembers how it was used."""

    def __init__(self) -> None:
        self.made = 0
        self.threads: set[str] = set()
        self.closed_in: str | None = None

    def numbers(self) -> Generator[int, None, None]:
        try:
            while True:
                self.threads.add(threading.current_thread().name)
                self.made += 1
                yield self.made
        finally:
            self.closed_in = threading.current_thread().name


def test_gives_everything_in_order() -> None:
    with ahead(number for number in range(10 * DEPTH)) as numbers:
        assert list(numbers) == list(range(10 * DEPTH))


def test_nothing_is_a_fine_result() -> None:
    with ahead(number for number in range(0)) as numbers:
        assert list(numbers) == []
        assert list(numbers) == []


def test_works_while_the_reader_does_something_else() -> None:
    made = threading.Event()

    def source() -> Generator[str, None, None]:
        yield "first"
        made.set()
        yield "second"

    with ahead(source()) as items:
        assert next(items) == "first"
        assert made.wait(timeout=60)
        assert list(items) == ["second"]


def test_is_ahead_by_so_much_only() -> None:
    counting = Counting()
    with ahead(counting.numbers()):
        while counting.made < DEPTH:
            time.sleep(0.01)
        time.sleep(0.3)
        assert counting.made == DEPTH + 1  # one in hand
    assert counting.made == DEPTH + 1


def test_leaving_closes_the_source_where_it_runs() -> None:
    counting = Counting()
    with ahead(counting.numbers()) as numbers:
        assert [next(numbers), next(numbers)] == [1, 2]
    assert counting.closed_in == "ahead"
    assert counting.threads == {"ahead"}


def test_leaving_by_an_error_of_the_reader_stops_the_work() -> None:
    counting = Counting()

    def read() -> None:
        with ahead(counting.numbers()) as numbers:
            for number in numbers:
                number / 0

    with pytest.raises(ZeroDivisionError):
        read()
    assert counting.closed_in == "ahead"


def test_leaving_waits_for_the_item_in_the_making() -> None:
    begun, finished = threading.Event(), threading.Event()

    def source() -> Generator[int, None, None]:
        begun.set()
        time.sleep(0.2)
        finished.set()
        yield 1

    with ahead(source()):
        assert begun.wait(timeout=60)
    assert finished.is_set()


def test_an_error_is_raised_where_its_item_would_be_read() -> None:
    def source() -> Generator[int, None, None]:
        yield 1
        raise LookupError("no second")

    with ahead(source()) as items:
        assert next(items) == 1
        with pytest.raises(LookupError, match="no second"):
            next(items)


def test_an_error_that_nobody_reads_is_not_raised() -> None:
    def source() -> Generator[int, None, None]:
        yield 1
        raise LookupError

    with ahead(source()) as items:
        assert next(items) == 1


def test_an_error_of_the_readers_own_is_not_replaced() -> None:
    failed = threading.Event()

    def work(push: Callable[[int], bool]) -> None:
        failed.set()
        raise LookupError

    def read() -> None:
        with pushed(work):
            assert failed.wait(timeout=60)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        read()


def test_push_tells_when_nobody_reads_any_more() -> None:
    answers = []
    left = threading.Event()

    def work(push: Callable[[str], bool]) -> None:
        answers.append(push("read"))
        left.wait(timeout=60)
        while push("unread"):  # it is seen a moment later that nobody reads
            time.sleep(0.01)
        answers.append(False)

    with pushed(work) as items:
        assert next(items) == "read"
        left.set()
    assert answers == [True, False]


CALLER: ContextVar[str] = ContextVar("CALLER")


def test_the_context_is_that_of_the_caller() -> None:
    def work(push: Callable[[str], bool]) -> None:
        push(CALLER.get("nobody"))

    def asked_by(name: str) -> list[str]:
        CALLER.set(name)
        with pushed(work) as callers:
            return list(callers)

    assert [copy_context().run(asked_by, name) for name in ("one", "other")] == [["one"], ["other"]]


def test_the_language_is_that_of_the_caller() -> None:
    def work(push: Callable[[str], bool]) -> None:
        push(translation.get_language())

    for language in ("en", "fr"):
        with translation.override(language), pushed(work) as languages:
            assert list(languages) == [language]
