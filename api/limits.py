"""How much may be sent: refused as early as can be known, before it fills the disk."""

from __future__ import annotations

import asyncio
import io
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

from asgiref.sync import sync_to_async
from django.conf import settings
from django.core.exceptions import SuspiciousOperation
from django.core.handlers.asgi import ASGIRequest
from django.db import connections
from django.utils import translation
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from api import headers
from api.authentication import KeyAuthentication, let_in, needed, sent
from api.exceptions import Problem, UploadTooLarge, UploadTooSlow, asks_api
from api.middleware import HEADER, META
from files import atomic
from jobs.errors import DiskFull
from pipeline import deadline
from pipeline.deadline import Deadline

logger = logging.getLogger(__name__)

MULTIPART_BYTES = 64 * 1024
"""Left to the other fields and to the envelope of the recording."""

JOBS = "/api/jobs"
"""Where long recordings are sent."""

GRACE_S = 20.0
MIN_BYTES_PER_S = 16_000
"""A body may take ``GRACE_S`` and a second for so many bytes: half of what a poor mobile network
sends, and twice the rate of a live recording."""

LINGER_S = 2.0

Scope = dict[str, Any]
Message = Mapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]


def max_upload_bytes(path: str) -> int:
    """Of a recording that is sent to ``path``."""
    if path.startswith(JOBS):
        return int(settings.VOICEBOT_MAX_JOB_BYTES)
    return int(settings.VOICEBOT_MAX_UPLOAD_BYTES)


def check_declared(content_length: str | None, path: str) -> None:
    """:raises UploadTooLarge: a body of ``content_length`` is not worth waiting for."""
    limit_bytes = max_upload_bytes(path)
    most_bytes = limit_bytes + MULTIPART_BYTES
    if content_length and content_length.isdecimal() and int(content_length) > most_bytes:
        raise UploadTooLarge(limit_bytes)


class BodyLimit:
    """ASGI middleware for what Django would store before any code of ours sees the request.

    It ends a body that grows beyond the limit, or comes too slowly, and does not wait for that of a
    request that would be refused anyway. A slow body costs a socket and a file, no thread. When the
    client goes away, what is done for it is told: see ``pipeline.deadline``.

    Under WSGI no such thing is needed: there a body is never longer than it says, and
    ``check_declared`` does.
    """

    def __init__(self, application: Application) -> None:
        self._application = application

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._application(scope, receive, send)
            return
        request = ASGIRequest(scope, io.BytesIO())
        with deadline.waited_for() as waited_for:
            body = Body(scope, receive, max_upload_bytes(request.path_info), waited_for)
            try:
                check_declared(request.META.get("CONTENT_LENGTH"), request.path_info)
                if _is_large(request) and asks_api(request) and not await _let_in(request):
                    # Whoever answers it does not come to look at its body.
                    await self._application(scope, body.nothing, Closing(body, send))
                    return
                await self._application(scope, body.next, send)
                if body.refusal is not None:
                    raise body.refusal
            except (UploadTooLarge, UploadTooSlow) as refusal:
                await _refuse(request, refusal, Closing(body, send))
            except OSError as exc:
                if exc.errno not in atomic.UNWRITABLE:
                    raise
                # Django keeps what it receives on the disk.
                logger.error("An upload cannot be kept: %s", exc)
                await _refuse(request, DiskFull(), Closing(body, send))


