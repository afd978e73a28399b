"""Whoever speaks French reads French: nothing is left out, nothing is left behind."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog, Message
from django.core.management import CommandError, call_command
from django.test import Client
from pytest_django import Settings

from tests.unit.cached import fill
from voicebot import messages
from voicebot import settings as product

FRENCH = messages.catalogue()
TRANSLATED = [message for message in FRENCH if message.id]
PLACEHOLDER = re.compile(r"%\(\w+\)[^a-z]*[a-z]|%%")


def strings(message: Message, texts: object) -> list[str]:
    """The singular and the plural, or the one there is."""
    assert isinstance(texts, tuple) == message.pluralizable
    return list(texts) if isinstance(texts, tuple) else [str(texts)]


def named(message: Message) -> str:
    return strings(message, message.id)[0]


@pytest.fixture(scope="module")
def extracted() -> Catalog:
    return messages.extract()


@pytest.fixture
def marked(extracted: Catalog) -> list[Message]:
    return [message for message in extracted if message.id]


# --- the catalogue -------------------------------------------------------------------------


def test_python_and_templates_are_read(marked: list[Message]) -> None:
    names = {Path(path).suffix for message in marked for path, _line in message.locations}
    assert names == {".py", ".html"}


def test_every_way_to_mark_is_known(tmp_path: Path) -> None:
    (tmp_path / "marked.py").write_text(
        '_("1"); gettext("2"); gettext_lazy("3"); ngettext("4", "4s", n); '
        'ngettext_lazy("5", "5s", n); pgettext("c", "6"); pgettext_lazy("c", "7")\n'
    )
    (tmp_path / "templates").mkdir()
    (tmp_path / "templates" / "page.html").write_text(
        '{% load i18n %}\n      <p>{% translate "8" %}</p>\n'
        "   {% blocktranslate count n=n %}{{ n }} a{% plural %}{{ n }} b{% endblocktranslate %}\n"
    )
    found = {(message.context, message.id) for message in messages.extract(tmp_path) if message.id}
    assert found == {
        *((None, number) for number in "1238"),
        *(("c", number) for number in "67"),
        *((None, (number, f"{number}s")) for number in "45"),
        (None, ("%(n)s a", "%(n)s b")),
    }


# One test for all messages each: there are hundreds, and a failure names every one that is wrong.


def test_every_marked_string_is_translated(marked: list[Message]) -> None:
    def translated(message: Message) -> bool:
        french = FRENCH.get(message.id, message.context)
        return bool(french and not french.fuzzy and all(strings(french, french.string)))

    missing = [named(message) for message in marked if not translated(message)]
    assert missing == [], "run `make messages`, then translate what is new"


def test_placeholders_survive_translation() -> None:
    def kept(message: Message) -> bool:
        wanted = {p for text in strings(message, message.id) for p in PLACEHOLDER.findall(text)}
        found = [set(PLACEHOLDER.findall(text)) for text in strings(message, message.string)]
        return all(placeholders == wanted for placeholders in found)

    assert [named(message) for message in TRANSLATED if not kept(message)] == []


def test_typography() -> None:
    # ’ and not ', « » and not “ ”, a no-break space before : ; ! ? and before units.
    wrong = re.compile(r"['“”]| [:;!?»]|« |[^\s]»|«[^\s]|\)\S* (Hz|Mo|s)\b")
    texts = [text for message in TRANSLATED for text in strings(message, message.string)]
    assert [text for text in texts if wrong.search(text)] == []


def test_the_committed_files_are_what_make_messages_writes(
    extracted: Catalog, tmp_path: Path
) -> None:
    po = tmp_path / messages.PO.name
    shutil.copy(messages.PO, po)
    messages.update(extracted, po)
    assert po.read_text() == messages.PO.read_text()
    assert po.with_suffix(".mo").read_bytes() == messages.PO.with_suffix(".mo").read_bytes()


# --- what people read ----------------------------------------------------------------------


@pytest.fixture
def product_language(settings: Settings) -> None:
    settings.LANGUAGE_CODE = product.LANGUAGE_CODE


@pytest.mark.usefixtures("product_language")
@pytest.mark.parametrize(
    ("headers", "language", "detail"),
    [
        ({}, "fr", "Envoyez l’enregistrement sous forme de fichier dans le champ «\xa0audio\xa0»."),
        ({"accept-language": "en"}, "en", "Send the recording as a file in the field “audio”."),
        ({"accept-language": "en-GB, fr;q=0.5"}, "en", "Send the recording as a file"),
        ({"accept-language": "de"}, "fr", "Envoyez l’enregistrement"),
    ],
)
def test_errors_of_the_api(
    client: Client, headers: dict[str, str], language: str, detail: str
) -> None:
    response = client.post("/api/voice/", headers=headers)
    assert response.status_code == 400
    assert response.headers["Content-Language"] == language
    assert response.json()["detail"].startswith(detail)
    assert response.json()["code"] == "audio_missing"


@pytest.mark.usefixtures("product_language")
@pytest.mark.django_db(transaction=True)
def test_the_admin(admin_client: Client) -> None:
    fill("Un.", "Deux.")
    page = admin_client.get("/admin/cache/cachedspeech/").content.decode().replace("\xa0", " ")
    assert "Cache vocal" in page
    assert "<strong>2</strong> phrases conservées" in page
    assert "<strong>0</strong> synthèse économisée" in page  # in French, 0 is singular
    assert "2 paroles en cache" in page
    assert "Purger : supprimer les paroles sélectionnées et leurs fichiers" in page


@pytest.mark.usefixtures("product_language")
def test_commands() -> None:
    with pytest.raises(CommandError, match="Les poids «\xa0absent\xa0» n’existent pas"):
        call_command("fetch_weights", "absent")
