from __future__ import annotations

import logging
import re
from concurrent.futures import ThreadPoolExecutor
from typing import Any, cast
from urllib.parse import unquote

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.test.client import BOUNDARY, MULTIPART_CONTENT, encode_multipart
from pytest_django import Settings
from pytest_django.live_server_helper import LiveServer

from cache.tts import CachedTextToSpeech
from pipeline.audio import from_wav
from pipeline.breaker import Resting
from pipeline.engines import engines
from pipeline.errors import EngineBusy, EngineTimeout, EngineUnavailable
from pipeline.llm.base import Message
from pipeline.llm.fake import Fake as FakeLanguageModel
from pipeline.stt.fake import Fake as FakeSpeechToText
from pipeline.tts.fake import Fake as FakeTextToSpeech
from pipeline.tts.fallback import Fallback
from tests.api.conftest import Ask, fake, tone
from tests.api.http import post_question

pytestmark = pytest.mark.django_db

JSON = {"accept": "application/json"}


def test_a_question_is_answered_aloud(ask: Ask) -> None:
    response = ask()
    assert response.status_code == 200
    assert response["Content-Type"] == "audio/wav"
    assert response["Content-Length"] == str(len(response.content))
    assert response["Content-Disposition"] == 'inline; filename="answer.wav"'
    assert response["Cache-Control"] == "no-store"
    assert "Accept" in response["Vary"].split(", ")
    assert from_wav(response.content).sample_rate == 24_000
    assert unquote(response["X-Transcript"]) == "Quelle heure est-il ?"
    assert unquote(response["X-Reply"]) == "Vous avez dit : Quelle heure est-il ?"
    assert re.fullmatch("[0-9a-f]{32}", response["X-Request-Id"])
    assert response["Content-Language"] == "fr"
    assert response["X-Cache"] == "stt=off, llm=off, tts=miss"
    assert response["X-Outbound"] == "stt=no, llm=no, tts=no"
    assert response["X-Speech-Engine"] == "Fake"
    assert "Set-Cookie" not in response


def test_each_stage_is_timed(ask: Ask) -> None:
    timing = ask()["Server-Timing"]
    assert re.fullmatch(r"[a-z-]+;dur=\d+\.\d(, [a-z-]+;dur=\d+\.\d)*", timing)
    times = {name: float(ms) for name, ms in re.findall(r"([a-z-]+);dur=([\d.]+)", timing)}
    names = {"decode", "wait", "stt", "llm", "llm-first", "tts", "first-audio", "total"}
    assert set(times) == names
    assert times["decode"] + times["stt"] <= times["first-audio"] + 0.2 <= times["total"] + 0.4


def test_the_same_question_is_answered_from_the_cache(ask: Ask) -> None:
    first, second = ask(), ask()
    assert second["X-Cache"] == "stt=off, llm=off, tts=hit"
    assert second.content == first.content
    assert first["X-Request-Id"] != second["X-Request-Id"]


