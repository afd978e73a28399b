"""The speech cache in the admin."""

from __future__ import annotations

import io
import json
import re
import zipfile
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from asgiref.sync import async_to_sync
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.template.defaultfilters import filesizeformat
from django.test import AsyncClient, Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone
from pytest_django import Settings

from cache import exports, files
from cache.models import CachedSpeech, DailyHits
from tests.unit.cached import cached, fill, say

if TYPE_CHECKING:
    from django.test.client import _MonkeyPatchedWSGIResponse as Response

pytestmark = pytest.mark.django_db(transaction=True)

LIST = "/admin/cache/cachedspeech/"


def browser(user: User) -> Client:
    client = Client(headers={"accept-language": "en"})
    client.force_login(user)
    return client


@pytest.fixture
def admin(admin_user: User) -> Client:
    return browser(admin_user)


def with_permissions(*codenames: str) -> Client:
    user = User.objects.create_user(" ".join(codenames) or "nobody", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=codenames))
    return browser(user)


def text_of(response: Response) -> str:
    assert response.status_code == 200
    return " ".join(response.content.decode().replace("\xa0", " ").split())


def audio_url(row: CachedSpeech) -> str:
    return reverse("admin:cache_cachedspeech_audio", args=[row.pk])


def act(client: Client, action: str, *rows: CachedSpeech) -> str:
    return text_of(
        client.post(
            LIST, {"action": action, "_selected_action": [row.pk for row in rows]}, follow=True
        )
    )


# --- the list ------------------------------------------------------------------------------


def test_the_list_tells_all(admin: Client) -> None:
    [row] = fill("Il fait beau, " + "pas vrai, " * 10 + "mon ami ?")
    say(cached(), row.text)
    page = text_of(admin.get(LIST))
    assert ">Il fait beau, pas vrai, pas vrai, pas vrai, pas vrai, pas v…<" in page
    size = filesizeformat(row.size_bytes).replace("\xa0", " ")
    assert f"{row.duration:.1f} s<small>{size}</small>" in page
    assert '<td class="field-uses">1 <svg class="sparkline"' in page
    assert '<td class="field-spoken_by">grave<small>fr · Fake</small></td>' in page
    assert f'<audio controls preload="none" src="{audio_url(row)}?{row.sha256[:8]}">' in page
    assert '<svg class="waveform"' in page
    assert f"{LIST}add/" not in page


def test_totals(admin: Client, settings: Settings) -> None:
    rows = fill("Un.", "Deux.")
    for _ in range(3):
        say(cached(), "Un.")
    CachedSpeech.objects.update(duration=40)
    CachedSpeech.objects.filter(text="Un.").update(size_bytes=400_000)
    CachedSpeech.objects.filter(text="Deux.").update(size_bytes=100_000)
    settings.VOICEBOT_CACHE_MAX_BYTES = 2_000_000
    page = text_of(admin.get(LIST))
    assert len(rows) == 2
    assert "<strong>2</strong> sentences kept, <strong>0:01:20</strong> of speech" in page
    assert "<strong>3</strong> syntheses saved" in page
    assert '<progress max="2000000" value="500000"></progress>' in page
    assert "488.3 KB of 1.9 MB (25 %)" in page


def test_totals_of_nothing(admin: Client) -> None:
    page = text_of(admin.get(LIST))
    assert "<strong>0</strong> sentences kept" in page
    assert "(0 %)" in page


def test_a_cache_that_is_off_says_so(admin: Client, settings: Settings) -> None:
    settings.VOICEBOT_CACHE_MAX_BYTES = 0
    page = text_of(admin.get(LIST))
    assert "The cache is off" in page
    assert "<progress" not in page


def test_search(admin: Client) -> None:
    fill("Bonjour.", "Il pleut.")
    page = text_of(admin.get(LIST, {"q": "pleu"}))
    assert "Il pleut." in page
    assert "Bonjour." not in page


@pytest.mark.parametrize(
    ("filters", "shown"),
    [
        ({"voice": "claire"}, {"Claire."}),
        ({"language": "en"}, {"Hello."}),
        ({"pinned__exact": "1"}, {"Grave."}),
        ({"engine": "Fake"}, {"Grave.", "Claire.", "Hello."}),
        ({"engine": "Autre"}, set()),
        ({"tenant": "alice"}, {"Claire."}),
    ],
)
def test_filters(admin: Client, filters: dict[str, str], shown: set[str]) -> None:
    tts = cached()
    for text, voice in (("Grave.", "grave"), ("Claire.", "claire"), ("Hello.", "low")):
        say(tts, text, voice=voice)
    CachedSpeech.objects.filter(voice="grave").update(pinned=True)
    CachedSpeech.objects.filter(voice="claire").update(tenant="alice")
    page = text_of(admin.get(LIST, filters))
    assert {text for text in ("Grave.", "Claire.", "Hello.") if f">{text}<" in page} == shown


