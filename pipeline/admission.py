"""Who is let in: no more than can be answered soon, told from what work takes.

A request is let in when those before it will be done within a wait that is worth it. How long they
need is predicted from what stages have taken lately, see ``pace``. Whoever is not let in learns at
once when it is worth asking again.

Engines that compute on this machine take all of its processors: two turns side by side would both
be late. So they have them one after the other, in the order they were let in, as many at a time as
such engines have slots. Engines elsewhere are only waited for: there, slots are all that is scarce.
"""

from __future__ import annotations

import heapq
import threading
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING, Final

from django.conf import settings

from pipeline import deadline
from pipeline.errors import EngineBusy
from pipeline.pace import Pace, Size

if TYPE_CHECKING:
    from pipeline.engines import Engines

HERE: Final = "here"
"""The lane of this machine's processors; that of an engine elsewhere is called as its role."""

WORTH: Final = 0.3
"""Of the time of a usual turn: who waits so long is still served well."""

LEAST_S: Final = 0.1
"""Nobody notices a wait below it, however fast the engines are."""

LOOK_S: Final = 0.1
"""How soon one that waits notices that nobody waits for it any more."""

STAGES: Final = ("stt", "llm", "tts")
USUAL: Final = Size()


@dataclass(frozen=True, slots=True)
class Lane:
    """What works on ``at_once`` requests at a time."""

    name: str
    at_once: int


class Place:
    """Of one request among others, from when it is let in to when it is answered."""

    def __init__(self, admission: Admission) -> None:
        self._admission = admission
        self.lanes: Mapping[str, Lane] = {}  # by role, in the order of the stages it needs
        self.size = USUAL
        self.waiting = False  # for the processors
        self.inside = False  # it has them, until it leaves
        self.began: float | None = None  # when its first stage did, on the clock of the admission
        self.worked: dict[str, float] = {}  # seconds, by role

    def enter(self, engines: Engines, *stages: str, size: Size = USUAL) -> None:
        """``engines`` are to do ``stages`` for it.

        :raises EngineBusy: those before it take too long; it says when to ask again.
        """
        self.lanes = {role: _lane(engines, role) for role in stages}
        self.size = size
        self._admission.enter(self)

    def begin(self, *, here: bool) -> None:
        """A stage is to begin. For the processors ``here`` it waits until it is its turn.

        :raises EngineTimeout, ClientGone: in the meantime it has become of no use.
        """
        self._admission.begin(self, here=here)

    def worked_for(self, role: str, seconds: float) -> None:
        """By an engine that has held a slot so long."""
        self.worked[role] = self.worked.get(role, 0.0) + seconds

    def leave(self) -> None:
        """It is answered, or will not be; once or more often."""
        self._admission.leave(self)

    def during(self, chunks: Generator[bytes, None, None]) -> Generator[bytes, None, None]:
        """``chunks`` of the answer, after the last of which it leaves."""
        try:
            with closing(chunks):
                yield from chunks
        finally:
            self.leave()


class Admission:
    """Of one process, which has its engines to itself."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """``clock`` counts seconds."""
        self._clock = clock
        self._changed = threading.Condition()
        self._places: list[Place] = []  # in the order they were let in
        self.pace = Pace()

    def __len__(self) -> int:
        """Requests that are let in and not answered."""
        return len(self._places)

    @property
    def waiting(self) -> int:
        """Of those, how many wait for the processors."""
        with self._changed:
            return sum(place.waiting for place in self._places)

    def reset(self) -> None:
        """Forget what was learned, as when engines change under tests."""
        self.pace = Pace()

    @contextmanager
    def visit(self) -> Iterator[Place]:
        """A place to ``enter``, that of all work in this context."""
        place = Place(self)
        token = _current.set(place)
        try:
            yield place
        finally:
            _current.reset(token)

    @property
    def usual_s(self) -> float:
        """What a turn takes that has the engines to itself."""
        return sum(self.pace.predicted_s(USUAL).values())

    @property
    def longest_s(self) -> float:
        """That anybody is let wait."""
        return float(settings.VOICEBOT_MAX_WAIT_S) or max(LEAST_S, WORTH * self.usual_s)

    def wait_s(self, place: Place) -> float:
        """That ``place`` would have before it, were it let in now."""
        with self._changed:
            lead_s = worst_s = 0.0
            predicted = self.pace.predicted_s(place.size)
            needed: dict[Lane, float] = {}
            for role, lane in place.lanes.items():
                needed[lane] = needed.get(lane, 0.0) + predicted[role]
            for lane, own_s in needed.items():
                worst_s = max(worst_s, self._free_in_s(lane) - lead_s)
                lead_s += own_s
            return worst_s

    def next_wait_s(self, engines: Engines) -> float:
        """That of a whole turn, were it asked for now."""
        place = Place(self)
        place.lanes = {role: _lane(engines, role) for role in STAGES}
        return self.wait_s(place)

    def enter(self, place: Place) -> None:
        with self._changed:
            longest_s, wait_s = self.longest_s, self.wait_s(place)
            if wait_s > longest_s:
                raise EngineBusy(retry_after_s=ceil(wait_s - longest_s))
            self._places.append(place)

    def begin(self, place: Place, *, here: bool) -> None:
        with self._changed:
            if place not in self._places:
                return
            if here and not place.inside:
                place.waiting = True
                try:
                    while not self._has_turn(place):
                        deadline.check()
                        self._changed.wait(LOOK_S)
                    place.inside = True
                finally:
                    place.waiting = False
                    self._changed.notify_all()
            if place.began is None:
                place.began = self._clock()

    def leave(self, place: Place) -> None:
        with self._changed:
            if place not in self._places:
                return
            self._places.remove(place)
            self._changed.notify_all()
            if place.began is not None and set(place.worked) == set(STAGES):
                self.pace.took(self._clock() - place.began, sum(place.worked.values()))

    def _has_turn(self, place: Place) -> bool:
        """Who was let in earlier and does not ask for the processors yet is not waited for."""
        at_once = next((lane.at_once for lane in place.lanes.values() if lane.name == HERE), 1)
        before = self._places[: self._places.index(place)]
        return (
            not any(other.waiting for other in before)
            and sum(other.inside for other in self._places) < at_once
        )

    def _free_in_s(self, lane: Lane) -> float:
        """When ``lane`` has done all that is before whoever comes next."""
        free = [0.0] * lane.at_once
        for place in self._places:
            heapq.heapreplace(free, free[0] + self._left_s(place, lane))
        return free[0]

    def _left_s(self, place: Place, lane: Lane) -> float:
        """Predicted of ``place`` in ``lane``. One that is late is taken to be as late again."""
        predicted = self.pace.predicted_s(place.size)
        gone_s = 0.0 if place.began is None else self._clock() - place.began
        left_s = 0.0
        for role, its_lane in place.lanes.items():
            of_stage_s = max(0.0, predicted[role] - gone_s)
            gone_s = max(0.0, gone_s - predicted[role])
            if its_lane == lane:
                left_s += of_stage_s
        return left_s + gone_s if lane in place.lanes.values() else left_s


def _lane(engines: Engines, role: str) -> Lane:
    engine = engines[role]
    if engine.elsewhere:
        return Lane(role, engine.at_once)
    return Lane(HERE, min(each.at_once for _role, each in engines if not each.elsewhere))


_current: ContextVar[Place | None] = ContextVar("place", default=None)


def current() -> Place | None:
    """That of the work that is being done; None where there is none, as on the command line."""
    return _current.get()


def give_way() -> None:
    """Others are not to wait for what is being done: its client takes its time."""
    if (place := current()) is not None:
        place.leave()


admission = Admission()
