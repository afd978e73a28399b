"""Transcripts as OpenAI writes them."""

from __future__ import annotations

import zlib
from collections.abc import Collection
from math import ceil
from typing import Any, Final

from pipeline.stt.base import Segment, Task, Transcript
from pipeline.stt.openai_compatible import CODES

NAMES: Final = {code: name for name, code in CODES.items()}
"""Of languages, in English: what OpenAI calls them."""


def usage_json(duration: float) -> dict[str, Any]:
    return {"type": "duration", "seconds": ceil(duration)}


def brief_json(transcript: Transcript, duration: float) -> dict[str, Any]:
    """``duration`` of the recording, in seconds."""
    return {"text": transcript.text, "usage": usage_json(duration)}


def verbose_json(
    transcript: Transcript, duration: float, task: Task, granularities: Collection[str]
) -> dict[str, Any]:
    verbose = {
        "task": task,
        "language": NAMES.get(transcript.language, transcript.language),
        "duration": round(duration, 3),
        "text": transcript.text,
    }
    if "word" in granularities:
        verbose["words"] = [
            {"word": word.text, "start": round(word.start, 3), "end": round(word.end, 3)}
            for word in transcript.words
        ]
    if "segment" in granularities:
        verbose["segments"] = [
            _segment_json(place, segment) for place, segment in enumerate(transcript.segments)
        ]
    return {**verbose, "usage": usage_json(duration)}


def _segment_json(place: int, segment: Segment) -> dict[str, Any]:
    """Tokens are not told; it was always heard at temperature 0, from the beginning."""
    written = segment.text.encode()
    return {
        "id": place,
        "seek": 0,
        "start": round(segment.start, 3),
        "end": round(segment.end, 3),
        "text": segment.text,
        "tokens": [],
        "temperature": 0.0,
        "avg_logprob": segment.avg_logprob,
        # As Whisper takes it: https://github.com/openai/whisper, utils.compression_ratio
        "compression_ratio": len(written) / len(zlib.compress(written)),
        "no_speech_prob": segment.no_speech_prob,
    }
