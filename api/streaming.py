"""The body of an answer that is made while it is sent, under WSGI and under ASGI.

Both begin with its first chunk, so that what goes wrong until then is answered as any other error.
An empty chunk is not sent: it says that the work goes on, and is where it can be stopped.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from contextvars import copy_context
from typing import Final

from asgiref.sync import async_to_sync, sync_to_async
from django.core.handlers.asgi import ASGIRequest
from django.db import connections
from django.http import HttpRequest

from pipeline import admission

DEPTH: Final = 64  # chunks made ahead of the client: a minute of speech or more
PATIENCE_S: Final = 60.0  # with a client that takes none of them

Chunks = Generator[bytes, None, None]


def body(request: HttpRequest, chunks: Chunks) -> Body | AsyncBody:
    """What ``StreamingHttpResponse`` sends; closing it closes ``chunks``.

    :raises Exception: whatever keeps the first chunk from being made.
    """
    return AsyncBody(chunks) if isinstance(request, ASGIRequest) else Body(chunks)


class Body:
    """For WSGI: whoever sends the chunks makes them, in the context of the request."""

    def __init__(self, chunks: Chunks) -> None:
        self._chunks = chunks
        self._context = copy_context()  # the view's, which is over when the rest is made
        self._first = self._next()

    def __iter__(self) -> Iterator[bytes]:
        self._context.run(admission.give_way)  # to those whose clients read
        chunk = self._first
        while chunk:
            yield chunk
            chunk = self._next()

    def close(self) -> None:
        self._context.run(self._chunks.close)

    def _next(self) -> bytes:
        """Empty when there are no more."""
        return self._context.run(lambda: next(filter(None, self._chunks), b""))


class AsyncBody:
    """For ASGI: the chunks are made in a thread of their own, ahead of the client.

    An error after the first chunk leaves the answer incomplete, which the client can tell.

    A client that goes away cancels whatever waits for a chunk, the view for the first one
    included. ``chunks`` is then closed, in its thread, as soon as it gives its next one.
    """

    def __init__(self, chunks: Chunks) -> None:
        self._chunks = chunks
        self._made: asyncio.Queue[bytes | None] = asyncio.Queue()  # None is the end
        self._room = threading.Semaphore(DEPTH)
        self._gone = threading.Event()
        self._error: BaseException | None = None
        try:
            self._first = async_to_sync(self._begin)()
        except BaseException:
            self.close()
            raise

    async def __aiter__(self) -> AsyncGenerator[bytes, None]:
        try:
            chunk = self._first
            while chunk is not None:
                yield chunk
                chunk = await self._next()
        except Exception as error:
            # Django then stops where it is, as for a client that is gone, and the server breaks the
            # connection off. The error itself, which is in the log, would leave files open.
            raise asyncio.CancelledError from error
        finally:
            self.close()
            await asyncio.wait([self._work])  # nothing keeps running for a client that is gone

    def close(self) -> None:
        self._gone.set()
        self._room.release()  # it may be waiting for some

    async def _begin(self) -> bytes | None:
        self._loop = asyncio.get_running_loop()
        # What Django keeps per thread, such as the language, comes along; database connections
        # do not.
        alone = ThreadPoolExecutor(1, thread_name_prefix="stream")
        make = sync_to_async(self._make, thread_sensitive=False, executor=alone)
        self._work = asyncio.ensure_future(make())
        self._work.add_done_callback(self._end)
        return await self._next()

    async def _next(self) -> bytes | None:
        chunk = await self._made.get()
        self._room.release()
        if chunk is None and self._error is not None:
            raise self._error
        return chunk

    def _make(self) -> None:
        try:
            with closing(self._chunks):
                for chunk in self._chunks:
                    if chunk and not self._room.acquire(blocking=False):
                        admission.give_way()
                        if not self._room.acquire(timeout=PATIENCE_S):
                            raise TimeoutError("the client takes nothing")
                    if self._gone.is_set():
                        return
                    if chunk:
                        self._loop.call_soon_threadsafe(self._made.put_nowait, chunk)
        finally:
            connections.close_all()  # this thread's

    def _end(self, work: asyncio.Future[None]) -> None:
        self._error = None if work.cancelled() else work.exception()
        self._made.put_nowait(None)
