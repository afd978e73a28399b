from __future__ import annotations

import json
import socket
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test.client import BOUNDARY, MULTIPART_CONTENT, encode_multipart
from pytest_django import Settings
from pytest_django.live_server_helper import LiveServer

from access.models import ApiKey
from api import limits
from api.limits import BodyLimit, Message, Scope, max_upload_bytes
from tests.api.conftest import Ask, tone
from tests.api.http import Answer, post_question, send

Address = tuple[str, int]
MEGABYTE = 1_000_000


@pytest.fixture(autouse=True)
def _a_small_limit(settings: Settings) -> None:
    settings.VOICEBOT_MAX_UPLOAD_BYTES = 2 * MEGABYTE


def assert_refused(answer: Answer) -> None:
    response, body = answer
    assert response.status == 413
    assert response.headers["Content-Type"] == "application/json"
    assert response.headers["X-Request-Id"]
    problem = json.loads(body)
    assert problem["code"] == "upload_too_large"
    assert "2000000" in problem["detail"]


def test_a_turn_under_uvicorn(asgi_server: Address) -> None:
    response, body = post_question(asgi_server, tone(0.5))
    assert response.status == 200
    assert response.headers["Content-Length"] == str(len(body))
    assert body.startswith(b"RIFF")
    again, same = post_question(asgi_server, tone(0.5))
    assert again.headers["X-Cache"] == "stt=off, llm=off, tts=hit"
    assert same == body


def test_a_long_upload_under_uvicorn(asgi_server: Address) -> None:
    assert_refused(post_question(asgi_server, bytes(30 * MEGABYTE)))