def test_as_many_queries_for_many_rows(admin: Client) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as context:
            admin.get(LIST)
        return len(context)

    fill("Un.")
    few = queries()
    fill(*(f"Phrase {chr(97 + number)}." for number in range(20)))
    assert queries() == few


# --- actions -------------------------------------------------------------------------------


def test_pinning(admin: Client) -> None:
    first, second = fill("Un.", "Deux.")
    assert "1 pinned." in act(admin, "pin", first)
    assert CachedSpeech.objects.get(pinned=True) == first
    assert "2 unpinned." in act(admin, "unpin", first, second)
    assert not CachedSpeech.objects.filter(pinned=True).exists()


def test_purging(admin: Client) -> None:
    first, second = fill("Un.", "Deux.")
    assert "1 deleted." in act(admin, "purge", first)
    assert CachedSpeech.objects.get() == second
    assert [file.stem for file in files.stored()] == [second.key]


def test_what_is_done_is_in_the_log(admin: Client, admin_user: User) -> None:
    [row] = fill("Un.")
    act(admin, "pin", row)
    act(admin, "unpin", row)
    act(admin, "purge", row)
    entries = LogEntry.objects.order_by("pk")
    assert [(e.user, e.object_repr, e.get_change_message()) for e in entries] == [
        (admin_user, "Un.", "Pinned."),
        (admin_user, "Un.", "Unpinned."),
        (admin_user, "Un.", ""),
    ]
    assert entries.last().is_deletion()  # type: ignore[union-attr]


def test_purging_what_was_used(admin: Client) -> None:
    [row] = fill("Un.")
    say(cached(), "Un.")
    assert "1 deleted." in act(admin, "purge", row)
    assert not DailyHits.objects.exists()


def test_deleting_one(admin: Client) -> None:
    [row] = fill("Un.")
    admin.post(f"{LIST}{row.pk}/delete/", {"post": "yes"})
    assert not CachedSpeech.objects.exists()
    assert list(files.stored()) == []


def test_actions_are_for_those_who_may() -> None:
    [row] = fill("Un.")
    viewer = with_permissions("view_cachedspeech")
    page = text_of(viewer.get(LIST))
    assert "purge" not in page
    act(viewer, "purge", row)
    act(viewer, "pin", row)
    assert not CachedSpeech.objects.get().pinned


# --- one of them ---------------------------------------------------------------------------


def test_only_the_pin_can_be_changed(admin: Client) -> None:
    [row] = fill("Un.")
    url = f"{LIST}{row.pk}/change/"
    page = text_of(admin.get(url))
    assert row.key in page
    assert audio_url(row) in page
    response = admin.post(url, {"pinned": "on", "text": "Autre.", "hits": "9"})
    assert response.status_code == 302
    changed = CachedSpeech.objects.get()
    assert changed.pinned
    assert (changed.text, changed.hits) == ("Un.", 0)


def test_none_can_be_added(admin: Client) -> None:
    assert admin.get(f"{LIST}add/").status_code == 403


# --- listening -----------------------------------------------------------------------------


def test_listening(admin: Client) -> None:
    [row] = fill("Un.")
    response = admin.get(audio_url(row))
    assert response.status_code == 200
    assert response["Content-Type"] == "audio/wav"
    assert response["Accept-Ranges"] == "bytes"
    assert response.content == files.path(row.key).read_bytes()
    row.refresh_from_db()
    assert row.hits == 0  # no synthesis was saved


def test_listening_to_a_part(admin: Client) -> None:
    [row] = fill("Un.")
    response = admin.get(audio_url(row), headers={"range": "bytes=0-1"})
    assert response.status_code == 206
    assert response.content == b"RI"
    assert response["Content-Range"] == f"bytes 0-1/{row.size_bytes}"


def test_what_is_gone_or_damaged_is_not_found(admin: Client) -> None:
    [row] = fill("Un.")
    file = files.path(row.key)
    file.write_bytes(file.read_bytes()[:-1])
    assert admin.get(audio_url(row)).status_code == 404
    url = audio_url(row)
    row.delete()
    assert admin.get(url).status_code == 404


def test_listening_takes_permission() -> None:
    [row] = fill("Un.")
    assert Client().get(audio_url(row)).status_code == 302
    assert with_permissions().get(audio_url(row)).status_code == 403


