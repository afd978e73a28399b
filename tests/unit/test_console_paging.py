"""Long lists of the admin: all rows are there, each once, whatever is looked for."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.admin import site
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from console import paging
from history.models import Turn
from jobs.models import Job, Status
from voicebot import housekeeping

pytestmark = pytest.mark.django_db

TURNS = "/admin/history/turn/"
PER_PAGE = 5


@pytest.fixture(autouse=True)
def operator(client: Client) -> Client:
    client.force_login(User.objects.create_superuser("operator"))
    return client


@pytest.fixture
def turns(monkeypatch: pytest.MonkeyPatch) -> None:
    """More than two pages of them, of which each row takes its time to be drawn."""
    monkeypatch.setattr(site._registry[Turn], "list_per_page", PER_PAGE)
    now = timezone.now()
    Turn.objects.bulk_create(
        Turn(
            request_id=f"request-{number:03}",
            transcript="pair" if number % 2 == 0 else "impair",
            created_at=now - timedelta(seconds=number),
            status=200,
        )
        for number in range(12)
    )


def listed(client: Client, asked: str) -> list[str]:
    response = client.get(f"{TURNS}?{asked}")
    assert response.status_code == 200
    return [row.request_id for row in response.context["cl"].result_list]


@pytest.mark.usefixtures("turns")
@pytest.mark.parametrize("few", [1, 2_000])
@pytest.mark.parametrize(("asked", "count"), [("", 12), ("q=impair", 6), ("q=request-007", 1)])
def test_pages_hold_every_row_once(
    client: Client, monkeypatch: pytest.MonkeyPatch, few: int, asked: str, count: int
) -> None:
    monkeypatch.setattr(paging, "FEW", few)
    pages = [listed(client, f"{asked}&p={number + 1}") for number in range(-(-count // PER_PAGE))]
    assert [len(page) for page in pages[:-1]] == [PER_PAGE] * (len(pages) - 1)
    found = [row for page in pages for row in page]
    assert len(found) == len(set(found)) == count


@pytest.mark.usefixtures("turns")
@pytest.mark.parametrize("asked", ["", "q=pair"])
def test_pages_are_in_order(client: Client, asked: str) -> None:
    pages = [client.get(f"{TURNS}?{asked}&p={number}").context["cl"] for number in (1, 2)]
    moments = [row.created_at for page in pages for row in page.result_list]
    assert len(moments) == 2 * PER_PAGE
    assert moments == sorted(moments, reverse=True)


@pytest.mark.usefixtures("turns")
def test_what_is_not_there_is_searched_for_once(client: Client) -> None:
    with CaptureQueriesContext(connection) as asked:
        assert listed(client, "q=introuvable") == []
    assert sum("introuvable" in query["sql"] for query in asked) == 1


@pytest.mark.sqlite
@pytest.mark.usefixtures("turns")
def test_the_database_knows_what_its_indices_hold() -> None:
    """The filter of what all turns have in common is none: they are taken in their order."""
    Turn.objects.update(stt_engine="FasterWhisper")
    housekeeping.count_up()
    of_it = Turn.objects.filter(stt_engine="FasterWhisper")[:10]
    assert "history_latest" in of_it.explain()


def test_a_job_that_is_cancelled_is_in_the_log(client: Client) -> None:
    running, done = (
        Job.objects.create(status=status, request_id="r", locale="en")
        for status in (Status.RUNNING, Status.DONE)
    )
    fields = {"action": "cancel", "_selected_action": [str(running.pk), str(done.pk)]}
    response = client.post("/admin/jobs/job/", fields, follow=True)
    assert "1 job is cancelled." in response.content.decode()
    assert Job.objects.get(pk=running.pk).status == Status.CANCELLED
    [entry] = LogEntry.objects.all()
    assert (entry.object_id, entry.action_flag) == (str(running.pk), CHANGE)
