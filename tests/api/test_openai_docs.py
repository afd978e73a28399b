"""``docs/openai.md`` says what the code does."""

from __future__ import annotations

import re

import pytest
from pytest_django import Settings

from api.openai import voices
from api.openai.serializers import ChatBody, RecordingForm, TextBody
from api.openai.urls import urlpatterns
from bench import results
from tests.conftest import ROOT

TEXT = (ROOT / "docs" / "openai.md").read_text("utf-8")


def section(title: str) -> str:
    return TEXT.split(f"\n## {title}\n")[1].split("\n## ")[0]


def test_addresses() -> None:
    told = set(re.findall(r"`(?:GET|POST) /v1/([^`]+)`", TEXT))
    served = {str(url.pattern) for url in urlpatterns if url.name}
    assert {route.replace("<path:", "<") for route in served} == told


@pytest.mark.parametrize(
    ("title", "serializer"),
    [("Transcripts", RecordingForm), ("Speech", TextBody), ("Chat", ChatBody)],
)
def test_fields(title: str, serializer: type[RecordingForm | TextBody | ChatBody]) -> None:
    told = set(re.findall(r"`([\w\[\]]+)`", section(title)))
    assert set(serializer().fields) - told == set()


def test_voices(settings: Settings) -> None:
    settings.ENGINES = {**settings.ENGINES, "tts": {"BACKEND": "pipeline.tts.kokoro.Kokoro"}}
    told = re.findall(r"^\| `(\w+)` \| (\w+) \| `(\w+)` \| `(\w+)` \|$", TEXT, re.MULTILINE)
    assert told == [
        (name, gender, voices.choose(name, "fr").id, voices.choose(name, "en").id)
        for name, gender in voices.NAMES.items()
    ]


def test_figures() -> None:
    measured = results.read("openai")
    more_ms = measured["whole"]["more_ms"], measured["streamed"]["more_first_ms"]
    figures = TEXT.split("<!-- figures -->")[1].split("<!-- /figures -->")[0]
    assert re.findall(r"([\d.]+) ms more", figures) == [f"{ms:.2g}" for ms in more_ms]
    assert max(more_ms) < 5
