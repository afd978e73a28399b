"""A question that was asked before, and clients who want nothing kept."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.core.cache import caches
from pytest_django import Settings

from tests.api.conftest import Ask

JSON = {"Accept": "application/json"}
OFF = {"stt": "off", "llm": "off", "tts": "off"}


@pytest.fixture(autouse=True)
def remembering(settings: Settings) -> Iterator[None]:
    """Engines wrapped as those of a profile are."""
    for role, wrapper in (("stt", "CachedSpeechToText"), ("llm", "CachedLanguageModel")):
        entry = {
            "BACKEND": f"cache.{role}.{wrapper}",
            "OPTIONS": {"engine": settings.ENGINES[role]},
        }
        settings.ENGINES = {**settings.ENGINES, role: entry}
    yield
    caches["memory"].clear()


@pytest.mark.django_db
def test_a_question_asked_again_costs_no_stage_anything(ask: Ask) -> None:
    first, again = ask(headers=JSON), ask(headers=JSON)
    assert first.json()["cache"] == {"stt": "miss", "llm": "miss", "tts": "miss"}
    assert again.json()["cache"] == {"stt": "hit", "llm": "hit", "tts": "hit"}
    assert again["X-Cache"] == "stt=hit, llm=hit, tts=hit"
    assert {**again.json(), **dict.fromkeys(("id", "cache", "times", "speech"))} == {
        **first.json(), **dict.fromkeys(("id", "cache", "times", "speech")),
    }  # fmt: skip
    assert ask().content == ask().content


@pytest.mark.django_db
@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize(
    ("url", "headers", "fields"),
    [
        ("/api/voice/", {}, {"cache": "off"}),
        ("/api/voice/?cache=off", {}, {}),
        ("/api/voice/", {"Cache-Control": "no-store"}, {}),
        ("/api/voice/", {"Cache-Control": "max-age=0, No-Store"}, {}),
    ],
)
def test_who_wants_nothing_kept_is_served_nothing_kept(
    ask: Ask, url: str, headers: dict[str, str], fields: dict[str, str], first: bool
) -> None:
    if not first:
        ask()
    answer = ask(url=url, headers={**JSON, **headers}, **fields)
    assert answer.json()["cache"] == OFF
    assert answer.json()["speech"]["url"] is None
    state = "miss" if first else "hit"  # nor is it found by those who come later
    assert ask(headers=JSON).json()["cache"] == dict.fromkeys(OFF, state)


@pytest.mark.parametrize("url", ["/api/voice/", "/api/voice/?cache=never"])
def test_a_wish_that_is_not_understood(ask: Ask, url: str) -> None:
    response = ask(url=url) if "?" in url else ask(cache="never")
    assert response.status_code == 400
    assert response.json()["code"] == "cache_invalid_choice"