def test_the_turn_as_json(ask: Ask, client: Client, llm: FakeLanguageModel) -> None:
    llm.script.enqueue("Il est midi. Bon appétit !")
    response = ask(headers={**JSON, "x-request-id": "my-turn"})
    assert response.status_code == 200
    assert response["Content-Type"] == "application/json"
    assert response["X-Request-Id"] == "my-turn"
    assert "Content-Disposition" not in response
    turn = response.json()
    times = turn.pop("times")
    assert list(times) == [
        *("decode", "wait", "stt", "llm", "llm_first", "tts", "first_audio", "total")
    ]
    assert all(seconds >= 0 for seconds in times.values())
    sentences = turn["speech"].pop("sentences")
    url = turn["speech"].pop("url")
    assert turn == {
        "id": "my-turn",
        "conversation": None,
        "language": "fr",
        "transcript": {
            "text": "Quelle heure est-il ?",
            "language": "fr",
            "segments": [{"start": 0.0, "end": 0.5, "text": "Quelle heure est-il ?"}],
        },
        "reply": "Il est midi. Bon appétit !",
        "speech": {
            "duration": pytest.approx(sum(s["duration"] for s in sentences), abs=0.002),
            "voice": "grave",
        },
        "cache": {"stt": "off", "llm": "off", "tts": "miss"},
        "engines": {
            "stt": {"engine": "Fake"},
            "llm": {"engine": "Fake"},
            "tts": {"engine": "Fake"},
        },
        "outbound": {"stt": False, "llm": False, "tts": False},
    }
    assert len(sentences) == 2
    assert url.startswith("http://testserver/api/speech/")
    keys = []
    for sentence in sentences:
        assert sentence["cache"] == "miss"
        assert sentence["text"]
        assert (sentence["voice"], sentence["engine"]) == ("grave", "Fake")
        keys.append(re.fullmatch(r".*/([0-9a-f]{64})\.wav", sentence.pop("url"))[1])  # type: ignore[index]
    assert url.endswith(f"/{'+'.join(keys)}.wav")

    llm.script.enqueue("Il est midi. Bon appétit !")
    assert client.get(url).content == ask().content


def test_speech_that_is_not_kept_has_no_address(ask: Ask, settings: Settings) -> None:
    settings.VOICEBOT_CACHE_MAX_BYTES = 0
    response = ask(headers=JSON)
    assert response["X-Cache"] == "stt=off, llm=off, tts=off"
    speech = response.json()["speech"]
    assert speech["url"] is None
    assert [sentence["url"] for sentence in speech["sentences"]] == [None]


def test_a_reply_too_long_for_one_address(ask: Ask, llm: FakeLanguageModel) -> None:
    llm.script.enqueue("Un. " * 51)
    speech = ask(headers=JSON).json()["speech"]
    assert len(speech["sentences"]) == 51
    assert speech["url"] is None
    assert all(sentence["url"] for sentence in speech["sentences"])


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        ("*/*", "audio/wav"),
        ("audio/*", "audio/wav"),
        ("audio/wav", "audio/wav"),
        ("audio/x-wav", "audio/x-wav"),
        ("audio/wave", "audio/wave"),
        ("application/json", "application/json"),
        ("Application/JSON; charset=utf-8", "application/json"),
        ("application/json, text/javascript, */*; q=0.01", "application/json"),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "audio/wav"),
        ("audio/wav;q=0.1, application/json", "application/json"),
        ("audio/wav, application/json;q=0.9", "audio/wav"),
        ("application/json, text/plain, */*", "application/json"),
        ("audio/wav, application/json", "audio/wav"),
        ("audio/*;q=0, */*", "application/json"),
    ],
)
def test_the_client_chooses_wav_or_json(ask: Ask, accept: str, content_type: str) -> None:
    response = ask(headers={"accept": accept})
    assert response.status_code == 200
    assert response["Content-Type"] == content_type


@pytest.mark.parametrize(
    ("query", "content_type"), [("json", "application/json"), ("wav", "audio/wav")]
)
def test_the_address_chooses_before_the_header(ask: Ask, query: str, content_type: str) -> None:
    for accept in ("audio/wav", "application/json", "image/png"):
        response = ask(url=f"/api/voice/?format={query}", headers={"accept": accept})
        assert response["Content-Type"] == content_type


@pytest.mark.parametrize(
    ("url", "accept"),
    [
        ("/api/voice/", "image/png"),
        ("/api/voice/", "audio/mpeg, text/html"),
        ("/api/voice/", "a/b;q*=zz''x"),
        ("/api/voice/", "audio/wav;q=0"),
        ("/api/voice/", ""),
        ("/api/voice/?format=mp3", "*/*"),
    ],
)
def test_nothing_acceptable(ask: Ask, url: str, accept: str) -> None:
    response = ask(url=url, headers={"accept": accept})
    assert response.status_code == 406
    assert response["Content-Type"] == "application/json"
    assert response.json()["code"] == "not_acceptable"
    assert "audio/wav" in response.json()["detail"]
    assert "Accept" in response["Vary"].split(", ")


