"""``docs/openai.md`` and its French twin say what the code does."""

from __future__ import annotations

import re

import pytest
from django.utils import translation
from django.utils.translation import gettext
from pytest_django import Settings

from api.openai import voices
from api.openai.serializers import ChatBody, RecordingForm, TextBody
from api.openai.urls import urlpatterns
from bench import results
from tests.conftest import ROOT

TEXTS = {
    "en": (ROOT / "docs" / "openai.md").read_text("utf-8"),
    "fr": (ROOT / "docs" / "openai.fr.md").read_text("utf-8"),
}

in_both = pytest.mark.parametrize("language", TEXTS)


def section(language: str, title: str) -> str:
    """That of an English title."""
    titles = re.findall(r"^## (.+)$", TEXTS["en"], re.MULTILINE)
    sections = re.split(r"^## .+$", TEXTS[language], flags=re.MULTILINE)
    return sections[1 + titles.index(title)]


@in_both
def test_addresses(language: str) -> None:
    told = set(re.findall(r"`(?:GET|POST) /v1/([^`]+)`", TEXTS[language]))
    served = {str(url.pattern) for url in urlpatterns if url.name}
    assert {route.replace("<path:", "<") for route in served} == told


@in_both
@pytest.mark.parametrize(
    ("title", "serializer"),
    [("Transcripts", RecordingForm), ("Speech", TextBody), ("Chat", ChatBody)],
)
def test_fields(
    language: str, title: str, serializer: type[RecordingForm | TextBody | ChatBody]
) -> None:
    told = set(re.findall(r"`([\w\[\]]+)`", section(language, title)))
    assert set(serializer().fields) - told == set()


@in_both
def test_voices(language: str, settings: Settings) -> None:
    settings.ENGINES = {**settings.ENGINES, "tts": {"BACKEND": "pipeline.tts.kokoro.Kokoro"}}
    row = r"^\| `(\w+)` \| (\w+) \| `(\w+)` \| `(\w+)` \|$"
    with translation.override(language):
        assert re.findall(row, TEXTS[language], re.MULTILINE) == [
            (name, gettext(gender), voices.choose(name, "fr").id, voices.choose(name, "en").id)
            for name, gender in voices.NAMES.items()
        ]


@pytest.mark.parametrize(("language", "more"), [("en", "ms more"), ("fr", "ms de plus")])
def test_figures(language: str, more: str) -> None:
    measured = results.read("openai")
    more_ms = measured["whole"]["more_ms"], measured["streamed"]["more_first_ms"]
    figures = TEXTS[language].split("<!-- figures -->")[1].split("<!-- /figures -->")[0]
    told = re.findall(rf"([\d.]+) {more}", figures.replace(",", "."))
    assert told == [f"{ms:.2g}" for ms in more_ms]
    assert max(more_ms) < 5
