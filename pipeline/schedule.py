"""When work that shares slots will be done."""

from __future__ import annotations

import heapq
from collections import defaultdict, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Lane:
    """What works on ``at_once`` at a time. What is ``kept`` is kept to the end, once one has it."""

    name: str
    at_once: int
    kept: bool = False


Stage = tuple[Lane, float]
"""What it needs, and for how many seconds."""


def ends_s(works: Iterable[Sequence[Stage]]) -> list[float]:
    """When each of ``works`` will be done, in seconds from now; those at work come first.

    Stage after stage: each begins when the one before is done, and there is a slot in its lane.
    Who asks for it first has it first.
    """
    schedule = _Schedule(works)
    schedule.run()
    return schedule.ends_s


class _Schedule:
    def __init__(self, works: Iterable[Sequence[Stage]]) -> None:
        self._to_do = [deque(work) for work in works]
        self.ends_s = [0.0] * len(self._to_do)
        self._steps = [(0.0, number) for number in range(len(self._to_do))]  # a heap
        self._lanes: list[set[Lane]] = [set() for _work in self._to_do]  # that each has
        self._taken: dict[Lane, int] = defaultdict(int)
        self._asking: dict[Lane, deque[int]] = defaultdict(deque)

    def run(self) -> None:
        while self._steps:
            now_s, number = heapq.heappop(self._steps)
            self.ends_s[number] = now_s
            to_do, has = self._to_do[number], self._lanes[number]
            for lane in [lane for lane in has if not (lane.kept and to_do)]:
                has.remove(lane)
                self._taken[lane] -= 1
                if self._asking[lane]:
                    self._begin(self._asking[lane].popleft(), now_s)
            if to_do:
                lane = to_do[0][0]
                if lane in has or self._taken[lane] < lane.at_once:
                    self._begin(number, now_s)
                else:
                    self._asking[lane].append(number)

    def _begin(self, number: int, now_s: float) -> None:
        lane, needs_s = self._to_do[number].popleft()
        if lane not in self._lanes[number]:
            self._lanes[number].add(lane)
            self._taken[lane] += 1
        heapq.heappush(self._steps, (now_s + needs_s, number))
