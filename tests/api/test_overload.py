"""Who is not let in is told when to ask again; who is let in has a place until answered."""

from __future__ import annotations

import http.client
import json
import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.test.client import BOUNDARY, MULTIPART_CONTENT, encode_multipart
from pytest_django import Settings

from history.models import Turn
from pipeline import ahead, deadline
from pipeline.admission import Place, admission
from pipeline.engines import engines
from pipeline.llm.fake import Fake as FakeLanguageModel
from pipeline.pace import Size
from pipeline.stt.fake import Fake as FakeSpeechToText
from pipeline.tts.fake import Fake as FakeTextToSpeech
from tests.api import engines as doubles
from tests.api.conftest import Ask, tone
from tests.clock import Clock

pytestmark = pytest.mark.django_db(transaction=True)

Address = tuple[str, int]

SLOW = {role: f"pipeline.{role}.fake.Fake" for role in ("stt", "llm", "tts")}


@pytest.fixture(autouse=True)
def _nobody_is_left() -> Iterator[None]:
    admission.reset()
    yield
    until(lambda: len(admission) == 0)
    admission.reset()


def until(holds: Callable[[], bool]) -> None:
    give_up = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < give_up
        time.sleep(0.005)


@pytest.fixture
def somebody_else(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    """Who has just begun a turn that takes the processors for about a minute, in which no time
    passes."""
    settings.VOICEBOT_MAX_WAIT_S = 0
    now = time.monotonic()
    monkeypatch.setattr(admission, "_clock", lambda: now)
    for role in SLOW:
        monkeypatch.setattr(f"{SLOW[role]}.elsewhere", False)
    place = Place(admission)
    place.enter(engines, "stt", "llm", "tts", size=Size(chars=4_000))
    place.begin(here=True)
    yield place
    place.leave()


def slow(settings: Settings, role: str, takes_s: float) -> Any:
    entry = {"BACKEND": SLOW[role], "OPTIONS": {"takes_s": takes_s}}
    settings.ENGINES = {**settings.ENGINES, role: entry}
    return engines[role]


def assert_refused(response: Any) -> None:
    assert response.status_code == 503
    assert response["Content-Type"] == "application/json"
    wait_s = int(response["Retry-After"])
    assert 50 < wait_s < 70
    error = response.json().get("error", response.json())
    assert error["code"] == "engine_busy"
    assert str(wait_s) in error.get("detail", error.get("message"))


def test_a_turn_for_which_there_is_no_time(
    ask: Ask, somebody_else: Place, stt: FakeSpeechToText, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "api.turns")
    response = ask()
    assert_refused(response)
    assert set(response.json()) == {"detail", "code"}
    assert_refused(ask(headers={"accept": "text/event-stream"}))
    assert_refused(ask(stream="true"))
    assert not stt.heard
    assert "status=503" in caplog.text
    assert not Turn.objects.exists()  # a flood leaves no rows
    assert len(admission) == 1
    somebody_else.leave()
    assert ask().status_code == 200


def test_what_cannot_be_understood_is_told_so_all_the_same(ask: Ask, somebody_else: Place) -> None:
    assert ask(speed="fast").status_code == 400


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("audio/transcriptions", None),
        ("audio/translations", None),
        ("audio/speech", {"input": "Bonjour", "voice": "alloy"}),
        ("chat/completions", {"messages": [{"role": "user", "content": "Bonjour"}]}),
        (
            "chat/completions",
            {"messages": [{"role": "user", "content": "Bonjour"}], "stream": True},
        ),
    ],
)
def test_openais_shape(
    client: Client, somebody_else: Place, path: str, body: dict[str, Any] | None
) -> None:
    if body is None:
        file = SimpleUploadedFile("q.wav", tone(0.5))
        answer: Any = client.post(f"/v1/{path}", {"file": file, "model": "whisper-1"})
    else:
        body = {"model": "gpt-4o", **body}
        answer = client.post(f"/v1/{path}", body, content_type="application/json")
    assert_refused(answer)
    assert set(answer.json()) == {"error"}
    assert set(answer.json()["error"]) == {"message", "type", "param", "code"}


