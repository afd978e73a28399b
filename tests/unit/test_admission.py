"""Who is let in, in whose turn, and what is learned of it; on a clock of the test's own."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from typing import Any

import pytest
from pytest_django import Settings

from pipeline import admission as module
from pipeline import deadline
from pipeline.admission import Admission, Place
from pipeline.engines import Engines
from pipeline.errors import ClientGone, EngineBusy, EngineTimeout
from pipeline.llm import fake as llm
from pipeline.pace import BESIDE_S, KEPT, Median, Pace, Size
from pipeline.stt import fake as stt
from pipeline.tts import fake as tts

TURN = ("stt", "llm", "tts")


class HereStt(stt.Fake):
    elsewhere = False


class HereLlm(llm.Fake):
    elsewhere = False


class HereTts(tts.Fake):
    elsewhere = False


def engines(*here: str, **slots: int) -> Engines:
    """Fakes; those of the roles ``here`` pass for engines that compute."""
    entries: dict[str, Any] = {}
    for role, name in {"stt": "HereStt", "llm": "HereLlm", "tts": "HereTts"}.items():
        path = f"{__name__}.{name}" if role in here else f"pipeline.{role}.fake.Fake"
        entries[role] = {"BACKEND": path, "OPTIONS": {"slots": slots.get(role, 1)}}
    return Engines(entries)


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def admission(clock: Clock, settings: Settings) -> Admission:
    """Stages take a second each, and a wait may take 0.9 s."""
    settings.VOICEBOT_MAX_WAIT_S = 0
    admission = Admission(clock)
    admission.pace.heard(5.0, 1.0)
    admission.pace.wrote(10, 50, 1.0)
    admission.pace.spoke(50, 1.0)
    return admission


LOCAL = engines(*TURN)
AWAY = engines()


def entered(admission: Admission, engines: Engines = LOCAL, *roles: str, **size: Any) -> Place:
    place = Place(admission)
    place.enter(engines, *(roles or TURN), size=Size(**size))
    return place


def begun(admission: Admission, engines: Engines = LOCAL, *roles: str) -> Place:
    place = entered(admission, engines, *roles)
    place.begin(here=any(lane.name == module.HERE for lane in place.lanes.values()))
    return place


def works(place: Place, clock: Clock, **seconds: float) -> None:
    """Its engines do, one after the other."""
    for role, of_it_s in seconds.items():
        with place.working(role):
            clock.now += of_it_s


def wait_s(admission: Admission, engines: Engines = LOCAL, *roles: str) -> float:
    """That a newcomer would have."""
    place = Place(admission)
    place.lanes = {role: module._lane(engines, role) for role in roles or TURN}
    return admission.wait_s(place)


# --- the processors are one lane ----------------------------------------------------------------


def test_an_empty_house(admission: Admission) -> None:
    assert wait_s(admission) == 0
    place = entered(admission)
    assert len(admission) == 1
    place.leave()
    assert len(admission) == 0
    place.leave()  # once more does no harm
    assert len(admission) == 0


def test_what_the_next_turn_would_wait(admission: Admission) -> None:
    assert admission.next_wait_s(LOCAL) == 0
    begun(admission)
    assert admission.next_wait_s(LOCAL) == pytest.approx(3)


def test_who_comes_too_early_is_told_when_to_come_back(admission: Admission, clock: Clock) -> None:
    first = begun(admission)
    assert admission.usual_s == pytest.approx(3)
    assert admission.longest_s == pytest.approx(0.9)
    assert wait_s(admission) == pytest.approx(3)
    with pytest.raises(EngineBusy) as busy:
        entered(admission)
    assert busy.value.retry_after_s == 3  # 3 s of work before it, 0.9 s of which it may wait
    assert len(admission) == 1
    works(first, clock, stt=1, llm=0.9)
    with pytest.raises(EngineBusy) as busy:
        entered(admission)
    assert busy.value.retry_after_s == 1
    works(first, clock, llm=0.1, tts=0.4)
    entered(admission)


def test_those_who_wait_count_wholly(admission: Admission, clock: Clock) -> None:
    first = begun(admission)
    works(first, clock, stt=1, llm=1, tts=0.25)
    entered(admission)
    assert wait_s(admission) == pytest.approx(3.75)
    works(first, clock, tts=0.75)
    assert wait_s(admission) == pytest.approx(3)


def test_who_is_late_is_taken_to_be_as_late_again(admission: Admission, clock: Clock) -> None:
    place = begun(admission)
    works(place, clock, stt=1, llm=1)
    with place.working("tts"):
        clock.now += 1
        assert wait_s(admission) == pytest.approx(0)
        clock.now += 1
        assert wait_s(admission) == pytest.approx(1)
        clock.now += 8.75
        with pytest.raises(EngineBusy) as busy:
            entered(admission)
        assert busy.value.retry_after_s == 9
    assert wait_s(admission) == 0


def test_a_stage_that_was_late_makes_the_others_no_later(
    admission: Admission, clock: Clock
) -> None:
    place = begun(admission)
    works(place, clock, stt=7)
    assert wait_s(admission) == pytest.approx(2)


def test_a_stage_that_took_less_is_over_when_the_next_begins(
    admission: Admission, clock: Clock
) -> None:
    place = begun(admission)
    works(place, clock, stt=0.25)
    assert wait_s(admission) == pytest.approx(2.75)  # it may go on
    with place.working("llm"):
        assert wait_s(admission) == pytest.approx(2)


def test_time_in_which_nothing_is_done_brings_nobody_further(
    admission: Admission, clock: Clock
) -> None:
    begun(admission)
    clock.now += 5
    assert wait_s(admission) == pytest.approx(3)


def test_a_stage_may_work_at_two_things_at_once(admission: Admission, clock: Clock) -> None:
    place = begun(admission)
    with place.working("stt"):
        clock.now += 0.25
        with place.working("stt"):
            clock.now += 0.25
        assert wait_s(admission) == pytest.approx(2.25)
    assert wait_s(admission) == pytest.approx(2.25)


def test_what_the_settings_say_is_waited(
    admission: Admission, settings: Settings, clock: Clock
) -> None:
    settings.VOICEBOT_MAX_WAIT_S = 7
    begun(admission)
    entered(admission)
    entered(admission)
    with pytest.raises(EngineBusy) as busy:
        entered(admission)
    assert busy.value.retry_after_s == 2


def test_so_long_and_no_longer(admission: Admission, settings: Settings, clock: Clock) -> None:
    place = begun(admission)
    settings.VOICEBOT_MAX_WAIT_S = wait_s(admission)
    with place.working("stt"):
        clock.now -= 0.001
        with pytest.raises(EngineBusy):
            entered(admission)
        clock.now += 0.001
        entered(admission)


def test_fast_engines_may_be_waited_for_a_moment(admission: Admission) -> None:
    for _again in range(KEPT):
        admission.pace.heard(5.0, 0.001)
        admission.pace.wrote(10, 50, 0.001)
        admission.pace.spoke(50, 0.001)
    assert admission.longest_s == 0.1


def test_slots_of_engines_here(admission: Admission) -> None:
    two = engines(*TURN, stt=2, llm=3, tts=2)
    begun(admission, two)
    assert wait_s(admission, two) == 0
    begun(admission, two)
    assert wait_s(admission, two) == pytest.approx(3)
    # The fewest of them are what counts.
    assert module._lane(two, "llm").at_once == 2


def test_a_part_of_a_turn_waits_for_the_same_processors(admission: Admission) -> None:
    begun(admission, LOCAL, "tts")
    assert wait_s(admission, LOCAL, "stt") == pytest.approx(1)


# --- engines elsewhere have lanes of their own ----------------------------------------------------


def test_stages_elsewhere_overlap(admission: Admission, clock: Clock) -> None:
    first = begun(admission, AWAY)
    # It hears for a second, and so do others before: what follows is free by then.
    assert wait_s(admission, AWAY) == pytest.approx(1)
    assert wait_s(admission, AWAY, "llm") == 0  # by then it will be done
    with first.working("stt"):
        clock.now += 0.25
        begun(admission, AWAY)
        with pytest.raises(EngineBusy):
            entered(admission, AWAY)


def test_a_slow_stage_elsewhere_is_what_is_waited_for(admission: Admission) -> None:
    admission.pace = Pace()
    admission.pace.heard(5.0, 1.0)
    admission.pace.wrote(10, 50, 1.0)
    admission.pace.spoke(50, 5.0)
    begun(admission, AWAY)
    assert wait_s(admission, AWAY) == pytest.approx(5)  # one speaks once the other has spoken


def test_slots_elsewhere(admission: Admission) -> None:
    many = engines(stt=2, llm=2, tts=2)
    begun(admission, many)
    assert wait_s(admission, many) == 0
    begun(admission, many)
    assert wait_s(admission, many) == pytest.approx(1)


def test_the_slot_that_is_free_first_is_taken(admission: Admission, settings: Settings) -> None:
    settings.VOICEBOT_MAX_WAIT_S = 60
    two = engines(tts=2)
    for chars in (250, 50, 150):  # a second for 50
        entered(admission, two, "tts", chars=chars)
    # One has the first, the other those that follow.
    assert wait_s(admission, two, "tts") == pytest.approx(4)
    entered(admission, two, "tts", chars=50)
    assert wait_s(admission, two, "tts") == pytest.approx(5)


def test_what_is_elsewhere_is_not_in_the_way_of_what_is_here(
    admission: Admission, clock: Clock
) -> None:
    mixed = engines("llm", "tts")
    place = begun(admission, mixed, "stt")
    assert wait_s(admission, mixed, "llm", "tts") == 0
    with place.working("stt"):
        clock.now += 5  # it is late, where it works
        assert wait_s(admission, mixed, "llm", "tts") == 0
        assert wait_s(admission, mixed, "stt") == pytest.approx(4)


def test_the_processors_are_kept_meanwhile(admission: Admission, clock: Clock) -> None:
    mixed = engines("stt")
    place = begun(admission, mixed)
    assert wait_s(admission, mixed, "stt") == pytest.approx(3)
    works(place, clock, stt=1)
    assert wait_s(admission, mixed, "stt") == pytest.approx(2)


def test_what_is_here_gives_what_is_elsewhere_the_time(
    admission: Admission, settings: Settings
) -> None:
    settings.VOICEBOT_MAX_WAIT_S = 60
    mixed = engines("stt", "llm")
    entered(admission, mixed, "tts", chars=250)  # a second for 50
    assert wait_s(admission, mixed) == pytest.approx(3)  # its own hearing and writing take two


def test_stages_that_are_done_are_not_waited_for(admission: Admission, clock: Clock) -> None:
    place = begun(admission, AWAY)
    works(place, clock, stt=1)
    with place.working("llm"):
        clock.now += 0.25
        assert wait_s(admission, AWAY, "stt") == 0
        assert wait_s(admission, AWAY, "llm") == pytest.approx(0.75)
        assert wait_s(admission, AWAY, "llm", "tts") == pytest.approx(0.75)


def test_who_is_at_work_has_its_slot_whoever_came_first(
    admission: Admission, settings: Settings, clock: Clock
) -> None:
    settings.VOICEBOT_MAX_WAIT_S = 60
    entered(admission, AWAY, "tts", chars=50)  # it has not asked for its slot yet
    late = entered(admission, AWAY, "tts", chars=250)
    with late.working("tts"):
        clock.now += 1
        assert wait_s(admission, AWAY, "tts") == pytest.approx(5)


def test_who_has_the_processors_goes_on_whoever_came_first(
    admission: Admission, settings: Settings
) -> None:
    settings.VOICEBOT_MAX_WAIT_S = 60
    mixed = engines("stt")
    entered(admission, mixed, "stt", "tts")
    late = entered(admission, mixed, "stt", "tts", sound_s=15.0)  # 2 s to be heard
    late.begin(here=True)
    # Else the first would speak after 1 s, just when a newcomer would.
    assert wait_s(admission, mixed, "llm", "tts") == 0


# --- in turn ------------------------------------------------------------------------------------


def later(work: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


def until(holds: Callable[[], bool]) -> None:
    give_up = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < give_up
        time.sleep(0.001)


@pytest.fixture
def patient(admission: Admission, settings: Settings) -> Admission:
    settings.VOICEBOT_MAX_WAIT_S = 1000
    return admission


def test_they_have_the_processors_in_the_order_they_were_let_in(patient: Admission) -> None:
    first, second, third = begun(patient), entered(patient), entered(patient)
    order: list[str] = []

    def take(place: Place, name: str) -> None:
        place.begin(here=True)
        order.append(name)
        place.leave()

    last = later(lambda: take(third, "third"))
    until(lambda: third.waiting)
    middle = later(lambda: take(second, "second"))
    until(lambda: second.waiting)
    assert order == []
    first.leave()
    middle.join(60)
    last.join(60)
    assert order == ["second", "third"]
    assert len(patient) == 0


def test_who_does_not_ask_for_them_yet_is_not_waited_for(patient: Admission) -> None:
    first, second = entered(patient), entered(patient)
    second.begin(here=True)
    assert second.inside
    second.begin(here=True)  # it has them
    waiting = later(lambda: first.begin(here=True))
    until(lambda: first.waiting)
    second.leave()
    waiting.join(60)
    assert first.inside
    assert not first.waiting


def test_two_at_a_time(patient: Admission) -> None:
    two = engines(*TURN, stt=2, llm=2, tts=2)
    begun(patient, two)
    second = begun(patient, two)
    assert second.inside
    third = entered(patient, two)
    waiting = later(lambda: third.begin(here=True))
    until(lambda: third.waiting)
    second.leave()
    waiting.join(60)
    assert third.inside


def test_engines_elsewhere_are_waited_for_by_their_slots_alone(patient: Admission) -> None:
    begun(patient)
    other = entered(patient)
    other.begin(here=False)
    assert other.began is not None
    assert not other.inside


def test_one_that_stands_in_here_waits_for_the_processors(patient: Admission) -> None:
    begun(patient)
    other = entered(patient, AWAY, "tts")  # whose engine fails, and another one computes here
    waiting = later(lambda: other.begin(here=True))
    until(lambda: other.waiting)
    for place in list(patient._places):
        if place is not other:
            place.leave()
    waiting.join(60)
    assert other.inside


def test_who_was_not_let_in_waits_for_nobody(admission: Admission) -> None:
    begun(admission)
    stranger = Place(admission)
    stranger.begin(here=True)
    assert not stranger.inside
    assert stranger.began is None


def test_the_clock_of_a_place_starts_with_its_first_stage(patient: Admission, clock: Clock) -> None:
    place = entered(patient)
    clock.now += 5
    place.begin(here=True)
    clock.now += 1
    place.begin(here=True)
    assert place.began == 1005


@pytest.mark.parametrize("how", ["left", "late"])
def test_who_waits_in_vain(patient: Admission, how: str) -> None:
    first, second = begun(patient), entered(patient)
    raised: list[Exception] = []
    noted = threading.Event()
    limits: list[deadline.Deadline] = []

    def wait() -> None:
        with deadline.within(60 if how == "left" else 0.01) as limit:
            limits.append(limit)
            try:
                second.begin(here=True)
            except (ClientGone, EngineTimeout) as exc:
                raised.append(exc)
                noted.set()

    later(wait)
    if how == "left":
        until(lambda: second.waiting)
        limits[0].leave()
    assert noted.wait(60)
    assert type(raised[0]) is (ClientGone if how == "left" else EngineTimeout)
    assert not second.waiting
    second.leave()
    # Those behind are not held up by it.
    third = entered(patient)
    waiting = later(lambda: third.begin(here=True))
    first.leave()
    waiting.join(60)
    assert third.inside


# --- until it is answered -----------------------------------------------------------------------


def test_a_visit(admission: Admission) -> None:
    assert module.current() is None
    with admission.visit() as place:
        assert module.current() is place
    assert module.current() is None


def test_giving_way_to_others(admission: Admission) -> None:
    module.give_way()  # nobody has a place here
    with admission.visit() as place:
        place.enter(LOCAL, "tts")
        module.give_way()
        assert len(admission) == 0


@pytest.mark.parametrize("end", ["read", "closed", "failed"])
def test_it_stays_as_long_as_the_answer_is_made(admission: Admission, end: str) -> None:
    closed: list[str] = []

    def chunks() -> Iterator[bytes]:
        try:
            yield b"1"
            if end == "failed":
                raise RuntimeError
            yield b"2"
        finally:
            closed.append(end)

    place = entered(admission)
    answer = place.during(chunks())  # type: ignore[arg-type]
    with closing(answer):
        assert next(answer) == b"1"
        assert len(admission) == 1
        if end == "failed":
            with pytest.raises(RuntimeError):
                next(answer)
        elif end == "read":
            assert list(answer) == [b"2"]
    assert len(admission) == 0
    assert closed == [end]


# --- what is learned ----------------------------------------------------------------------------


def overlap(admission: Admission) -> float:
    return admission.usual_s / 3


def test_stages_that_overlap(admission: Admission, clock: Clock) -> None:
    place = begun(admission)
    works(place, clock, stt=1)
    with place.working("llm"):
        works(place, clock, tts=0.5)
        clock.now += 0.5
    works(place, clock, tts=0.5)
    place.leave()  # 3 s of work in 2.5
    assert overlap(admission) == pytest.approx(2.5 / 3)


def test_work_that_overlaps_brings_one_as_much_further(admission: Admission, clock: Clock) -> None:
    admission.pace.took(1.5, 3)
    place = begun(admission)
    works(place, clock, stt=0.5)
    assert wait_s(admission) == pytest.approx(1.25)
    with place.working("stt"):
        clock.now += 0.1
        assert wait_s(admission) == pytest.approx(1.2)


def test_time_that_was_not_worked_is_no_overlap(admission: Admission, clock: Clock) -> None:
    place = begun(admission)
    works(place, clock, stt=1, llm=1, tts=1)
    clock.now += 30
    place.leave()
    assert overlap(admission) == pytest.approx(1)


def test_what_was_remembered_teaches_nothing(admission: Admission, clock: Clock) -> None:
    place = begun(admission)
    with place.working("stt"):
        works(place, clock, llm=1)
    place.leave()
    never = entered(admission)
    with never.working("stt"), never.working("llm"):  # for somebody else, as it has not begun
        works(never, clock, tts=1)
    never.leave()
    assert overlap(admission) == pytest.approx(1)


def test_a_call_that_fails_is_done_too(admission: Admission, clock: Clock) -> None:
    place = begun(admission)
    with suppress(RuntimeError), place.working("stt"):
        clock.now += 0.5
        raise RuntimeError
    clock.now += 9
    assert wait_s(admission) == pytest.approx(2.5)


def test_work_of_nobody(admission: Admission) -> None:
    with module.working("stt"):  # as on the command line
        pass
    with admission.visit() as place:
        place.enter(LOCAL)
        with module.working("tts"):
            assert [role for role, _since in place.calls] == ["tts"]
        assert place.calls == []
        assert set(place.worked) == {"tts"}
        place.leave()


def test_engines_of_other_settings_are_learned_anew(admission: Admission) -> None:
    left_over = begun(admission)
    admission.reset()
    assert len(admission) == 0
    left_over.leave()
    assert admission.usual_s == pytest.approx(sum(Pace().predicted_s(Size()).values()))


def test_turns_of_quick_engines_teach_as_well() -> None:
    pace = Pace()
    pace.took(0.25, 0.5)
    assert pace.overlap == 0.5


def test_a_median() -> None:
    median = Median(5.0)
    assert median.value == 5
    median.add(1.0)
    assert median.value == 1  # no trace of what was assumed
    median.add(2.0)
    median.add(90.0)
    assert median.value == 2
    for _again in range(KEPT):
        median.add(7.0)
    assert median.value == 7
    for _again in range(KEPT // 2):
        median.add(9.0)
    assert median.value == 7
    median.add(9.0)
    assert median.value == 9


def test_before_anything_is_measured() -> None:
    predicted = Pace().predicted_s(Size())
    assert predicted == {
        "stt": pytest.approx(0.4),
        "llm": pytest.approx(0.45),
        "tts": pytest.approx(1.2),
    }


def test_predictions() -> None:
    pace = Pace()
    pace.heard(BESIDE_S, 1.0)
    pace.wrote(20, 100, 1.0)
    pace.spoke(10, 0.5)
    assert pace.predicted_s(Size()) == pytest.approx({"stt": 1.0, "llm": 1.0, "tts": 5.0})
    assert pace.predicted_s(Size(sound_s=3 * BESIDE_S)) == pytest.approx(
        {"stt": 2.0, "llm": 1.0, "tts": 5.0}
    )
    assert pace.predicted_s(Size(tokens=5)) == pytest.approx({"stt": 1.0, "llm": 0.25, "tts": 1.25})
    assert pace.predicted_s(Size(tokens=0)) == pytest.approx({"stt": 1.0, "llm": 0.0, "tts": 0.0})
    # More than usual may be written, but is not likely.
    assert pace.predicted_s(Size(tokens=500)) == pace.predicted_s(Size())
    assert pace.predicted_s(Size(chars=200)) == pytest.approx({"stt": 1.0, "llm": 1.0, "tts": 10.0})
    pace.took(1.0, 2.0)
    assert pace.predicted_s(Size()) == pytest.approx({"stt": 0.5, "llm": 0.5, "tts": 2.5})


def test_a_word_is_a_token() -> None:
    pace = Pace()
    pace.wrote(1, 5, 1.0)
    assert pace.predicted_s(Size())["llm"] == 1


def test_nothing_written_and_nothing_said_are_no_division() -> None:
    pace = Pace()
    pace.wrote(0, 0, 1.0)
    pace.spoke(0, 1.0)
    pace.took(0.0, 0.0)
    assert pace.overlap == 1
    assert pace.predicted_s(Size(tokens=3))["llm"] == 0
    assert pace.predicted_s(Size(chars=1))["tts"] == 1
