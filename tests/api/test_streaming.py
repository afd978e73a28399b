"""A generator as the body of an answer: in time, bounded, and never left behind."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Coroutine, Generator, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.utils import translation

from api import streaming
from api.streaming import DEPTH, AsyncBody, Body, Chunks
from pipeline import tenants
from pipeline.admission import Place, admission
from pipeline.engines import engines


class Counting:
    """Chunks without end, which remember how they were made; every other one is empty."""

    def __init__(self) -> None:
        self.made = 0
        self.closed_in: str | None = None

    def chunks(self) -> Generator[bytes, None, None]:
        try:
            while True:
                yield b""
                self.made += 1
                yield str(self.made).encode()
        finally:
            self.closed_in = threading.current_thread().name


def failing(*chunks: bytes) -> Chunks:
    yield from chunks
    raise LookupError("no more")


def run(test: Coroutine[Any, Any, None]) -> None:
    asyncio.run(test)


async def begun(chunks: Chunks) -> AsyncIterator[bytes]:
    """As a view does it, which is in a thread."""
    return aiter(await sync_to_async(AsyncBody)(chunks))


@contextmanager
def somewhere() -> Iterator[Place]:
    with admission.visit() as place:
        place.enter(engines, "tts")
        yield place


# --- WSGI --------------------------------------------------------------------------------------


def test_chunks_are_made_by_whoever_reads_them() -> None:
    counting = Counting()
    body = Body(counting.chunks())
    assert counting.made == 1
    chunks = iter(body)
    assert [next(chunks), next(chunks)] == [b"1", b"2"]
    assert counting.made == 2
    body.close()
    assert counting.closed_in == threading.current_thread().name


def test_others_do_not_wait_for_a_reader() -> None:
    """Whoever sends it makes it, at the pace of the client."""
    others = len(admission)
    with somewhere() as place:
        body = Body(Counting().chunks())
    assert len(admission) == others + 1
    chunks = iter(body)
    next(chunks)
    assert len(admission) == others
    place.leave()
    body.close()


def test_a_body_that_nobody_reads_is_closed() -> None:
    counting = Counting()
    Body(counting.chunks()).close()
    assert counting.closed_in


def test_what_prevents_the_first_chunk_is_raised() -> None:
    with pytest.raises(LookupError):
        Body(failing(b"", b""))
    assert next(iter(Body(failing(b"1")))) == b"1"


def test_the_rest_is_made_for_whom_the_view_answered() -> None:
    closed_for: list[str] = []

    def chunks() -> Chunks:
        try:
            while True:
                yield tenants.current().encode()
        finally:
            closed_for.append(tenants.current())

    with tenants.acting_for("alice"):
        body = Body(chunks())
    assert tenants.current() == ""
    read = iter(body)
    assert [next(read), next(read)] == [b"alice", b"alice"]
    body.close()
    assert closed_for == ["alice"]


# --- ASGI --------------------------------------------------------------------------------------


def test_everything_comes_in_order() -> None:
    async def test() -> None:
        chunks = (b"%d" % number for number in range(10 * DEPTH))
        read = [chunk async for chunk in await begun(chunks)]
        assert read == [b"%d" % number for number in range(10 * DEPTH)]

    run(test())


def test_leaving_closes_the_chunks_where_they_are_made() -> None:
    counting = Counting()

    async def test() -> None:
        body = await begun(counting.chunks())
        assert [await anext(body), await anext(body)] == [b"1", b"2"]
        await body.aclose()  # type: ignore[attr-defined]
        assert counting.closed_in
        assert counting.closed_in.startswith("stream")

    run(test())


def test_cancelling_a_reader_that_waits_closes_the_chunks() -> None:
    counting = Counting()
    go_on = threading.Event()

    def chunks() -> Chunks:
        yield b"first"
        go_on.wait(timeout=60)
        yield from counting.chunks()

    async def test() -> None:
        body = await begun(chunks())
        assert await anext(body) == b"first"

        async def read() -> None:
            await anext(body)

        reader = asyncio.create_task(read())
        await asyncio.sleep(0.05)
        reader.cancel()
        asyncio.get_running_loop().call_later(0.1, go_on.set)
        with pytest.raises(asyncio.CancelledError):
            await reader
        assert counting.made == 0

    run(test())


def test_is_ahead_by_so_much_only() -> None:
    counting = Counting()

    async def test() -> None:
        body = await begun(counting.chunks())
        while counting.made < DEPTH + 2:  # one was read, one is in hand
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.2)
        assert counting.made == DEPTH + 2
        assert await anext(body) == b"1"
        await body.aclose()  # type: ignore[attr-defined]
        assert counting.made <= DEPTH + 3

    run(test())


def test_others_do_not_wait_for_a_slow_client() -> None:
    counting = Counting()

    async def test() -> None:
        others = len(admission)
        with somewhere():
            body = await sync_to_async(AsyncBody)(counting.chunks())
        while len(admission) > others:  # until it is too far ahead
            await asyncio.sleep(0.01)
        assert DEPTH < counting.made <= DEPTH + 2
        body.close()  # as Django does; nobody has begun to read
        while not counting.closed_in:
            await asyncio.sleep(0.01)

    run(test())


def test_a_client_that_takes_nothing_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streaming, "PATIENCE_S", 0.05)
    counting = Counting()

    async def test() -> None:
        body = await begun(counting.chunks())
        while not counting.closed_in:
            await asyncio.sleep(0.01)
        with pytest.raises(asyncio.CancelledError):
            async for _chunk in body:
                pass

    run(test())
    assert counting.made in (DEPTH + 1, DEPTH + 2)  # the first was read by then, or not


def test_an_error_is_one_of_the_view_or_breaks_the_answer_off() -> None:
    async def test() -> None:
        with pytest.raises(LookupError):
            await begun(failing(b"", b""))
        body = await begun(failing(b"1", b"2"))
        assert [await anext(body), await anext(body)] == [b"1", b"2"]
        with pytest.raises(asyncio.CancelledError) as caught:
            await anext(body)
        assert isinstance(caught.value.__cause__, LookupError)

    run(test())


def test_cancelling_the_wait_for_the_first_chunk_closes_the_chunks() -> None:
    begins, closed = threading.Event(), threading.Event()

    def silent() -> Chunks:
        begins.set()
        try:
            while True:
                time.sleep(0.01)
                yield b""
        finally:
            closed.set()

    async def test() -> None:
        view = asyncio.create_task(begun(silent()))
        assert await asyncio.to_thread(begins.wait, 60)
        view.cancel()
        with pytest.raises(asyncio.CancelledError):
            await view
        assert await asyncio.to_thread(closed.wait, 60)

    run(test())


def test_the_language_is_that_of_the_view() -> None:
    def spoken() -> Chunks:
        yield translation.get_language().encode()

    def view(language: str) -> AsyncBody:
        with translation.override(language):
            return AsyncBody(spoken())

    async def test() -> None:
        for language in ("en", "fr"):
            body = await sync_to_async(view)(language)
            assert [chunk async for chunk in body] == [language.encode()]

    run(test())


def test_the_tenant_is_that_of_the_view() -> None:
    def chunks() -> Chunks:
        yield tenants.current().encode()

    def view(tenant: str) -> AsyncBody:
        with tenants.acting_for(tenant):
            return AsyncBody(chunks())

    async def test() -> None:
        for tenant in ("alice", "bob"):
            body = await sync_to_async(view)(tenant)
            assert [chunk async for chunk in body] == [tenant.encode()]

    run(test())
