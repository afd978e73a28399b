"""Charts of the dashboard: a column a day, drawn as SVG inside the page.

As ``cache.drawing`` draws; colours and sizes are in ``console/dashboard.css``. A chart is as wide
as there is room, so nothing is written in it: scale and days are text beside it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

STEP: Final = 10  # from day to day
BAR: Final = 7
HEIGHT: Final = 120


@dataclass(frozen=True, slots=True)
class Series:
    """A value a day; None: there is none."""

    name: str  # its class
    values: Sequence[float | None]


@dataclass(frozen=True, slots=True)
class Chart:
    svg: SafeString
    top: float  # of the scale, which begins at 0


def top_of(values: Iterable[float], least: float) -> float:
    """The top of a scale for ``values``: a round number, half of which is round, too."""
    highest = max([least, *values])
    power = 10.0 ** math.floor(math.log10(highest))
    return next(step * power for step in (1, 2, 4, 6, 8, 10) if step * power >= highest)


def columns(
    stacked: Sequence[Series], titles: Sequence[str], *, label: str, top: float | None = None
) -> Chart:
    """Bars; those of one day stand on each other. ``titles``: what is told of each day."""
    heights = [sum(value or 0 for value in day) for day in zip(*_values(stacked), strict=True)]
    top = top or top_of(heights, least=4)
    pieces = []
    for day in range(len(titles)):
        below = 0.0
        for series in stacked:
            if value := series.values[day]:
                tall = max(HEIGHT * value / top, 1.5)  # what is there is seen
                below += tall
                x, y = STEP * day + (STEP - BAR) / 2, HEIGHT - below
                pieces.append((series.name, f"{x:g}", f"{y:.1f}", BAR, f"{tall:.1f}"))
    bars = format_html_join("", '<rect class="{}" x="{}" y="{}" width="{}" height="{}"/>', pieces)
    return Chart(_drawn(bars, titles, label), top)


def lines(drawn: Sequence[Series], titles: Sequence[str], *, label: str) -> Chart:
    """A line each, which breaks off where there is no value; a day without neighbours is a dot."""
    known = [value for values in _values(drawn) for value in values if value is not None]
    top = top_of(known, least=0.1)
    pieces = []
    for series in drawn:
        alone, joined = "", ""
        for run in _runs(series.values):
            points = [f"{STEP * (day + 0.5):g} {HEIGHT * (1 - v / top):.1f}" for day, v in run]
            if len(points) == 1:
                alone += f"M{points[0]}h0"  # as large as its stroke is wide
            else:
                joined += "M" + "L".join(points)
        pieces += [(series.name, joined), (f"{series.name} alone", alone)]
    paths = format_html_join(
        "", '<path class="{}" d="{}"/>', [piece for piece in pieces if piece[1]]
    )
    return Chart(_drawn(paths, titles, label), top)


def _runs(values: Sequence[float | None]) -> list[list[tuple[int, float]]]:
    """Days that follow one another, each with its value."""
    runs: list[list[tuple[int, float]]] = [[]]
    for day, value in enumerate(values):
        if value is not None:
            runs[-1].append((day, value))
        elif runs[-1]:
            runs.append([])
    return [run for run in runs if run]


def _values(drawn: Sequence[Series]) -> list[Sequence[float | None]]:
    return [series.values for series in drawn]


def _drawn(content: SafeString, titles: Sequence[str], label: str) -> SafeString:
    width = STEP * len(titles)
    grid = "".join(f"M0 {HEIGHT * part:g}h{width}" for part in (0, 0.5, 1))
    days = format_html_join(
        "",
        '<rect class="day" x="{}" width="{}" height="{}"><title>{}</title></rect>',
        ((STEP * day, STEP, HEIGHT, title) for day, title in enumerate(titles)),
    )
    return format_html(
        '<svg class="chart" viewBox="0 0 {} {}" preserveAspectRatio="none" role="img"'
        ' aria-label="{}"><path class="grid" d="{}"/>{}{}</svg>',
        *(width, HEIGHT, label, grid, content, days),
    )


def shares(parts: Sequence[tuple[str, str, float]]) -> SafeString:
    """``parts`` (class, title, size) of one bar, side by side, in proportion."""
    scale = 1000 / (sum(size for _name, _title, size in parts) or 1)
    pieces, x = [], 0.0
    for name, title, size in parts:
        if size:
            pieces.append((name, f"{x:.1f}", f"{max(scale * size, 3):.1f}", title))
        x += scale * size
    return format_html(
        '<svg class="shares" viewBox="0 0 1000 10" preserveAspectRatio="none" aria-hidden="true">'
        "{}</svg>",
        format_html_join(
            "",
            '<rect class="{}" x="{}" width="{}" height="10"><title>{}</title></rect>',
            pieces,
        ),
    )
