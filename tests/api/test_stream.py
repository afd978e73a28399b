"""The answer as it is spoken: in each format, from its first chunk to a client that leaves."""

from __future__ import annotations

import http.client
import io
import json
import logging
from base64 import b64decode
from collections.abc import Iterator
from contextlib import closing
from typing import Any, NamedTuple, cast
from urllib.parse import unquote

import av
import numpy as np
import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.http import StreamingHttpResponse
from django.test import Client
from django.test.client import BOUNDARY, MULTIPART_CONTENT, encode_multipart
from pytest_django import Settings
from pytest_django.live_server_helper import LiveServer

from api.exceptions import InternalError, Problem
from pipeline.audio import Audio, from_wav, open_wav
from pipeline.engines import engines
from pipeline.errors import EngineBusy
from pipeline.llm.fake import Fake as FakeLanguageModel
from pipeline.stt.fake import Fake as FakeSpeechToText
from pipeline.tts.fake import CHARS_PER_S, RATE
from pipeline.tts.fake import Fake as FakeTextToSpeech
from tests.api import engines as doubles
from tests.api.conftest import Ask, tone

pytestmark = pytest.mark.django_db

Address = tuple[str, int]

WAV = {"accept": "audio/wav; stream=1"}
L16 = {"accept": "audio/L16"}
EVENTS = {"accept": "text/event-stream"}
JSON = {"accept": "application/json"}

REPLY = "La capitale est Rome, bien sûr. Allez-y !"
PIECES = ["La capitale est Rome,", "bien sûr.", "Allez-y!"]

every_format = pytest.mark.parametrize("accept", [WAV, L16, EVENTS])
every_sound = pytest.mark.parametrize("accept", [WAV, L16])


class Event(NamedTuple):
    name: str
    data: dict[str, Any]


def body(response: Any) -> bytes:
    assert isinstance(response, StreamingHttpResponse)
    return b"".join(cast("Iterator[bytes]", response.streaming_content))


def parsed(stream: bytes) -> list[Event]:
    *events, rest = stream.decode().split("\n\n")
    assert rest == ""
    found = []
    for event in events:
        name, data = event.split("\n")
        found.append(Event(name.removeprefix("event: "), json.loads(data.removeprefix("data: "))))
    return found


# --- formats -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "accept", "fields", "content_type"),
    [
        ("", "*/*", {"stream": "true"}, "audio/wav"),
        ("", "audio/wav", {"stream": "1"}, "audio/wav"),
        ("?stream=true", "*/*", {}, "audio/wav"),
        ("?format=wav&stream=1", "image/png", {}, "audio/wav"),
        ("", "audio/wav; stream=1", {}, "audio/wav"),
        ("", "audio/wav;q=0.5, audio/x-wav;stream=true", {}, "audio/x-wav"),
        ("", "audio/*;stream=1", {}, "audio/wav"),
    ],
)
def test_wav(
    ask: Ask,
    llm: FakeLanguageModel,
    url: str,
    accept: str,
    fields: dict[str, str],
    content_type: str,
) -> None:
    llm.script.enqueue(REPLY)
    headers = {"accept": accept, "x-request-id": "my-turn"}
    response = ask(url=f"/api/voice/{url}", headers=headers, **fields)
    assert response.status_code == 200
    assert response["Content-Type"] == content_type
    assert response["Content-Disposition"] == 'inline; filename="answer.wav"'
    assert response["X-Request-Id"] == "my-turn"
    assert unquote(response["X-Transcript"]) == "Quelle heure est-il ?"
    assert response["X-Outbound"] == "stt=no, llm=no, tts=no"
    assert response["Content-Language"] == "fr"
    assert response["Cache-Control"] == "no-store"
    assert response["X-Accel-Buffering"] == "no"
    assert "Accept" in response["Vary"].split(", ")
    assert not {"Content-Length", "X-Reply", "X-Cache"} & set(response.headers)

    wav = body(response)
    assert wav.startswith(open_wav(RATE))
    with av.open(io.BytesIO(wav), "r") as heard:  # FFmpeg plays it to its end
        samples = [frame.samples for frame in heard.decode(heard.streams.audio[0])]
    assert sum(samples) == sum(int(RATE * len(piece) / CHARS_PER_S) for piece in PIECES)


