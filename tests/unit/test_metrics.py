"""Turns are counted and timed, whoever asks for them and however many at once."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import numpy as np
import pytest
from prometheus_client import REGISTRY

from pipeline.audio import Audio
from pipeline.base import Deadline
from pipeline.engines import Engines
from pipeline.errors import EngineBusy, NoSpeech
from pipeline.stt import fake
from pipeline.stt.base import Transcript, Wanted
from pipeline.turn import events, take

SECOND = Audio(np.full(16_000, 0.5, np.float32), 16_000)
SILENCE = Audio(np.zeros(16_000, np.float32), 16_000)


class Slow(fake.Fake):
    """Works until a test lets it go on."""

    def __init__(self, *, slots: int = 2, wait_s: float = 30) -> None:
        super().__init__(slots=slots, wait_s=wait_s)
        self.begun = threading.Semaphore(0)
        self.go_on = threading.Event()

    def _transcribe(self, audio: Audio, wanted: Wanted, deadline: Deadline) -> Transcript:
        self.begun.release()
        assert self.go_on.wait(timeout=60)
        return super()._transcribe(audio, wanted, deadline)


def engines(stt: str = "pipeline.stt.fake.Fake", **options: object) -> Engines:
    return Engines(
        {
            "stt": {"BACKEND": stt, "OPTIONS": options},
            "llm": {"BACKEND": "pipeline.llm.fake.Fake"},
            "tts": {"BACKEND": "pipeline.tts.fake.Fake", "OPTIONS": {"slots": 4}},
        }
    )


class Since:
    """Values of the metrics since this was made."""

    def __init__(self) -> None:
        self._before = self._values()

    def __getitem__(self, name: str) -> float:
        """``name`` as it is scraped: ``voicebot_turns_total{outcome="done"}``."""
        return self._values().get(name, 0.0) - self._before.get(name, 0.0)

    @staticmethod
    def _values() -> Mapping[str, float]:
        values = {}
        for family in REGISTRY.collect():
            for sample in family.samples:
                labels = ",".join(f'{key}="{value}"' for key, value in sample.labels.items())
                values[sample.name + (f"{{{labels}}}" if labels else "")] = sample.value
        return values


@pytest.fixture
def since() -> Since:
    return Since()


def outcome(name: str) -> str:
    return f'voicebot_turns_total{{outcome="{name}"}}'


def test_a_turn(since: Since) -> None:
    turn = take(events(SECOND, engines()))
    assert since[outcome("done")] == 1
    for stage in ("stt", "llm", "llm_first", "tts", "first_audio", "total"):
        assert since[f'voicebot_turn_stage_seconds_count{{stage="{stage}"}}'] == 1
        measured = since[f'voicebot_turn_stage_seconds_sum{{stage="{stage}"}}']
        assert measured == pytest.approx(getattr(turn.times, stage))
    assert since['voicebot_audio_seconds_total{direction="in"}'] == 1
    assert since['voicebot_audio_seconds_total{direction="out"}'] == pytest.approx(turn.duration)
    assert since['voicebot_cache_lookups_total{stage="tts",state="off"}'] == len(turn.speeches)
    for role in ("stt", "llm", "tts"):
        assert since[f'voicebot_engine_work_seconds_count{{role="{role}"}}'] >= 1


def test_what_goes_wrong(since: Since) -> None:
    with pytest.raises(NoSpeech):
        take(events(SILENCE, engines()))
    assert since[outcome("no_speech")] == 1
    turn = events(SECOND, engines())
    next(turn)
    with pytest.raises(MemoryError):
        turn.throw(MemoryError())
    assert since[outcome("internal_error")] == 1
    assert since[outcome("done")] == 0


def test_a_client_that_leaves(since: Since) -> None:
    with closing(events(SECOND, engines())) as turn:
        next(turn)
    assert since[outcome("abandoned")] == 1


def test_turns_of_many_threads(since: Since) -> None:
    shared = engines(f"{__name__}.Slow", slots=2)
    stt = shared.stt
    assert isinstance(stt, Slow)
    in_use = 'voicebot_engine_slots_in_use{role="stt",engine="Slow"}'
    waiting = 'voicebot_engine_waiting{role="stt",engine="Slow"}'
    with ThreadPoolExecutor(8) as pool:
        turns = [pool.submit(take, events(SECOND, shared)) for _ in range(8)]
        assert stt.begun.acquire(timeout=60)
        assert stt.begun.acquire(timeout=60)
        while since[waiting] < 6:
            pass
        assert since[in_use] == 2
        stt.go_on.set()
        for turn in turns:
            turn.result(timeout=60)
    assert since['voicebot_engine_slots{role="stt",engine="Slow"}'] == 2
    assert (since[in_use], since[waiting]) == (0, 0)
    assert since[outcome("done")] == 8
    assert since['voicebot_engine_work_seconds_count{role="stt"}'] == 8
    assert since['voicebot_turn_stage_seconds_bucket{stage="total",le="+Inf"}'] == 8


def test_who_waits_in_vain(since: Since) -> None:
    shared = engines(f"{__name__}.Slow", slots=1, wait_s=0.01)
    stt = shared.stt
    assert isinstance(stt, Slow)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(take, events(SECOND, shared))
        assert stt.begun.acquire(timeout=60)
        with pytest.raises(EngineBusy):
            take(events(SECOND, shared))
        stt.go_on.set()
        first.result(timeout=60)
    assert since[outcome("engine_busy")] == 1
    assert since['voicebot_engine_waiting{role="stt",engine="Slow"}'] == 0
