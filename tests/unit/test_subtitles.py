"""Subtitles, as parsers that are not ours read them."""

from __future__ import annotations

from datetime import timedelta

import pytest
import srt as srt_parser
import webvtt

from pipeline.stt.base import Segment, Transcript, Word
from pipeline.subtitles import MAX_CHARS, readable, srt, vtt

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


def spoken(text: str, *, each_s: float = 0.4, pauses: dict[int, float] | None = None) -> Transcript:
    """``text`` word by word; ``pauses``: seconds before the word of that number."""
    words, now = [], 0.0
    for number, word in enumerate(text.split()):
        now += (pauses or {}).get(number, 0.0)
        words.append(Word(now, now + each_s, word))
        now += each_s
    return Transcript(text, "fr", (Segment(0.0, now, text),), tuple(words))


def test_long_segments_are_cut_between_sentences() -> None:
    cut = readable(spoken("Il fait beau. Où est-elle ? À la maison, dit-on."))
    assert [segment.text for segment in cut] == [
        "Il fait beau.",
        "Où est-elle ?",
        "À la maison, dit-on.",
    ]
    assert [round(segment.start, 1) for segment in cut] == [0.0, 1.2, 2.4]
    assert [round(segment.end, 1) for segment in cut] == [1.2, 2.4, 4.0]


def test_what_cannot_be_read_at_a_time_is_cut_between_words() -> None:
    cut = readable(spoken("mot " * 60, each_s=0.1))
    assert len(cut) == 3
    assert max(len(segment.text) for segment in cut) <= MAX_CHARS
    assert max(s.end - s.start for s in readable(spoken("mot " * 30, each_s=1.0))) <= 7
    assert [s.text for s in readable(spoken("un deux trois", pauses={2: 2.0}))] == [
        "un deux",
        "trois",
    ]


def test_words_that_are_written_without_blanks_keep_together() -> None:
    words = (
        Word(0.0, 0.5, "今日は"),
        Word(0.5, 1.0, "いい"),
        Word(1.0, 1.5, "天気。"),
        Word(1.5, 2.0, "ね"),
    )
    heard = Transcript("今日はいい天気。ね", "ja", (), words)
    assert [segment.text for segment in readable(heard)] == ["今日はいい天気。", "ね"]


def test_without_times_of_words_segments_stay_as_they_are() -> None:
    whole = (Segment(0.0, 9.0, "Il fait beau. Très beau."),)
    assert readable(Transcript("Il fait beau. Très beau.", "fr", whole)) == whole
    other = (Word(0.0, 1.0, "autre"),)
    assert readable(Transcript("Il fait beau.", "fr", whole, other)) == whole