def test_listening_is_a_permission_of_its_own() -> None:
    [row] = fill("Un.")
    viewer = with_permissions("view_cachedspeech")
    assert viewer.get(audio_url(row)).status_code == 403
    for url in (LIST, f"{LIST}{row.pk}/change/"):
        page = text_of(viewer.get(url))
        assert '<svg class="waveform"' in page
        assert "<audio" not in page
    listener = with_permissions("view_cachedspeech", "listen_cachedspeech")
    assert listener.get(audio_url(row)).status_code == 200
    assert "<audio" in text_of(listener.get(LIST))


def test_what_was_kept_before_there_were_waveforms_gets_one(admin: Client) -> None:
    [row] = fill("Un.")
    CachedSpeech.objects.update(peaks=b"")
    files.path(row.key).rename(files.path(row.key).with_suffix(".away"))
    assert '<path d=""/>' in text_of(admin.get(LIST))
    files.path(row.key).with_suffix(".away").rename(files.path(row.key))
    assert '<path d="M' in text_of(admin.get(LIST))
    assert CachedSpeech.objects.get().peaks == row.peaks != b""


# --- hits over time ------------------------------------------------------------------------


def test_hits_are_told_by_the_day(admin: Client) -> None:
    [row] = fill("Un.")
    today = timezone.localdate()
    for days, hits in ((0, 2), (29, 4), (30, 8), (89, 16)):
        DailyHits.objects.create(speech=row, day=today - timedelta(days=days), hits=hits)
    [of_month] = re.findall(r'class="sparkline".*?d="(.*?)"', text_of(admin.get(LIST)))
    assert of_month.count("M") == 30
    assert of_month.startswith("M1.5 32v-30")
    assert of_month.endswith("M88.5 32v-15")
    page = text_of(admin.get(f"{LIST}{row.pk}/change/"))
    [of_quarter] = re.findall(r'class="sparkline".*?d="(.*?)"', page)
    assert of_quarter.count("M") == 90
    assert of_quarter.startswith("M1.5 32v-30")


def test_hits_of_long_ago_are_forgotten() -> None:
    [row] = fill("Un.")
    today = timezone.localdate()
    for days in (1, 89, 90, 400):
        DailyHits.objects.create(speech=row, day=today - timedelta(days=days), hits=1)
    for _ in range(2):
        say(cached(), "Un.")
    counts = DailyHits.objects.order_by("-day").values_list("day", "hits")
    assert [((today - day).days, hits) for day, hits in counts] == [(0, 2), (1, 1), (89, 1)]


# --- export --------------------------------------------------------------------------------


def export(client: Client, *rows: CachedSpeech) -> zipfile.ZipFile:
    response = client.post(LIST, {"action": "export", "_selected_action": [row.pk for row in rows]})
    assert response["Content-Type"] == "application/zip"
    assert response.streaming
    zipped = zipfile.ZipFile(io.BytesIO(response.getvalue()))
    assert zipped.testzip() is None
    return zipped


def test_exporting(admin: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exports, "BATCH", 1)
    first, second, _third, damaged = fill("Élan.", "Deux.", "Trois.", "Quatre.")
    files.path(damaged.key).write_bytes(b"RIFF")
    zipped = export(admin, first, second, damaged)
    index = json.loads(zipped.read("index.json"))
    assert zipped.namelist() == [*(entry["file"] for entry in index), "index.json"]
    assert [entry["text"] for entry in index] == ["Élan.", "Deux."]
    assert zipped.read(f"speech/{first.key}.wav") == files.path(first.key).read_bytes()
    assert index[0].items() >= {"voice": "grave", "sha256": first.sha256, "pinned": False}.items()
    assert datetime.fromisoformat(index[0]["created_at"]) == first.created_at


def test_exporting_takes_the_permission_to_listen() -> None:
    [row] = fill("Un.")
    viewer = with_permissions("view_cachedspeech", "change_cachedspeech")
    assert "Export" not in text_of(viewer.get(LIST))
    assert act(viewer, "export", row).startswith("<!DOCTYPE html>")
    listener = with_permissions("view_cachedspeech", "listen_cachedspeech")
    assert len(export(listener, row).namelist()) == 2


def test_an_export_is_sent_while_it_is_made(admin_user: User) -> None:
    rows = fill("Un.", "Deux.")

    async def chunks() -> list[bytes]:
        client = AsyncClient()
        await client.aforce_login(admin_user)
        response: Any = await client.post(
            LIST, {"action": "export", "_selected_action": [row.pk for row in rows]}
        )
        return [chunk async for chunk in response.streaming_content]

    sent = async_to_sync(chunks)()
    assert len(sent) == 3  # one a speech, and the index
    assert len(zipfile.ZipFile(io.BytesIO(b"".join(sent))).namelist()) == 3
