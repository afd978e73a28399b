"""An engine that is somewhere on the cluster, as Django sees it."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import queue
import time
from collections.abc import Callable, Collection, Generator, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from math import ceil
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from django.utils import translation
from django.utils.translation import gettext as _

from pipeline import hosts
from pipeline.base import Deadline, Engine
from pipeline.engines import build
from pipeline.errors import EngineBusy, EngineError, EngineTimeout, EngineUnavailable
from pipeline.logs import request_id
from pipeline.ray import cluster
from pipeline.ray.wire import Asked, Begun, Facts, Failed, Returned
from pipeline.waiting import waiting

if TYPE_CHECKING:
    from ray.serve.handle import DeploymentHandle, DeploymentResponseGenerator

logger = logging.getLogger(__name__)

E = TypeVar("E", bound=Engine)

ATTEMPTS = 3
"""A call whose replica dies is made again; one that kills its replicas is not made for ever."""
PAUSE_S = 0.2
LATE_S = 1.0
"""Left to a replica to tell by itself that the deadline has passed."""
RETRY_AFTER_S = 5
FACTS_S = 10.0
READY_S = 300.0
"""A deployment that is being made is waited for: large weights take their time."""


class Lost(EngineError):
    """The replica died, or its node did, before it had answered."""


@dataclass(frozen=True, kw_only=True)
class Replicas:
    """How many there are of an engine, and what each is given."""

    min: int = 1
    max: int = 1  # replicas are added and taken away, as calls come
    cpus: float = 1.0
    gpus: float = 0.0
    queue: int = 64  # calls that one process of Django may have waiting

    def __post_init__(self) -> None:
        if not 1 <= self.min <= self.max:
            raise ValueError("replicas: min must be at least 1, and max at least min")
        if self.cpus < 0 or self.gpus < 0 or self.queue < 1:
            raise ValueError("replicas: cpus and gpus cannot be negative, nor queue below 1")


class Distant(Engine, Generic[E]):
    """Passes for ``engine``, which runs on the cluster; none of it is loaded here.

    Calls wait in the queue of Serve for a replica that has a slot, as long as ``engine`` lets them
    wait, and work as long as it lets them work. What it gives depends on the call alone, so a call
    whose replica dies is made again, on another.
    """

    def __init__(
        self,
        *,
        engine: Mapping[str, object],
        replicas: Mapping[str, Any] | None = None,
        contract: type[E],
    ) -> None:
        """``engine``: the entry, as in ``ENGINES``, that a single machine would use.

        :raises ValueError, TypeError: ``replicas`` are not as ``Replicas`` has them.
        """
        where = f"ENGINES['{contract.role}']['OPTIONS']['engine']"
        self.engine = build(engine, contract, where=where)
        self.entry = engine
        self.replicas = Replicas(**(replicas or {}))
        self.application = application(contract.role, engine)
        wait_s, timeout_s = self.engine._wait_s, self.engine._timeout_s
        # Serve's queue is what bounds; here there is room for all that it lets in.
        slots = self.replicas.max * self.engine.slots + self.replicas.queue
        super().__init__(slots=slots, wait_s=wait_s, timeout_s=wait_s + timeout_s)
        self._facts: Facts | None = None
        self._handle: DeploymentHandle

    @property
    def name(self) -> str:
        return self.engine.name

    @property
    def outbound(self) -> bool:
        return self.engine.outbound or hosts.is_outside(cluster.host())

    @property
    def elsewhere(self) -> bool:
        return True

    @property
    def at_once(self) -> int:
        return self.replicas.max * self.engine.at_once

    @property
    def identity(self) -> Mapping[str, str]:
        return self.engine.identity if self._facts is None else self._facts.identity

    @contextmanager
    def _growing(self) -> Iterator[None]:
        yield  # its memory is taken elsewhere

    @property
    def needs(self) -> Collection[str]:
        return ()  # the replicas do

    def missing(self) -> str | None:
        if find_spec("ray") is None:
            text = _("%(engine)s on a cluster needs packages: pip install -r requirements-ray.txt")
            return text % {"engine": self.name}
        return cluster.missing()

    def _told(self, fact: str) -> Any:
        """By a replica; until one was asked, by the engine that is not loaded."""
        return getattr(self._facts or self.engine, fact)

    def _load(self) -> None:
        give_up = time.monotonic() + READY_S
        while True:
            try:
                self._handle = cluster.handle(self.application)
                self._facts = self._handle.facts.remote().result(timeout_s=FACTS_S)
            except (EngineUnavailable, TimeoutError):
                if time.monotonic() > give_up:
                    raise
                time.sleep(1)
            else:
                return

    def _result(self, deadline: Deadline, *arguments: Any) -> Any:
        """Of work that gives nothing before its end.

        :raises PipelineError: as on one machine.
        """
        for attempt in self._attempts(deadline):
            with attempt:
                pieces = self._ask(deadline, *arguments)
                try:
                    while True:
                        next(pieces)
                except StopIteration as end:
                    return end.value
        raise AssertionError("the last attempt returns or raises")

    def _asked(self, method: str, *arguments: Any) -> Any:
        """What ``method`` of the engine tells, over there.

        :raises EngineBusy: no replica has had a slot all the while.
        :raises EngineError: it cannot be told.
        """
        deadline = Deadline(self._wait_s)
        for attempt in self._attempts(deadline):
            with attempt, self._ray_errors():
                try:
                    response = self._handle.tell.remote(method, *arguments)
                    return response.result(timeout_s=deadline.remaining_s)
                except TimeoutError as exc:
                    raise EngineBusy(retry_after_s=max(1, ceil(self._wait_s))) from exc
        raise AssertionError("the last attempt returns or raises")

    def _attempts(self, deadline: Deadline) -> Iterator[AbstractContextManager[None]]:
        """Each goes around a call, and lets it be lost; the last one raises that."""
        for number in range(1, ATTEMPTS + 1):
            yield self._attempt(last=number == ATTEMPTS)
            time.sleep(min(PAUSE_S * number, deadline.remaining_s))
            deadline.check()

    @contextmanager
    def _attempt(self, *, last: bool) -> Iterator[None]:
        try:
            yield
        except Lost as exc:
            if last:
                raise
            logger.warning("A replica of %s is lost; asking another.", self.name, exc_info=exc)

    def _ask(self, deadline: Deadline, *arguments: Any) -> Generator[Any, None, Any]:
        """What a replica's work gives piece by piece, and what it returns in the end.

        :raises Lost: the replica is.
        :raises PipelineError: as on one machine.
        """
        asked = Asked(deadline.remaining_s, translation.get_language(), request_id.get())
        response = self._handle.options(stream=True).ask.remote(asked, *arguments)
        # How long the next thing may be waited for: first a slot, then the work.
        until = Deadline(min(self._wait_s, deadline.remaining_s))
        begun = False
        with (
            self._ray_errors(),
            closing(_items(response, lambda: until.remaining_s)) as items,
            ExitStack() as before,
        ):
            before.enter_context(waiting())
            try:
                for item in items:
                    match item:
                        case Begun():
                            begun = True
                            before.close()
                            work_s = self.engine._timeout_s + LATE_S
                            until = Deadline(min(work_s, deadline.remaining_s))
                        case Returned():
                            return item.value
                        case Failed():
                            raise item.error()
                        case _:
                            yield item
            except queue.Empty:
                if not begun and deadline.remaining_s:
                    raise EngineBusy(retry_after_s=max(1, ceil(self._wait_s))) from None
                raise EngineTimeout from None
        raise self._failed(Lost)

    @contextmanager
    def _ray_errors(self) -> Iterator[None]:
        """What goes wrong between here and a replica, as errors of ours."""
        from ray.exceptions import RayError, RayTaskError
        from ray.serve.exceptions import (
            BackPressureError,
            DeploymentUnavailableError,
            RayServeException,
        )

        try:
            yield
        except BackPressureError as exc:
            raise EngineBusy(RETRY_AFTER_S) from exc
        except DeploymentUnavailableError as exc:
            text = _("%(engine)s cannot be started on the cluster.")
            raise EngineUnavailable(text % {"engine": self.name}) from exc
        except RayTaskError as exc:  # of our own code beside the engine: no replica does better
            raise self._failed() from exc
        except (RayError, RayServeException, asyncio.CancelledError) as exc:
            raise self._failed(Lost) from exc

    def _failed(self, kind: type[EngineError] = EngineError) -> EngineError:
        return kind(_("%(engine)s failed.") % {"engine": self.name})


def application(role: str, entry: Mapping[str, object]) -> str:
    """The name, on the cluster, of what runs ``entry``.

    Another entry (other weights, another option) is another application beside it, so what answers
    is always what the settings of whoever asks say.
    """
    written = json.dumps(entry, sort_keys=True, default=str)
    return f"{role}-{hashlib.sha256(written.encode()).hexdigest()[:10]}"


def _items(
    response: DeploymentResponseGenerator, remaining_s: Callable[[], float]
) -> Generator[Any, None, None]:
    """What a replica tells, as it comes. Closing it before the end cancels the call.

    :raises queue.Empty: the next thing did not come in time.
    """
    arrived: queue.SimpleQueue[Any] = queue.SimpleQueue()

    async def read() -> None:
        try:
            async for item in response:
                arrived.put(item)
        except BaseException as exc:  # cancellation included: whoever waits must know
            arrived.put(exc)
        else:
            arrived.put(None)

    asyncio.run_coroutine_threadsafe(read(), cluster.loop())
    ended = False
    try:
        while not ended:
            item = arrived.get(timeout=remaining_s())
            ended = item is None or isinstance(item, Returned | Failed | BaseException)
            if isinstance(item, BaseException):
                raise item
            if item is not None:
                yield item
    finally:
        if not ended:
            response.cancel()
