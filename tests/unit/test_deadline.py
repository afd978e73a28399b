"""Until when work goes on, and for whom."""

from __future__ import annotations

import contextvars

import pytest
from django.utils import translation

from pipeline import deadline
from pipeline.deadline import Deadline
from pipeline.errors import ClientGone, EngineTimeout


def test_work_on_the_command_line_has_none() -> None:
    assert deadline.current() is None
    deadline.check()
    with deadline.interrupting(lambda: pytest.fail("nobody left")):
        pass


def test_a_part_has_no_more_time_than_the_whole() -> None:
    with deadline.within(0) as whole:
        assert deadline.current() is whole
        part = Deadline(60, whole)
        assert part.remaining_s == 0
        with pytest.raises(EngineTimeout):
            part.check()
        with translation.override("en"), pytest.raises(EngineTimeout) as caught:
            deadline.check()
        assert caught.value.message == "The answer took too long."
    with deadline.within(60) as whole:
        assert 0 < Deadline(1, whole).remaining_s <= 1
        assert 1 < Deadline(90, whole).remaining_s <= 60
        deadline.check()


def test_who_leaves_ends_all_of_it() -> None:
    with deadline.waited_for() as request, deadline.within(60) as turn:
        part = Deadline(60, turn)
        part.check()
        assert not part.left
        request.leave()
        for each in (request, turn, part):
            assert each.left
            assert each.remaining_s == 0
            with pytest.raises(ClientGone):
                each.check()


def test_what_is_asked_next_by_the_same_connection_is_not_left() -> None:
    with deadline.waited_for() as first:
        first.leave()
        leaked = contextvars.copy_context()

    def next_request() -> None:
        with deadline.waited_for():
            deadline.check()

    leaked.run(next_request)


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("pipeline.deadline.time.monotonic", clock)
    return clock


def test_what_is_overdue_does_not_look_at_its_deadline(clock: Clock) -> None:
    with deadline.waited_for() as request, deadline.within(60) as turn:
        own, part = Deadline(5, turn), Deadline(90, turn)
        each = (request, turn, own, part)
        clock.now += 5
        assert [one.overdue_s for one in each] == [0, 0, 0, 0]
        clock.now += 3
        assert [one.overdue_s for one in each] == [0, 0, 3, 0]
        clock.now += 7
        assert [one.hangs for one in each] == [False, False, False, False]
        clock.now += 0.001
        assert [one.hangs for one in each] == [False, False, True, False]
        clock.now = 1010
        request.leave()  # of which all of it is part
        clock.now = 1012
        request.leave()
        assert [one.overdue_s for one in each] == [2, 2, 7, 2]
        clock.now = 1100
        assert [one.overdue_s for one in each] == [90, 90, 95, 90]


def test_work_is_interrupted_by_who_leaves() -> None:
    stopped: list[str] = []
    with deadline.waited_for() as request, deadline.within(60):
        with deadline.interrupting(lambda: stopped.append("done before")):
            pass
        with deadline.interrupting(lambda: stopped.append("during")):
            assert not stopped
            request.leave()
            assert stopped == ["during"]
        with deadline.interrupting(lambda: stopped.append("begun too late")):
            assert stopped == ["during", "begun too late"]
        request.leave()
    assert stopped == ["during", "begun too late"]


def test_waiting_a_moment_at_a_time() -> None:
    assert list(deadline.moments(0)) == [0]
    moments = deadline.moments(60)
    assert next(moments) == deadline.LOOK_S
    with deadline.waited_for() as request:
        next(moments)
        request.leave()
        with pytest.raises(ClientGone):
            next(moments)
    moments = deadline.moments(60)
    with deadline.within(0), pytest.raises(EngineTimeout):
        next(moments)