@pytest.mark.parametrize(
    ("url", "accept"),
    [
        ("", "audio/L16"),
        ("", "audio/l16;rate=16000;channels=1"),
        ("", "audio/wav;q=0.5, audio/L16"),
        ("?format=l16", "*/*"),
    ],
)
def test_l16(ask: Ask, llm: FakeLanguageModel, url: str, accept: str) -> None:
    llm.script.enqueue(REPLY, REPLY)
    response = ask(url=f"/api/voice/{url}", headers={"accept": accept})
    assert response.status_code == 200
    assert response["Content-Type"] == "audio/L16;rate=24000;channels=1"
    assert "Content-Disposition" not in response
    samples = np.frombuffer(body(response), ">i2")
    wav = body(ask(headers=WAV))[len(open_wav(RATE)) :]
    assert samples.tolist() == np.frombuffer(wav, "<i2").tolist()


@pytest.mark.parametrize(
    ("url", "accept"),
    [("", "text/event-stream"), ("", "text/*"), ("?format=events", "image/png")],
)
def test_events(ask: Ask, client: Client, llm: FakeLanguageModel, url: str, accept: str) -> None:
    llm.script.enqueue(REPLY, REPLY)
    headers = {"accept": accept, "x-request-id": "my-turn"}
    response = ask(url=f"/api/voice/{url}", headers=headers)
    assert response.status_code == 200
    assert response["Content-Type"] == "text/event-stream"
    assert response["Cache-Control"] == "no-store"
    assert response["X-Accel-Buffering"] == "no"
    assert unquote(response["X-Transcript"]) == "Quelle heure est-il ?"
    heard, *happened, done = parsed(body(response))

    assert heard.name == "heard"
    assert heard.data["text"] == "Quelle heure est-il ?"
    assert heard.data["language"] == "fr"
    assert [event.data["delta"] for event in happened if event.name == "reply"] == [
        "La ", "capitale ", "est ", "Rome, ", "bien ", "sûr. ", "Allez-y ", "!",
    ]  # fmt: skip
    speech = [event.data for event in happened if event.name == "speech"]
    assert [piece["text"] for piece in speech] == PIECES
    for piece in speech:
        wav = b64decode(piece.pop("audio"))
        assert round(from_wav(wav).duration, 3) == piece["duration"]
        assert client.get(piece["url"]).content == wav
        assert (piece["voice"], piece["engine"], piece["cache"]) == ("grave", "Fake", "miss")

    assert done.name == "done"
    assert done.data["id"] == "my-turn"
    assert done.data["transcript"] == heard.data
    assert done.data["reply"] == REPLY
    assert [{**one, "last": True} for one in done.data["speech"]["sentences"]] == speech
    assert done.data["cache"] == {"stt": "off", "llm": "off", "tts": "miss"}
    assert done.data.keys() == ask(headers=JSON).json().keys()


def test_a_piece_is_sent_before_what_is_written_after_it(ask: Ask, llm: FakeLanguageModel) -> None:
    llm.script.enqueue(REPLY)
    names = [event.data.get("delta") or event.name for event in parsed(body(ask(headers=EVENTS)))]
    assert names == [
        "heard", "La ", "capitale ", "est ", "Rome, ", "bien ", "speech", "sûr. ", "speech",
        "Allez-y ", "!", "speech", "done",
    ]  # fmt: skip


