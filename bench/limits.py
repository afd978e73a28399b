"""How far the slow stages are from what this machine could do at best.

``python -m bench.limits`` writes ``bench/results/limits.json``. Writing a reply reads all weights
once a token: its limit is the memory's bandwidth. Hearing is multiplying matrices: its limit is the
rate of that, measured with the fastest multiplication at hand, in float32 and in int8.
"""

from __future__ import annotations

import bench.setup  # noqa: F401 - first: it sets Django up

# isort: split
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np
import torch

from bench import contenders, results
from bench.recordings import recordings
from pipeline import prompts
from pipeline.engines import Engines
from pipeline.stt import faster_whisper
from pipeline.stt.faster_whisper import FasterWhisper

ROUNDS = 7
TOKENS = 40
WINDOW_S = 10


def fastest_s(work: Callable[[], object]) -> float:
    """A limit is the best that was seen."""
    took = []
    for _round in range(ROUNDS):
        started = time.perf_counter()
        work()
        took.append(time.perf_counter() - started)
    return min(took)


def bandwidth_gb_s() -> float:
    """Reading memory with every core, more of it than any cache holds."""
    memory = torch.ones(2**29, dtype=torch.float32)  # 2 GiB
    return memory.nbytes / fastest_s(lambda: memory.sum()) / 1e9


def multiplications_gflop_s(dtype: torch.dtype) -> float:
    side = 2048
    if dtype == torch.int8:
        left = torch.randint(-9, 9, (side, side), dtype=dtype)
        took_s = fastest_s(lambda: torch._int_mm(left, left))
    else:
        square = torch.rand(side, side, dtype=dtype)
        took_s = fastest_s(lambda: square @ square)
    return 2 * side**3 / took_s / 1e9


def decoding(engines: Engines) -> dict[str, float]:
    """Tokens after the first one, and the weights that are read for them."""
    weights = Path(contenders.GGUF)
    asked = prompts.messages("Quelle est la capitale de l'Italie ?", "fr")
    rates = []
    for _round in range(ROUNDS):
        deltas = engines.llm.reply(asked)
        next(deltas)
        started = time.perf_counter()
        number = sum(1 for _delta, _number in zip(deltas, range(TOKENS), strict=False))
        rates.append(number / (time.perf_counter() - started))
        deltas.close()
    rate = median(rates)
    return {"tokens_s": rate, "read_gb_s": rate * weights.stat().st_size / 1e9}


def encoding(stt: FasterWhisper) -> dict[str, float]:
    """Whisper medium's encoder over a window of ``WINDOW_S``."""
    samples = np.resize(recordings("questions")[0].audio.samples, 2 * 16_000)
    features = stt._model.feature_extractor(samples)
    filled = faster_whisper._filled(features, WINDOW_S)
    took_s = fastest_s(lambda: np.asarray(stt._model.encode(filled)))
    width, layers, frames = 1024, 24, WINDOW_S * 50
    each_layer = 2 * frames * 12 * width**2 + 4 * frames**2 * width  # matrices, attention
    convolutions = 2 * 3 * (2 * frames * 80 * width + frames * width**2)
    return {"took_s": took_s, "gflop_s": (layers * each_layer + convolutions) / took_s / 1e9}


def main() -> None:
    contenders.prepare("standard")
    engines = Engines(contenders.CONTENDERS["standard"])
    stt = engines.stt
    assert isinstance(stt, FasterWhisper)
    for engine in (stt, engines.llm):
        engine.warm_up()
    limits = {
        "bandwidth_gb_s": bandwidth_gb_s(),
        "float32_gflop_s": multiplications_gflop_s(torch.float32),
        "int8_gflop_s": multiplications_gflop_s(torch.int8),
    }
    decoded, encoded = decoding(engines), encoding(stt)
    shares = {
        "decoding_of_bandwidth": decoded["read_gb_s"] / limits["bandwidth_gb_s"],
        "encoding_of_int8": encoded["gflop_s"] / limits["int8_gflop_s"],
        "encoding_of_float32": encoded["gflop_s"] / limits["float32_gflop_s"],
    }
    figures = {"processor": results.processor(), **limits, "decoding": decoded}
    results.write("limits", {**figures, "encoding": encoded, "shares": shares})


if __name__ == "__main__":
    main()
