"""Where nobody speaks nothing is heard, and where somebody does, it is."""

from __future__ import annotations

import os
import time
from collections import Counter
from pathlib import Path
from statistics import median
from typing import Final

import numpy as np

from bench.recordings import Recording, recordings
from bench.torture.report import Report
from bench.torture.sounds import DURATIONS, KINDS, clip
from pipeline.audio import SAMPLE_RATE, Audio
from pipeline.engines import engines
from pipeline.errors import NoSpeech
from pipeline.stt.base import SpeechToText
from pipeline.stt.listening import repeats

CLIPS: Final = int(os.environ.get("CLIPS", "420"))
INVENTED, REJECTED, SLOWER = 0.02, 0.01, 2.0


def run(report: Report, folder: Path, seed: int) -> None:
    stt = engines.bare.stt
    stt.warm_up()
    spoken = [recording for name in ("fr", "questions") for recording in recordings(name)]
    texts = {recording.name: heard(stt, recording.audio)[0] for recording in spoken}
    usual_s = {duration: usual(stt, spoken, duration) for duration in DURATIONS}
    invented, worst, of_kind = [], (0.0, ""), Counter[str]()
    for number in range(CLIPS):
        kind, audio = clip(seed, number)
        text, took_s = heard(stt, audio)
        worst = max(worst, (took_s / usual_s[audio.duration], f"{kind} of {audio.duration:g} s"))
        of_kind[kind] += bool(text)
        if text:
            invented.append(text)
    rejected = [name for name, text in texts.items() if not text]
    looped = [text for text in [*texts.values(), *invented] if repeats(text)]
    report.figure("clips", CLIPS)
    report.figure("clips_seed", seed)
    report.figure("clips_of_a_kind", CLIPS // len(KINDS))
    report.figure("invented", len(invented))
    report.figure("invented_of_kinds", +of_kind)
    report.figure("invented_texts", invented)
    report.figure("recordings", len(spoken))
    report.figure("recordings_rejected", rejected)
    report.figure("looped", looped)
    report.figure("usual_s", {f"{k:g}": round(v, 2) for k, v in usual_s.items()})
    report.figure("worst_clip_over_usual", round(worst[0], 2))
    report.figure("worst_clip", worst[1])
    report.claim("at most 2 % of the clips give a transcript", len(invented) <= INVENTED * CLIPS)
    report.claim("at most 1 % of speech is rejected", len(rejected) <= REJECTED * len(spoken))
    report.claim("no phrase is heard four times running", not looped)
    report.claim("no clip takes twice the time of speech of its length", worst[0] <= SLOWER)


def heard(stt: SpeechToText, audio: Audio) -> tuple[str, float]:
    """The transcript, empty for none, and the seconds it took."""
    started = time.monotonic()
    try:
        text = stt.transcribe(audio, language="fr").text
    except NoSpeech:
        text = ""
    return text, time.monotonic() - started


def usual(stt: SpeechToText, spoken: list[Recording], duration: float) -> float:
    """What speech of ``duration`` takes, in seconds; the median of nine times."""
    size = int(duration * SAMPLE_RATE)
    samples = [recording.audio.resampled(SAMPLE_RATE).samples for recording in spoken]
    times = []
    for turn in range(9):
        first = 8 * turn % len(samples)
        speech = np.concatenate(samples[first:] + samples[:first])[:size]
        times.append(heard(stt, Audio(speech, SAMPLE_RATE))[1])
    return median(times)
