"""What it costs to read an upload in a process of its own.

``python -m bench.decoding`` writes ``bench/results/decoding.json``. Each upload is read in turn
here and in a child, alternately, because machines are noisy and only ratios travel.
"""

from __future__ import annotations

import bench.setup  # noqa: F401 - first: it sets Django up

# isort: split
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from bench.recordings import SPEECH, WHERE
from pipeline.audio import SAMPLE_RATE, Audio, decode, to_wav
from pipeline.decoding.client import decoder
from pipeline.decoding.samples import chunks

ROUNDS = 30
RESULTS = Path(__file__).with_name("results")


def timed(work: Callable[[], object]) -> float:
    """In milliseconds."""
    started = time.perf_counter()
    work()
    return 1000 * (time.perf_counter() - started)


def measured(upload: bytes) -> dict[str, float]:
    here, child = [], []
    for _round in range(ROUNDS):
        here.append(timed(lambda: np.concatenate(list(chunks(upload, 60)))))
        child.append(timed(lambda: decode(upload, max_duration=60)))
    added = [theirs - ours for ours, theirs in zip(here, child, strict=True)]
    return {
        "size_bytes": len(upload),
        "duration_s": round(decode(upload, max_duration=60).duration, 2),
        "here_ms": round(median(here), 2),
        "child_ms": round(median(child), 2),
        "ratio": round(median(child) / median(here), 2),
        "added_ms": round(median(added), 2),
        "added_p95_ms": round(sorted(added)[int(0.95 * ROUNDS)], 2),
    }


def main() -> None:
    folder = SPEECH / "questions"
    if not folder.is_dir():
        raise SystemExit(WHERE)
    uploads = {
        path.suffix.removeprefix("."): path.read_bytes()
        for path in sorted(folder.iterdir())
        if path.suffix in {".webm", ".ogg", ".m4a", ".mp3", ".flac", ".wav"}
    }
    nursery_ms = timed(decoder.start)
    voice = decode(uploads["wav"], max_duration=60)
    minute = np.resize(voice.samples, 60 * SAMPLE_RATE)
    uploads["wav of a minute"] = to_wav([Audio(minute, SAMPLE_RATE)])

    figures: dict[str, Any] = {
        "cores": os.cpu_count(),
        "rounds": ROUNDS,
        "nursery_ms": round(nursery_ms, 1),
        "cut_off_from": list(decoder.confined),
    }
    for name, upload in uploads.items():
        figures[name] = measured(upload)
        print(f"{name:16}", *(f"{key} {value:<8}" for key, value in figures[name].items()))
    worst = max(f["added_ms"] for f in figures.values() if isinstance(f, dict))
    print(f"nursery {nursery_ms:.0f} ms, once; a request costs at most {worst} ms more (median)")
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "decoding.json").write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
