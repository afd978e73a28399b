from __future__ import annotations

import json
import logging

import pytest
from django.test import Client

from api.exceptions import Problem
from pipeline import errors

EXAMPLES = [
    (errors.InputError("…"), 400, "invalid_input"),
    (errors.AudioDecodeError("…"), 415, "audio_unreadable"),
    (errors.AudioTooLong(70, 60), 413, "audio_too_long"),
    (errors.TextTooLong(9, 8), 413, "text_too_long"),
    (errors.NoSpeech(), 422, "no_speech"),
    (errors.UnknownVoice("v", ["claire"]), 400, "unknown_voice"),
    (errors.UnsupportedLanguage("xx", ["fr"]), 400, "unsupported_language"),
    (errors.UnsupportedTask("…"), 400, "unsupported_task"),
    (errors.ClientGone(), 499, "client_gone"),
    (errors.EngineError("…"), 502, "engine_failed"),
    (errors.EngineUnavailable("…"), 503, "engine_unavailable"),
    (errors.EngineBusy(30), 503, "engine_busy"),
    (errors.EngineTimeout("…"), 504, "engine_timeout"),
]


def descendants(cls: type[Exception]) -> set[type[Exception]]:
    return {cls}.union(*(descendants(child) for child in cls.__subclasses__()))


def test_there_is_an_example_of_every_error() -> None:
    assert {type(error) for error, _status, _code in EXAMPLES} == {
        cls
        for cls in descendants(errors.PipelineError)
        if cls.__module__ == "pipeline.errors" and cls is not errors.PipelineError
    }


@pytest.mark.parametrize(("error", "status", "code"), EXAMPLES)
def test_every_error_has_its_status(error: errors.PipelineError, status: int, code: str) -> None:
    response = Problem(error)
    assert response.status_code == status
    assert json.loads(response.content) == {"detail": str(error), "code": code}
    assert response["Content-Type"] == "application/json"
    assert response["Cache-Control"] == "no-store"
    assert response.get("Retry-After") == ("30" if code == "engine_busy" else None)


def test_an_error_added_later_has_the_status_of_its_kind() -> None:
    class Strange(errors.InputError):
        code = "strange"

    assert Problem(Strange("…")).status_code == 400
    assert Problem(errors.PipelineError("…")).status_code == 500


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("language", "body", "kind", "said"),
    [
        ("en", '{"title":\n}', "application/json", "The body is not JSON: see line 2, column 1."),
        ("fr", '{"title":\n}', "application/json", "JSON\xa0: voir ligne 2, colonne 1."),
        ("en", "form", "multipart/form-data", "not what its Content-Type says"),
        ("fr", "form", "multipart/form-data", "pas ce qu’annonce son Content-Type"),
        ("fr", b'{"title": "\xff"}', "application/json", "pas ce qu’annonce son Content-Type"),
    ],
)
def test_a_body_that_cannot_be_read_is_told_in_the_language_of_the_client(
    client: Client, language: str, body: str | bytes, kind: str, said: str
) -> None:
    response = client.post(
        "/api/conversations/", body, content_type=kind, headers={"accept-language": language}
    )
    assert response.status_code == 400
    assert response.json()["code"] == "parse_error"
    assert said in response.json()["detail"]


@pytest.mark.urls("tests.api.urls")
@pytest.mark.parametrize("where", ["view", "outside"])
@pytest.mark.parametrize(
    ("name", "status", "code"),
    [
        ("missing", 404, "not_found"),
        ("forbidden", 403, "permission_denied"),
        ("suspicious", 400, "bad_request"),
        ("broken", 500, "internal_error"),
    ],
)
@pytest.mark.parametrize("accept", ["*/*", "text/html", "audio/wav"])
def test_the_api_always_fails_in_json(
    client: Client, where: str, name: str, status: int, code: str, accept: str
) -> None:
    client.raise_request_exception = False
    response = client.get(f"/api/{where}/{name}", headers={"accept": accept, "x-request-id": "7"})
    assert response.status_code == status
    assert response["Content-Type"] == "application/json"
    assert response["X-Request-Id"] == "7"
    assert set(response.json()) == {"detail", "code"}
    assert response.json()["code"] == code
    assert "private" not in response.text


