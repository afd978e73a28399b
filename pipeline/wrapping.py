"""An engine around another one: one that remembers, or one that fails."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Generic, TypeVar

from pipeline.base import Deadline, Engine
from pipeline.engines import build

E = TypeVar("E", bound=Engine)


class Wrapping(Engine, Generic[E]):
    """Passes for ``engine``, whose name and identity are the provenance of what it gives, and whose
    slots and deadline it works in.
    """

    engine: E

    def __init__(self, *, engine: Mapping[str, object], contract: type[E]) -> None:
        """``engine``: the entry, as in ``ENGINES``, of the one to wrap."""
        where = f"ENGINES['{contract.role}']['OPTIONS']['engine']"
        self.engine = build(engine, contract, where=where)
        super().__init__(slots=self.engine.slots, wait_s=self.engine._wait_s)

    @property
    def name(self) -> str:
        return self.engine.name

    @property
    def workers(self) -> Sequence[Engine]:
        return self.engine.workers

    @property
    def outbound(self) -> bool:
        return self.engine.outbound

    @property
    def elsewhere(self) -> bool:
        return self.engine.elsewhere

    @property
    def at_once(self) -> int:
        return self.engine.at_once

    @property
    def hanging(self) -> int:
        return self.engine.hanging

    @property
    def hangs(self) -> bool:
        return self.engine.hangs

    @property
    def identity(self) -> Mapping[str, str]:
        return self.engine.identity

    @property
    def loaded(self) -> bool:
        return self.engine.loaded

    @property
    def needs(self) -> Collection[str]:
        return self.engine.needs

    def missing(self) -> str | None:
        return self.engine.missing()

    def load(self) -> None:
        self._load()  # at once when it is loaded: the engine knows

    def _load(self) -> None:
        self.engine.load()

    def _warm_up(self) -> None:
        self.engine.warm_up()

    @contextmanager
    def _at_work(self) -> Iterator[Deadline]:
        with self.engine._at_work() as deadline:
            yield deadline