@pytest.mark.parametrize("accept", ["*/*", "audio/wav", "audio/x-wav", "application/json"])
def test_errors_are_json_whatever_is_accepted(ask: Ask, accept: str) -> None:
    response = ask(tone(0.5, peak=0), headers={"accept": accept, "x-request-id": "7"})
    assert response.status_code == 422
    assert response["Content-Type"] == "application/json"
    assert response["X-Request-Id"] == "7"
    assert response["Cache-Control"] == "no-store"
    assert set(response.json()) == {"detail", "code"}
    assert response.json()["code"] == "no_speech"


@pytest.mark.parametrize(
    ("fields", "heard", "spoken_by"),
    [
        ({}, "fr", "grave"),
        ({"language": "fr"}, "fr", "grave"),
        ({"language": "FR-fr"}, "fr", "grave"),
        ({"language": "fr_CA"}, "fr", "grave"),
        ({"language": " "}, "fr", "grave"),
        ({"language": "auto"}, "fr", "grave"),
        ({"language": "AUTO", "voice": "claire"}, "fr", "claire"),
        ({"language": "en"}, "en", "low"),
        ({"voice": "claire"}, "fr", "claire"),
        ({"voice": "low"}, "en", "low"),
        ({"voice": ""}, "fr", "grave"),
        ({"voice": "low", "language": "en-GB"}, "en", "low"),
    ],
)
def test_language_and_voice(ask: Ask, fields: dict[str, str], heard: str, spoken_by: str) -> None:
    response = ask(headers=JSON, **fields)
    assert response.status_code == 200
    assert response["Content-Language"] == heard
    assert response.json()["language"] == heard
    assert response.json()["speech"]["voice"] == spoken_by


def test_the_language_of_the_service_is_the_default(ask: Ask, settings: Settings) -> None:
    settings.VOICEBOT_LANGUAGE = "en"
    assert ask()["Content-Language"] == "en"


@pytest.mark.parametrize(
    ("fields", "code", "listed"),
    [
        ({"language": "xx"}, "unsupported_language", "en, fr"),
        ({"language": "de-DE"}, "unsupported_language", "en, fr"),  # heard, but not spoken
        ({"voice": "nobody"}, "unknown_voice", "grave, claire, low"),
        ({"voice": "nobody", "language": "auto"}, "unknown_voice", "grave, claire, low"),
        ({"voice": "low", "language": "fr"}, "unknown_voice", "grave, claire"),
    ],
)
def test_wrong_language_or_voice(ask: Ask, fields: dict[str, str], code: str, listed: str) -> None:
    response = ask(**fields)
    assert response.status_code == 400
    assert response.json()["code"] == code
    assert response.json()["detail"].endswith(f": {listed}.")


def test_speed(ask: Ask) -> None:
    calm, hasty = (ask(headers=JSON, speed=speed).json()["speech"] for speed in ("0.8", "1.6"))
    assert calm["duration"] == pytest.approx(2 * hasty["duration"], rel=0.01)


@pytest.mark.parametrize(
    ("speed", "code"),
    [
        ("fast", "speed_invalid"),
        ("nan", "speed_invalid"),
        ("inf", "speed_invalid"),
        ("0.49", "speed_min_value"),
        ("2.01", "speed_max_value"),
    ],
)
def test_wrong_speed(ask: Ask, stt: FakeSpeechToText, speed: str, code: str) -> None:
    response = ask(speed=speed)
    assert response.status_code == 400
    assert response.json()["code"] == code
    assert response.json()["detail"] == "“speed” is a number from 0.5 to 2.0, such as 1.25."
    assert stt.heard == []


