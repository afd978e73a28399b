"""Where the time of a turn went, drawn to one scale: a row a stage, a bar a piece of its work.

As ``cache.drawing`` draws: SVG inside the page, colours and sizes from ``console/history.css``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.utils.formats import number_format
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from history.models import STAGES, Turn
from pipeline.turn import Stage

WIDTH, HEIGHT = 1000, 20
THINNEST = 2  # what took no time is seen as well


@dataclass(frozen=True, slots=True)
class Bar:
    """A piece of work, in seconds from the end of the upload."""

    start: float
    end: float
    what: str  # it was
    stage: str


def seconds(value: float | None) -> str:
    """As it is told, in the language of the page."""
    if value is None:
        return "–"
    return _("%(seconds)s s") % {"seconds": number_format(value, 2 if value < 10 else 1)}


def heard_s(row: Turn) -> float:
    """When it was; mostly it is this stage, the first one, that is waited for."""
    return row.decode_s + row.wait_s + row.stt_s


def bars(row: Turn) -> dict[Stage | str, list[Bar]]:
    """Stage → what was done. Decoding is there as ``decode``, waiting as ``wait``; a stage that was
    not gone through has none."""
    begun, heard = row.decode_s + row.wait_s, heard_s(row)
    written = min(heard + row.llm_s, max(row.total_s, heard))
    pieces = {
        "decode": [(0.0, row.decode_s, _("decoding"))],
        "wait": [(row.decode_s, begun, _("waiting for others"))],
        "stt": [(begun, heard, _("speech to text"))],
        "llm": [(heard, written, _("reply"))],
        "tts": [(s.start_s, s.end_s, s.text or _("speech")) for s in row.sentences.all()],
    }
    return {
        stage: [Bar(*piece, stage) for piece in done if piece[1] > piece[0]]
        for stage, done in pieces.items()
    }


def span(rows: Sequence[Turn]) -> float:
    """The longest of ``rows``, in seconds: what is compared has one scale."""
    return max([row.total_s for row in rows], default=0.0) or 1.0


def drawn(done: Sequence[Bar], whole_s: float, marks: Sequence[float]) -> SafeString:
    """``done`` on a line as long as ``whole_s``; ``marks`` are moments to be seen on it."""
    scale = WIDTH / whole_s

    def rect(bar: Bar) -> tuple[str, str, str, str]:
        width = max(THINNEST, scale * (bar.end - bar.start))
        times = _("%(start)s to %(end)s") % {"start": seconds(bar.start), "end": seconds(bar.end)}
        return bar.stage, f"{scale * bar.start:.1f}", f"{width:.1f}", f"{bar.what} ({times})"

    return format_html(
        '<svg class="timeline" viewBox="0 0 {} {}" preserveAspectRatio="none" role="img"'
        ' aria-label="{}">{}{}</svg>',
        WIDTH,
        HEIGHT,
        "; ".join(rect(bar)[-1] for bar in done),
        format_html_join(
            "",
            '<rect class="{}" x="{}" y="3" width="{}" height="14"><title>{}</title></rect>',
            map(rect, done),
        ),
        format_html_join(
            "", '<path d="M{} 0v{}"/>', ((f"{scale * mark:.1f}", HEIGHT) for mark in marks)
        ),
    )


def strip(row: Turn) -> SafeString:
    """The stages one after another, for a list: how long each took of ``row``."""
    parts = [row.decode_s, row.wait_s, row.stt_s, row.llm_s, row.tts_s]
    scale = WIDTH / (sum(parts) or 1.0)
    pieces, x = [], 0.0
    for name, took in zip(("decode", "wait", *STAGES), parts, strict=True):
        if took:
            pieces.append((name, f"{x:.1f}", f"{scale * took:.1f}", f"{name} {seconds(took)}"))
        x += scale * took
    return format_html(
        '<svg class="strip" viewBox="0 0 {} {}" preserveAspectRatio="none" aria-hidden="true">'
        "{}</svg>",
        WIDTH,
        HEIGHT,
        format_html_join(
            "",
            '<rect class="{}" x="{}" width="{}" height="20"><title>{}</title></rect>',
            pieces,
        ),
    )
