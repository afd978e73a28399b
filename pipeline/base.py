"""What every engine has in common, whatever its role.

The shape is that of Django's ``Storage``: the public method of a role (``transcribe``,
``reply``, ``synthesize``) validates and guards, the private one (``_transcribe`` …), which is
all an engine writes, does the work.
"""

from __future__ import annotations

import logging
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from math import ceil
from typing import ClassVar, Literal

from django.utils.translation import gettext as _

from pipeline import admission, deadline, metrics, tracing
from pipeline.deadline import Deadline as Deadline
from pipeline.errors import EngineBusy, EngineError, EngineUnavailable, PipelineError
from pipeline.memory import resident_bytes
from pipeline.traffic import traffic
from pipeline.waiting import waiting

logger = logging.getLogger(__name__)


CacheState = Literal["hit", "miss", "off"]
"""Whether a result was kept from before, was made and is kept now, or is not kept at all."""


class Engine(ABC):
    """An implementation of a role. One instance serves the whole process, from any thread.

    The constructor is cheap and touches no file: it keeps its options. ``load`` reads the
    weights, once. Options are keyword arguments, so that an unknown one is an error.
    """

    role: ClassVar[str]
    """The stage it is for: ``stt``, ``llm`` or ``tts``."""

    packages: ClassVar[Mapping[str, str]] = {}
    """What ``load`` imports: name of the module → of the package in ``requirements.txt``."""

    def __init__(self, *, slots: int = 1, wait_s: float = 30.0, timeout_s: float = 120.0) -> None:
        """``slots`` calls run at a time, each for ``timeout_s``; others wait up to ``wait_s``."""
        if slots < 1:
            raise ValueError(f"slots must be at least 1, not {slots}")
        self.slots = slots
        self._free = threading.BoundedSemaphore(slots)
        self._calls: set[Deadline] = set()  # of those in a slot
        self._wait_s = wait_s
        self._timeout_s = timeout_s
        self._load_lock = threading.Lock()
        self._loaded = threading.Event()
        self.memory_bytes: int | None = None
        """By how much the process grew while this was loaded and warmed up; None: not known."""

    @property
    def name(self) -> str:
        return type(self).__name__

    @property
    def bare(self) -> Engine:
        """The same engine without what remembers its results."""
        return self

    @property
    def workers(self) -> Sequence[Engine]:
        """Those that do the work: not what wraps one; several where some stand in for others."""
        return [self]

    @property
    def outbound(self) -> bool:
        """Text or audio leaves the machine."""
        return False

    @property
    def elsewhere(self) -> bool:
        """It computes nothing on this machine's processors, whatever it takes."""
        return False

    @property
    def at_once(self) -> int:
        """Calls that do not wait for each other."""
        return self.slots

    @property
    def hanging(self) -> int:
        """Calls that should have ended long ago. They keep their slots: what computes in a thread
        cannot be stopped from outside."""
        return sum(until.hangs for until in tuple(self._calls))

    @property
    def hangs(self) -> bool:
        """No call could have a slot, until the process starts anew."""
        return self.hanging >= self.slots

    @property
    def identity(self) -> Mapping[str, str]:
        """What decides the result besides the input: engine, weights, options that matter.

        Two engines of equal identity give the same result; it is the provenance of a turn and
        part of the key of cached speech.
        """
        return {"engine": self.name}

    @property
    def loaded(self) -> bool:
        return self._loaded.is_set()

    def load(self) -> None:
        """Read the weights, once; later calls return at once.

        :raises EngineUnavailable: what the engine needs is missing.
        """
        if self.loaded:
            return
        with self._load_lock:
            if self._loaded.is_set():
                return
            if missing := self.missing():
                raise EngineUnavailable(missing)
            started = time.monotonic()
            with self._growing(), self._foreign_errors():
                self._load()
            self._loaded.set()
            logger.info("%s loaded in %.1f s", self.name, time.monotonic() - started)

    def warm_up(self) -> None:
        """Load, then run one tiny inference, so that the first user does not pay for it."""
        self.load()
        with self._growing():
            self._warm_up()

    @property
    def needs(self) -> Collection[str]:
        """Ids of the weights that ``fetch_weights`` brings for it."""
        return ()

    def missing(self) -> str | None:
        """Why this engine could not be loaded (weights, package), found cheaply; else None."""
        absent = [pip for module, pip in self.packages.items() if find_spec(module) is None]
        if not absent:
            return None
        text = _("%(engine)s needs a package: pip install %(package)s -c requirements.txt")
        return text % {"engine": self.name, "package": " ".join(absent)}

    @abstractmethod
    def _load(self) -> None: ...

    def _warm_up(self) -> None:  # noqa: B027 - nothing to warm up is a fine answer
        pass

    @contextmanager
    def _growing(self) -> Iterator[None]:
        before_bytes = resident_bytes()
        yield
        after_bytes = resident_bytes()
        if before_bytes is not None and after_bytes is not None:
            grown_bytes = max(0, after_bytes - before_bytes)
            self.memory_bytes = (self.memory_bytes or 0) + grown_bytes

    @contextmanager
    def _at_work(self) -> Iterator[Deadline]:
        """Loaded, in a slot, under a deadline, with foreign exceptions mapped."""
        self.load()
        metrics.SLOTS.labels(self.role, self.name).set(self.slots)
        with traffic.one_more():
            self._await_turn()
            with self._slot() as until:
                yield until

    def _await_turn(self) -> None:
        """Where the work is part of a request, until those before it are done.

        :raises EngineTimeout, ClientGone: the work is of no use any more.
        """
        deadline.check()
        if (place := admission.current()) is not None:
            place.begin(here=not self.elsewhere)

    @contextmanager
    def _slot(self) -> Iterator[Deadline]:
        with metrics.one_more(metrics.WAITING.labels(self.role, self.name)):
            self._acquire()
        started = time.monotonic()
        until = Deadline(self._timeout_s, within=deadline.current())
        self._calls.add(until)
        try:
            with (
                admission.working(self.role),
                metrics.working(self.role, self.name),
                tracing.span(self.role, engine=self.name),
                self._foreign_errors(),
            ):
                yield until
        finally:
            self._calls.remove(until)
            self._free.release()
            logger.debug("%s worked %.3f s", self.name, time.monotonic() - started)

    def _acquire(self) -> None:
        """:raises EngineBusy: every slot stays taken.
        :raises EngineUnavailable: by calls that hang.
        :raises EngineTimeout, ClientGone: the work is of no use any more.
        """
        deadline.check()
        if self._free.acquire(blocking=False):
            return
        with waiting():
            for moment_s in deadline.moments(self._wait_s):
                if self._free.acquire(timeout=moment_s):
                    return
                if self.hangs:
                    raise EngineUnavailable(_("%(engine)s hangs.") % {"engine": self.name})
        raise EngineBusy(retry_after_s=max(1, ceil(self._wait_s)))

    @contextmanager
    def _foreign_errors(self) -> Iterator[None]:
        """Whatever a library raises becomes an ``EngineError`` that says nothing private."""
        try:
            yield
        except PipelineError:
            raise
        except Exception as exc:
            raise EngineError(_("%(engine)s failed.") % {"engine": self.name}) from exc
