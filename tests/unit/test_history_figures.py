"""What turns add up to."""

from __future__ import annotations

import random
from collections.abc import Iterable
from datetime import date, datetime, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.db import connection
from django.utils import timezone

from history import figures
from history.figures import Span
from history.models import Turn

pytestmark = pytest.mark.django_db

NOON = datetime(2026, 3, 10, 12, tzinfo=ZoneInfo("Europe/Paris"))
DAY = Span(NOON - timedelta(hours=12), NOON + timedelta(hours=12))


@pytest.fixture(autouse=True)
def _paris() -> Iterable[None]:
    with timezone.override("Europe/Paris"):
        yield


def turn(at: datetime = NOON, **facts: Any) -> Turn:
    return Turn.objects.create(created_at=at, said_at=at, status=200, request_id="r", **facts)


def test_nothing_adds_up_to_nothing() -> None:
    [day] = figures.figures([DAY])
    whole = figures.together([day])
    for part in (day, whole):
        assert (part.turns, part.failed, part.median_s, part.p95_s) == (0, 0, None, None)
        assert part.hit_share is None


def test_turns_count_where_they_were_taken() -> None:
    turn(DAY.begin - timedelta(microseconds=1))
    turn(DAY.begin)
    turn(DAY.end - timedelta(microseconds=1))
    turn(DAY.end)
    before, day, after = figures.figures(
        [Span.of(NOON.date() + timedelta(days=ago)) for ago in (-1, 0, 1)]
    )
    assert (before.turns, day.turns, after.turns) == (1, 2, 1)
    assert figures.together([before, day, after]).turns == 4


def test_what_was_tried_again_does_not_count() -> None:
    again = turn(replay_of=turn(first_audio_s=1.0), first_audio_s=9.0, code="tts_failed")
    [day] = figures.figures([DAY])
    assert again.replay_of is not None
    assert (day.turns, day.failed, day.p95_s) == (1, 0, 1.0)
    assert figures.together([day]).p95_s == 1.0


def test_errors_count_by_code() -> None:
    for code in ("no_speech", "busy", "no_speech", ""):
        turn(code=code)
    [day] = figures.figures([DAY])
    assert (day.turns, day.failed) == (4, 3)
    assert day.errors.most_common() == [("no_speech", 2), ("busy", 1)]


def test_the_share_of_the_cache_is_of_what_it_was_asked_for() -> None:
    for state in ("hit", "miss", "miss", "miss", "off"):
        turn(tts_cache=state)
    [day] = figures.figures([DAY])
    assert (day.hits, day.misses, day.hit_share) == (1, 3, 0.25)


@pytest.mark.parametrize("count", [1, 2, 3, 19, 20, 21, 100, 101])
def test_percentiles_are_of_the_nearest_rank(count: int) -> None:
    """So many of a hundred were heard within."""
    delays = [round(0.1 * number, 1) for number in range(1, count + 1)]
    for delay in random.Random(count).sample(delays, count):
        turn(first_audio_s=delay)
    turn(first_audio_s=None)
    [day] = figures.figures([DAY])
    whole = figures.together([day])
    for percent, found in ((50, day.median_s), (95, day.p95_s)):
        assert found is not None
        within = [delay for delay in delays if delay <= found]
        assert len(within) * 100 >= percent * count > (len(within) - 1) * 100
    assert (whole.median_s, whole.p95_s) == (day.median_s, day.p95_s)


def test_percentiles_of_a_day_are_its_own() -> None:
    turn(first_audio_s=1.0)
    turn(NOON + timedelta(days=1), first_audio_s=3.0)
    turn(NOON + timedelta(days=1), first_audio_s=3.0)
    days = figures.figures([DAY, Span.of(NOON.date() + timedelta(days=1))])
    assert [day.median_s for day in days] == [1.0, 3.0]
    assert figures.together(days).median_s == 3.0


@pytest.mark.parametrize(("day", "hours"), [("2026-03-29", 23), ("2026-10-25", 25)])
def test_a_day_is_as_long_as_the_clock_makes_it(day: str, hours: int) -> None:
    span = Span.of(date.fromisoformat(day))
    began, ended = (moment.astimezone(ZoneInfo("UTC")) for moment in (span.begin, span.end))
    assert ended - began == timedelta(hours=hours)


def test_the_last_days_end_with_today() -> None:
    days = figures.last_days(7)
    assert len(days) == 7
    assert days[-1].begin <= timezone.now() < days[-1].end
    assert all(former.end == latter.begin for former, latter in pairwise(days))


@pytest.mark.sqlite
def test_an_index_holds_all_that_is_asked() -> None:
    moments = ("2026-01-01", "2026-01-02")
    with connection.cursor() as cursor:
        for sql, parameters, index in (
            (figures.COUNTS.format(spans="(0, %s, %s)"), moments, "history_figures"),
            (figures.DAY_AT, (*moments, 5), "history_figures"),
            (figures.LONG_AT, (*moments, 5), "history_heard"),
        ):
            cursor.execute(f"EXPLAIN QUERY PLAN {sql}", parameters)
            plan = " ".join(row[3] for row in cursor.fetchall())
            assert f"COVERING INDEX {index}" in plan