def test_what_is_not_streamed_is_spoken_in_whole_sentences(
    ask: Ask, llm: FakeLanguageModel, tts: FakeTextToSpeech
) -> None:
    llm.script.enqueue(REPLY)
    assert ask().status_code == 200
    assert tts.spoken == ["La capitale est Rome, bien sûr.", "Allez-y!"]


@pytest.mark.parametrize(
    ("url", "accept", "fields"),
    [
        ("", "*/*", {"stream": "false"}),
        ("", "audio/wav; stream=0", {}),
        ("?stream=0", "audio/wav; stream=1", {}),
        ("", "application/json", {"stream": "true"}),
        ("?format=json&stream=true", "*/*", {}),
    ],
)
def test_whole_answers(ask: Ask, url: str, accept: str, fields: dict[str, str]) -> None:
    response = ask(url=f"/api/voice/{url}", headers={"accept": accept}, **fields)
    assert response.status_code == 200
    assert not response.streaming
    assert response["X-Reply"]


@pytest.mark.parametrize(("url", "fields"), [("", {"stream": "perhaps"}), ("?stream=perhaps", {})])
def test_an_unclear_wish(ask: Ask, url: str, fields: dict[str, str]) -> None:
    response = ask(url=f"/api/voice/{url}", **fields)
    assert response.status_code == 400
    assert response.json()["code"] == "stream_invalid"
    assert response.json()["detail"] == "“stream” is “true” or “false”."


def test_chunks_of_another_sample_rate(
    ask: Ask, llm: FakeLanguageModel, tts: FakeTextToSpeech
) -> None:
    llm.script.enqueue("Un. Deux.")
    tts.script.enqueue(Audio(np.zeros(24_000, np.float32), 24_000))
    tts.script.enqueue(Audio(np.zeros(16_000, np.float32), 16_000))
    response = ask(headers=L16)
    assert len(body(response)) == pytest.approx(2 * 48_000, abs=200)
    assert response["Content-Type"] == "audio/L16;rate=24000;channels=1"


# --- errors ------------------------------------------------------------------------------------


@every_format
def test_errors_before_the_beginning_are_answered_as_ever(
    ask: Ask, accept: dict[str, str], stt: FakeSpeechToText
) -> None:
    silence = ask(tone(0.5, peak=0), headers=accept)
    assert (silence.status_code, silence["Content-Type"]) == (422, "application/json")
    assert silence.json()["code"] == "no_speech"
    assert ask(headers=accept, voice="nobody").status_code == 400
    assert ask(b"no sound", headers=accept).status_code == 415
    stt.script.enqueue(RuntimeError("private"))
    assert ask(headers=accept).status_code == 502


@every_sound
@pytest.mark.parametrize("role", ["llm", "tts"])
def test_sound_begins_with_the_first_speech(
    ask: Ask, accept: dict[str, str], role: str, llm: FakeLanguageModel, tts: FakeTextToSpeech
) -> None:
    fakes: dict[str, Any] = {"llm": llm, "tts": tts}
    fakes[role].script.enqueue(RuntimeError("private"))
    response = ask(headers=accept)
    assert response.status_code == 502
    assert response.json() == {"detail": "Fake failed.", "code": "engine_failed"}


@every_sound
def test_sound_that_fails_breaks_off(
    ask: Ask,
    accept: dict[str, str],
    llm: FakeLanguageModel,
    tts: FakeTextToSpeech,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "api")
    llm.script.enqueue("Un. Deux.")
    tts.script.enqueue(Audio(np.zeros(9, np.float32), RATE), RuntimeError("private"))
    response = ask(headers={**accept, "x-request-id": "find-me"})
    assert response.status_code == 200
    with pytest.raises(Exception, match="Fake failed"):
        body(response)
    cause, line = [record for record in caplog.records if "find-me" in record.getMessage()]
    assert cause.exc_info
    assert "private" in caplog.text
    assert line.getMessage().endswith("status=200 upload_bytes=16044 code=engine_failed")


