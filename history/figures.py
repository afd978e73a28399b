"""What turns add up to: how many, how soon they were heard, from the cache or not, what failed.

All of it is counted by the database, over indices that hold it (``history_figures``,
``history_heard``): a hundred thousand turns take a moment, and none is brought here. What was tried
again in the admin is not counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from typing import Any, Final, Self

from django.db import connection
from django.db.backends.utils import CursorWrapper
from django.utils import timezone

from history.models import Turn

PERCENTS: Final = (50, 95)


@dataclass(frozen=True, slots=True)
class Span:
    """From ``begin`` on, until before ``end``."""

    begin: datetime
    end: datetime

    @classmethod
    def of(cls, day: date) -> Self:
        """As long as ``day`` lasts where this server is: 23, 24 or 25 hours."""
        return cls(_midnight(day), _midnight(day + timedelta(days=1)))


@dataclass(slots=True)
class Figures:
    """Of the turns in a span."""

    span: Span
    turns: int = 0
    errors: Counter[str] = field(default_factory=Counter)  # code → turns
    hits: int = 0  # all that was spoken was cached
    misses: int = 0  # some of it had to be made, and is cached since
    median_s: float | None = None  # time to first audio; None: nothing was heard
    p95_s: float | None = None

    @property
    def failed(self) -> int:
        return self.errors.total()

    @property
    def hit_share(self) -> float | None:
        """From 0 to 1; None where the cache was not asked."""
        asked = self.hits + self.misses
        return self.hits / asked if asked else None


def last_days(count: int) -> list[Span]:
    """Today is the last one."""
    today = timezone.localdate()
    return [Span.of(today - timedelta(days=ago)) for ago in reversed(range(count))]


def figures(spans: Sequence[Span]) -> list[Figures]:
    """One for each of ``spans``."""
    found = [Figures(span) for span in spans]
    heard = [0] * len(found)
    for place, code, cache, turns, with_audio in _counts(spans):
        row = found[place]
        row.turns += turns
        heard[place] += with_audio
        if code:
            row.errors[code] += turns
        if cache == "hit":
            row.hits += turns
        elif cache == "miss":
            row.misses += turns
    with connection.cursor() as cursor:
        for row, count in zip(found, heard, strict=True):
            if count:
                row.median_s, row.p95_s = (
                    _one(cursor, DAY_AT, row.span, _rank(count, percent)) for percent in PERCENTS
                )
    return found


def together(parts: Sequence[Figures]) -> Figures:
    """Of all the spans of ``parts``, which follow one another."""
    whole = Figures(Span(parts[0].span.begin, parts[-1].span.end))
    for part in parts:
        whole.turns += part.turns
        whole.errors += part.errors
        whole.hits += part.hits
        whole.misses += part.misses
    with connection.cursor() as cursor:  # percentiles do not add up
        if count := _one(cursor, HEARD, whole.span):
            whole.median_s, whole.p95_s = (
                _one(cursor, LONG_AT, whole.span, _rank(count, percent)) for percent in PERCENTS
            )
    return whole


def _rank(count: int, percent: int) -> int:
    """The nearest one, from 0: of 20 turns, the 10th and the 19th."""
    return (count * percent + 99) // 100 - 1


def _midnight(day: date) -> datetime:
    return timezone.make_aware(datetime.combine(day, time.min))


# --- SQL -----------------------------------------------------------------------------------
# By hand: where the database is SQLite, Django tells the day of each row in Python.

TABLE: Final = Turn._meta.db_table

COUNTS: Final = f"""
WITH spans (place, begins, ends) AS (VALUES {{spans}})
SELECT place, code, tts_cache, COUNT(*), COUNT(first_audio_s)
FROM spans JOIN {TABLE} ON created_at >= begins AND created_at < ends
WHERE replay_of_id IS NULL GROUP BY 1, 2, 3
"""

WITHIN: Final = f"""
FROM {TABLE} WHERE created_at >= %s AND created_at < %s
AND replay_of_id IS NULL AND first_audio_s IS NOT NULL
"""

HEARD: Final = f"SELECT COUNT(*) {WITHIN}"

# A day's turns are sorted: quicker than to rank those of all days at once.
DAY_AT: Final = f"SELECT first_audio_s {WITHIN} ORDER BY first_audio_s LIMIT 1 OFFSET %s"

# Those of many days lie sorted in an index; COALESCE keeps SQLite from taking that of the days.
LONG_AT: Final = DAY_AT.replace("created_at", "COALESCE(created_at, created_at)")


def _counts(spans: Sequence[Span]) -> list[tuple[Any, ...]]:
    sql = COUNTS.format(spans=", ".join(["(%s, %s, %s)"] * len(spans)))
    parameters = [value for place, span in enumerate(spans) for value in (place, *_bounds(span))]
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        rows: list[tuple[Any, ...]] = cursor.fetchall()
        return rows


def _one(cursor: CursorWrapper, sql: str, span: Span, *more: int) -> Any:
    cursor.execute(sql, [*_bounds(span), *more])
    row = cursor.fetchone()
    return row[0] if row else None  # some may have been deleted since they were counted


def _bounds(span: Span) -> list[Any]:
    return [connection.ops.adapt_datetimefield_value(at) for at in (span.begin, span.end)]
