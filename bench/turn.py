"""Times of a turn on this machine, of these engines and of others with the same models.

``make bench`` writes ``bench/results/turn.json`` and the tables of the READMEs. Every figure is a
median over turns that follow a warm-up. Contenders are measured in one run, one after another and
each in a process of its own, because machines are noisy and only ratios travel.
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

from bench import contenders
from bench.recordings import recordings
from pipeline import prompts, turn
from pipeline.engines import Engines
from pipeline.llm.base import Message

ROUNDS = 12
RESULTS = Path(__file__).with_name("results")
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

    next(turn.events(questions[0], engines, language="fr", eager=True))  # warm-up
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
    figures: Figures = {stage: median(getattr(t.times, stage) for t in taken) for stage in STAGES}
    # Stages overlap: what is left when the speech of a reply waits for nothing but the stages.
    figures["overhead"] = median(
        t.times.total - t.times.stt - max(t.times.llm, t.times.tts) for t in taken
    )
    return figures


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
        deltas = engines.llm.reply(messages)
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


def resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", default=["embedded"], choices=contenders.CONTENDERS)
    parser.add_argument("--alone", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.alone:
        print(json.dumps(measured(options.names[0])))
        return
    figures: Figures = {"cores": os.cpu_count(), "turns": ROUNDS}
    for name in options.names:
        print(f"{name} …", file=sys.stderr)
        command = [sys.executable, "-m", "bench.turn", "--alone", name]
        ran = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        figures[name] = json.loads(ran.stdout.splitlines()[-1])
    RESULTS.mkdir(exist_ok=True)
    file = RESULTS / "turn.json"
    known = json.loads(file.read_text()) if file.exists() else {}
    file.write_text(json.dumps({**known, **figures}, indent=2) + "\n")
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