def test_health_is_told_all_the_while(client: Client, somebody_else: Place) -> None:
    assert client.get("/api/health/live").status_code == 200
    assert client.get("/api/voices/").status_code == 200


@pytest.mark.parametrize("fails", ["", "stt", "llm", "tts"])
def test_a_place_is_free_however_a_turn_ends(
    ask: Ask,
    fails: str,
    stt: FakeSpeechToText,
    llm: FakeLanguageModel,
    tts: FakeTextToSpeech,
) -> None:
    fakes: dict[str, Any] = {"stt": stt, "llm": llm, "tts": tts}
    for headers in ({}, {"accept": "text/event-stream"}, {"accept": "audio/L16"}):
        if fails:
            fakes[fails].script.enqueue(RuntimeError("private"))
        response: Any = ask(headers={"cache-control": "no-store", **headers})
        told = b"".join(response.streaming_content) if response.streaming else response.content
        response.close()
        assert told
        assert len(admission) == 0


def test_a_place_is_free_after_a_bug_of_ours(
    ask: Ask, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def bug(*args: object, **kwargs: object) -> None:
        raise MemoryError

    client.raise_request_exception = False
    monkeypatch.setattr("api.views.decode", bug)
    assert ask().status_code == 500
    assert len(admission) == 0


def test_what_is_said_is_predicted_for(ask: Ask, stt: FakeSpeechToText, monkeypatch: Any) -> None:
    sizes: list[Size] = []
    leave = Place.leave

    def leaving(place: Place) -> None:
        sizes.append(place.size)
        leave(place)

    monkeypatch.setattr(Place, "leave", leaving)
    ask(tone(2.5))
    assert sizes[0].sound_s == pytest.approx(2.5)


# --- time is up ---------------------------------------------------------------------------------


@pytest.mark.parametrize("role", ["stt", "llm", "tts"])
def test_a_turn_has_a_deadline_in_each_of_its_stages(
    client: Client, ask: Ask, settings: Settings, role: str
) -> None:
    settings.VOICEBOT_MAX_TURN_S = 0.3
    slow(settings, role, 60)
    response = ask(headers={"cache-control": "no-store"})
    assert response.status_code == 504
    assert response.json()["code"] == "engine_timeout"
    assert len(admission) == 0
    settings.VOICEBOT_MAX_TURN_S = 60
    slow(settings, role, 0)
    assert ask().status_code == 200


def test_the_deadline_is_that_of_the_turn_not_of_its_stages(ask: Ask, settings: Settings) -> None:
    settings.VOICEBOT_MAX_TURN_S = 0.5
    for role in ("stt", "llm", "tts"):
        slow(settings, role, 0.3)
    response = ask()
    assert response.status_code == 504
    assert response.json()["code"] == "engine_timeout"


def test_a_deadline_in_the_midst_of_a_stream(ask: Ask, settings: Settings, clock: Clock) -> None:
    entry = {"BACKEND": "tests.api.engines.Endless"}
    settings.ENGINES = {**settings.ENGINES, "llm": entry}
    response: Any = ask(headers={"accept": "text/event-stream"})
    assert response.status_code == 200
    clock.sleep(settings.VOICEBOT_MAX_TURN_S)
    told = b"".join(response.streaming_content).decode()
    assert "event: error" in told
    assert '"engine_timeout"' in told
    assert len(admission) == 0


def test_an_engine_that_hangs_costs_its_slot_and_nobody_an_answer(
    ask: Ask, client: Client, settings: Settings, monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> None:
    monkeypatch.setattr(ahead, "LOOK_S", 0.01)
    monkeypatch.setattr(deadline, "LOOK_S", 0.01)
    settings.ENGINES = {**settings.ENGINES, "llm": {"BACKEND": f"{doubles.__name__}.Gated"}}
    engines.warm_up()
    llm: Any = engines.llm

    def pass_time() -> None:
        llm.begun.wait(60)
        clock.sleep(settings.VOICEBOT_MAX_TURN_S + 2 * deadline.HANGS_S)

    later = threading.Thread(target=pass_time)
    later.start()
    answer = ask(headers={"cache-control": "no-store"})
    later.join()
    assert answer.status_code == 504
    assert answer.json()["code"] == "engine_timeout"
    assert len(admission) == 0
    ready = client.get("/api/health/ready")
    assert ready.status_code == 503
    assert ready.json()["status"] == "unavailable"
    hangs = {role: engine["hangs"] for role, engine in ready.json()["engines"].items()}
    assert hangs == {"stt": False, "llm": True, "tts": False}
    answer = ask(headers={"cache-control": "no-store"})
    assert answer.status_code == 503
    assert answer.json()["code"] == "engine_unavailable"
    assert len(admission) == 0
    llm.go_on.set()
    until(lambda: not llm.hangs)
    assert client.get("/api/health/ready").status_code == 200
    assert ask(headers={"cache-control": "no-store"}).status_code == 200


# --- a client that leaves -----------------------------------------------------------------------


def question(connection: http.client.HTTPConnection, sound_s: float = 0.5) -> None:
    form = encode_multipart(BOUNDARY, {"audio": SimpleUploadedFile("q.wav", tone(sound_s))})
    headers = {"Content-Type": MULTIPART_CONTENT, "X-Request-Id": "my-turn"}
    connection.request("POST", "/api/voice/", form, headers)


@pytest.mark.parametrize("role", ["stt", "llm", "tts"])
def test_who_leaves_frees_its_place(
    asgi_server: Address, settings: Settings, role: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "api.turns")
    slow(settings, role, 60)
    with closing(http.client.HTTPConnection(*asgi_server, timeout=60)) as connection:
        question(connection)
        until(lambda: len(admission) == 1 and admission._places[0].began is not None)
        time.sleep(0.05)
    until(lambda: len(admission) == 0)
    until(lambda: "status=499" in caplog.text)
    assert "code=client_gone" in caplog.text


def test_who_leaves_while_waiting(asgi_server: Address, settings: Settings) -> None:
    llm = slow(settings, "llm", 0)
    with llm._slot():
        with closing(http.client.HTTPConnection(*asgi_server, timeout=60)) as connection:
            question(connection)
            until(lambda: "stt" in admission._places[0].worked if len(admission) else False)
        until(lambda: len(admission) == 0)


def test_one_connection_for_many_questions(asgi_server: Address, settings: Settings) -> None:
    """Servers begin a request in the context of another one."""
    with closing(http.client.HTTPConnection(*asgi_server, timeout=60)) as connection:
        for _question in range(3):
            question(connection, 4.0)  # more than is read at once
            response = connection.getresponse()
            assert response.status == 200
            response.read()


def test_a_client_that_stays_is_answered_beside_one_that_leaves(
    asgi_server: Address, settings: Settings
) -> None:
    gated = {"BACKEND": f"{doubles.__name__}.Gated"}
    settings.ENGINES = {**settings.ENGINES, "llm": gated}
    llm: Any = engines.llm
    answers: list[int] = []

    def ask() -> None:
        with closing(http.client.HTTPConnection(*asgi_server, timeout=60)) as staying:
            question(staying)
            response = staying.getresponse()
            answers.append(response.status)
            json.loads(response.read()) if response.status != 200 else response.read()

    leaving = http.client.HTTPConnection(*asgi_server, timeout=60)
    question(leaving)
    assert llm.begun.wait(60)
    thread = threading.Thread(target=ask)
    thread.start()
    until(lambda: len(admission) == 2)
    leaving.close()
    llm.go_on.set()
    thread.join()
    assert answers == [200]