def test_events_tell_what_failed(
    ask: Ask, llm: FakeLanguageModel, tts: FakeTextToSpeech, caplog: pytest.LogCaptureFixture
) -> None:
    llm.script.enqueue("Un. Deux.")
    tts.script.enqueue(Audio(np.zeros(9, np.float32), RATE), RuntimeError("private"))
    response = ask(headers={**EVENTS, "x-request-id": "find-me"})
    assert response.status_code == 200
    happened = parsed(body(response))
    assert [event.name for event in happened] == ["heard", "reply", "speech", "reply", "error"]
    assert happened[-1].data == {"detail": "Fake failed.", "code": "engine_failed"}
    assert "find-me" in caplog.text
    assert "private" in caplog.text


def test_events_tell_when_it_is_worth_asking_again(ask: Ask, llm: FakeLanguageModel) -> None:
    llm.script.enqueue(EngineBusy(retry_after_s=7))
    happened = parsed(body(ask(headers=EVENTS)))
    assert [event.name for event in happened] == ["heard", "error"]
    assert happened[-1].data["code"] == "engine_busy"
    assert happened[-1].data["retry_after_s"] == 7


def test_events_tell_of_a_bug_but_not_which(
    ask: Ask, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*args: object) -> None:
        raise LookupError("private")

    monkeypatch.setattr("api.encoders.turn_json", broken)
    stream = body(ask(headers={**EVENTS, "x-request-id": "find-me"}))
    assert parsed(stream)[-1] == ("error", json.loads(Problem(InternalError()).content))
    assert b"private" not in stream
    assert "Request find-me failed." in caplog.messages


@every_format
def test_one_line_is_logged_at_the_end(
    ask: Ask, accept: dict[str, str], caplog: pytest.LogCaptureFixture, llm: FakeLanguageModel
) -> None:
    caplog.set_level(logging.INFO)
    llm.script.enqueue(REPLY)
    response = ask(headers={**accept, "x-request-id": "my-turn"})
    assert "api.turns" not in {record.name for record in caplog.records}
    body(response)
    [line] = [record.getMessage() for record in caplog.records if record.name == "api.turns"]
    facts = dict(fact.split("=") for fact in line.removeprefix("turn my-turn ").split(" "))
    assert (facts["status"], facts["sentences"], facts["cache"]) == (
        "200",
        "3",
        "stt:off,llm:off,tts:miss",
    )
    assert float(facts["first_audio_s"]) <= float(facts["total_s"])
    assert "Rome" not in caplog.text


@every_format
def test_a_stream_that_is_closed_stops_the_turn(
    ask: Ask, accept: dict[str, str], settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "api.turns")
    llm = use(settings, doubles.Endless)
    response = ask(headers=accept)
    chunks = iter(response)
    assert all(next(chunks) for _two in "ab")  # of the events, the first is what was heard
    response.close()
    assert llm.stopped.is_set()
    assert caplog.messages[-1].endswith("status=499 upload_bytes=16044 code=client_gone")


# --- over a connection -------------------------------------------------------------------------


def use(settings: Settings, llm: type[Any], **options: object) -> Any:
    """``llm`` in the place of the fake."""
    entry = {"BACKEND": f"{llm.__module__}.{llm.__name__}", "OPTIONS": options}
    settings.ENGINES = {**settings.ENGINES, "llm": entry}
    return engines.llm


def asked(address: Address, accept: dict[str, str]) -> http.client.HTTPConnection:
    connection = http.client.HTTPConnection(*address, timeout=60)
    form = encode_multipart(BOUNDARY, {"audio": SimpleUploadedFile("q.wav", tone(0.5))})
    headers = {"Content-Type": MULTIPART_CONTENT, "X-Request-Id": "my-turn", **accept}
    connection.request("POST", "/api/voice/", form, headers)
    return connection