@pytest.mark.urls("tests.api.urls")
@pytest.mark.parametrize("where", ["view", "outside"])
@pytest.mark.parametrize(
    ("name", "status", "code", "kind"),
    [
        ("missing", 404, "not_found", "invalid_request_error"),
        ("forbidden", 403, "permission_denied", "permission_error"),
        ("suspicious", 400, "bad_request", "invalid_request_error"),
        ("broken", 500, "internal_error", "server_error"),
    ],
)
def test_openais_api_fails_in_its_own_words(
    client: Client, where: str, name: str, status: int, code: str, kind: str
) -> None:
    client.raise_request_exception = False
    response = client.get(f"/v1/{where}/{name}")
    assert response.status_code == status
    error = response.json()["error"]
    assert error.pop("message")
    assert error == {"type": kind, "param": None, "code": code}


@pytest.mark.urls("tests.api.urls")
def test_whoever_asks_openais_api_too_often_waits(client: Client) -> None:
    response = client.get("/v1/view/throttled")
    assert (response.status_code, response["Retry-After"]) == (429, "7")
    assert response.json()["error"]["type"] == "rate_limit_error"


@pytest.mark.urls("tests.api.urls")
@pytest.mark.parametrize(
    ("name", "status", "code", "wait"),
    [
        ("heavy", 413, "upload_too_large", None),
        ("unreadable", 400, "upload_incomplete", None),
        ("throttled", 429, "throttled", "7"),
    ],
)
def test_errors_of_reading_a_request(
    client: Client, name: str, status: int, code: str, wait: str | None
) -> None:
    response = client.get(f"/api/view/{name}")
    assert response.status_code == status
    assert response.json()["code"] == code
    assert response.get("Retry-After") == wait


@pytest.mark.urls("tests.api.urls")
@pytest.mark.parametrize(
    ("name", "status"), [("missing", 404), ("forbidden", 403), ("suspicious", 400), ("broken", 500)]
)
def test_elsewhere_pages_are_pages(client: Client, name: str, status: int) -> None:
    client.raise_request_exception = False
    response = client.get(f"/elsewhere/{name}")
    assert response.status_code == status
    assert response["Content-Type"].startswith("text/html")
    assert response["X-Request-Id"]


@pytest.mark.urls("tests.api.urls")
def test_a_bug_is_logged_with_the_request_id(
    client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    client.raise_request_exception = False
    client.get("/api/view/broken", headers={"x-request-id": "find-me"})
    assert "Request find-me failed." in caplog.messages
    assert any(record.exc_info for record in caplog.records if record.name == "django.request")


def test_an_unknown_address(client: Client) -> None:
    response = client.get("/api/nowhere/")
    assert response.status_code == 404
    assert response.json()["code"] == "not_found"


def test_a_host_that_is_not_ours(client: Client, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL, "django.security")
    response = client.get("/api/health/live", headers={"host": "evil.example"})
    assert response.status_code == 400
    assert response.json()["code"] == "bad_request"
    assert response["X-Request-Id"]


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/api/voice/", "POST"),
        ("PUT", "/api/voice/", "POST"),
        ("OPTIONS", "/api/voice/", "POST"),
        ("POST", "/api/voices/", "GET, HEAD"),
        ("DELETE", "/api/health/live", "GET, HEAD"),
        ("POST", f"/api/speech/{'0' * 64}.wav", "GET, HEAD"),
    ],
)
def test_wrong_method(client: Client, method: str, path: str, allowed: str) -> None:
    response = client.generic(method, path)
    assert response.status_code == 405
    assert response.json() == {
        "detail": f"This address takes {allowed}, not {method}.",
        "code": "method_not_allowed",
    }
    assert response["Allow"] == allowed
