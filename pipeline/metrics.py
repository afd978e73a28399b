"""What is counted and timed, for Prometheus.

Labels hold names that the code knows (roles, engines, stages, codes of errors), never anything a
user sent: their number is bounded, and nothing private is in them. Each process counts for itself.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict
from functools import wraps
from typing import TYPE_CHECKING, Final, ParamSpec, cast

from prometheus_client import Counter, Gauge, Histogram

from pipeline.errors import ClientGone, PipelineError

if TYPE_CHECKING:
    from pipeline.turn import Done, Event

P = ParamSpec("P")

BUCKETS_S: Final = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 4, 8, 15, 30, 60, 120)
"""From a sentence found in the cache to the deadline of an engine."""

DONE, ABANDONED, BUG = "done", "abandoned", "internal_error"
"""Outcomes of a turn that are no code of ``pipeline.errors``."""

TURNS = Counter(
    "voicebot_turns", "Turns: done, abandoned by the client, or the error's code", ["outcome"]
)
PARTS = Counter(
    "voicebot_parts", "Transcripts and speech asked for without a turn", ["kind", "outcome"]
)
JOBS = Counter("voicebot_jobs", "Jobs: done, cancelled, or the error's code", ["outcome"])
STAGES = Histogram(
    "voicebot_turn_stage_seconds", "Time of a turn's stages", ["stage"], buckets=BUCKETS_S
)
WORK = Histogram(
    "voicebot_engine_work_seconds", "Time an engine held a slot", ["role"], buckets=BUCKETS_S
)
SLOTS = Gauge("voicebot_engine_slots", "Calls an engine runs at a time", ["role", "engine"])
SLOTS_IN_USE = Gauge("voicebot_engine_slots_in_use", "Calls that run now", ["role", "engine"])
WAITING = Gauge("voicebot_engine_waiting", "Calls that wait for a slot", ["role", "engine"])
CACHE = Counter(
    "voicebot_cache_lookups", "Results by where they came from: hit, miss, off", ["stage", "state"]
)
AUDIO = Counter(
    "voicebot_audio_seconds", "Audio that was listened to (in) or spoken (out)", ["direction"]
)


@contextmanager
def one_more(gauge: Gauge) -> Iterator[None]:
    """Counted in ``gauge`` meanwhile."""
    gauge.inc()
    try:
        yield
    finally:
        gauge.dec()


@contextmanager
def working(role: str, engine: str) -> Iterator[None]:
    """Around the work of an engine that has got its slot."""
    started = time.monotonic()
    try:
        with one_more(SLOTS_IN_USE.labels(role, engine)):
            yield
    finally:
        WORK.labels(role).observe(time.monotonic() - started)


def counted(
    turn: Callable[P, Generator[Event, None, None]],
) -> Callable[P, Generator[Event, None, None]]:
    """``turn``, whose outcome and times are counted whoever asks for it."""

    @wraps(turn)
    def counting(*args: P.args, **kwargs: P.kwargs) -> Generator[Event, None, None]:
        outcome = ABANDONED
        try:
            with closing(turn(*args, **kwargs)) as events:
                for event in events:
                    last = event
                    yield event
            outcome = DONE
        except ClientGone:
            raise
        except PipelineError as exc:
            outcome = exc.code
            raise
        except Exception:
            outcome = BUG
            raise
        finally:
            TURNS.labels(outcome).inc()
        for stage, seconds in asdict(cast("Done", last).turn.times).items():
            if seconds:  # a stage whose result was given took no part
                STAGES.labels(stage).observe(seconds)

    return counting
