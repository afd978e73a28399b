"""Times of a turn and of its stages on this machine.

``make bench`` prints a Markdown table and writes ``bench/results/turn.json``. Every figure is a
median over turns that follow a warm-up; before and after are measured in the same run, because
machines are noisy and only ratios travel.
"""

from __future__ import annotations

import bench.setup  # noqa: F401 - first: it sets Django up

# isort: split
import json
import os
import time
from itertools import count
from pathlib import Path
from statistics import median

from bench.recordings import recordings
from pipeline import prompts, turn
from pipeline.engines import engines
from pipeline.llm.base import Message

ROUNDS = 12
RESULTS = Path(__file__).with_name("results")


def first_delta_s(messages: tuple[Message, ...]) -> float:
    started = time.monotonic()
    deltas = engines.llm.reply(messages)
    next(deltas)
    took_s = time.monotonic() - started
    deltas.close()
    return took_s


def prefix() -> dict[str, float]:
    """First delta of the reply, the prompt's beginning known or not (in turn, same questions)."""
    fresh = count()
    known, unknown = [], []
    for recording in recordings("questions")[:ROUNDS]:
        asked = prompts.messages(recording.text, "fr")
        changed = Message("system", f"{next(fresh)}. {asked[0].text}")
        unknown.append(first_delta_s((changed, *asked[1:])))
        first_delta_s(prompts.messages("Bonjour.", "fr"))
        known.append(first_delta_s(asked))
    return {"prefix_known_s": median(known), "prefix_unknown_s": median(unknown)}


def main() -> None:
    started = time.monotonic()
    engines.warm_up()
    figures: dict[str, object] = {
        "cores": os.cpu_count(),
        "load_s": time.monotonic() - started,
    }

    def turns() -> list[turn.Turn]:
        return [
            turn.take(turn.events(question.audio, engines, language="fr"))
            for question in recordings("questions")[:ROUNDS]
        ]

    turns()[0]  # warm-up
    from cache.models import CachedSpeech

    CachedSpeech.objects.all().delete()
    fresh, repeated = turns(), turns()
    for name, taken in (("fresh", fresh), ("repeated", repeated)):
        figures[name] = {
            stage: median(getattr(t.times, stage) for t in taken)
            for stage in ("stt", "llm_first", "llm", "tts", "first_audio", "total")
        } | {"cache": sorted({t.cache for t in taken})}
    figures["utterance_s"] = median(q.audio.duration for q in recordings("questions")[:ROUNDS])
    figures["speech_s"] = median(t.duration for t in fresh)
    figures |= prefix()

    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "turn.json").write_text(json.dumps(figures, indent=2) + "\n")
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
