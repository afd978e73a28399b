"""What OpenAI's API costs over our own: ``/v1/chat/completions`` beside ``/api/voice/``.

The engines are fakes that work in no time, so that what is measured is what lies around them: the
same turn, from sound to sound, is asked for at both addresses in turn, whole and streamed.
``make bench`` writes ``bench/results/openai.json``.
"""

from __future__ import annotations

import bench.setup  # noqa: F401 - first: it sets Django up

# isort: split
import sys
import time
from base64 import b64encode
from collections.abc import Callable
from statistics import median

import numpy as np

from bench import results
from bench.server import Server
from bench.torture.service import FAKES
from pipeline.audio import SAMPLE_RATE, Audio, to_wav

ROUNDS, WARM_UP = 200, 10
QUESTION_S = 3.0

Ask = Callable[[], tuple[float, float]]
"""Asks, and tells when the first and the last byte of the answer came, in seconds."""


def question() -> bytes:
    time_s = np.arange(int(QUESTION_S * SAMPLE_RATE)) / SAMPLE_RATE
    tone = 0.5 * np.sin(2 * np.pi * 440 * time_s)
    return to_wav([Audio(tone.astype(np.float32), SAMPLE_RATE)])


def asking(server: Server, recording: bytes) -> dict[str, tuple[Ask, Ask]]:
    """Ours and OpenAI's way to ask for the same."""
    data = b64encode(recording).decode("ascii")
    part = {"type": "input_audio", "input_audio": {"data": data, "format": "wav"}}

    def ours(accept: str) -> Ask:
        return lambda: _timed(
            server,
            "/api/voice/",
            files={"audio": recording},
            data={"language": "fr"},
            headers={"Accept": accept},
        )

    def theirs(format: str, *, stream: bool) -> Ask:
        body = {
            "model": "gpt-4o-audio-preview",
            "modalities": ["text", "audio"],
            "audio": {"voice": "alloy", "format": format},
            "messages": [{"role": "user", "content": [part]}],
            "stream": stream,
            "language": "fr",
        }
        return lambda: _timed(server, "/v1/chat/completions", json=body)

    return {
        "whole": (ours("audio/wav"), theirs("wav", stream=False)),
        "streamed": (ours("text/event-stream"), theirs("pcm16", stream=True)),
    }


def _timed(server: Server, path: str, **request: object) -> tuple[float, float]:
    started = time.monotonic()
    with server.client.stream("POST", path, **request) as response:  # type: ignore[arg-type]
        pieces = response.iter_raw()
        next(pieces, b"")
        first_s = time.monotonic() - started
        for _piece in pieces:
            pass
    if not response.is_success:
        raise SystemExit(f"{path} answers {response.status_code}.")
    return first_s, time.monotonic() - started


def main() -> None:
    figures: dict[str, object] = {"processor": results.processor(), "turns": ROUNDS}
    with Server(**FAKES) as server:
        for name, ways in asking(server, question()).items():
            print(f"{name} …", file=sys.stderr)
            taken: list[list[tuple[float, float]]] = [[], []]
            for turn in range(WARM_UP + ROUNDS):
                for ask, times in zip(ways, taken, strict=True):
                    answered = ask()
                    if turn >= WARM_UP:
                        times.append(answered)
            (ours_first, ours), (theirs_first, theirs) = (
                [1000 * median(column) for column in zip(*times, strict=True)] for times in taken
            )
            figures[name] = {
                "ours_ms": ours,
                "openai_ms": theirs,
                "more_ms": theirs - ours,
                "ours_first_ms": ours_first,
                "openai_first_ms": theirs_first,
                "more_first_ms": theirs_first - ours_first,
            }
    results.write("openai", figures)


if __name__ == "__main__":
    main()
