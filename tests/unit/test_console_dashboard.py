"""The dashboard: what it tells, and whom."""

from __future__ import annotations

import re
from datetime import timedelta
from mmap import mmap
from typing import TYPE_CHECKING, Any

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.test import Client
from django.utils import timezone, translation
from pytest_django import Settings

from cache.models import CachedSpeech
from console import charts, service
from console.charts import Series
from history.models import Conversation, Turn
from jobs.models import Job, Status
from pipeline import metrics
from pipeline.base import Engine
from pipeline.engines import engines
from pipeline.tts.fake import Fake
from pipeline.weighted import Weighted
from tests.unit.remembered import converse

if TYPE_CHECKING:
    from django.test.client import _MonkeyPatchedWSGIResponse as Response

pytestmark = pytest.mark.django_db

HEAVY_BYTES = 60_000_000


class Heavy(Weighted, Fake):
    """Takes that much when it is loaded."""

    def missing(self) -> None:
        return None

    def _load(self) -> None:
        # A map of its own: what this process has freed before would not make it grow.
        self._ballast = mmap(-1, HEAVY_BYTES)
        self._ballast.write(b"x" * HEAVY_BYTES)


URL = "/admin/dashboard/"


@pytest.fixture
def operator(client: Client) -> Client:
    client.force_login(User.objects.create_superuser("operator"))
    return client


