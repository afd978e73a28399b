"""A client that speaks HTTP over a real connection."""

from __future__ import annotations

import http.client
from collections.abc import Iterable
from contextlib import closing

from django.core.files.uploadedfile import SimpleUploadedFile
from django.test.client import BOUNDARY, MULTIPART_CONTENT, encode_multipart

Answer = tuple[http.client.HTTPResponse, bytes]


def send(
    address: tuple[str, int],
    method: str,
    path: str,
    body: bytes | Iterable[bytes] | None = None,
    headers: dict[str, str] | None = None,
    timeout_s: float = 60,
) -> Answer:
    """An iterable ``body`` is sent in chunks, without telling its length."""
    with closing(http.client.HTTPConnection(*address, timeout=timeout_s)) as connection:
        connection.request(method, path, body=body, headers=headers or {})
        response = connection.getresponse()
        return response, response.read()


def post_question(address: tuple[str, int], audio: bytes, **fields: str) -> Answer:
    form = {"audio": SimpleUploadedFile("question.wav", audio), **fields}
    body = encode_multipart(BOUNDARY, form)
    return send(address, "POST", "/api/voice/", body, {"Content-Type": MULTIPART_CONTENT})