@pytest.fixture(params=["uvicorn", "runserver"])
def address(request: pytest.FixtureRequest) -> Address:
    if request.param == "uvicorn":
        return cast("Address", request.getfixturevalue("asgi_server"))
    live: LiveServer = request.getfixturevalue("live_server")
    return live.thread.host, live.thread.port


@pytest.mark.django_db(transaction=True)
@every_format
def test_it_begins_before_the_reply_is_complete(
    address: Address, settings: Settings, accept: dict[str, str]
) -> None:
    llm = use(settings, doubles.Gated)
    first_bytes = 2 * int(RATE * len(llm.first.strip()) / CHARS_PER_S)
    with closing(asked(address, accept)) as connection:
        response = connection.getresponse()
        assert response.status == 200
        assert response.headers["X-Request-Id"] == "my-turn"
        received = b""
        while len(received) < first_bytes:  # while the rest of the reply is not even thought of
            received += response.read1()
        llm.go_on.set()
        received += response.read()
    if accept is EVENTS:
        done = parsed(received)[-1]
        assert done.data["reply"] == "Bonjour à vous tous. Il fait beau, très beau."
    else:
        pieces = ["Bonjour à vous tous.", "Il fait beau, très beau."]
        samples = sum(int(RATE * len(piece) / CHARS_PER_S) for piece in pieces)
        assert len(received) == 2 * samples + (44 if accept is WAV else 0)


@every_sound
def test_a_client_can_tell_that_sound_broke_off(
    asgi_server: Address, settings: Settings, accept: dict[str, str]
) -> None:
    llm = use(settings, doubles.Gated)
    llm.rest = ["Il ", RuntimeError("private")]
    with closing(asked(asgi_server, accept)) as connection:
        response = connection.getresponse()
        assert response.status == 200
        assert response.read1()
        llm.go_on.set()
        with pytest.raises(http.client.IncompleteRead):
            response.read()


def test_events_are_complete_even_so(asgi_server: Address, settings: Settings) -> None:
    llm = use(settings, doubles.Gated)
    llm.rest = ["Il ", RuntimeError("private")]
    llm.go_on.set()
    with closing(asked(asgi_server, {**EVENTS, "accept-language": "fr"})) as connection:
        happened = parsed(connection.getresponse().read())
    assert [event.name for event in happened] == ["heard", "reply", "speech", "reply", "error"]
    # In the client's language, wherever it was raised.
    assert happened[-1].data == {"detail": "Le moteur Gated a échoué.", "code": "engine_failed"}


def test_silence_over_a_connection(asgi_server: Address) -> None:
    with closing(http.client.HTTPConnection(*asgi_server, timeout=60)) as connection:
        silence = SimpleUploadedFile("q.wav", tone(0.5, peak=0))
        form = encode_multipart(BOUNDARY, {"audio": silence})
        connection.request("POST", "/api/voice/", form, {"Content-Type": MULTIPART_CONTENT, **WAV})
        response = connection.getresponse()
        assert response.status == 422
        assert json.loads(response.read())["code"] == "no_speech"


@pytest.mark.django_db(transaction=True)
@every_format
def test_a_client_that_goes_away_leaves_the_engines_free(
    address: Address, settings: Settings, accept: dict[str, str]
) -> None:
    llm = use(settings, doubles.Endless)
    for _turn in range(2):  # the second one finds a free slot
        llm.begun.clear()
        llm.stopped.clear()
        with closing(asked(address, accept)) as connection:
            response = connection.getresponse()
            assert response.status == 200
            assert response.read1()
            assert llm.begun.wait(timeout=60)
            response.close()
        assert llm.stopped.wait(timeout=60)


def test_a_client_that_does_not_wait_for_the_beginning(
    asgi_server: Address, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "api.turns")
    llm = use(settings, doubles.Endless, delta=" ")  # which is never spoken
    with closing(asked(asgi_server, WAV)):
        assert llm.begun.wait(timeout=60)
        assert not llm.stopped.is_set()
    assert llm.stopped.wait(timeout=60)
