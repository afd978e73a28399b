"""The dictionary of pronunciation in the admin."""

from __future__ import annotations

import csv
import io

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from cache import pronunciation_admin
from cache.models import CachedSpeech, Pronunciation
from cache.tts import CachedTextToSpeech
from pipeline.audio import from_wav
from pipeline.engines import engines
from pipeline.tts.fake import Fake
from tests.unit.test_cache_admin import browser, text_of, with_permissions

pytestmark = pytest.mark.django_db(transaction=True)

LIST = "/admin/cache/pronunciation/"


@pytest.fixture
def admin(admin_user: User) -> Client:
    return browser(admin_user)


@pytest.fixture
def entry() -> Pronunciation:
    return Pronunciation.objects.create(word="Metz", say="messe", language="fr")


def spoken() -> list[str]:
    assert isinstance(engines.tts, CachedTextToSpeech)
    assert isinstance(engines.tts.engine, Fake)
    return engines.tts.engine.spoken


def bring(client: Client, table: bytes) -> str:
    file = SimpleUploadedFile("table.csv", table, "text/csv")
    return text_of(client.post(f"{LIST}import/", {"table": file}, follow=True))


def test_an_empty_dictionary_says_what_it_is_for(admin: Client) -> None:
    assert "A word that the voices say wrong?" in text_of(admin.get(LIST))


def test_the_list(admin: Client, entry: Pronunciation) -> None:
    Pronunciation.objects.create(word="GIF", say="jif")
    Pronunciation.objects.create(word="x", say="y", language="tlh")
    page = text_of(admin.get(LIST))
    assert "A word that the voices say wrong?" not in page
    for cell in ("French", "every language", "tlh"):
        assert f'<td class="field-spoken_in">{cell}</td>' in page
    assert f'data-url="{LIST}{entry.pk}/rehearse/"' in page


def test_adding(admin: Client) -> None:
    page = text_of(admin.get(f"{LIST}add/", {"language": "fr"}))
    assert '<option value="">every language</option>' in page
    assert '<option value="fr" selected>French</option>' in page
    admin.post(f"{LIST}add/", {"word": "Metz", "say": "messe", "language": "", "whole_word": "on"})
    added = Pronunciation.objects.get()
    assert (added.word, added.language, added.whole_word) == ("Metz", "", True)


def test_a_language_that_is_not_spoken_any_more_stays(admin: Client) -> None:
    entry = Pronunciation.objects.create(word="x", say="y", language="tlh")
    page = text_of(admin.get(f"{LIST}{entry.pk}/change/"))
    assert '<option value="tlh" selected>tlh</option>' in page


# --- listening -----------------------------------------------------------------------------


def test_listening_to_an_entry(admin: Client, entry: Pronunciation) -> None:
    response = admin.post(f"{LIST}{entry.pk}/rehearse/")
    assert response["Content-Type"] == "audio/wav"
    assert from_wav(response.content).duration > 0
    assert spoken() == ["messe"]
    assert not CachedSpeech.objects.exists()


def test_listening_to_the_form_and_to_the_word_itself(admin: Client, entry: Pronunciation) -> None:
    form = {"word": "Metz", "say": "mess", "language": ""}
    admin.post(f"{LIST}rehearse/", form)
    admin.post(f"{LIST}rehearse/?word", form)
    assert spoken() == ["mess", "Metz"]  # whatever the dictionary says of it


def test_what_cannot_be_heard(admin: Client) -> None:
    for form, said in (
        ({"say": "", "language": "fr"}, "There is nothing to say aloud"),
        ({"say": "hallo", "language": "de"}, "de"),
    ):
        response = admin.post(f"{LIST}rehearse/", form)
        assert response.status_code == 400
        assert said in response.content.decode()
    assert admin.post(f"{LIST}7/rehearse/").status_code == 404
    assert admin.get(f"{LIST}rehearse/").status_code == 405


def test_it_takes_permission(entry: Pronunciation) -> None:
    viewer = with_permissions("view_pronunciation")
    assert viewer.post(f"{LIST}{entry.pk}/rehearse/").status_code == 403
    assert viewer.get(f"{LIST}import/").status_code == 403
    page = text_of(viewer.get(f"{LIST}{entry.pk}/change/"))
    assert "rehearse" not in page
    adder = with_permissions("add_pronunciation")
    assert adder.post(f"{LIST}rehearse/", {"say": "messe"}).status_code == 200


# --- tables --------------------------------------------------------------------------------


def test_exporting(admin: Client, entry: Pronunciation) -> None:
    response = admin.post(LIST, {"action": "to_csv", "_selected_action": [entry.pk]})
    assert response["Content-Type"] == "text/csv; charset=utf-8"
    rows = list(csv.reader(io.StringIO(response.content.decode("utf-8-sig"))))
    assert rows[1] == ["Metz", "messe", "fr", "1", "0"]


def test_importing(admin: Client, entry: Pronunciation) -> None:
    page = bring(admin, "\ufeffword;say;language\nMetz;mess;FR\nGIF;jif;\n".encode())
    assert "2 entries brought." in page
    assert {(e.word, e.say, e.language) for e in Pronunciation.objects.all()} == {
        ("Metz", "mess", "fr"),
        ("GIF", "jif", ""),
    }
    assert Pronunciation.objects.get(word="Metz").pk == entry.pk
    logged = LogEntry.objects.order_by("pk").values_list("object_repr", "action_flag")
    assert list(logged) == [("Metz → mess", 2), ("GIF → jif", 1)]


@pytest.mark.parametrize(
    ("table", "said"),
    [
        (b"word,say\nOK,okay\nMetz,\nGIF,\xf0\x9f\x99\x82\n", "Line 3: This field cannot be blank"),
        (b"word,say\nOK,okay\nMetz,\nGIF,\xf0\x9f\x99\x82\n", "Line 4: There is nothing to say"),
        (b"Metz,messe\n", "The first line must name the columns word, say."),
        (b"word,say\n\xff\xfe,x\n", "The file is not text in UTF-8."),
        (b"", "The submitted file is empty."),
    ],
)
def test_a_table_with_errors_changes_nothing(admin: Client, table: bytes, said: str) -> None:
    assert said in bring(admin, table)
    assert not Pronunciation.objects.exists()


def test_a_table_that_is_too_large(admin: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pronunciation_admin, "MAX_TABLE_BYTES", 10)
    assert "The file is too large." in bring(admin, b"word,say\nMetz,messe\n")
