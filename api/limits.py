"""How much may be sent: refused as early as can be known, before it fills the disk."""

from __future__ import annotations

import io
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from django.conf import settings
from django.core.files.uploadedfile import UploadedFile
from django.core.files.uploadhandler import FileUploadHandler
from django.core.handlers.asgi import ASGIRequest
from django.utils import translation

from api import headers
from api.exceptions import Problem, UploadIncomplete, UploadTooLarge
from api.middleware import HEADER, META

MULTIPART_BYTES = 64 * 1024
"""Left to the other fields and to the envelope of the recording."""

JOBS = "/api/jobs"
"""Where long recordings are sent."""

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
    """ASGI middleware that stops a body that grows beyond the limit.

    Django stores the whole of a body before any code of ours sees the request. Under WSGI no
    such thing is needed: there a body is never longer than it says, and ``check_declared`` does.
    """

    def __init__(self, application: Application) -> None:
        self._application = application

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._application(scope, receive, send)
            return
        request = ASGIRequest(scope, io.BytesIO())
        limit_bytes = max_upload_bytes(request.path_info)
        received_bytes = 0

        async def counted() -> Message:
            nonlocal received_bytes
            message = await receive()
            received_bytes += len(message.get("body", b""))
            if received_bytes > limit_bytes + MULTIPART_BYTES:
                return {"type": "http.disconnect"}  # Django then drops what it has, and is silent
            return message

        try:
            check_declared(request.META.get("CONTENT_LENGTH"), request.path_info)
            await self._application(scope, counted, send)
            if received_bytes > limit_bytes + MULTIPART_BYTES:
                raise UploadTooLarge(limit_bytes)
        except UploadTooLarge as exc:
            await _refuse(request, send, exc)


async def _refuse(request: ASGIRequest, send: Send, refusal: UploadTooLarge) -> None:
    language = translation.get_language_from_request(request)
    with translation.override(language):
        response = Problem(UploadTooLarge(refusal.limit_bytes), request.path_info)
    response["Content-Language"] = language
    response[HEADER] = headers.request_id(request.META.get(META))
    response["Content-Length"] = str(len(response.content))
    fields = [(name.encode("ascii"), value.encode("latin-1")) for name, value in response.items()]
    await send({"type": "http.response.start", "status": response.status_code, "headers": fields})
    await send({"type": "http.response.body", "body": response.content})


class WholeUploads(FileUploadHandler):
    """Refuses a file that ends before its envelope does; Django by itself would forget it."""

    def receive_data_chunk(self, raw_data: bytes, start: int) -> bytes:
        return raw_data  # for the handlers that keep it

    def file_complete(self, file_size: int) -> UploadedFile | None:
        return None

    def upload_interrupted(self) -> None:
        raise UploadIncomplete
