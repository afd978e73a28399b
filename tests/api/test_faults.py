"""Whatever an engine does, a turn ends in an answer or in an error that has a name."""

from __future__ import annotations

import json
import random
from collections import Counter
from typing import Any

import pytest
from django.core.cache import caches
from django.test import Client
from pytest_django import Settings

from history.models import Turn
from pipeline import faults
from pipeline.audio import from_wav
from pipeline.engines import engines
from pipeline.errors import EngineError
from pipeline.llm import faulty as llm
from pipeline.stt import faulty as stt
from pipeline.tts import faulty as tts
from tests.api.conftest import Ask, tone
from tests.clock import Clock
from voicebot.profiles import REMEMBERING

TURNS = 200
TIMEOUT_S = 30.0

RAISED = {"fails": (502, "engine_failed"), "is unavailable": (503, "engine_unavailable")}
LATE = (504, "engine_timeout")
ANSWERS = {
    **RAISED,
    "is late": LATE,
    faults.HANGS: LATE,
    llm.STALLS: LATE,
    "hears nothing": (422, "no_speech"),
    "returns another sample rate": (200, ""),
    "returns too loud a sound": (200, ""),
}
FAILED = (502, "engine_failed")
OF_ALL = [*faults.RAISED, faults.HANGS]
EACH = [
    *(("stt", fault) for fault in [*OF_ALL, *stt.GARBAGE]),
    *(("llm", fault) for fault in [*OF_ALL, *llm.GARBAGE, llm.BREAKS, llm.STALLS, llm.MISCOUNTS]),
    *(("tts", fault) for fault in [*OF_ALL, *tts.GARBAGE]),
]


@pytest.fixture(autouse=True)
def nothing_remembered() -> None:
    caches["memory"].clear()


@pytest.fixture(autouse=True)
def what_hangs_takes_no_time(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(faults, "time", clock)


Faulty = stt.Faulty | llm.Faulty | tts.Faulty


def configured(**rates: float) -> dict[str, Any]:
    """Engines as a server has them, but that nobody waits for a slot: a lost one is seen."""
    return {
        role: {
            "BACKEND": REMEMBERING[role],
            "OPTIONS": {
                "engine": {
                    "BACKEND": f"pipeline.{role}.faulty.Faulty",
                    "OPTIONS": {
                        "engine": {
                            "BACKEND": f"pipeline.{role}.fake.Fake",
                            "OPTIONS": {"wait_s": 0, "timeout_s": TIMEOUT_S},
                        },
                        "rate": rates.get(role, 0),
                    },
                }
            },
        }
        for role in ("stt", "llm", "tts")
    }


def faulty(role: str) -> Faulty:
    engine: Any = engines[role]
    assert isinstance(engine.engine, Faulty)
    return engine.engine


@pytest.mark.django_db
@pytest.mark.parametrize(("role", "fault"), EACH, ids=[f"{role} {fault}" for role, fault in EACH])
def test_each_has_its_answer(ask: Ask, settings: Settings, role: str, fault: str) -> None:
    settings.ENGINES = configured(**{role: 1})
    faulty(role).faults._names = (fault,)
    response = ask()
    status, code = ANSWERS.get(fault, FAILED)
    assert response.status_code == status
    assert faulty(role).faults.drawn == {fault: 1}
    if code:
        problem = response.json()
        assert problem["code"] == code
        assert problem["detail"]
        assert "private" not in problem["detail"]
    else:
        assert from_wav(response.content).samples.any()
    faulty(role).faults.rate = 0
    assert ask(speed="1.1").status_code == 200


@pytest.mark.django_db
def test_a_turn_after_the_other(
    ask: Ask, client: Client, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    settings.ENGINES = configured(stt=0.15, llm=0.15, tts=0.15)
    settings.VOICEBOT_KEEP_UTTERANCES_DAYS = settings.VOICEBOT_KEEP_SPEECH_DAYS = 1
    lots = random.Random(1)
    conversation = client.post("/api/conversations/", {}).json()["id"]
    answers = []
    for number in range(TURNS):
        before = drawn()
        caplog.clear()
        accept = lots.choice(["audio/wav", "application/json", "text/event-stream", "audio/L16"])
        fields = {"speed": f"{lots.uniform(0.5, 2):.4f}"}  # it is said anew
        if lots.random() < 0.5:
            fields["conversation"] = conversation
        if lots.random() < 0.2:
            fields["cache"] = "off"
        recording = tone(0.2, peak=0.1 + number / 1_000)
        code = ended(ask(recording, headers={"Accept": accept}, **fields), accept)
        if drawn() == before:
            assert code == ""
        if code not in ("", "no_speech"):
            assert [record for record in caplog.records if record.exc_info], code
        answers.append(("conversation" in fields, code))

    codes = Counter(code for _told, code in answers)
    assert set(codes) == {"", "no_speech", "engine_failed", "engine_unavailable", "engine_timeout"}
    assert 0.4 * TURNS < codes[""] < 0.8 * TURNS
    for role in ("stt", "llm", "tts"):
        faulty(role).faults.rate = 0
    assert ended(ask(headers={"Accept": "application/json"}), "application/json") == ""

    kept = Turn.objects.order_by("created_at").exclude(conversation=None)
    assert [turn.code for turn in kept] == [code for told, code in answers if told]
    assert [turn.number for turn in kept] == list(range(1, len(kept) + 1))
    for turn in kept:
        assert bool(turn.transcript and turn.reply and turn.speech_bytes) or turn.code
        assert turn.status == 200 or turn.code


def drawn() -> int:
    return sum(faulty(role).faults.drawn.total() for role in ("stt", "llm", "tts"))


def ended(response: Any, accept: str) -> str:
    """The code of the error a turn ended in; empty when it was answered, and properly so."""
    if response.status_code != 200:
        problem = response.json()
        assert problem["detail"]
        return str(problem["code"])
    try:
        body = b"".join(response) if response.streaming else response.content
    except EngineError as exc:  # the server breaks the answer off
        assert accept == "audio/L16"
        return exc.code
    match accept:
        case "audio/wav":
            assert len(from_wav(body).samples)
        case "audio/L16":
            assert len(body)
        case "application/json":
            answer = json.loads(body)
            assert answer["transcript"]
            assert answer["reply"]
        case _:
            *_before, last = body.decode().strip().split("\n\n")
            name, data = last.split("\n")
            if name == "event: error":
                return str(json.loads(data.removeprefix("data: "))["code"])
            assert name == "event: done"
    return ""
