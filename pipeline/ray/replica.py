"""An engine in a process of its own, somewhere on the cluster."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import AsyncGenerator, Callable, Generator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

import django
from django.utils import translation

from pipeline.base import Deadline, Engine
from pipeline.errors import PipelineError
from pipeline.logs import request_id
from pipeline.ray.wire import Asked, Begun, Facts, Failed, Returned

logger = logging.getLogger(__name__)

STUCK_S = 30.0
"""Beyond its deadline a call that still runs will never end: the replica is started anew."""

Work = Callable[..., Generator[Any, None, Any]]


class Replica:
    """What Serve runs: the engine of an entry of ``ENGINES``, loaded before the first call."""

    def __init__(self, role: str, entry: Mapping[str, object]) -> None:
        django.setup()
        from pipeline.engines import ROLES, build

        self._engine: Engine = build(entry, ROLES[role], where=f"the cluster's {role}")
        self._engine.warm_up()
        self._work = WORK[role]
        self._pool = ThreadPoolExecutor(self._engine.slots, thread_name_prefix=role)
        self._begun: dict[int, float] = {}  # calls at work → when they began

    def check_health(self) -> None:
        """Asked by Serve, which starts a replica anew when this raises."""
        oldest = min(self._begun.values(), default=time.monotonic())
        if time.monotonic() - oldest > self._engine._timeout_s + STUCK_S:
            raise RuntimeError(f"{self._engine.name} is stuck.")

    def facts(self) -> Facts:
        known = ("languages", "translates", "times_words", "voices", "default_voices")
        told = {name: getattr(self._engine, name) for name in known if hasattr(self._engine, name)}
        return Facts(dict(self._engine.identity), **told)

    async def tell(self, method: str, *arguments: Any) -> Any:
        """What the engine's ``method`` tells of ``arguments`` without working on them."""
        return await asyncio.to_thread(getattr(self._engine, method), *arguments)

    async def ask(self, asked: Asked, *arguments: Any) -> AsyncGenerator[Any, None]:
        """``Begun``, what the work gives piece by piece, then ``Returned`` or ``Failed``.

        Serve cancels it when nobody waits for it any more. It ends when the work has: until then
        the slot is taken.
        """
        loop = asyncio.get_running_loop()
        items: asyncio.Queue[Any] = asyncio.Queue()
        gone = threading.Event()

        def run() -> None:
            with closing(self._worked(asked, arguments)) as work:
                for item in work:
                    if gone.is_set():
                        return
                    if item != "":  # nothing yet, but a place to stop
                        loop.call_soon_threadsafe(items.put_nowait, item)

        job = loop.run_in_executor(self._pool, run)
        job.add_done_callback(lambda _job: items.put_nowait(None))
        try:
            while (item := await items.get()) is not None:
                yield item
            job.result()  # what went wrong beside the work
        finally:
            gone.set()
            await asyncio.wait([job])

    def _worked(self, asked: Asked, arguments: Sequence[Any]) -> Generator[Any, None, None]:
        request_id.set(asked.request_id)
        call = id(asked)
        try:
            with translation.override(asked.language), self._engine._at_work() as own:
                yield Begun()
                self._begun[call] = time.monotonic()
                deadline = Deadline(min(asked.remaining_s, own.remaining_s))
                value = yield from self._work(self._engine, deadline, *arguments)
        except PipelineError as exc:
            logger.info("%s: %s", self._engine.name, exc.code, exc_info=exc.__cause__)
            yield Failed.of(exc)
        else:
            yield Returned(value)
        finally:
            self._begun.pop(call, None)


def _whole(method: str) -> Work:
    """Work that gives nothing before its end."""

    def work(engine: Any, deadline: Deadline, *asked: Any) -> Generator[Any, None, Any]:
        yield ""
        return getattr(engine, method)(*asked, deadline)

    return work


def _replied(engine: Any, deadline: Deadline, *asked: Any) -> Generator[Any, None, Any]:
    with closing(engine._reply(*asked, deadline)) as deltas:
        while True:
            try:
                delta = next(deltas)
            except StopIteration as end:
                return end.value
            deadline.check()
            yield delta


def _spoken(engine: Any, deadline: Deadline, *asked: Any) -> Generator[Any, None, Any]:
    """All that is asked but the last is the engine's; that is whether it is wanted in pieces."""
    *sentence, eager = asked
    if not eager:
        return (yield from _whole("_synthesize")(engine, deadline, *sentence))
    for piece in engine._synthesize_pieces(*sentence, deadline):
        deadline.check()
        yield piece
    return None


WORK: Mapping[str, Work] = {
    "stt": _whole("_transcribe"),
    "llm": _replied,
    "tts": _spoken,
}
