"""What the faulty engines share: what goes wrong, and when, by a seed.

They are engines around another one of their role, chosen by settings, for whoever wants to see what
is left of a turn when something fails::

    VOICEBOT_TTS_BACKEND=pipeline.tts.faulty.Faulty
    VOICEBOT_TTS_OPTIONS={"engine": {"BACKEND": "pipeline.tts.kokoro.Kokoro"}, "rate": 0.1}
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, ClassVar, Final, Generic, TypeVar

from pipeline.base import Deadline, Engine
from pipeline.errors import EngineError, EngineTimeout, EngineUnavailable
from pipeline.wrapping import Wrapping

logger = logging.getLogger(__name__)

E = TypeVar("E", bound=Engine)

Garbage = Callable[[], Any]
"""Makes what no engine may return."""

RAISED: Final[Mapping[str, Callable[[], Exception]]] = {
    "fails": lambda: EngineError("drawn by lot"),
    "is unavailable": lambda: EngineUnavailable("drawn by lot"),
    "is late": lambda: EngineTimeout("drawn by lot"),
    "breaks": lambda: RuntimeError("drawn by lot"),
    "lacks memory": MemoryError,
    "loses its file": lambda: FileNotFoundError(2, "No such file or directory", "/private"),
    "loses its server": lambda: ConnectionResetError(104, "Connection reset by peer"),
    "has a bug": lambda: KeyError("drawn by lot"),
    "ends an iteration": StopIteration,
}
"""By libraries, or by engines themselves."""

HANGS: Final = "hangs"
"""Until its deadline has passed, which it looks at, as engines do."""

POLL_S: Final = 0.005


class Faults:
    """Of one engine: which call goes wrong, and how."""

    def __init__(
        self, role: str, others: Collection[str], *, rate: float, seed: int, only: Sequence[str]
    ) -> None:
        """``rate``: of calls that go wrong. ``others``: what can, besides what all roles share;
        ``only``: of all these, those to draw from, where it is not all of them.

        :raises ValueError: ``rate`` is none, or ``only`` names what is not known.
        """
        known = [*RAISED, HANGS, *others]
        if not 0 <= rate <= 1:
            raise ValueError(f"rate must lie between 0 and 1, not {rate}")
        if unknown := set(only) - set(known):
            raise ValueError(f"no such faults: {', '.join(sorted(unknown))}; {', '.join(known)}")
        self.rate = rate
        self.drawn: Counter[str] = Counter()
        self._names = tuple(only or known)
        self._lots = random.Random(f"{seed} {role}")
        self._lock = threading.Lock()

    def draw(self) -> str:
        """What goes wrong with this call; empty: nothing does."""
        with self._lock:
            if self._lots.random() >= self.rate:
                return ""
            fault = self._lots.choice(self._names)
            self.drawn[fault] += 1
        logger.info("This call %s.", fault)
        return fault

    def befall(self, fault: str, deadline: Deadline) -> None:
        """Raise what ``fault`` raises, if anything, perhaps after a while."""
        if fault == HANGS:
            while True:
                deadline.check()
                time.sleep(POLL_S)
        if fault in RAISED:
            raise RAISED[fault]()


class Failing(Wrapping[E], Generic[E]):
    """An engine of which some calls go wrong."""

    contract: type[E]
    others: ClassVar[Collection[str]]
    """What can go wrong with its role alone, see ``Faults``."""

    def __init__(
        self,
        *,
        engine: Mapping[str, object] | None = None,
        rate: float = 0.2,
        seed: int = 1,
        only: Sequence[str] = (),
    ) -> None:
        """``engine``: the entry, as in ``ENGINES``, of the one to wrap, otherwise the fake one of
        its role; the others as in ``Faults``."""
        engine = engine or {"BACKEND": f"pipeline.{self.role}.fake.Fake"}
        super().__init__(engine=engine, contract=self.contract)
        self.faults = Faults(self.role, self.others, rate=rate, seed=seed, only=only)

    @property
    def name(self) -> str:
        return f"Faulty {self.engine.name}"

    @property
    def identity(self) -> Mapping[str, str]:
        return {**self.engine.identity, "engine": self.name}
