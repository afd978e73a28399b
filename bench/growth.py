"""How a turn grows: with the utterance, with the reply, and with how many ask at once.

``python -m bench.growth`` writes ``bench/results/growth.json`` and ``growth.svg``. The utterance
and the clients are those of the embedded profile; replies of any length come from bloomz-1b1 with
random weights, which never comes to an end of its own. Clients ask the same questions one after
another, once with both cores for one turn at a time, once with a core for each of two.
"""

from __future__ import annotations

import bench.setup  # noqa: F401 - first: it sets Django up

# isort: split
import json
import time
from concurrent.futures import ThreadPoolExecutor
from statistics import median
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib import pyplot

from bench import contenders, results
from bench.recordings import recordings
from bench.server import Server
from pipeline import turn
from pipeline.audio import SAMPLE_RATE, Audio, to_wav
from pipeline.engines import Engines
from pipeline.stt.base import Transcript

QUESTIONS_SAID = (1, 2, 4, 8, 12, 24)  # one after another, as one utterance
REPLIES_TOKENS = (5, 10, 20, 50, 100, 200)
CLIENTS = (1, 2, 4, 8)
ROUNDS = 3
QUESTIONS = 4  # of each client
TEXT = contenders.REPLY.split() * 8

SPLITS: dict[str, dict[str, str]] = {
    "both cores for one turn": {"VOICEBOT_THREADS": "2"},
    "a core for each of two": {
        "VOICEBOT_THREADS": "1",
        **{f"VOICEBOT_{role}_OPTIONS": json.dumps({"slots": 2}) for role in ("STT", "LLM", "TTS")},
    },
}


def by_utterance() -> dict[str, float]:
    """Seconds until what was said is known, by its length in seconds."""
    stt = Engines(contenders.CONTENDERS["embedded"]).bare.stt
    stt.warm_up()
    said = [recording.audio.samples for recording in recordings("questions")] * 2
    took_s = {}
    for number in QUESTIONS_SAID:
        utterance = Audio(np.concatenate(said[:number]), SAMPLE_RATE)
        took = []
        for _round in range(ROUNDS):
            started = time.monotonic()
            stt.transcribe(utterance, language="fr")
            took.append(time.monotonic() - started)
        took_s[f"{utterance.duration:.1f}"] = median(took)
    return took_s


def by_reply() -> dict[str, dict[str, float]]:
    """The reply alone, the first audio and the whole of it spoken, by its length in tokens."""
    contenders.prepare("standard")
    configured = contenders.CONTENDERS["standard"]
    written = {**configured["llm"]["OPTIONS"], "max_tokens": REPLIES_TOKENS[-1]}
    engines = Engines({**configured, "llm": {**configured["llm"], "OPTIONS": written}})
    for engine in (engines.llm, engines.tts):
        engine.warm_up()
    asked = Transcript("Quelle est la capitale de l'Italie ?", "fr")
    took_s: dict[str, dict[str, float]] = {}
    for length in REPLIES_TOKENS:
        contenders.REPLY = " ".join(TEXT[:length])
        taken = turn.take(turn.events(asked, engines, language="fr", eager=True))
        took_s[str(length)] = {
            stage: getattr(taken.times, stage) for stage in ("llm", "first_audio", "total")
        }
    return took_s


def by_clients(settings: dict[str, str]) -> dict[str, dict[str, float]]:
    """First audio and whole turn of each, and turns a minute of all, by how many ask at once."""
    uploads = [to_wav([question.audio]) for question in recordings("questions")[:QUESTIONS]]
    # All are let in: how long they wait is what is shown.
    with Server(VOICEBOT_MAX_WAIT_S="100", **settings) as server:
        server.ask(uploads[0], cache="off", stream="true")

        def client(number: int) -> list[tuple[float, float]]:
            answers = [
                server.ask(uploads[(number + k) % len(uploads)], cache="off", stream="true")
                for k in range(QUESTIONS)
            ]
            assert all(answer.status == 200 for answer in answers), answers[0].status
            return [(answer.first_s, answer.took_s) for answer in answers]

        grown: dict[str, dict[str, float]] = {}
        for number in CLIENTS:
            started = time.monotonic()
            with ThreadPoolExecutor(number) as pool:
                answers = [a for those in pool.map(client, range(number)) for a in those]
            took_s = time.monotonic() - started
            grown[str(number)] = {
                "first_audio": median(first for first, _took in answers),
                "total": median(took for _first, took in answers),
                "turns_a_minute": 60 * len(answers) / took_s,
            }
    return grown


def draw(figures: dict[str, Any]) -> None:
    mpl.rcParams["svg.hashsalt"] = "voicebot"  # the same figures make the same file
    picture, (heard, replied, asked) = pyplot.subplots(1, 3, figsize=(13, 4), layout="constrained")
    heard.plot([*map(float, figures["utterance"])], figures["utterance"].values(), "o-")
    heard.set(title="Heard", xlabel="utterance, s", ylabel="s")
    for stage, label in (
        ("llm", "reply written"),
        ("first_audio", "first audio"),
        ("total", "all of it spoken"),
    ):
        times_s = [took[stage] for took in figures["reply"].values()]
        replied.plot(REPLIES_TOKENS, times_s, "o-", label=label)
    replied.set(title="Replied, bloomz-1b1", xlabel="reply, tokens", ylabel="s")
    for split, grown in figures["clients"].items():
        times_s = [took["first_audio"] for took in grown.values()]
        asked.plot(CLIENTS, times_s, "o-", label=split)
    asked.set(title="First audio, embedded", xlabel="clients at once", ylabel="s")
    for axes in (heard, replied, asked):
        axes.set_ylim(bottom=0)
        axes.grid(alpha=0.3)
    replied.legend()
    asked.legend()
    picture.savefig(results.FOLDER / "growth.svg", metadata={"Date": None})


def main() -> None:
    figures = {
        "processor": results.processor(),
        "utterance": by_utterance(),
        "reply": by_reply(),
        "clients": {split: by_clients(settings) for split, settings in SPLITS.items()},
    }
    results.write("growth", figures)
    draw(figures)


if __name__ == "__main__":
    main()
