"""Times of a turn on this machine, of these engines and of others with the same models.

``make bench`` writes ``bench/results/turn.json`` and the tables of ``docs/figures.md``. Every
figure is a median over turns that follow a warm-up. Contenders are measured in one run, one after
another and each in a process of its own, because machines are noisy and only ratios travel.
"""

from __future__ import annotations

import bench.setup  # noqa: F401 - first: it sets Django up

# isort: split
import argparse
import json
import os
import subprocess
import sys
import time
from itertools import count
from pathlib import Path
from statistics import median
from typing import Any

from bench import contenders, results
from bench.recordings import Recording, recordings
from bench.server import Server
from pipeline import prompts, turn
from pipeline.audio import to_wav
from pipeline.engines import Engines
from pipeline.llm.base import Message

ROUNDS = 12
STAGES = ("stt", "llm_first", "llm", "tts", "first_audio", "total")

Figures = dict[str, Any]


def measured(name: str) -> Figures:
    """What one contender takes."""
    contenders.prepare(name)
    engines = Engines(contenders.CONTENDERS[name])
    started = time.monotonic()
    engines.warm_up()
    figures: Figures = {"load_s": time.monotonic() - started}
    questions = [question.audio for question in recordings("questions")[:ROUNDS]]

    def turns() -> tuple[list[turn.Turn], list[float]]:
        taken, stalls = [], []
        for question in questions:
            player = Player()
            for event in turn.events(question, engines, language="fr", eager=True):
                match event:
                    case turn.Spoken():
                        player.add(event.speech.audio.duration)
                    case turn.Done():
                        taken.append(event.turn)
            stalls += player.stalls_s
        return taken, stalls

    turn.take(turn.events(questions[0], engines, language="fr", eager=True))  # warm-up
    fresh, stalls = turns()
    figures["fresh"] = medians(fresh)
    figures["stalls_s"] = stalls
    figures["utterance_s"] = median(question.duration for question in questions)
    figures["speech_s"] = median(t.duration for t in fresh)
    figures["memory_mb"] = resident_mb()
    if name == "embedded":
        figures["repeated"] = medians(turns()[0])
        figures |= prefix(engines)
    return figures


def medians(taken: list[turn.Turn]) -> Figures:
    return {stage: median(getattr(t.times, stage) for t in taken) for stage in STAGES}


class Player:
    """Plays speech against a clock, as a client does that starts with the first of it."""

    def __init__(self) -> None:
        self._ends: float | None = None
        self.stalls_s: list[float] = []

    def add(self, duration: float) -> None:
        now = time.monotonic()
        if self._ends is not None and now > self._ends:
            self.stalls_s.append(now - self._ends)
        self._ends = max(now, self._ends or now) + duration


def prefix(engines: Engines) -> dict[str, float]:
    """First delta of the reply, the prompt's beginning known or not (in turn, same questions)."""

    def first_delta_s(messages: tuple[Message, ...]) -> float:
        started = time.monotonic()
        deltas = engines.bare.llm.reply(messages)
        next(deltas)
        took_s = time.monotonic() - started
        deltas.close()
        return took_s

    fresh = count()
    known, unknown = [], []
    for recording in recordings("questions")[:ROUNDS]:
        asked = prompts.messages(recording.text, "fr")
        changed = Message("system", f"{next(fresh)}. {asked[0].text}")
        unknown.append(first_delta_s((changed, *asked[1:])))
        first_delta_s(prompts.messages("Bonjour.", "fr"))
        known.append(first_delta_s(asked))
    return {"prefix_known_s": median(known), "prefix_unknown_s": median(unknown)}


def over_http(questions: list[Recording]) -> Figures:
    """What the service adds to its stages, and what an answer takes that was given before.

    ``overhead_ms``: what a client waits less what the stages work, which together take the whole
    of the turn, or less than their sum where they overlap.
    """
    with Server() as server:
        server.ask(to_wav([questions[0].audio]))  # warm-up
        overhead, cached = [], []
        for question in questions:
            upload = to_wav([question.audio])
            fresh = server.ask(upload, cache="off")
            times_s = fresh.times_s
            worked_s = sum(times_s[stage] for stage in ("decode", "stt", "llm", "tts"))
            overhead.append(fresh.took_s - min(worked_s, times_s["total"]))
            server.ask(upload)
            cached.append(server.ask(upload).took_s)
    return {"overhead_ms": 1000 * median(overhead), "cached_ms": 1000 * median(cached)}


def resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", default=list(contenders.CONTENDERS))
    parser.add_argument("--alone", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.alone:
        print(json.dumps(measured(options.names[0])))
        return
    figures: Figures = {"processor": results.processor(), "turns": ROUNDS}
    for name in options.names:
        print(f"{name} …", file=sys.stderr)
        command = [sys.executable, "-m", "bench.turn", "--alone", name]
        ran = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        figures[name] = json.loads(ran.stdout.splitlines()[-1])
    figures["http"] = over_http(recordings("questions")[:ROUNDS])
    results.write("turn", figures)


if __name__ == "__main__":
    main()