def test_a_language_that_is_heard_but_not_spoken(ask: Ask, settings: Settings) -> None:
    german = {"BACKEND": "tests.api.engines.HearsGerman"}
    settings.ENGINES = {**settings.ENGINES, "stt": german}
    assert ask(language="fr").status_code == 200
    response = ask(language="auto")
    assert response.status_code == 400
    assert response.json()["code"] == "unsupported_language"


def test_the_query_is_not_part_of_the_form(ask: Ask) -> None:
    assert ask(url="/api/voice/?language=xx&voice=nobody").status_code == 200


def test_no_slash_is_no_redirect(ask: Ask) -> None:
    assert ask(url="/api/voice").status_code == 200


@pytest.mark.parametrize(
    ("filename", "content_type"),
    [
        ("../../etc/passwd", "text/plain"),
        ("question", "application/octet-stream"),
        ("é" * 500 + ".exe", "video/webm;codecs=opus"),
        ("%00.wav", ""),
    ],
)
def test_what_a_file_is_called_does_not_matter(ask: Ask, filename: str, content_type: str) -> None:
    assert ask(filename=filename, content_type=content_type).status_code == 200


@pytest.mark.parametrize(
    ("audio", "status", "code"),
    [
        (b"", 400, "audio_empty"),
        (b"Bonjour, je ne suis pas un son." * 20, 415, "audio_unreadable"),
        (tone(0.5)[:100], 415, "audio_unreadable"),
        (tone(1, peak=0), 422, "no_speech"),
    ],
)
def test_recordings_that_cannot_be_answered(ask: Ask, audio: bytes, status: int, code: str) -> None:
    response = ask(audio)
    assert response.status_code == status
    assert response.json()["code"] == code


@pytest.mark.parametrize(
    ("form", "code"),
    [
        ({}, "audio_missing"),
        ({"sound": SimpleUploadedFile("q.wav", b"RIFF")}, "audio_missing"),
        ({"audio": "RIFF"}, "audio_invalid"),
        ({"audio": ""}, "audio_invalid"),
    ],
)
def test_no_file(client: Client, form: dict[str, Any], code: str) -> None:
    response = client.post("/api/voice/", form)
    assert response.status_code == 400
    problem = response.json()
    assert problem["code"] == code
    assert problem["fields"] == {"audio": [problem["detail"]]}


def test_several_wrong_fields(client: Client) -> None:
    response = client.post("/api/voice/", {"voice": "a\0b"})
    assert response.status_code == 400
    assert response.json()["code"] == "audio_missing"
    assert set(response.json()["fields"]) == {"audio", "voice"}


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/json; charset=utf-8", b'{"audio": ""}'),
        ("application/x-www-form-urlencoded", b"audio=1"),
        ("audio/wav", b"RIFF"),
        ("text/plain", b"Bonjour"),
    ],
)
def test_wrong_media_type(client: Client, content_type: str, body: bytes) -> None:
    response = client.generic("POST", "/api/voice/", body, content_type=content_type)
    assert response.status_code == 415
    assert response.json() == {
        "detail": "Send a form (multipart/form-data): "
        f"{content_type.partition(';')[0]} is not read here.",
        "code": "unsupported_media_type",
    }


@pytest.mark.parametrize("content_type", ["", MULTIPART_CONTENT])
def test_no_body(client: Client, content_type: str) -> None:
    response = client.generic("POST", "/api/voice/", b"", content_type=content_type)
    assert response.status_code == 400
    assert response.json()["code"] == "audio_missing"


def test_a_form_without_a_boundary(client: Client) -> None:
    response = client.generic("POST", "/api/voice/", b"form", content_type="multipart/form-data")
    assert response.status_code == 400
    assert response.json()["code"] == "parse_error"


def test_a_form_cut_short(client: Client) -> None:
    form = encode_multipart(BOUNDARY, {"audio": SimpleUploadedFile("q.wav", tone(0.2))})
    content_starts = form.index(b"RIFF")
    content_ends = form.rindex(b"--" + BOUNDARY.encode()) - 2
    codes = set()
    for end in [*range(1, content_starts, 7), *range(content_starts, content_ends, 501)]:
        response = client.generic("POST", "/api/voice/", form[:end], content_type=MULTIPART_CONTENT)
        assert response.status_code == 400
        codes.add(response.json()["code"])
    assert codes == {"audio_missing", "upload_incomplete"}


