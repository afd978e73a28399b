"""A transcript as subtitles: SubRip (``.srt``) and WebVTT (``.vtt``)."""

from __future__ import annotations

import html
from collections.abc import Iterable, Iterator, Sequence

from pipeline.stt.base import Segment, Transcript

MAX_CHARS, MAX_S = 84, 7.0
"""Of what can be read at a time: two lines of 42 characters."""

PAUSE_S = 1.0
"""What comes after it is not shown before it."""

SENTENCE_ENDS = (".", "?", "!", "…", "。", "？", "！")

LEAST_MS = 1
"""What ends as it begins is not shown, and is no valid cue."""


def readable(transcript: Transcript) -> Sequence[Segment]:
    """The segments of ``transcript``, cut into what can be read at a time, between sentences where
    there is room: where it has the times of words, else as they are."""
    text, position = transcript.text, 0
    cut: list[Segment] = []
    begin: int | None = None  # of the next one, in `text`
    start = end = 0.0
    for word in transcript.words:
        first = text.find(word.text, position)
        if first < 0:  # it is written otherwise there
            return transcript.segments
        last = first + len(word.text)
        if begin is not None and (
            text[:position].rstrip().endswith(SENTENCE_ENDS)
            or last - begin > MAX_CHARS
            or word.end - start > MAX_S
            or word.start - end > PAUSE_S
        ):
            cut.append(Segment(start, end, text[begin:position].strip()))
            begin = None
        if begin is None:
            begin, start = first, word.start
        position, end = last, word.end
    if begin is not None:
        cut.append(Segment(start, end, text[begin:].strip()))
    return cut or transcript.segments


def srt(segments: Iterable[Segment]) -> str:
    """There is no standard; what all players read is told by
    https://www.matroska.org/technical/subtitles.html#srt-subtitles."""
    return "".join(
        f"{number}\n{start.replace('.', ',')} --> {end.replace('.', ',')}\n"
        # An arrow would pass for times.
        f"{text.replace('-->', '->')}\n\n"
        for number, (start, end, text) in enumerate(_cues(segments), start=1)
    )


def vtt(segments: Iterable[Segment]) -> str:
    """https://www.w3.org/TR/webvtt1/"""
    cues = (
        f"\n{start} --> {end}\n{html.escape(text, quote=False)}\n"
        for start, end, text in _cues(segments)
    )
    return "".join(["WEBVTT\n", *cues])


def _cues(segments: Iterable[Segment]) -> Iterator[tuple[str, str, str]]:
    """Start, end and text on one line: an empty one would end the cue."""
    for segment in segments:
        if text := " ".join(segment.text.split()):
            start_ms = round(segment.start * 1000)
            end_ms = max(round(segment.end * 1000), start_ms + LEAST_MS)
            yield _clock(start_ms), _clock(end_ms), text


def _clock(time_ms: int) -> str:
    """As ``01:02:03.456``."""
    seconds, milliseconds = divmod(time_ms, 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{seconds:02}.{milliseconds:03}"