class Body:
    """That of one request, counted and timed as it comes."""

    def __init__(
        self, scope: Scope, receive: Receive, limit_bytes: int, waited_for: Deadline
    ) -> None:
        """``limit_bytes``: of the upload in it; ``waited_for`` as long as the client is there."""
        self._scope = scope
        self._receive = receive
        self._limit_bytes = limit_bytes
        self._waited_for = waited_for
        self._began_s = time.monotonic()
        self._received_bytes = 0
        self._complete = False
        self._given = False
        self.refusal: UploadTooLarge | UploadTooSlow | None = None

    async def next(self) -> Message:
        """More of it; afterwards, that the client has gone.

        So it is when the body is refused, too: Django then drops what it has, and is silent.
        """
        if self._complete:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                self._waited_for.leave()
            return message
        try:
            async with asyncio.timeout(self._patience_s()):
                message = await self._receive()
        except TimeoutError:
            self.refusal = UploadTooSlow()
        else:
            self._received_bytes += len(message.get("body", b""))
            self._complete = not message.get("more_body", False)
            if self._complete:
                self._declare()
            if self._received_bytes > self._limit_bytes + MULTIPART_BYTES:
                self.refusal = UploadTooLarge(self._limit_bytes)
        return message if self.refusal is None else {"type": "http.disconnect"}

    async def nothing(self) -> Message:
        """An empty body in the place of this one; then nothing ever happens."""
        if self._given:
            await asyncio.Event().wait()
        self._given = True
        return {"type": "http.request", "body": b"", "more_body": False}

    async def drain(self) -> None:
        """Take what still comes for a moment: a client reads its answer once it has sent that."""
        with suppress(TimeoutError):
            async with asyncio.timeout(LINGER_S):
                while not self._complete:
                    message = await self._receive()
                    self._complete = not message.get("more_body", False)

    def _declare(self) -> None:
        """Django takes a body that does not tell its length, as one in chunks, for an empty one."""
        told = {name for name, _value in self._scope["headers"]}
        if self._received_bytes and b"content-length" not in told:
            length = (b"content-length", str(self._received_bytes).encode())
            self._scope["headers"] = [*self._scope["headers"], length]

    def _patience_s(self) -> float:
        allowed_s = GRACE_S + self._received_bytes / MIN_BYTES_PER_S
        return max(0.0, self._began_s + allowed_s - time.monotonic())


class Closing:
    """Sends an answer after which the connection is closed, whatever of the body is to come."""

    def __init__(self, body: Body, send: Send) -> None:
        self._body = body
        self._send = send

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            fields = [*message["headers"], (b"connection", b"close")]
            await self._send({**message, "headers": fields})
        elif message.get("more_body", False):
            await self._send(message)
        else:
            await self._send({**message, "more_body": True})
            await self._body.drain()
            await self._send({"type": "http.response.body"})


def _is_large(request: ASGIRequest) -> bool:
    """Its body, perhaps of unknown length, is not worth storing for nothing."""
    length = request.META.get("CONTENT_LENGTH", "")
    if length.isdecimal():
        return int(length) > MULTIPART_BYTES
    return request.method in ("POST", "PUT", "PATCH")


async def _let_in(request: ASGIRequest) -> bool:
    """As ``api.authentication`` will find: of a key that was sent, in a thread, as the database is
    asked."""
    if not sent(request):
        try:
            return not needed(request)
        except SuspiciousOperation:
            return False
    return await sync_to_async(_opens, thread_sensitive=False, executor=_threads)(request)


_threads = ThreadPoolExecutor(2, thread_name_prefix="keys")


def _opens(request: ASGIRequest) -> bool:
    asked = Request(request)
    try:
        asked.authenticators = [KeyAuthentication()]
        return let_in(asked)
    except (AuthenticationFailed, SuspiciousOperation):
        return False
    finally:
        connections.close_all()  # this thread's


async def _refuse(
    request: ASGIRequest, refusal: UploadTooLarge | UploadTooSlow | DiskFull, send: Send
) -> None:
    language = translation.get_language_from_request(request)
    with translation.override(language):  # which it has been worded in no sooner than this
        if isinstance(refusal, UploadTooLarge):
            refusal = UploadTooLarge(refusal.limit_bytes)
        else:
            refusal = type(refusal)()
        response = Problem(refusal, request.path_info)
    response["Content-Language"] = language
    response[HEADER] = headers.request_id(request.META.get(META))
    response["Content-Length"] = str(len(response.content))
    fields = [(name.encode("ascii"), value.encode("latin-1")) for name, value in response.items()]
    await send({"type": "http.response.start", "status": response.status_code, "headers": fields})
    await send({"type": "http.response.body", "body": response.content})
