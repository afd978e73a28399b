"""A turn as the pages of the admin tell it: what was said, and what became of it in each stage."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any

from django.urls import reverse
from django.utils.html import format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from cache import drawing
from console import timeline
from history import replay, sounds
from history.models import STAGES, Turn
from pipeline.audio import from_wav

Telling = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Told:
    """One stage of a turn."""

    name: str
    title: str
    engine: str
    weights: str
    identity: str  # all that is known of the engine, as JSON
    cache: str
    outbound: bool
    took: str
    bars: SafeString
    again: bool  # it can be run again from here


def told(row: Turn, *, may_listen: bool, whole_s: float | None = None) -> Telling:
    """What the templates show of ``row``, on a scale of ``whole_s`` seconds; its own by default."""
    return {
        "row": row,
        "stages": _stages(row, whole_s or timeline.span([row])),
        "total": timeline.seconds(row.total_s),
        "first_audio": timeline.seconds(row.first_audio_s),
        "utterance": player(row, "utterance") if may_listen else None,
        "speech": player(row, "speech") if may_listen else None,
        "options": json.dumps(row.options, ensure_ascii=False),
    }


def player(row: Turn, kind: str) -> SafeString | None:
    """None when there is nothing to be heard."""
    wav = sounds.utterance(row) if kind == "utterance" else sounds.speech(row)
    if wav is None:
        return None
    url = reverse(f"admin:history_turn_{kind}", args=[row.pk])
    return drawing.player(url, drawing.waveform(drawing.peaks(from_wav(wav).samples)))


def _stages(row: Turn, whole_s: float) -> list[Told]:
    titles = {"stt": _("Speech to text"), "llm": _("Reply"), "tts": _("Text to speech")}
    took = {"stt": row.stt_s, "llm": row.llm_s, "tts": row.tts_s}
    marks = {
        "llm": [] if row.llm_first_s is None else [timeline.heard_s(row) + row.llm_first_s],
        "tts": [] if row.first_audio_s is None else [row.first_audio_s],
    }
    bars, possible = timeline.bars(row), replay.possible(row)
    return [
        Told(
            name=stage,
            title=titles[stage],
            engine=getattr(row, f"{stage}_engine"),
            weights=row.engines.get(stage, {}).get("weights", ""),
            identity=json.dumps(row.engines.get(stage, {}), ensure_ascii=False, indent=1),
            cache=getattr(row, f"{stage}_cache"),
            outbound=getattr(row, f"{stage}_outbound"),
            took=timeline.seconds(took[stage]) if bars[stage] or took[stage] else "–",
            bars=timeline.drawn(
                [*(bars["decode"] + bars["wait"] if stage == "stt" else []), *bars[stage]],
                whole_s,
                marks.get(stage, []),
            ),
            again=stage in possible,
        )
        for stage in STAGES
    ]


def differences(former: str, latter: str) -> tuple[SafeString, SafeString]:
    """Both, with the words marked that the other has not."""
    words = former.split(), latter.split()
    sides: tuple[list[tuple[str, str]], list[tuple[str, str]]] = ([], [])
    for what, a, b, c, d in SequenceMatcher(None, *words, autojunk=False).get_opcodes():
        for side, tag, run in ((0, "del", words[0][a:b]), (1, "ins", words[1][c:d])):
            if run:
                sides[side].append(("span" if what == "equal" else tag, " ".join(run)))
    marked = [
        format_html_join(" ", "<{}>{}</{}>", ((tag, run, tag) for tag, run in side))
        for side in sides
    ]
    return marked[0], marked[1]
