"""What the server sends as the page, and that its parts fit together."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from django.contrib.staticfiles import finders
from django.test import Client
from pytest_django import Settings
from rest_framework import exceptions as drf

from api import exceptions
from tests.conftest import ROOT
from voicebot import settings as product
from web import views
from web.words import WORDS

STATIC = ROOT / "web" / "static" / "web"
SCRIPTS = sorted(STATIC.glob("*.js"))


class Tags(HTMLParser):
    """The start tags of a document, and the texts of its scripts."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if self.tags and self.tags[-1] == ("script", {"id": "page-data", "type": DATA}):
            self.texts.append(data)


DATA = "application/json"


@pytest.fixture(autouse=True)
def product_language(settings: Settings) -> None:
    settings.LANGUAGE_CODE = product.LANGUAGE_CODE


def page(client: Client, **headers: str) -> str:
    response = client.get("/", headers=headers)
    assert response.status_code == 200
    return response.content.decode()


def told(html: str) -> dict[str, object]:
    """What the page tells its scripts."""
    data = json.loads(Tags(html).texts[0])
    assert isinstance(data, dict)
    return data


# --- its language --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("headers", "language", "title"),
    [
        ({}, "fr", "Demandez, de vive voix."),
        ({"accept-language": "de"}, "fr", "Demandez, de vive voix."),
        ({"accept-language": "en-GB"}, "en", "Ask, in your own voice."),
    ],
)
def test_french_unless_english_is_asked_for(
    client: Client, headers: dict[str, str], language: str, title: str
) -> None:
    html = page(client, **headers)
    assert f'<html lang="{language}">' in html
    assert title in html
    assert told(html)["language"] == language


def test_the_language_is_switched_and_stays(client: Client) -> None:
    button = ("button", {"class": "quiet", "name": "language", "value": "en", "lang": "en"})
    assert button in Tags(page(client)).tags
    response = client.post("/language/", {"language": "en"}, headers={"referer": "/"})
    assert response.status_code == 302
    assert "Ask, in your own voice." in page(client)


# --- what it may do ------------------------------------------------------------------------


def test_nothing_inside_the_page_is_run(client: Client) -> None:
    response = client.get("/")
    policy = dict(rule.split(" ", 1) for rule in response["Content-Security-Policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert "unsafe" not in response["Content-Security-Policy"]
    tags = Tags(response.content.decode()).tags
    for tag, attributes in tags:
        assert tag != "style"
        assert tag != "script" or "src" in attributes or attributes["type"] == DATA
        assert not [name for name in attributes if name == "style" or name.startswith("on")]


def test_the_microphone_is_the_pages_alone(client: Client) -> None:
    assert "microphone=(self)" in client.get("/")["Permissions-Policy"]


def test_what_the_page_names_is_there(client: Client) -> None:
    tags = Tags(page(client)).tags
    named = {attributes.get("src") or attributes.get("href") or "" for _tag, attributes in tags}
    static = {name for name in named if name.startswith("/static/")}
    assert len(static) > len(SCRIPTS)
    for name in static:
        assert finders.find(name.removeprefix("/static/")), name


def test_nothing_comes_from_elsewhere() -> None:
    files = [path for path in STATIC.iterdir() if path.suffix in {".js", ".css", ".svg"}]
    files += (ROOT / "web" / "templates").rglob("*")
    text = "".join(path.read_text("utf-8") for path in files if path.is_file())
    assert set(re.findall(r"https?://[\w.]+", text)) <= {"http://www.w3.org"}


def test_the_manifest(client: Client) -> None:
    response = client.get("/manifest.webmanifest")
    assert response["Content-Type"] == "application/manifest+json"
    manifest = json.loads(response.content)
    assert manifest["start_url"] == "/"
    assert manifest["lang"] == "fr"
    for icon in manifest["icons"]:
        assert finders.find(icon["src"].removeprefix("/static/"))


def test_only_reading(client: Client) -> None:
    assert client.post("/").status_code == 405
    assert client.head("/").status_code == 200


# --- its scripts ---------------------------------------------------------------------------


def test_every_module_is_fetched_along_with_the_page() -> None:
    assert {path.stem for path in SCRIPTS} == set(views.MODULES)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_modules_name_files_that_are_there(script: Path) -> None:
    for name in re.findall(r'from "(.*?)"', script.read_text("utf-8")):
        assert (script.parent / name).is_file(), name


def test_every_word_is_used_and_every_use_has_its_word() -> None:
    source = "".join(path.read_text("utf-8") for path in SCRIPTS)
    strings = set(re.findall(r'"([a-z_]+)"', source))
    said = set(re.findall(r'\b(?:say|hinted)\("([a-z_]+)"', source))
    assert said <= WORDS.keys()
    codes = {name.removesuffix("_advice") for name in WORDS if name.endswith("_advice")}
    assert codes <= WORDS.keys()
    # Names that are put together: an error's code, a state, a stage, a kind of screen.
    made = {"idle_hint_touch", "recording_held_touch", "recording_tapped_touch"}
    made |= {f"{kind}_{stage}" for kind in ("stage", "left") for stage in ("stt", "llm", "tts")}
    made |= {"stage_decode", "stage_wait", "idle", "recording", "speaking", "female", "male"}
    made |= codes | {f"{code}_advice" for code in codes}
    assert {name for name in WORDS if name not in strings} <= made


def test_what_is_said_of_an_error_is_of_one_there_is() -> None:
    """Of the API's, or of the page's own."""
    told = {name.removesuffix("_advice") for name in WORDS if name.endswith("_advice")}
    ours = {cls.code for cls in exceptions.STATUSES}
    ours |= {cls.default_code for cls in drf.APIException.__subclasses__()}
    source = "".join(path.read_text("utf-8") for path in SCRIPTS)
    assert {code for code in told - ours if f'"{code}"' not in source} == set()
    assert set(re.findall(r'Refusal\("([a-z_]+)"', source)) <= told


def test_an_address_that_is_none_leads_to_the_page(client: Client) -> None:
    response = client.get("/nowhere", headers={"accept-language": "fr"})
    assert response.status_code == 404
    assert 'lang="fr"' in response.text
    assert ("a", {"href": "/"}) in Tags(response.text).tags
