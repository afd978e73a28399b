"""Work of several threads is done in one go, and each has its own result."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from pipeline.together import Together


class Doubling:
    """Begins when it is let."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.begun, self.go_on = threading.Semaphore(0), threading.Semaphore(0)

    def __call__(self, asked: Sequence[int]) -> list[int]:
        self.batches.append(list(asked))
        self.begun.release()
        assert self.go_on.acquire(timeout=60)
        if 13 in asked:
            raise ValueError("bad luck")
        return [2 * one for one in asked]


@pytest.fixture
def work() -> Doubling:
    return Doubling()


def waiting(together: Together[int, int], count: int) -> None:
    """Until so many wait."""
    for _try in range(6_000):
        if sum(len(found) for found in together._waiting.values()) == count:
            return
        threading.Event().wait(0.01)
    pytest.fail("they do not come")


def test_what_comes_meanwhile_is_done_together(work: Doubling) -> None:
    together = Together(work, most=3)
    with ThreadPoolExecutor(6) as pool:
        first = pool.submit(together, "even", 0)
        assert work.begun.acquire(timeout=60)
        others = []
        for number, kind in ((2, "even"), (4, "even"), (1, "odd"), (6, "even"), (8, "even")):
            others.append(pool.submit(together, kind, number))
            waiting(together, len(others))
        for _batch in range(4):
            work.go_on.release()
        assert first.result(60) == 0
        assert [call.result(60) for call in others] == [4, 8, 2, 12, 16]
    assert work.batches[0] == [0]
    assert sorted(work.batches[1:]) == [[1], [2, 4, 6], [8]]


def test_a_failure_is_that_of_all_in_the_batch_alone(work: Doubling) -> None:
    together = Together(work, most=2)
    with ThreadPoolExecutor(3) as pool:
        first = pool.submit(together, "any", 1)
        assert work.begun.acquire(timeout=60)
        bad = []
        for number in (13, 14):
            bad.append(pool.submit(together, "any", number))
            waiting(together, len(bad))
        for _batch in range(3):
            work.go_on.release()
        assert first.result(60) == 2
        for call in bad:
            with pytest.raises(ValueError, match="bad luck"):
                call.result(60)
    assert together("any", 5) == 10
