"""Who is let in: no more than can be answered soon, told from what work takes.

A request is let in when those before it will be done within a wait that is worth it. How long they
need is predicted from what stages have taken lately, see ``pace``. Whoever is not let in learns at
once when it is worth asking again.

Engines that compute on this machine take all of its processors: two turns side by side would both
be late. So they have them one after the other, in the order they were let in, as many at a time as
such engines have slots. Engines elsewhere are only waited for: there, slots are all that is scarce.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from contextvars import ContextVar
from math import ceil
from typing import TYPE_CHECKING, Final

from django.conf import settings

from pipeline import deadline
from pipeline.errors import EngineBusy
from pipeline.pace import Pace, Size
from pipeline.schedule import Lane, Stage, ends_s
from pipeline.waiting import waiting

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


class Place:
    """Of one request among others, from when it is let in to when it is answered."""

    def __init__(self, admission: Admission) -> None:
        self._admission = admission
        self.lanes: Mapping[str, Lane] = {}  # by role, in the order of the stages it needs
        self.size = USUAL
        self.waiting = False  # for the processors
        self.inside = False  # it has them, until it leaves
        self.began: float | None = None  # when its first stage did, on the clock of the admission
        self.worked: dict[str, float] = {}  # seconds, by role, of calls that are done
        self.calls: list[tuple[str, float]] = []  # at work: role, and when it began

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

    @contextmanager
    def working(self, role: str) -> Iterator[None]:
        """An engine has a slot for it."""
        call = self._admission.work(self, role)
        try:
            yield
        finally:
            self._admission.rest(self, call)

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
        """Forget what was learned and who is here, as when engines change under tests."""
        with self._changed:
            self.pace = Pace()
            self._places.clear()
            self._changed.notify_all()

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
        """That ``place`` would have in all, were it let in now."""
        with self._changed:
            others = sorted(self._places, key=lambda other: not (other.calls or other.inside))
            left = [list(self._left_s(each)) for each in (*others, place)]
            alone_s = sum(seconds for _lane, seconds in left[-1])
            return ends_s(left)[-1] - alone_s

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
                    if not self._has_turn(place):
                        with waiting():
                            while not self._has_turn(place):
                                deadline.check()
                                self._changed.wait(LOOK_S)
                    place.inside = True
                finally:
                    place.waiting = False
                    self._changed.notify_all()
            if place.began is None:
                place.began = self._clock()

    def work(self, place: Place, role: str) -> tuple[str, float]:
        call = (role, self._clock())
        with self._changed:
            place.calls.append(call)
        return call

    def rest(self, place: Place, call: tuple[str, float]) -> None:
        role, since = call
        with self._changed:
            place.calls.remove(call)
            place.worked[role] = place.worked.get(role, 0.0) + self._clock() - since

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

    def _left_s(self, place: Place) -> Iterator[Stage]:
        """Of the stages of ``place`` to come. One that is late is taken to be as late again."""
        now = self._clock()
        predicted = self.pace.predicted_s(place.size)
        at_work = {role for role, _since in place.calls}
        worked = dict(place.worked)
        for role, since in place.calls:
            worked[role] = worked.get(role, 0.0) + now - since
        roles = list(place.lanes)
        for position, (role, lane) in enumerate(place.lanes.items(), 1):
            left_s = predicted[role] - self.pace.overlap * worked.get(role, 0.0)
            if role in at_work:
                left_s = abs(left_s)
            elif left_s < 0 or worked.keys() & roles[position:]:
                left_s = 0.0  # it is done, sooner or later than predicted
            if left_s or lane.kept:
                yield lane, left_s


def _lane(engines: Engines, role: str) -> Lane:
    engine = engines[role]
    if engine.elsewhere:
        return Lane(role, engine.at_once)
    slots = min(each.at_once for _role, each in engines if not each.elsewhere)
    return Lane(HERE, slots, kept=True)


_current: ContextVar[Place | None] = ContextVar("place", default=None)


def current() -> Place | None:
    """That of the work that is being done; None where there is none, as on the command line."""
    return _current.get()


def working(role: str) -> AbstractContextManager[None]:
    """An engine of that ``role`` has a slot for the work that is being done."""
    place = current()
    return nullcontext() if place is None else place.working(role)


def give_way() -> None:
    """Others are not to wait for what is being done: its client takes its time."""
    if (place := current()) is not None:
        place.leave()


admission = Admission()