def test_what_was_said_cannot_inject_headers(
    ask: Ask, stt: FakeSpeechToText, llm: FakeLanguageModel
) -> None:
    said = "Bonjour\r\nX-Evil: 1\r\n\r\n🎉 " + "é" * 10_000
    stt.script.enqueue(said)
    llm.script.enqueue("Oui.\r\nX-Evil: 2")
    response = ask()
    assert response.status_code == 200
    assert "X-Evil" not in response
    assert unquote(response["X-Reply"]) == "Oui.\r\nX-Evil: 2"
    heard = unquote(response["X-Transcript"], errors="strict")
    assert said.startswith(heard.removesuffix("…"))
    assert len(response["X-Transcript"]) <= 2_000


@pytest.mark.parametrize("role", ["stt", "llm", "tts"])
def test_the_cause_of_a_failure_is_logged_and_not_told(
    ask: Ask,
    caplog: pytest.LogCaptureFixture,
    role: str,
    stt: FakeSpeechToText,
    llm: FakeLanguageModel,
    tts: FakeTextToSpeech,
) -> None:
    fakes: dict[str, Any] = {"stt": stt, "llm": llm, "tts": tts}
    fakes[role].script.enqueue(RuntimeError("/root/secret.key"))
    response = ask(headers={"x-request-id": "find-me"})
    assert response.status_code == 502
    assert response.json() == {"detail": "Fake failed.", "code": "engine_failed"}
    assert "/root/secret.key" not in response.text + str(response.headers)
    [record] = [record for record in caplog.records if record.exc_info]
    assert "find-me" in record.getMessage()
    assert "/root/secret.key" in caplog.text


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (EngineUnavailable("Pas encore là."), 503),
        (EngineTimeout("Trop long."), 504),
    ],
)
def test_what_engines_tell_people(
    ask: Ask, error: Exception, status: int, llm: FakeLanguageModel
) -> None:
    llm.script.enqueue(error)
    response = ask()
    assert response.status_code == status
    assert response.json()["detail"] == str(error)


def test_a_busy_engine(ask: Ask, settings: Settings) -> None:
    busy = {"BACKEND": "pipeline.llm.fake.Fake", "OPTIONS": {"slots": 1, "wait_s": 0.01}}
    settings.ENGINES = {**settings.ENGINES, "llm": busy}
    someone_else = engines.llm.reply([Message("user", "Bonjour")])
    next(someone_else)
    response = ask()
    assert response.status_code == 503
    assert response.json()["code"] == "engine_busy"
    assert response["Retry-After"] == "1"
    someone_else.close()
    assert ask().status_code == 200


def test_when_to_come_back(ask: Ask, stt: FakeSpeechToText) -> None:
    stt.script.enqueue(EngineBusy(retry_after_s=17))
    assert ask()["Retry-After"] == "17"


def test_an_engine_that_takes_too_long(ask: Ask, settings: Settings) -> None:
    slow = {"BACKEND": "pipeline.llm.fake.Fake", "OPTIONS": {"timeout_s": 0}}
    settings.ENGINES = {**settings.ENGINES, "llm": slow}
    response = ask()
    assert response.status_code == 504
    assert response.json()["code"] == "engine_timeout"


def cached(entry: dict[str, Any]) -> dict[str, Any]:
    return {"BACKEND": "cache.tts.CachedTextToSpeech", "OPTIONS": {"engine": entry}}


