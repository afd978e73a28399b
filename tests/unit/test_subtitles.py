"""Subtitles, as parsers that are not ours read them."""

from __future__ import annotations

from datetime import timedelta

import pytest
import srt as srt_parser
import webvtt

from pipeline.stt.base import Segment
from pipeline.subtitles import srt, vtt

SEGMENTS = [
    Segment(0.0, 1.5, "Bonjour à tous."),
    Segment(1.5, 59.9996, "Deux\n\nlignes"),  # rounded up, to a minute
    Segment(3599.5, 3601.25, "A --> B & <b>C</b>"),
    Segment(362_439.999, 362_441.0, "Après cent heures"),
]
TEXTS = ["Bonjour à tous.", "Deux lignes", "A --> B & <b>C</b>", "Après cent heures"]


def test_srt() -> None:
    cues = list(srt_parser.parse(srt(SEGMENTS)))
    assert [cue.index for cue in cues] == [1, 2, 3, 4]
    assert [cue.content for cue in cues] == [text.replace("-->", "->") for text in TEXTS]
    for cue, segment in zip(cues, SEGMENTS, strict=True):
        assert cue.start == timedelta(milliseconds=round(segment.start * 1000))
        assert cue.end == timedelta(milliseconds=round(segment.end * 1000))


def test_vtt() -> None:
    captions = webvtt.from_string(vtt(SEGMENTS)).captions
    assert [caption.raw_text for caption in captions] == [
        "Bonjour à tous.",
        "Deux lignes",
        "A --&gt; B &amp; &lt;b&gt;C&lt;/b&gt;",
        "Après cent heures",
    ]
    assert [(c.start_in_seconds, c.end_in_seconds) for c in captions] == [
        (0, 1),
        (1, 60),
        (3599, 3601),
        (362_439, 362_441),
    ]
    assert captions[3].start == "100:40:39.999"


@pytest.mark.parametrize("empty", [[], [Segment(0.0, 1.0, " \n ")]])
def test_nothing_to_show(empty: list[Segment]) -> None:
    assert srt(empty) == ""
    assert vtt(empty) == "WEBVTT\n"


def test_a_cue_of_no_time_is_shown_all_the_same() -> None:
    moment = [Segment(1.0, 1.0, "Oui.")]
    assert "00:00:01.000 --> 00:00:01.001" in vtt(moment)
    [cue] = srt_parser.parse(srt(moment))
    assert cue.end > cue.start
