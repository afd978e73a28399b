"""How many replicas so many conversations want, by stage: ``python -m bench.scaling``.

Turns arrive at random, stages are queues with several servers (Erlang C: M/M/c), and what the cache
of speech finds is drawn from sentences whose popularity falls as Zipf has it. On paper: nothing of
voicebot runs.
"""

from __future__ import annotations

import argparse
import math
import random
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass

EVERY_S = 20.0  # between two turns of a conversation: listening, thinking, speaking
LATE_S = 0.25  # longer may one turn in twenty wait for a slot
LATE_SHARE = 0.05
CORES = 2  # that each replica has
EURO_AN_HOUR = 0.04  # of a core, rented

STAGES_S: Mapping[str, float] = {"stt": 0.33, "llm": 0.65, "tts": 1.2}
"""Of a turn on two cores, with the profile `embedded`: see docs/scaling.md."""


@dataclass(frozen=True)
class Stage:
    name: str
    replicas: int
    load: float  # replicas that are busy, on average
    wait_s: float  # on average
    late: float  # share of the turns that wait longer than LATE_S


def waiting(servers: int, load: float) -> float:
    """The share of calls that find all ``servers`` busy (Erlang C); ``load`` is in servers."""
    if load >= servers:
        return 1.0
    blocked = 1.0  # Erlang B, by its recursion, which no factorial overflows
    for busy in range(1, servers + 1):
        blocked = load * blocked / (busy + load * blocked)
    return servers * blocked / (servers - load * (1 - blocked))


def stage(name: str, turns_per_s: float, work_s: float) -> Stage:
    """The fewest replicas with which few turns are late."""
    load = turns_per_s * work_s
    replicas = max(1, math.ceil(load))
    while True:
        spare = replicas - load
        if spare > 0:
            share = waiting(replicas, load)
            late = share * math.exp(-spare * LATE_S / work_s)
            if late <= LATE_SHARE:
                return Stage(name, replicas, load, share * work_s / spare, late)
        replicas += 1


def hits(kept: int, known: int, exponent: float, drawn: int = 200_000) -> float:
    """The share of sentences found, where the ``kept`` last used of ``known`` ones are kept."""
    rng = random.Random(0)
    weights = [1 / rank**exponent for rank in range(1, known + 1)]
    cache: OrderedDict[int, None] = OrderedDict()
    found = 0
    for number, sentence in enumerate(rng.choices(range(known), weights, k=drawn)):
        if sentence in cache:
            found += number >= drawn // 2  # the first half fills it
            cache.move_to_end(sentence)
            continue
        cache[sentence] = None
        if len(cache) > kept:
            cache.popitem(last=False)
    return found / (drawn - drawn // 2)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for name, work_s in STAGES_S.items():
        parser.add_argument(f"--{name}-s", type=float, default=work_s, help="seconds of a turn")
    parser.add_argument("--hits", type=float, default=0.0, help="share of speech that is kept")
    options = parser.parse_args()
    print("| conversations | turns/s | stt | llm | tts | cores | €/h |")
    print("|---|---|---|---|---|---|---|")
    for conversations in (10, 1_000, 100_000):
        turns_per_s = conversations / EVERY_S
        stages = [
            stage("stt", turns_per_s, options.stt_s),
            stage("llm", turns_per_s, options.llm_s),
            stage("tts", turns_per_s * (1 - options.hits), options.tts_s),
        ]
        cores = CORES * sum(one.replicas for one in stages)
        told = " | ".join(f"{one.replicas} ({one.load / one.replicas:.0%})" for one in stages)
        euros = cores * EURO_AN_HOUR
        print(f"| {conversations:,} | {turns_per_s:,.1f} | {told} | {cores:,} | {euros:,.2f} |")
    print("\n| exponent | kept | found |\n|---|---|---|")
    for exponent in (0.8, 1.0, 1.2):
        for kept in (1_000, 10_000):
            print(f"| {exponent} | {kept:,} of 100,000 | {hits(kept, 100_000, exponent):.0%} |")


if __name__ == "__main__":
    main()