def test_who_spoke_and_what_left_the_machine(
    ask: Ask, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    entries = [cached({"BACKEND": "tests.unit.test_fallback.Faraway"}), settings.ENGINES["tts"]]
    fallback = {"BACKEND": "pipeline.tts.fallback.Fallback", "OPTIONS": {"engines": entries}}
    settings.ENGINES = {**settings.ENGINES, "tts": fallback}
    llm = fake(engines.llm, FakeLanguageModel)
    faraway = cast("Fallback", engines.tts).engines[0]
    assert isinstance(faraway, CachedTextToSpeech)
    assert isinstance(faraway.engine, FakeTextToSpeech)

    def said(reply: str) -> tuple[object, ...]:
        caplog.clear()
        caplog.set_level(logging.INFO, "api.turns")
        llm.script.enqueue(reply)
        response = ask(headers=JSON)
        sentences = response.json()["speech"]["sentences"]
        return (
            response["X-Speech-Engine"],
            response["X-Outbound"].rpartition(", ")[2],
            [sentence["engine"] for sentence in sentences],
            re.findall(r"speech_engine=(\S+) outbound=(\S+)", caplog.messages[-1])[0],
            response.json()["outbound"],
        )

    went, stayed = ({"stt": False, "llm": False, "tts": out} for out in (True, False))
    assert said("Un.") == ("Faraway", "tts=yes", ["Faraway"], ("Faraway", "tts"), went)
    # From the cache: nothing left this time.
    assert said("Un.") == ("Faraway", "tts=no", ["Faraway"], ("Faraway", "none"), stayed)
    # It failed, but the text had been sent.
    faraway.engine.script.enqueue(EngineTimeout("Trop long."))
    assert said("Un. Deux.") == (
        "Faraway, Fake", "tts=yes", ["Faraway", "Fake"], ("Faraway,Fake", "tts"), went,
    )  # fmt: skip
    # Not even tried.
    faraway.engine.script.enqueue(Resting("Trop d'échecs."))
    assert said("Trois.") == ("Fake", "tts=no", ["Fake"], ("Fake", "none"), stayed)


def test_one_line_is_logged(
    ask: Ask, caplog: pytest.LogCaptureFixture, llm: FakeLanguageModel
) -> None:
    caplog.set_level(logging.INFO)
    llm.script.enqueue("Réponse confidentielle.")
    ask(headers={"x-request-id": "my-turn"})
    [line] = [record.getMessage() for record in caplog.records if record.name == "api.turns"]
    facts = dict(fact.split("=") for fact in line.removeprefix("turn my-turn ").split(" "))
    assert facts["status"] == "200"
    assert facts["language"] == "fr"
    assert facts["upload_bytes"] == str(len(tone(0.5)))
    assert facts["cache"] == "stt:off,llm:off,tts:miss"
    assert (facts["speech_engine"], facts["outbound"]) == ("Fake", "none")
    stages = {
        "decode_s",
        "wait_s",
        "stt_s",
        "llm_s",
        "llm_first_s",
        "tts_s",
        "first_audio_s",
        "total_s",
    }
    assert stages <= facts.keys()
    assert "Quelle heure" not in caplog.text
    assert "confidentielle" not in caplog.text


def test_one_line_is_logged_for_a_failure(ask: Ask, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    ask(voice="nobody", headers={"x-request-id": "my-turn"})
    [line] = [record.getMessage() for record in caplog.records if record.name == "api.turns"]
    assert line == "turn my-turn status=400 upload_bytes=0 code=unknown_voice"


def test_turns_side_by_side(ask: Ask, live_server: LiveServer) -> None:
    voices = ["grave", "claire", "low", "grave", "claire", "low", "grave", "claire"]
    expected = {voice: ask(voice=voice).content for voice in set(voices)}
    assert len(set(expected.values())) == 3
    address = live_server.thread.host, live_server.thread.port
    with ThreadPoolExecutor(len(voices)) as pool:
        turns = list(pool.map(lambda voice: post_question(address, tone(0.5), voice=voice), voices))
    for voice, (response, body) in zip(voices, turns, strict=True):
        assert response.status == 200
        assert body == expected[voice]
    assert len({response.headers["X-Request-Id"] for response, _body in turns}) == len(turns)
