"""When work that shares slots will be done."""

from __future__ import annotations

from pipeline.schedule import Lane, ends_s

ONE = Lane("one", 1)
OTHER = Lane("other", 1)
TWO = Lane("two", 2)
KEPT = Lane("kept", 1, kept=True)


def test_nobody() -> None:
    assert ends_s([]) == []
    assert ends_s([[]]) == [0]


def test_stage_after_stage() -> None:
    assert ends_s([[(ONE, 1), (OTHER, 2), (TWO, 3)]]) == [6]


def test_one_after_the_other() -> None:
    assert ends_s([[(ONE, 3)], [(ONE, 1)], [(ONE, 2)]]) == [3, 4, 6]


def test_as_many_at_once_as_there_are_slots() -> None:
    assert ends_s([[(TWO, 3)], [(TWO, 1)], [(TWO, 2)], [(TWO, 1)]]) == [3, 1, 3, 4]


def test_stages_of_several_overlap() -> None:
    assert ends_s([[(ONE, 1), (OTHER, 1)], [(ONE, 1), (OTHER, 1)]]) == [2, 3]


def test_a_slot_that_nobody_needs_yet_is_free() -> None:
    assert ends_s([[(ONE, 2), (OTHER, 1)], [(OTHER, 1)]]) == [3, 1]


def test_who_asks_first_has_it_first() -> None:
    assert ends_s([[(ONE, 2), (OTHER, 1)], [(TWO, 1), (OTHER, 4)]]) == [6, 5]
    # At the same moment: who came first.
    assert ends_s([[(ONE, 1), (OTHER, 1)], [(TWO, 1), (OTHER, 4)]]) == [2, 6]


def test_what_is_kept_is_kept_to_the_end() -> None:
    assert ends_s([[(KEPT, 1), (ONE, 2), (KEPT, 1)], [(KEPT, 1)]]) == [4, 5]
    assert ends_s([[(KEPT, 1), (ONE, 2)], [(KEPT, 1)]]) == [3, 4]
    assert ends_s([[(ONE, 2), (KEPT, 1)], [(KEPT, 1)]]) == [3, 1]


def test_what_is_kept_may_have_slots() -> None:
    two = Lane("kept", 2, kept=True)
    works = [[(two, 1), (two, 1)], [(two, 1), (two, 2)], [(two, 1)], [(two, 1)]]
    assert ends_s(works) == [2, 3, 3, 4]


def test_a_step_that_takes_no_time() -> None:
    assert ends_s([[(KEPT, 0), (ONE, 2)], [(KEPT, 0)]]) == [2, 2]
