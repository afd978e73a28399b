"""What a cluster costs a turn, and what replicas add.

``.venv-cluster/bin/python -m bench.cluster`` writes ``bench/results/cluster.json``. A cluster of
this machine alone runs the engines of the profile ``embedded`` once more, beside those of this
process, then engines that sleep instead of computing, since there are few cores. Turns are taken
here and there in alternation, as machines are noisy.
"""

from __future__ import annotations

import os

# The cluster's own processes have what engines leave of two cores.
os.environ["VOICEBOT_THREADS"] = "1"

import bench.setup  # noqa: F401 - first: it sets Django up

# isort: split
import logging
import secrets
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from statistics import median, quantiles
from typing import Any, cast

from django.test import override_settings

from bench import results
from bench.recordings import recordings
from pipeline import turn
from pipeline.audio import Audio
from pipeline.engines import Engines
from pipeline.ray.client import Distant
from pipeline.tts.base import TextToSpeech
from voicebot.profiles import DISTANT, PROFILES

ROOT = Path(__file__).resolve().parent.parent
REAL_ROUNDS, SLEEPING_TURNS = 3, 25
WORK_S, SPAN_S = 0.2, 6.0
REPLICAS = (1, 2, 4)
ASKING = 3  # callers for each replica: one is served, others wait

SLEEPING: dict[str, dict[str, Any]] = {
    "stt": {"BACKEND": "tests.cluster.engines.Listens", "OPTIONS": {"work_s": 0.15}},
    "llm": {"BACKEND": "tests.cluster.engines.Writes", "OPTIONS": {"work_s": 0.02}},
    "tts": {"BACKEND": "tests.cluster.engines.Speaks", "OPTIONS": {"work_s": WORK_S}},
}

Entries = Mapping[str, Mapping[str, Any]]


@contextmanager
def cluster() -> Iterator[None]:
    token = Path(os.environ["VOICEBOT_DATA_DIR"], "ray_token")
    token.write_text(secrets.token_hex(32))
    # Before Ray is imported; nodes and replicas inherit it all.
    os.environ |= {
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN_PATH": str(token),
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_ENABLE_AUTO_CONNECT": "0",
        "PYTHONPATH": str(ROOT),
    }
    import ray
    from ray.cluster_utils import Cluster

    node = {
        "num_cpus": 32,  # that are not there: most replicas sleep
        "node_ip_address": "127.0.0.2",
        "object_store_memory": 200_000_000,
        "include_dashboard": False,
    }
    running = Cluster(initialize_head=True, head_node_args=node)
    try:
        with override_settings(VOICEBOT_RAY_ADDRESS=running.address):
            yield
    finally:
        logging.getLogger("ray.serve").setLevel(logging.CRITICAL)  # handles miss the cluster
        ray.shutdown()
        running.shutdown()


def distant(entries: Entries, **replicas: float) -> dict[str, Any]:
    return {
        role: {"BACKEND": DISTANT[role], "OPTIONS": {"engine": entry, "replicas": replicas}}
        for role, entry in entries.items()
    }


def speaking(replicas: int) -> dict[str, Any]:
    """As many that speak; the application is another than those of other numbers."""
    entry = {**SLEEPING["tts"], "OPTIONS": {"work_s": WORK_S, "wait_s": 30.0 + replicas}}
    return distant({"tts": entry}, min=replicas, max=replicas, cpus=0.1)


def first_audio_s(engines: Engines, question: Audio) -> float:
    """Until a client has something to play."""
    started = time.monotonic()
    for event in turn.events(question, engines, language="fr"):
        if isinstance(event, turn.Spoken):
            took_s = time.monotonic() - started
            break
    else:
        raise RuntimeError("nothing was said")
    return took_s


def compared(here: Engines, there: Engines, questions: list[Audio]) -> dict[str, Any]:
    both = {"here": here, "there": there}
    for engines in both.values():
        engines.warm_up()
        turn.take(turn.events(questions[0], engines, language="fr"))
    took_s: dict[str, list[float]] = {"here": [], "there": []}
    for number, question in enumerate(questions):
        for place in sorted(both, reverse=bool(number % 2)):
            took_s[place].append(first_audio_s(both[place], question))
    more_s = [there - here for here, there in zip(took_s["here"], took_s["there"], strict=True)]
    return {
        "turns": len(questions),
        "here_s": median(took_s["here"]),
        "there_s": median(took_s["there"]),
        "more_ms": 1_000 * median(more_s),
        "more_ms_quartiles": [1_000 * each for each in quantiles(more_s, n=4)],
    }


def sentences_a_second(tts: TextToSpeech, replicas: int) -> float:
    """Of callers that ask all the while, of whom some always wait."""
    tts.warm_up()
    until = time.monotonic() + SPAN_S
    done, lock = [0], threading.Lock()

    def ask() -> None:
        while time.monotonic() < until:
            list(tts.synthesize("Bonjour."))
            with lock:
                done[0] += time.monotonic() < until

    with ThreadPoolExecutor(ASKING * replicas) as pool:
        for call in [pool.submit(ask) for _caller in range(ASKING * replicas)]:
            call.result()
    return done[0] / SPAN_S


def main() -> None:
    with cluster():
        from pipeline.ray import deploy

        def deployed(entries: Entries) -> Engines:
            chosen = Engines(entries)
            list(deploy.deploy([cast("Distant[Any]", chosen[role]) for role in entries]))
            return chosen

        questions = [recording.audio for recording in recordings("questions")]
        figures: dict[str, Any] = {"processor": results.processor()}
        figures["embedded"] = compared(
            Engines(PROFILES["embedded"]),
            deployed(distant(PROFILES["embedded"], cpus=1)),
            questions * REAL_ROUNDS,
        )
        figures["sleeping"] = compared(
            Engines(SLEEPING),
            deployed(distant(SLEEPING, cpus=0.1)),
            questions[:1] * SLEEPING_TURNS,
        )
        rates = {n: sentences_a_second(deployed(speaking(n)).tts, n) for n in REPLICAS}
        figures["sentences_a_second"] = rates
        figures["of_linear"] = {n: rate / (n * rates[1]) for n, rate in rates.items()}
        figures["of_what_sleep_allows"] = {n: rate * WORK_S / n for n, rate in rates.items()}
    results.write("cluster", figures)


if __name__ == "__main__":
    main()
