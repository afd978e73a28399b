"""The dashboard: what the service does, at a glance.

One page of figures and charts; its tiles, of the last day alone, are on the first page of the admin
as well. It adds up what turns tell and shows nothing of what was said.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import urlencode

from django.conf import settings
from django.http import HttpRequest
from django.template.defaultfilters import filesizeformat
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format, number_format
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from console import charts, service
from console.charts import Series
from console.timeline import seconds
from history import figures
from history.figures import Figures, Span
from pipeline.memory import resident_bytes

PERIODS: Final = (7, 30, 90)
"""Days."""

USUAL: Final = 30

PERMISSION: Final = "history.view_turn"


@dataclass(frozen=True, slots=True)
class Tile:
    """A figure in large type."""

    name: str
    value: str
    about: str = ""
    url: str = ""
    alarming: bool = False


@dataclass(frozen=True, slots=True)
class Panel:
    """A chart, with the text around it."""

    title: str
    svg: SafeString
    top: str  # of the scale
    middle: str
    legend: Sequence[tuple[str, str]]  # class → name


def glance() -> Mapping[str, Any]:
    """The last 24 hours, for the first page."""
    now = timezone.now()
    [day] = figures.figures([Span(now - timedelta(days=1), now)])
    return {"tiles": _tiles(day, service.queue(service.told()))}


def context(request: HttpRequest) -> Mapping[str, Any]:
    """Of the page."""
    days = figures.figures(figures.last_days(_period(request)))
    whole = figures.together(days)
    engines = service.told()
    disk = service.disk()
    return {
        "title": _("Dashboard"),
        "period": len(days),
        "periods": [(n, ngettext("%(n)d day", "%(n)d days", n) % {"n": n}) for n in PERIODS],
        "tiles": _tiles(whole, service.queue(engines)),
        "panels": [_turns(days, whole), _first_audio(days, whole), _cache(days, whole)],
        "first_day": _name(days[0]),
        "last_day": _name(days[-1]),
        "errors": _errors(whole),
        "rows": [_row(day) for day in reversed(days) if day.turns],
        "engines": engines,
        "process_bytes": resident_bytes(),
        "disk": disk,
        "disk_bar": _disk_bar(disk),
        "retention": service.retention(),
        "cache_bytes": settings.VOICEBOT_CACHE_MAX_BYTES,
    }


def _period(request: HttpRequest) -> int:
    asked = request.GET.get("days", "")
    return next((days for days in PERIODS if str(days) == asked), USUAL)


# --- tiles ---------------------------------------------------------------------------------


def _tiles(whole: Figures, queue: service.Queue) -> list[Tile]:
    failed = whole.failed / whole.turns if whole.turns else None
    jobs = ngettext("%(count)d job", "%(count)d jobs", queue.jobs_running + queue.jobs_waiting)
    requests = ngettext("%(count)d request", "%(count)d requests", queue.requests)
    return [
        Tile(_("Turns"), _number(whole.turns), url=_turn_list(whole.span)),
        Tile(_("Time to first audio"), seconds(whole.median_s), _("median")),
        Tile(_("Slow answers"), seconds(whole.p95_s), _("95th percentile")),
        Tile(_("From the speech cache"), _percent(whole.hit_share)),
        Tile(
            _("Failed"),
            _percent(failed),
            _number(whole.failed),
            _turn_list(whole.span, error="any"),
            alarming=failed is not None and failed > 0.05,
        ),
        Tile(
            _("Waiting now"),
            _number(queue.waiting),
            f"{requests % {'count': queue.requests}} · "
            + jobs % {"count": queue.jobs_running + queue.jobs_waiting},
            alarming=queue.waiting > 0,
        ),
    ]


def _percent(share: float | None) -> str:
    """A tenth matters where there is little, and little is not nothing."""
    if share is None:
        return "–"
    if 0 < share < 0.001:
        return _("< 0.1 %")
    decimals = 1 if 0 < share < 0.1 else 0
    return _("%(share)s %%") % {"share": number_format(100 * share, decimals)}


def _number(count: int) -> str:
    return number_format(count, 0, force_grouping=True)


def _turn_list(span: Span, **filters: str) -> str:
    """The turns of it, in their list."""
    asked = {**filters, "created_at__gte": _iso(span.begin), "created_at__lt": _iso(span.end)}
    return f"{reverse('admin:history_turn_changelist')}?{urlencode(asked)}"


def _iso(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds")


# --- charts --------------------------------------------------------------------------------


def _turns(days: Sequence[Figures], whole: Figures) -> Panel:
    chart = charts.columns(
        [
            Series("answered", [day.turns - day.failed for day in days]),
            Series("failed", [day.failed for day in days]),
        ],
        [_about(day, _count(day)) for day in days],
        label=_count(whole),
    )
    return Panel(
        _("Turns a day"),
        chart.svg,
        _number(int(chart.top)),
        _number(int(chart.top / 2)),
        [("answered", _("answered")), ("failed", _("with an error"))],
    )


def _count(part: Figures) -> str:
    turns = ngettext("%(count)s turn", "%(count)s turns", part.turns)
    failed = ngettext("%(count)s failed", "%(count)s failed", part.failed)
    return ", ".join(
        text % {"count": _number(count)}
        for text, count in ((turns, part.turns), (failed, part.failed))
    )


def _first_audio(days: Sequence[Figures], whole: Figures) -> Panel:
    chart = charts.lines(
        [
            Series("p95", [day.p95_s for day in days]),
            Series("median", [day.median_s for day in days]),
        ],
        [_about(day, _delays(day)) for day in days],
        label=_delays(whole),
    )
    return Panel(
        _("Time to first audio"),
        chart.svg,
        _tick(chart.top),
        _tick(chart.top / 2),
        [("median", _("median")), ("p95", _("95th percentile"))],
    )


def _tick(value: float) -> str:
    """Seconds, with no more digits than there are."""
    decimals = len(f"{value:.3g}".partition(".")[2])
    return _("%(seconds)s s") % {"seconds": number_format(value, decimals)}


def _delays(part: Figures) -> str:
    values = {"median": seconds(part.median_s), "p95": seconds(part.p95_s)}
    return _("median %(median)s, 95th percentile %(p95)s") % values


def _cache(days: Sequence[Figures], whole: Figures) -> Panel:
    chart = charts.columns(
        [Series("hit", [day.hit_share for day in days])],
        [_about(day, _percent(day.hit_share)) for day in days],
        label=_percent(whole.hit_share),
        top=1.0,
    )
    return Panel(
        _("Turns spoken from the cache"),
        chart.svg,
        _percent(1.0),
        _percent(0.5),
        [("hit", _("share of those that are cached"))],
    )


def _about(day: Figures, told: str) -> str:
    return _labelled(_name(day), told)


def _labelled(what: str, told: str) -> str:
    return _("%(what)s: %(told)s") % {"what": what, "told": told}


def _name(day: Figures) -> str:
    return date_format(timezone.localtime(day.span.begin), "MONTH_DAY_FORMAT")


# --- lists ---------------------------------------------------------------------------------


def _errors(whole: Figures) -> list[Mapping[str, Any]]:
    """The most frequent first."""
    return [
        {
            "code": code,
            "count": _number(count),
            "share": _percent(count / whole.turns),
            "bar": charts.shares(
                [("failed", code, count), ("rest", "", whole.errors.most_common(1)[0][1] - count)]
            ),
            "url": _turn_list(whole.span, error=code),
        }
        for code, count in whole.errors.most_common()
    ]


def _row(day: Figures) -> Mapping[str, Any]:
    return {
        "day": date_format(timezone.localtime(day.span.begin), "SHORT_DATE_FORMAT"),
        "url": _turn_list(day.span),
        "turns": _number(day.turns),
        "failed": _number(day.failed),
        "median": seconds(day.median_s),
        "p95": seconds(day.p95_s),
        "hits": _percent(day.hit_share),
    }


def _disk_bar(disk: service.Disk) -> SafeString:
    return charts.shares(
        [
            (part.name, _labelled(part.title, filesizeformat(part.size_bytes)), part.size_bytes)
            for part in disk.parts
        ]
    )
