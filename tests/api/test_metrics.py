"""What a scraper is told."""

from __future__ import annotations

import re
from collections.abc import Mapping

import pytest
from django.test import Client
from prometheus_client import REGISTRY
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families
from pytest_django import Settings

from pipeline.engines import engines
from tests.api.conftest import Ask, tone
from tests.conftest import ROOT

pytestmark = pytest.mark.django_db

PRIVATE = "Zanzibar"


def scraped(client: Client) -> Mapping[tuple[str, tuple[str, ...]], float]:
    """Name and values of the labels, in the order of their names → value."""
    response = client.get("/metrics")
    assert response.status_code == 200
    assert response["Cache-Control"] == "no-store"
    return {
        (sample.name, tuple(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(response.text)
        for sample in family.samples
    }


def test_turns_errors_and_engines(client: Client, ask: Ask) -> None:
    before = scraped(client)
    assert before["voicebot_engine_loaded", ("Fake", "stt")] == 0
    assert ask().status_code == 200
    assert ask().status_code == 200
    assert ask(tone(0.5, peak=0)).status_code == 422
    assert ask(b"no recording").status_code == 415
    after = scraped(client)

    def grown(name: str, *labels: str) -> float:
        return after[name, labels] - before.get((name, labels), 0)

    assert grown("voicebot_turns_total", "done") == 2
    assert grown("voicebot_turns_total", "no_speech") == 1
    assert grown("voicebot_errors_total", "no_speech") == 1
    assert grown("voicebot_errors_total", "audio_unreadable") == 1
    assert grown("voicebot_cache_lookups_total", "tts", "miss") >= 1
    assert grown("voicebot_cache_lookups_total", "tts", "hit") >= 1
    assert grown("voicebot_turn_stage_seconds_count", "total") == 2
    assert after["voicebot_engine_loaded", ("Fake", "stt")] == 1
    assert after["voicebot_engine_slots_in_use", ("Fake", "stt")] == 0


def test_nothing_that_was_sent_is_told(client: Client, ask: Ask) -> None:
    engines.stt.script.enqueue(PRIVATE)  # type: ignore[attr-defined]
    engines.llm.script.enqueue(PRIVATE)  # type: ignore[attr-defined]
    assert ask().status_code == 200
    for wrong in ({"language": PRIVATE}, {"voice": PRIVATE}, {"speed": PRIVATE}):
        assert ask(filename=f"{PRIVATE}.wav", **wrong).status_code == 400
    client.get(f"/api/{PRIVATE}")
    assert PRIVATE.lower() not in client.get("/metrics").text.lower()


@pytest.mark.parametrize("document", ["observing.md", "observing.fr.md"])
def test_every_metric_is_told(document: str) -> None:
    text = (ROOT / "docs" / document).read_text("utf-8")
    told = re.findall(r"^\| `(voicebot_\w+)` \|", text, re.M)
    kinds = {family.name: family.type for family in REGISTRY.collect()}
    ours = {
        f"{name}_total" if kind == "counter" else name
        for name, kind in kinds.items()
        if name.startswith("voicebot_")
    }
    assert set(told) == ours


def test_openmetrics(client: Client) -> None:
    accept = "application/openmetrics-text; version=1.0.0; charset=utf-8"
    response = client.get("/metrics", headers={"accept": accept})
    assert response["Content-Type"].startswith("application/openmetrics-text")
    assert "voicebot_turns" in {family.name for family in openmetrics(response.text)}  # type: ignore[no-untyped-call]


def test_a_wrong_configuration_can_be_scraped(client: Client, settings: Settings) -> None:
    settings.ENGINES = {"stt": {"BACKEND": "nowhere.Nothing"}}
    assert not any(name == "voicebot_engine_loaded" for name, _labels in scraped(client))
