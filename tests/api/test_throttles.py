"""How often one may ask, and whose pages may."""

from __future__ import annotations

import threading
from http import HTTPStatus

import pytest
from django.test import Client
from pytest_django import Settings
from rest_framework.test import APIRequestFactory
from rest_framework.views import APIView

from access.models import ApiKey
from api.throttles import ByKey
from tests.api.conftest import Ask

pytestmark = pytest.mark.django_db

ELSEWHERE = "192.0.2.7"


@pytest.fixture(autouse=True)
def _few(settings: Settings) -> None:
    settings.VOICEBOT_KEY_REQUESTS_PER_MINUTE = 3
    settings.VOICEBOT_ADDRESS_REQUESTS_PER_MINUTE = 2


def statuses(client: Client, times: int, address: str = ELSEWHERE, **headers: str) -> list[int]:
    return [
        client.get("/api/voices/", headers=headers, REMOTE_ADDR=address).status_code
        for _time in range(times)
    ]


def test_a_key_may_ask_so_often(client: Client) -> None:
    phone, tablet = ApiKey.objects.make("phone"), ApiKey.objects.make("tablet", per_minute=1)
    assert statuses(client, 5, authorization=f"Bearer {phone.text}") == [200] * 3 + [429] * 2
    # Whatever the address, and whatever others do.
    assert statuses(client, 1, "::1", **{"x-api-key": phone.text}) == [429]
    assert statuses(client, 2, authorization=f"Bearer {tablet.text}") == [200, 429]


def test_the_refusal_says_when_to_ask_again(client: Client) -> None:
    headers = {"authorization": f"Bearer {ApiKey.objects.make('phone', per_minute=1).text}"}
    client.get("/api/voices/", headers=headers)
    response = client.get("/api/voices/", headers=headers)
    assert response.status_code == HTTPStatus.TOO_MANY_REQUESTS
    assert response.json()["code"] == "throttled"
    assert 55 < int(response["Retry-After"]) <= 60


def test_a_question_that_is_refused_is_not_heard(ask: Ask) -> None:
    headers = {"authorization": f"Bearer {ApiKey.objects.make('phone', per_minute=1).text}"}
    assert ask(headers=headers).status_code == 200
    assert ask(headers=headers).status_code == 429


def test_this_machine_may_ask_as_often_as_it_likes(client: Client) -> None:
    assert statuses(client, 5, "127.0.0.1") == [200] * 5


def test_an_address_may_ask_so_often(client: Client, settings: Settings) -> None:
    settings.VOICEBOT_KEYS = "never"
    assert statuses(client, 3) == [200, 200, 429]
    assert statuses(client, 1, "192.0.2.8") == [200]
    # Whoever has an IPv6 address has 2⁶⁴ of them.
    assert statuses(client, 2, "2001:db8::1") == [200, 200]
    assert statuses(client, 1, "2001:db8::ffff:2") == [429]
    assert statuses(client, 1, "2001:db8:0:1::1") == [200]
    key = ApiKey.objects.make("phone")
    assert statuses(client, 1, authorization=f"Bearer {key.text}") == [200]


def test_who_tries_keys_does_not_try_many(client: Client) -> None:
    assert statuses(client, 3, authorization=f"Bearer vb_0123abcd_{'x' * 43}") == [401, 401, 429]
    assert statuses(client, 1) == [429]
    assert statuses(client, 1, "192.0.2.8") == [401]
    assert statuses(client, 2, "", authorization="Bearer x") == [401, 401]


def test_any_number_where_the_settings_say_so(client: Client, settings: Settings) -> None:
    settings.VOICEBOT_KEYS = "never"
    settings.VOICEBOT_KEY_REQUESTS_PER_MINUTE = 0
    settings.VOICEBOT_ADDRESS_REQUESTS_PER_MINUTE = 0
    assert statuses(client, 5) == [200] * 5
    key = ApiKey.objects.make("phone")
    assert statuses(client, 5, authorization=f"Bearer {key.text}") == [200] * 5


def test_health_may_be_asked_at_any_time(client: Client) -> None:
    for path in ("/api/health/live", "/api/health/ready"):
        seen = {client.get(path, REMOTE_ADDR=ELSEWHERE).status_code for _time in range(5)}
        assert 429 not in seen


def test_what_proxies_say_is_believed_as_far_as_the_settings_do(
    client: Client, settings: Settings
) -> None:
    said = {"x-forwarded-for": "198.51.100.1, 198.51.100.2"}
    other = {"x-forwarded-for": "198.51.100.1, 198.51.100.3"}
    assert statuses(client, 3, **said) == [401, 401, 429]
    assert statuses(client, 1, **other) == [429]  # it is one address that tells many things
    settings.VOICEBOT_PROXIES = 1
    assert statuses(client, 3, **said) == [401, 401, 429]
    assert statuses(client, 1, **other) == [401]
    made_up = {"x-forwarded-for": "203.0.113.9, 198.51.100.2"}  # by the client, before the proxy
    assert statuses(client, 1, **made_up) == [429]


def test_requests_at_once_are_all_counted() -> None:
    request = APIView().initialize_request(APIRequestFactory().get("/"))
    request.auth = ApiKey(pk=1, per_minute=40)
    allowed: list[bool] = []

    def asks() -> None:
        for _time in range(10):
            allowed.append(ByKey().allow_request(request, APIView()))

    threads = [threading.Thread(target=asks) for _thread in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (allowed.count(True), allowed.count(False)) == (40, 40)


# --- pages of other origins --------------------------------------------------------------------

PAGE = "https://page.example"


def preflight(client: Client, path: str = "/api/voice/") -> dict[str, str]:
    headers = {
        "origin": PAGE,
        "access-control-request-method": "POST",
        "access-control-request-headers": "authorization",
    }
    response = client.options(path, headers=headers)
    return {name.lower(): value for name, value in response.items()}


def test_no_page_of_another_origin_may_ask_by_itself(client: Client) -> None:
    assert "access-control-allow-origin" not in preflight(client)


def test_pages_that_the_settings_name_may(client: Client, settings: Settings) -> None:
    settings.CORS_ALLOWED_ORIGINS = [PAGE]
    allowed = preflight(client)
    assert allowed["access-control-allow-origin"] == PAGE
    assert "authorization" in allowed["access-control-allow-headers"]
    assert "access-control-allow-credentials" not in allowed
    assert "access-control-allow-origin" not in preflight(client, "/admin/")
    answer = client.get("/api/voices/", headers={"origin": PAGE})
    assert answer.status_code == 200
    assert answer["Access-Control-Allow-Origin"] == PAGE
    assert "X-Transcript" in answer["Access-Control-Expose-Headers"]
    refused = client.get("/api/nowhere/", headers={"origin": PAGE})
    assert refused["Access-Control-Allow-Origin"] == PAGE  # its code can be read


def test_pages_may_read_every_header_that_is_ours(settings: Settings, ask: Ask) -> None:
    ours = {name for name in ask().headers if name.startswith(("X-", "Server-"))}
    told = {*settings.CORS_EXPOSE_HEADERS, "X-Content-Type-Options", "X-Frame-Options"}
    assert ours <= told
