from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from django.test.client import MULTIPART_CONTENT
from pytest_django import Settings
from pytest_django.live_server_helper import LiveServer

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