def one_who(client: Client, *permissions: str) -> Client:
    user = User.objects.create_user("somebody", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client.force_login(user)
    return client


def turn(days_ago: float = 0, **facts: Any) -> Turn:
    at = timezone.now() - timedelta(days=days_ago)
    row = {"status": 200, "request_id": "r", "created_at": at, "said_at": at, **facts}
    return Turn.objects.create(**row)


def page(response: Response) -> str:
    assert response.status_code == 200
    return response.content.decode()


def text(html: str) -> str:
    """What of it is read."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html)).replace("\xa0", " ")


# --- figures ---------------------------------------------------------------------------------


def test_it_adds_up_the_turns_of_the_period(operator: Client) -> None:
    turn(first_audio_s=0.5, tts_cache="hit")
    turn(3, first_audio_s=1.5, tts_cache="miss")
    turn(3, code="no_speech")
    turn(40, first_audio_s=9.0)
    told = text(page(operator.get(URL)))
    assert "Turns 3 " in told
    assert "Time to first audio 0.50 s" in told
    assert "Slow answers 1.50 s" in told
    assert "From the speech cache 50 %" in told
    assert "Failed 33 % 1 " in told
    assert "no_speech 1 33 %" in told
    assert "Turns 4 " in text(page(operator.get(URL, {"days": "90"})))


@pytest.mark.parametrize("days", ["7", "30", "90"])
def test_a_column_a_day(operator: Client, days: str) -> None:
    html = page(operator.get(URL, {"days": days}))
    assert html.count('class="day"') == 3 * int(days)
    assert f'<a href="?days={days}" aria-current="page">' in html


@pytest.mark.parametrize("days", ["0", "8", "x", "-7", "9" * 5_000])
def test_any_other_period_is_the_usual_one(operator: Client, days: str) -> None:
    assert '<a href="?days=30" aria-current="page">' in page(operator.get(URL, {"days": days}))


def test_its_links_find_the_turns_they_count(operator: Client) -> None:
    turn(code="no_speech", request_id="failed-one")
    turn(60, code="no_speech", request_id="too-old")
    turn(request_id="answered")
    html = page(operator.get(URL))
    links = [
        link.replace("&amp;", "&")
        for link in re.findall(r'href="(/admin/history/turn/[^"]+)"', html)
    ]
    assert len(links) == len(set(links)) == 4  # all turns, those that failed, a code, a day
    found = [page(operator.get(link)) for link in links]
    assert all("too-old" not in one for one in found)
    assert all("failed-one" in one for one in found)
    assert ["answered" in one for one in found].count(True) == 2


def test_an_empty_service_has_a_dashboard(operator: Client) -> None:
    told = text(page(operator.get(URL)))
    assert "Turns 0 " in told
    assert "No turn has failed." in told


def test_it_asks_the_database_few_questions(
    operator: Client, django_assert_max_num_queries: Any
) -> None:
    for days_ago in range(5):
        turn(days_ago, first_audio_s=1.0)
    with django_assert_max_num_queries(30):
        operator.get(URL)


# --- now ---------------------------------------------------------------------------------------


def test_engines_are_told_with_their_memory_and_who_waits(operator: Client) -> None:
    engines.stt.bare.warm_up()
    with metrics.one_more(metrics.WAITING.labels("stt", "Fake")):
        told = {one.role: one for one in service.told()}
        html = page(operator.get(URL))
    assert list(told) == ["stt", "llm", "tts"]
    assert told["stt"].loaded
    assert told["stt"].memory_bytes is not None
    assert (told["stt"].waiting, told["llm"].waiting) == (1, 0)
    assert "Waiting now 1 " in text(html)
    assert "alarming" in html


def test_an_engine_is_told_without_what_remembers_for_it(
    operator: Client, settings: Settings
) -> None:
    """Its weights, and the memory that they took."""
    heavy = {"BACKEND": f"{__name__}.Heavy", "OPTIONS": {"weights": "kokoro-82m-int8"}}
    settings.ENGINES = {
        **settings.ENGINES,
        "tts": {"BACKEND": "cache.tts.CachedTextToSpeech", "OPTIONS": {"engine": heavy}},
    }
    engines.tts.warm_up()
    [told] = [one for one in service.told() if one.role == "tts"]
    assert (told.name, told.weights) == ("Heavy", "kokoro-82m-int8")
    assert (told.memory_bytes or 0) > HEAVY_BYTES / 2


def test_an_engine_that_hangs_is_told(operator: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    engines.stt.bare.warm_up()
    assert "hangs" not in text(page(operator.get(URL)))
    monkeypatch.setattr(Engine, "hangs", True)
    assert all(one.hangs for one in service.told())
    assert "hangs" in text(page(operator.get(URL)))


def test_engines_that_cannot_be_loaded_say_why(operator: Client, settings: Settings) -> None:
    kokoro = {"BACKEND": "pipeline.tts.kokoro.Kokoro", "OPTIONS": {"weights": "/nowhere"}}
    settings.ENGINES = {
        **settings.ENGINES,
        "stt": {"BACKEND": "not.there"},
        "tts": {
            "BACKEND": "pipeline.tts.fallback.Fallback",
            "OPTIONS": {"engines": [kokoro, {"BACKEND": "pipeline.tts.fake.Fake"}]},
        },
    }
    told = service.told()
    assert [(one.role, one.name) for one in told] == [
        ("llm", "Fake"),
        ("tts", "Kokoro"),
        ("tts", "Fake"),
    ]
    assert told[1].missing
    assert told[1].missing in page(operator.get(URL))


def test_jobs_wait_and_run(operator: Client) -> None:
    for status in (Status.WAITING, Status.WAITING, Status.RUNNING, Status.DONE):
        Job.objects.create(status=status, request_id="r", locale="en")
    queue = service.queue(service.told())
    assert (queue.jobs_waiting, queue.jobs_running) == (2, 1)
    assert "3 jobs" in text(page(operator.get(URL)))


def test_the_disk_is_told_part_by_part(operator: Client, settings: Settings, tmp_path: Any) -> None:
    own = settings.VOICEBOT_DATA_DIR = tmp_path / "own"  # beside it are the real weights
    (own / "weights" / "one").mkdir(parents=True)
    (own / "weights" / "one" / "model.bin").write_bytes(b"x" * 2048)
    turn(utterance_bytes=3000, speech_bytes=1096)
    sizes = {part.name: part.size_bytes for part in service.disk().parts}
    assert sizes["weights"] == 2048
    assert sizes["sounds"] == 4096
    assert sizes["jobs"] == 0
    assert sizes["database"] > 0
    settings.VOICEBOT_DATA_DIR = tmp_path / "gone"
    assert service.disk().size_bytes == 0
    assert "Free" not in text(page(operator.get(URL)))


def test_it_says_how_long_what_is_kept(operator: Client, settings: Settings) -> None:
    settings.VOICEBOT_KEEP_TEXTS_DAYS = 12
    settings.VOICEBOT_KEEP_UTTERANCES_DAYS = 0
    told = text(page(operator.get(URL)))
    assert "VOICEBOT_KEEP_TEXTS_DAYS 12 days" in told
    assert "VOICEBOT_KEEP_UTTERANCES_DAYS not kept" in told


# --- who may -----------------------------------------------------------------------------------


def test_whoever_may_see_turns_sees_it(client: Client) -> None:
    user = User.objects.create_user("somebody", is_staff=True)
    user.groups.add(Group.objects.get(name="Read only"))
    client.force_login(user)
    turn(transcript="Un secret ?")
    assert "secret" not in page(client.get(URL))
    assert "The last 24 hours" in page(client.get("/admin/"))
    assert f'href="{URL}"' in page(client.get("/admin/history/turn/"))


def test_nobody_else_does(client: Client) -> None:
    assert client.get(URL).status_code == 302
    one_who(client, "view_cachedspeech")
    assert client.get(URL).status_code == 403
    first = page(client.get("/admin/"))
    assert URL not in first
    assert "tiles" not in first


def test_the_first_page_tells_the_last_day(operator: Client) -> None:
    turn(0.5)
    turn(1.5)
    assert "Turns 1 " in text(page(operator.get("/admin/")))


def test_it_speaks_french(operator: Client) -> None:
    turn(first_audio_s=0.5)
    html = page(operator.get(URL, headers={"Accept-Language": "fr"}))
    assert "Délai du premier son" in html
    assert "0,50" in html


def test_its_icon_is_ours(operator: Client) -> None:
    for url in ("/admin/", "/admin/history/turn/", URL, "/admin/password_change/"):
        assert 'rel="icon" href="/static/web/icon.svg"' in page(operator.get(url))


# --- what speech was the answer to ---------------------------------------------------------------


def test_speech_tells_what_it_was_the_answer_to(operator: Client) -> None:
    said = converse(Conversation.objects.create(), "Quelle heure est-il ?", "Il est midi.")
    converse(Conversation.objects.create(), "Qui est là ?", "C'est moi.")
    speech = CachedSpeech.objects.get(text__contains="midi")
    url = f"/admin/cache/cachedspeech/{speech.pk}/change/"
    html = page(operator.get(url))
    assert "Quelle heure est-il ?" in html
    assert f"/admin/history/turn/{said.pk}/change/" in html
    assert "Qui est là ?" not in html


def test_what_was_asked_is_not_told_to_whoever_may_not_read_it(client: Client) -> None:
    converse(Conversation.objects.create(), "Quelle heure est-il ?", "Il est midi.")
    speech = CachedSpeech.objects.get()
    one_who(client, "view_cachedspeech")
    html = page(client.get(f"/admin/cache/cachedspeech/{speech.pk}/change/"))
    assert "Quelle heure" not in html
    one_who_sees = User.objects.get(username="somebody")
    one_who_sees.user_permissions.add(Permission.objects.get(codename="view_turn"))
    html = page(client.get(f"/admin/cache/cachedspeech/{speech.pk}/change/"))
    assert "Quelle heure" in html


# --- charts --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("highest", "top"),
    [(0, 4), (4, 4), (5, 6), (9, 10), (11, 20), (61, 80), (100, 100), (1101, 2000)],
)
def test_a_scale_ends_at_a_round_number(highest: float, top: float) -> None:
    assert charts.top_of([highest], least=4) == top


def test_what_is_missing_breaks_a_line() -> None:
    values = [None, 1.0, 0.5, None, 0.25, None, 0.5, 0.5]
    svg = charts.lines([Series("median", values)], "abcdefgh", label="").svg
    assert 'class="median" d="M15 0.0L25 60.0M65 60.0L75 60.0"' in svg
    assert 'class="median alone" d="M45 90.0h0"' in svg


def test_a_first_day_is_a_dot() -> None:
    svg = charts.lines(
        [Series("median", [None, 1.0]), Series("p95", [None, 1.0])], "ab", label=""
    ).svg
    assert re.findall('<path class="(.+?)" d="(M.+?)"', svg)[1:] == [
        ("median alone", "M15 0.0h0"),
        ("p95 alone", "M15 0.0h0"),
    ]


def test_columns_stand_on_each_other() -> None:
    stacked = [Series("answered", [3.0, 0]), Series("failed", [1.0, 0])]
    svg = charts.columns(stacked, ["<one>", "two"], label="all").svg
    assert svg.count('class="failed"') == svg.count('class="answered"') == 1
    assert 'y="0.0" width="7" height="30.0"' in svg
    assert "<title>&lt;one&gt;</title>" in svg
    assert "style" not in svg


def test_numbers_of_a_drawing_are_not_of_a_language() -> None:
    with translation.override("fr"):
        chart = charts.lines([Series("median", [0.25, 1.5])], ["a", "b"], label="")
        assert "," not in chart.svg
