"""Who is let in."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver
from pytest_django import Settings
from rest_framework.views import APIView

from access.models import ApiKey
from access.scopes import SCOPES
from api.urls import urlpatterns
from api.views import ApiView
from cache.models import CachedSpeech
from history.models import Turn
from pipeline.llm.fake import Fake as FakeLanguageModel
from tests.api.conftest import Ask, tone
from tests.api.http import post_question, send

pytestmark = pytest.mark.django_db

OPEN = {"/api/health/live", "/api/health/ready", "/api/schema", "/api/docs"}


@pytest.fixture
def always(settings: Settings) -> None:
    settings.VOICEBOT_KEYS = "always"


def bearer(key: ApiKey) -> dict[str, str]:
    return {"authorization": f"Bearer {key.text}"}


# --- a key is needed -------------------------------------------------------------------------


def routes(
    patterns: list[URLPattern | URLResolver], before: str = "/"
) -> list[tuple[str, Callable[..., object]]]:
    found = []
    for pattern in patterns:
        if isinstance(pattern, URLResolver):
            found += routes(pattern.url_patterns, before + str(pattern.pattern))
        else:
            found.append((before + str(pattern.pattern), pattern.callback))
    return found


def test_every_address_of_the_api_wants_a_key(always: None) -> None:
    """Those that are added later, too."""
    views = [
        (path, callback.view_class)
        for path, callback in routes(get_resolver().url_patterns)
        if hasattr(callback, "view_class") and issubclass(callback.view_class, APIView)
    ]
    assert len(views) >= len(urlpatterns)
    for path, view in views:
        if getattr(view, "open", False):
            assert path.rstrip("/") in OPEN
        else:
            assert [p.__name__ for p in view.permission_classes] == ["LetIn"], path


@pytest.mark.usefixtures("always")
@pytest.mark.parametrize(
    "path", ["/api/", "/api/voices/", f"/api/speech/{'0' * 64}.wav", "/metrics", "/api/voice/"]
)
@pytest.mark.parametrize("accept", ["*/*", "audio/wav"])
def test_without_a_key(client: Client, path: str, accept: str) -> None:
    response = client.get(path, headers={"accept": accept})
    assert response.status_code == 401
    assert response["WWW-Authenticate"].startswith("Bearer")
    assert response["Content-Type"] == "application/json"
    assert response["Cache-Control"] == "no-store"
    assert response.json()["code"] == "key_needed"


@pytest.mark.usefixtures("always")
def test_a_question_without_a_key_is_not_heard(ask: Ask, llm: FakeLanguageModel) -> None:
    assert ask().status_code == 401
    assert llm.asked == []
    assert not Turn.objects.exists()


@pytest.mark.usefixtures("always")
@pytest.mark.parametrize(
    "name_and_value",
    [
        ("authorization", "Bearer {}"),
        ("authorization", "bearer  {} "),
        ("x-api-key", "{}"),
    ],
)
def test_with_a_key(ask: Ask, name_and_value: tuple[str, str]) -> None:
    name, value = name_and_value
    key = ApiKey.objects.make("phone")
    assert ask(headers={name: value.format(key.text)}).status_code == 200
    assert Turn.objects.get().tenant == "phone"
    key.refresh_from_db()
    assert key.last_used_at is not None


@pytest.mark.usefixtures("always")
@pytest.mark.parametrize("sent", ["Bearer", "Bearer ", "Basic dm9pY2U6Ym90", ""])
def test_what_is_no_key_is_none(client: Client, sent: str) -> None:
    response = client.get("/api/voices/", headers={"authorization": sent})
    assert (response.status_code, response.json()["code"]) == (401, "key_needed")


@pytest.mark.parametrize("sent", ["vb_0123abcd_" + "x" * 43, "sk-none", "é", "\x00"])
def test_a_wrong_key_where_one_is_needed(client: Client, settings: Settings, sent: str) -> None:
    settings.VOICEBOT_KEYS = "always"
    response = client.get("/api/voices/", headers={"x-api-key": sent})
    assert (response.status_code, response.json()["code"]) == (401, "key_refused")
    assert response["WWW-Authenticate"].startswith("Bearer")
    assert sent not in response.text


def test_a_revoked_key_is_refused_even_where_none_is_needed(client: Client) -> None:
    key = ApiKey.objects.make("phone")
    assert client.get("/api/voices/", headers=bearer(key)).status_code == 200
    key.revoke()
    response = client.get("/api/voices/", headers=bearer(key))
    assert (response.status_code, response.json()["code"]) == (401, "key_refused")
    assert "revoked" in response.json()["detail"]


def test_clients_that_must_send_a_key_have_one_made_up(client: Client) -> None:
    response = client.get("/api/voices/", headers={"authorization": "Bearer sk-none"})
    assert response.status_code == 200


# --- what for --------------------------------------------------------------------------------


@pytest.mark.parametrize("keys", ["always", "auto"])
def test_a_key_opens_what_its_scopes_say(client: Client, settings: Settings, keys: str) -> None:
    settings.VOICEBOT_KEYS = keys
    scraper = ApiKey.objects.make("scraper", scopes=["metrics"])
    phone = ApiKey.objects.make("phone")
    assert client.get("/metrics", headers=bearer(scraper)).status_code == 200
    assert client.get("/api/voices/", headers=bearer(phone)).status_code == 200
    assert client.get("/api/", headers=bearer(scraper)).status_code == 200
    for path, key in [("/api/voices/", scraper), ("/metrics", phone)]:
        response = client.get(path, headers=bearer(key))
        assert (response.status_code, response.json()["code"]) == (403, "scope_missing")
        assert ("talk" if key is scraper else "metrics") in response.json()["detail"]


def test_every_scope_is_one_there_is() -> None:
    scopes = {view.scope for view in ApiView.__subclasses__()}
    assert scopes <= {"", *SCOPES}
    assert ApiView.scope in SCOPES


@pytest.mark.usefixtures("always")
def test_health_is_told_to_all_but_details(client: Client) -> None:
    assert client.get("/api/health/live").json() == {"status": "live"}
    assert client.get("/api/health/ready").json().keys() == {"status"}
    key = ApiKey.objects.make("phone")
    assert "engines" in client.get("/api/health/ready", headers=bearer(key)).json()


@pytest.mark.usefixtures("always")
def test_live_asks_nothing_of_the_database(client: Client) -> None:
    headers = {"authorization": f"Bearer vb_0123abcd_{'x' * 43}"}
    assert client.get("/api/health/live", headers=headers).status_code == 200


# --- where from ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("address", "headers"),
    [
        ("127.0.0.1", {}),
        ("::1", {}),
        ("127.0.0.1", {"origin": "http://testserver"}),
        ("127.0.0.1", {"sec-fetch-site": "same-origin"}),
        ("127.0.0.1", {"sec-fetch-site": "none"}),
    ],
)
def test_this_machine_needs_none(client: Client, address: str, headers: dict[str, str]) -> None:
    response = client.get("/api/voices/", headers=headers, REMOTE_ADDR=address)
    assert response.status_code == 200


@pytest.mark.parametrize(
    ("address", "headers"),
    [
        ("192.0.2.7", {}),
        ("", {}),  # a Unix socket: somebody else's proxy
        ("127.0.0.1", {"x-forwarded-for": "127.0.0.1"}),
        ("127.0.0.1", {"forwarded": "for=127.0.0.1"}),
        ("127.0.0.1", {"x-real-ip": "127.0.0.1"}),
        ("127.0.0.1", {"via": "1.1 proxy"}),
        ("127.0.0.1", {"origin": "https://evil.example"}),
        ("127.0.0.1", {"origin": "null"}),
        ("127.0.0.1", {"sec-fetch-site": "cross-site"}),
    ],
)
def test_all_others_need_one(client: Client, address: str, headers: dict[str, str]) -> None:
    response = client.get("/api/voices/", headers=headers, REMOTE_ADDR=address)
    assert (response.status_code, response.json()["code"]) == (401, "key_needed")


def test_nobody_needs_one_where_the_settings_say_so(client: Client, settings: Settings) -> None:
    settings.VOICEBOT_KEYS = "never"
    assert client.get("/api/voices/", REMOTE_ADDR="192.0.2.7").status_code == 200


def test_under_uvicorn(asgi_server: tuple[str, int], settings: Settings) -> None:
    assert post_question(asgi_server, tone(0.5))[0].status == 200
    response, _body = send(asgi_server, "GET", "/api/voices/", headers={"X-Real-IP": "::1"})
    assert response.status == 401
    settings.VOICEBOT_KEYS = "always"
    assert post_question(asgi_server, tone(0.5))[0].status == 401
    headers = {"Authorization": f"Bearer {ApiKey.objects.make('phone').text}"}
    response, _body = send(asgi_server, "GET", "/api/voices/", headers=headers)
    assert response.status == 200


# --- whose data ------------------------------------------------------------------------------


@pytest.mark.usefixtures("always")
def test_one_tenant_never_gets_what_another_was_told(ask: Ask, client: Client) -> None:
    phone, tablet = ApiKey.objects.make("phone"), ApiKey.objects.make("tablet")
    watch = ApiKey.objects.make("watch", tenant="phone")
    assert ask(headers=bearer(phone))["X-Cache"] == "stt=off, llm=off, tts=miss"
    assert ask(headers=bearer(tablet))["X-Cache"] == "stt=off, llm=off, tts=miss"
    assert ask(headers=bearer(watch))["X-Cache"] == "stt=off, llm=off, tts=hit"
    assert {row.tenant for row in CachedSpeech.objects.all()} == {"phone", "tablet"}
    url = f"/api/speech/{CachedSpeech.objects.get(tenant='phone').key}.wav"
    assert client.get(url, headers=bearer(tablet)).status_code == 404
    assert client.get(url, headers=bearer(phone)).status_code == 200
    assert client.get(url, headers=bearer(watch)).status_code == 200


def test_without_a_key_one_is_nobodys_tenant(ask: Ask, client: Client) -> None:
    ask(headers=bearer(ApiKey.objects.make("phone")))
    url = f"/api/speech/{CachedSpeech.objects.get().key}.wav"
    assert client.get(url).status_code == 404
    assert ask()["X-Cache"] == "stt=off, llm=off, tts=miss"