def test_an_endless_upload_under_uvicorn(asgi_server: Address) -> None:
    sent_bytes = 0

    def endless() -> Iterator[bytes]:
        nonlocal sent_bytes
        while sent_bytes < 10 * MEGABYTE:
            yield bytes(MEGABYTE // 10)
            sent_bytes += MEGABYTE // 10

    headers = {"Content-Type": MULTIPART_CONTENT, "X-Request-Id": "my-turn"}
    answer = send(asgi_server, "POST", "/api/voice/", endless(), headers)
    assert_refused(answer)
    assert answer[0].headers["X-Request-Id"] == "my-turn"


class Connection:
    """One that a client writes to as it likes."""

    def __init__(self, address: Address, *lines: str) -> None:
        self.socket = socket.create_connection(address, timeout=60)
        head = [
            "POST /api/voice/ HTTP/1.1",
            "Host: localhost",
            f"Content-Type: {MULTIPART_CONTENT}",
        ]
        self.socket.sendall("\r\n".join([*head, *lines, "", ""]).encode())

    def answer(self) -> bytes:
        """All that comes until the server closes."""
        return b"".join(iter(lambda: self.socket.recv(65_536), b""))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.socket.close()


@pytest.mark.parametrize("line", ["Content-Length: 1000000", "Transfer-Encoding: chunked"])
def test_a_body_that_does_not_come(
    asgi_server: Address, monkeypatch: pytest.MonkeyPatch, line: str
) -> None:
    monkeypatch.setattr(limits, "GRACE_S", 0.2)
    with Connection(asgi_server, line) as slow:
        slow.socket.sendall(b"5\r\nhello\r\n")
        answer = slow.answer()  # and the connection is closed
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"upload_too_slow" in answer


def test_a_body_that_comes_slowly_has_its_time(
    asgi_server: Address, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "GRACE_S", 1.0)
    body = encode_multipart(BOUNDARY, {"audio": SimpleUploadedFile("q.wav", tone(2.0))})
    assert len(body) > 60_000  # which buys some seconds

    def slowly() -> Iterator[bytes]:
        for at in range(0, len(body), 8_000):
            yield body[at : at + 8_000]
            time.sleep(0.2)

    headers = {"Content-Type": MULTIPART_CONTENT}
    assert send(asgi_server, "POST", "/api/voice/", slowly(), headers)[0].status == 200


def test_a_body_shorter_than_it_says_leaves_nothing(
    asgi_server: Address, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(data_dir))
    with Connection(asgi_server, "Content-Length: 1000000") as liar:
        liar.socket.sendall(bytes(500_000))
    assert post_question(asgi_server, tone(0.5))[0].status == 200
    give_up = time.monotonic() + 60
    while list(data_dir.glob("tmp*")):  # until it is seen that nothing more comes
        assert time.monotonic() < give_up
        time.sleep(0.01)


def test_a_body_longer_than_it_says_is_another_request(asgi_server: Address) -> None:
    with Connection(asgi_server, "Content-Length: 10") as liar:
        liar.socket.sendall(bytes(1_000))
        answer = liar.socket.recv(1_000)
    assert answer.startswith(b"HTTP/1.1 400 ")


def test_after_a_refusal_the_connection_is_closed(
    asgi_server: Address, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "LINGER_S", 0.2)
    with Connection(asgi_server, "Content-Length: 99000000") as endless:
        answer = endless.answer()
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"connection: close" in answer.lower()


@pytest.mark.parametrize("line", ["Content-Length: 1000000", "Transfer-Encoding: chunked"])
@pytest.mark.parametrize(
    "key", ["X-Nothing: here", "X-API-Key: sk-none", f"X-API-Key: vb_0123abcd_{'x' * 43}"]
)
def test_a_body_of_nobody_is_not_waited_for(
    asgi_server: Address,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    line: str,
    key: str,
) -> None:
    monkeypatch.setattr(limits, "LINGER_S", 0.2)
    settings.VOICEBOT_KEYS = "always"
    with Connection(asgi_server, line, key) as stranger:
        answer = stranger.answer()  # though nothing of the body was sent
    assert answer.startswith(b"HTTP/1.1 401 ")
    assert b"key_needed" in answer or b"key_refused" in answer


def test_a_body_of_somebody_is(asgi_server: Address, settings: Settings) -> None:
    settings.VOICEBOT_KEYS = "always"
    key = ApiKey.objects.make("phone").text
    body = encode_multipart(BOUNDARY, {"audio": SimpleUploadedFile("q.wav", tone(3.0))})
    headers = {"Content-Type": MULTIPART_CONTENT, "X-API-Key": key}
    assert send(asgi_server, "POST", "/api/voice/", body, headers)[0].status == 200


def test_its_key_is_looked_at_once(asgi_server: Address, settings: Settings) -> None:
    """When the request comes: what was waited for is heard, though the key ends meanwhile."""
    settings.VOICEBOT_KEYS = "always"
    key = ApiKey.objects.make("phone")
    body = encode_multipart(BOUNDARY, {"audio": SimpleUploadedFile("q.wav", tone(3.0))})

    def slowly() -> Iterator[bytes]:
        yield body[:1000]
        while ApiKey.objects.get().last_used_at is None:
            time.sleep(0.01)
        key.revoke()
        yield body[1000:]

    headers = {"Content-Type": MULTIPART_CONTENT, "X-API-Key": key.text}
    assert send(asgi_server, "POST", "/api/voice/", slowly(), headers)[0].status == 200
    assert send(asgi_server, "POST", "/api/voice/", body, headers)[0].status == 401


def test_the_refusal_speaks_the_language_of_the_client(asgi_server: Address) -> None:
    for language in ("en", "fr"):
        headers = {"Content-Length": "9999999", "Accept-Language": language}
        response, _body = send(asgi_server, "POST", "/api/voice/", b"", headers)
        assert response.status == 413
        assert response.headers["Content-Language"] == language


def test_a_long_upload_under_runserver(live_server: LiveServer) -> None:
    address = live_server.thread.host, live_server.thread.port
    assert_refused(post_question(address, bytes(10 * MEGABYTE)))


def test_a_file_just_too_long(ask: Ask, settings: Settings) -> None:
    settings.VOICEBOT_MAX_UPLOAD_BYTES = len(tone(0.5)) - 1
    response = ask()
    assert response.status_code == 413
    assert response.json()["code"] == "upload_too_large"


@pytest.mark.django_db
def test_a_file_just_right(ask: Ask, settings: Settings) -> None:
    settings.VOICEBOT_MAX_UPLOAD_BYTES = len(tone(0.5))
    assert ask().status_code == 200


def test_a_field_too_long(ask: Ask, settings: Settings) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 1_000
    response = ask(language="f" * 1_001)
    assert response.status_code == 413
    assert response.json()["code"] == "upload_too_large"


@pytest.mark.parametrize("length", ["", "zwölf", "-1", "²"])
def test_a_length_that_is_no_number_is_left_to_the_server(ask: Ask, length: str) -> None:
    response = ask(b"", headers={"content-length": length})
    assert response.status_code == 400


async def _silent() -> Message:
    raise AssertionError("there is nothing to receive")


def test_only_requests_are_limited() -> None:
    seen: list[Scope] = []

    async def application(scope: Scope, receive: object, send: object) -> None:
        seen.append(scope)

    async def send_nothing(message: Message) -> None:
        raise AssertionError("there is nothing to say")

    from asgiref.sync import async_to_sync

    scope = {"type": "lifespan"}
    async_to_sync(BodyLimit(application))(scope, _silent, send_nothing)
    assert seen == [scope]
    assert max_upload_bytes("/api/voice/") >= 2 * MEGABYTE
