"""``/v1/audio/``: what is written down, what is said aloud, and what is refused, as OpenAI does."""

from __future__ import annotations

import io
import json
import logging
from base64 import b64decode
from collections.abc import Iterator
from typing import Any, cast

import av
import pytest
import srt
import webvtt
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from prometheus_client import REGISTRY
from pytest_django import Settings

from api.openai.voices import NAMES
from history.models import Turn
from pipeline.audio import open_wav
from pipeline.encoding import MEDIA_TYPES, SAMPLE_RATE
from pipeline.engines import engines
from pipeline.errors import EngineBusy, EngineError
from pipeline.stt.base import Wanted
from pipeline.stt.fake import Fake as FakeSpeechToText
from pipeline.tts.fake import CHARS_PER_S
from pipeline.tts.fake import Fake as FakeTextToSpeech
from tests.api.conftest import tone
from tests.api.engines import DeafToEnglish
from tests.api.http import send

pytestmark = pytest.mark.django_db

TRANSCRIPTIONS, TRANSLATIONS = "/v1/audio/transcriptions", "/v1/audio/translations"
SPEECH = "/v1/audio/speech"
HEARD = "Quelle heure est-il ?"

every_format = pytest.mark.parametrize("name", MEDIA_TYPES)


def transcribe(client: Client, url: str = TRANSCRIPTIONS, /, **fields: Any) -> Any:
    """Fields that are None are not sent; ``audio`` is the content of ``file``."""
    audio = fields.pop("audio", None)
    file = SimpleUploadedFile("question.wav", tone(0.5) if audio is None else audio)
    form = {"file": file, "model": "whisper-1", **fields}
    return client.post(url, {k: v for k, v in form.items() if v is not None})


def speak(client: Client, **body: Any) -> Any:
    asked = {"model": "tts-1", "input": "Bonjour à tous. Il fait beau.", "voice": "alloy", **body}
    return client.post(SPEECH, asked, content_type="application/json")


def sound(response: Any) -> bytes:
    assert response.status_code == 200, response.content
    return b"".join(cast("Iterator[bytes]", response.streaming_content))


def parsed(stream: bytes) -> list[Any]:
    *events, rest = stream.decode().split("\n\n")
    assert rest == ""
    return [json.loads(event.removeprefix("data: ")) for event in events]


def counted(kind: str, outcome: str) -> float:
    labels = {"kind": kind, "outcome": outcome}
    return REGISTRY.get_sample_value("voicebot_parts_total", labels) or 0.0


# --- transcripts -------------------------------------------------------------------------------


def test_json(client: Client) -> None:
    response = transcribe(client)
    assert response.status_code == 200
    assert response["Content-Type"] == "application/json"
    assert response["Cache-Control"] == "no-store"
    assert response.json() == {"text": HEARD, "usage": {"type": "duration", "seconds": 1}}


def test_verbose_json(client: Client) -> None:
    told = transcribe(client, response_format="verbose_json").json()
    assert told["task"] == "transcribe"
    assert told["language"] == "french"
    assert told["duration"] == 0.5
    assert told["text"] == HEARD
    assert "words" not in told
    [segment] = told["segments"]
    assert segment | {"compression_ratio": 1.0} == {
        "id": 0, "seek": 0, "start": 0.0, "end": 0.5, "text": HEARD, "tokens": [],
        "temperature": 0.0, "avg_logprob": 0.0, "compression_ratio": 1.0, "no_speech_prob": 0.0,
    }  # fmt: skip
    assert 0.5 < segment["compression_ratio"] < 1.5


@pytest.mark.parametrize(
    ("granularities", "keys"),
    [
        (["word"], {"words"}),
        (["segment"], {"segments"}),
        (["word", "segment"], {"words", "segments"}),
    ],
)
def test_granularities(client: Client, granularities: list[str], keys: set[str]) -> None:
    fields: dict[str, Any] = {
        "response_format": "verbose_json",
        "timestamp_granularities[]": granularities,
    }
    told = transcribe(client, **fields).json()
    assert told.keys() & {"words", "segments"} == keys
    if "words" in keys:
        assert [word["word"] for word in told["words"]] == ["Quelle", "heure", "est-il ?"]
        assert told["words"][1] == {"word": "heure", "start": 0.125, "end": 0.25}


def test_words_are_not_timed_for_who_cannot_see_them(client: Client, stt: FakeSpeechToText) -> None:
    words: Any = {"timestamp_granularities[]": ["word"]}
    transcribe(client, **words)
    assert stt.wanted == [Wanted()]


def test_text(client: Client) -> None:
    response = transcribe(client, response_format="text")
    assert response["Content-Type"] == "text/plain; charset=utf-8"
    assert response.text == f"{HEARD}\n"


def test_srt(client: Client) -> None:
    response = transcribe(client, response_format="srt")
    assert response["Content-Type"] == "text/plain; charset=utf-8"
    assert [cue.content for cue in srt.parse(response.text)] == [HEARD]


def test_vtt(client: Client) -> None:
    response = transcribe(client, response_format="vtt")
    assert response["Content-Type"] == "text/vtt; charset=utf-8"
    assert [cue.text for cue in webvtt.from_string(response.text).captions] == [HEARD]


def test_events(client: Client) -> None:
    response = transcribe(client, stream="true", response_format="json")
    assert response["Content-Type"] == "text/event-stream"
    assert parsed(response.content) == [
        {"type": "transcript.text.delta", "delta": HEARD},
        {"type": "transcript.text.done", "text": HEARD},
    ]


def test_what_is_asked_for_reaches_the_engine(client: Client, stt: FakeSpeechToText) -> None:
    transcribe(
        client, language="en-GB", prompt=" Voicebot ", temperature="0.4",
        response_format="verbose_json", **{"timestamp_granularities[]": ["word"]},
    )  # fmt: skip
    assert stt.wanted == [Wanted("en", "transcribe", "Voicebot", True)]


@pytest.mark.parametrize("language", [None, "", "auto"])
def test_the_language_is_detected(
    client: Client, stt: FakeSpeechToText, language: str | None
) -> None:
    transcribe(client, language=language)
    assert stt.wanted == [Wanted()]


def test_a_translation(client: Client, stt: FakeSpeechToText) -> None:
    told = transcribe(client, TRANSLATIONS, response_format="verbose_json").json()
    assert stt.wanted == [Wanted(task="translate")]
    assert (told["task"], told["language"]) == ("translate", "english")


def test_a_translation_where_the_weights_cannot(client: Client, settings: Settings) -> None:
    path = f"{DeafToEnglish.__module__}.{DeafToEnglish.__name__}"
    settings.ENGINES = {**settings.ENGINES, "stt": {"BACKEND": path}}
    response = transcribe(client, TRANSLATIONS)
    assert response.status_code == 400
    assert response.json()["error"]["code"] == "unsupported_task"


@pytest.mark.parametrize(
    ("response_format", "told"), [("text", "\n"), ("srt", ""), ("vtt", "WEBVTT\n")]
)
def test_silence_is_an_empty_text(client: Client, response_format: str, told: str) -> None:
    response = transcribe(client, audio=tone(0.5, peak=0.0), response_format=response_format)
    assert response.status_code == 200
    assert response.text == told


def test_silence_in_detail(client: Client) -> None:
    silence = tone(0.5, peak=0.0)
    told = transcribe(client, audio=silence, response_format="verbose_json").json()
    assert (told["text"], told["segments"], told["language"]) == ("", [], "french")
    streamed = transcribe(client, audio=silence, stream="true")
    assert parsed(streamed.content) == [{"type": "transcript.text.done", "text": ""}]


def test_what_clients_send_besides_is_ignored(client: Client) -> None:
    response = transcribe(
        client,
        user="me",
        chunking_strategy="auto",
        keywords="Voicebot",
        **{"include[]": ["logprobs"]},
    )
    assert response.json()["text"] == HEARD


@pytest.mark.parametrize(
    ("fields", "status", "code", "param"),
    [
        ({"file": None}, 400, "file_missing", "file"),
        ({"file": "text"}, 400, "file_invalid", "file"),
        ({"audio": b""}, 400, "file_empty", "file"),
        ({"audio": b"no audio"}, 415, "audio_unreadable", None),
        ({"audio": tone(61)}, 413, "audio_too_long", None),
        ({"response_format": "docx"}, 400, "response_format_invalid_choice", "response_format"),
        ({"temperature": "hot"}, 400, "temperature_invalid", "temperature"),
        ({"temperature": "2"}, 400, "temperature_max_value", "temperature"),
        ({"stream": "perhaps"}, 400, "stream_invalid", "stream"),
        ({"language": "tlh"}, 400, "unsupported_language", None),
        (
            {"timestamp_granularities[]": ["segment", "letter"]},
            400,
            "timestamp_granularities[]_invalid_choice",
            "timestamp_granularities[][1]",
        ),
    ],
)  # fmt: skip
def test_refusals_of_recordings(
    client: Client, fields: dict[str, Any], status: int, code: str, param: str | None
) -> None:
    response = transcribe(client, **fields)
    assert response.status_code == status
    error = response.json()["error"]
    assert error["message"]
    assert error | {"message": ""} == {
        "message": "", "type": "invalid_request_error", "param": param, "code": code
    }  # fmt: skip


def test_too_large_a_recording(client: Client, settings: Settings) -> None:
    settings.VOICEBOT_MAX_UPLOAD_BYTES = 1_000
    for audio in (tone(0.5), tone(10)):  # larger than the recording may be, and than the form
        response = transcribe(client, audio=audio)
        assert response.status_code == 413
        assert response.json()["error"]["code"] == "upload_too_large"


def test_too_large_a_recording_of_which_no_length_is_told(
    asgi_server: tuple[str, int], settings: Settings
) -> None:
    settings.VOICEBOT_MAX_UPLOAD_BYTES = 1_000
    body = iter([b"{" + bytes(100_000)])
    response, told = send(asgi_server, "POST", SPEECH, body, {"Content-Type": "application/json"})
    assert response.status == 413
    assert json.loads(told)["error"]["code"] == "upload_too_large"


def test_a_model_of_another_task_is_refused(client: Client, settings: Settings) -> None:
    other = {"BACKEND": "pipeline.llm.openai_compatible.OpenAICompatible",
             "OPTIONS": {"base_url": "http://127.0.0.1:9/v1", "model": "writer"}}  # fmt: skip
    settings.ENGINES = {**settings.ENGINES, "llm": other}
    response = transcribe(client, model="writer")
    assert response.status_code == 404
    assert response.json()["error"]["code"] == "model_not_found"
    assert "“Fake”" in response.json()["error"]["message"]
    assert transcribe(client, model="Fake").status_code == 200


# --- speech ------------------------------------------------------------------------------------


@every_format
def test_every_format(client: Client, name: str) -> None:
    response = speak(client, response_format=name)
    assert response["Content-Type"] == MEDIA_TYPES[name]
    assert response["Content-Language"] == "fr"
    assert response["Cache-Control"] == "no-store"
    assert response["X-Accel-Buffering"] == "no"
    data = sound(response)
    expected_s = len("Bonjour à tous.Il fait beau.") / CHARS_PER_S
    if name == "pcm":
        assert len(data) / 2 / SAMPLE_RATE == pytest.approx(expected_s, abs=0.01)
        return
    with av.open(io.BytesIO(data), "r") as container:
        frames = list(container.decode(audio=0))
    duration = sum(frame.samples / frame.sample_rate for frame in frames)
    assert duration == pytest.approx(expected_s, abs=0.1)


def test_the_default_is_mp3(client: Client) -> None:
    assert speak(client)["Content-Type"] == "audio/mpeg"


def test_a_wav_leaves_its_length_open(client: Client) -> None:
    assert sound(speak(client, response_format="wav")).startswith(open_wav(SAMPLE_RATE))


def test_each_sentence_is_sent_as_it_is_made(client: Client) -> None:
    response = speak(client, response_format="pcm")
    chunks = [chunk for chunk in response.streaming_content if chunk]
    assert [len(chunk) for chunk in chunks] == [
        2 * int(SAMPLE_RATE * len(sentence) / CHARS_PER_S)
        for sentence in ("Bonjour à tous.", "Il fait beau.")
    ]


def test_as_events(client: Client) -> None:
    response = speak(client, response_format="pcm", stream_format="sse")
    assert response["Content-Type"] == "text/event-stream"
    *deltas, done = parsed(sound(response))
    assert {delta["type"] for delta in deltas} == {"speech.audio.delta"}
    audio = b"".join(b64decode(delta["audio"]) for delta in deltas)
    assert audio == sound(speak(client, response_format="pcm"))
    assert done == {
        "type": "speech.audio.done",
        "usage": {"input_tokens": 0, "output_tokens": 0, "total_tokens": 0},
    }


def test_speed(client: Client) -> None:
    slow, fast = (sound(speak(client, speed=s, response_format="pcm")) for s in (0.5, 2))
    assert len(slow) == pytest.approx(4 * len(fast), rel=0.01)


@pytest.mark.parametrize(
    ("voice", "language", "spoken_by"),
    [
        ("claire", None, "claire"),  # ours
        ("low", None, "low"),
        ("alloy", None, "claire"),  # the first woman
        ("echo", None, "grave"),  # a man
        ("echo", "en", "low"),
        ("shimmer", "en", "low"),  # there is no woman
        ("", None, "grave"),
        (None, "en-US", "low"),
        ({"id": "claire"}, None, "claire"),
    ],
)
def test_voices(client: Client, voice: Any, language: str | None, spoken_by: str) -> None:
    body = {"voice": voice, "language": language, "response_format": "pcm"}
    direct = {"voice": spoken_by, "response_format": "pcm"}
    assert sound(speak(client, **body)) == sound(speak(client, **direct))


@pytest.mark.parametrize(
    ("voice", "spoken_in"), [("alloy", "en"), ("", "en"), ("claire", "fr"), ("low", "en")]
)
def test_a_text_is_read_in_its_own_language(client: Client, voice: str, spoken_in: str) -> None:
    response = speak(client, input="What time is it in Paris?", voice=voice)
    assert response["Content-Language"] == spoken_in


def test_no_voice_at_all_is_the_default_one(client: Client) -> None:
    asked = {"input": "Bonjour à tous. Il fait beau.", "response_format": "pcm"}
    response = client.post(SPEECH, asked, content_type="application/json")
    assert sound(response) == sound(speak(client, voice="grave", response_format="pcm"))


def test_names_are_spread_over_the_voices_there_are(client: Client, settings: Settings) -> None:
    settings.ENGINES = {**settings.ENGINES, "tts": {"BACKEND": "pipeline.tts.kokoro.Kokoro"}}
    settings.VOICEBOT_LANGUAGE = "en"
    aliases = client.get("/v1/audio/voices").json()["aliases"]
    assert aliases.keys() == NAMES.keys()
    # Kokoro has some of the same name.
    assert (aliases["alloy"], aliases["echo"], aliases["nova"]) == (
        "af_alloy",
        "am_echo",
        "af_nova",
    )
    genders = {voice.id: voice.gender for voice in engines.tts.voices}
    assert {name: genders[voice] for name, voice in aliases.items()} == NAMES
    assert len(set(aliases.values())) > 8


@pytest.mark.parametrize("text", [".", "😀", " … "])
def test_what_cannot_be_said_is_a_short_silence(client: Client, text: str) -> None:
    pcm = sound(speak(client, input=text, response_format="pcm"))
    assert pcm == bytes(2 * SAMPLE_RATE // 10)
    assert sound(speak(client, input=text)).startswith(b"\xff")  # a frame of MP3


def test_what_clients_send_with_a_text_besides_is_ignored(client: Client) -> None:
    response = speak(client, instructions="Be cheerful.", user="me", params={"x": 1})
    assert sound(response)


@pytest.mark.parametrize(
    ("body", "status", "code", "param"),
    [
        ({"input": None}, 400, "input_null", "input"),
        ({"input": ""}, 400, "input_blank", "input"),
        ({"input": ["a"]}, 400, "input_invalid", "input"),
        ({"input": "a\ud800"}, 400, "input_surrogate_characters_not_allowed", "input"),
        ({"input": "a" * 5001}, 413, "text_too_long", None),
        ({"voice": "nobody"}, 400, "unknown_voice", None),
        ({"voice": {"name": "claire"}}, 400, "voice_invalid", "voice"),
        ({"voice": "claire", "language": "en"}, 400, "unknown_voice", None),
        ({"language": "tlh"}, 400, "unsupported_language", None),
        ({"speed": 4}, 400, "speed_max_value", "speed"),
        ({"speed": "fast"}, 400, "speed_invalid", "speed"),
        ({"response_format": "ogg"}, 400, "response_format_invalid_choice", "response_format"),
        ({"stream_format": "json"}, 400, "stream_format_invalid_choice", "stream_format"),
    ],
)
def test_refusals_of_texts(
    client: Client, body: dict[str, Any], status: int, code: str, param: str | None
) -> None:
    response = speak(client, **body)
    assert response.status_code == status
    error = response.json()["error"]
    assert error | {"message": ""} == {
        "message": "", "type": "invalid_request_error", "param": param, "code": code
    }  # fmt: skip


@pytest.mark.parametrize(
    ("body", "content_type", "status", "code"),
    [
        (b"{", "application/json", 400, "parse_error"),
        (b"[" * 100_000, "application/json", 400, "parse_error"),
        (b'{"input": "\xff"}', "application/json", 400, "parse_error"),
        (b"[]", "application/json", 400, "body_invalid"),
        (b"input=Bonjour", "application/x-www-form-urlencoded", 415, "unsupported_media_type"),
    ],
)
def test_bodies_that_are_none(
    client: Client, body: bytes, content_type: str, status: int, code: str
) -> None:
    response = client.generic("POST", SPEECH, body, content_type)
    assert response.status_code == status
    assert response.json()["error"]["code"] == code


def test_a_failure_before_the_first_sound_is_an_answer(
    client: Client, tts: FakeTextToSpeech
) -> None:
    tts.script.enqueue(EngineBusy(7))
    response = speak(client)
    assert response.status_code == 503
    assert response["Retry-After"] == "7"
    assert response.json()["error"]["type"] == "server_error"


def test_a_failure_after_it_ends_the_events(client: Client, tts: FakeTextToSpeech) -> None:
    first = next(engines.bare.tts.synthesize("Bonjour.")).audio
    tts.script.enqueue(first, EngineError("It broke."))
    *deltas, last = parsed(sound(speak(client, stream_format="sse")))
    assert len(deltas) == 1
    assert last["error"] == {
        "message": "It broke.", "type": "server_error", "param": None, "code": "engine_failed"
    }  # fmt: skip


def test_a_failure_after_it_breaks_the_sound_off(client: Client, tts: FakeTextToSpeech) -> None:
    first = next(engines.bare.tts.synthesize("Bonjour.")).audio
    tts.script.enqueue(first, EngineError("It broke."))
    with pytest.raises(EngineError):
        sound(speak(client, response_format="pcm"))
    assert sound(speak(client, response_format="pcm"))  # the slot is free


# --- what is left behind -----------------------------------------------------------------------


def test_each_leaves_a_line_and_a_count(client: Client, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "api.turns")
    before = (
        counted("transcript", "done"),
        counted("speech", "done"),
        counted("speech", "unknown_voice"),
    )
    transcribe(client)
    sound(speak(client))
    speak(client, voice="nobody")
    after = (
        counted("transcript", "done"),
        counted("speech", "done"),
        counted("speech", "unknown_voice"),
    )
    assert [b - a for a, b in zip(before, after, strict=True)] == [1, 1, 1]
    heard, said, refused = [line for line in caplog.messages if "status=" in line]
    assert heard.startswith("transcript ")
    assert "status=200 upload_bytes=16044 audio_s=0.500" in heard
    assert "language=fr transcript_chars=21" in heard
    assert said.startswith("speech ")
    assert "status=200 text_chars=29 language=fr format=mp3" in said
    assert "sentences=2" in said
    assert "speech_engine=Fake outbound=none" in said
    assert refused.endswith("status=400 code=unknown_voice")
    assert not any(HEARD in line or "Bonjour" in line for line in caplog.messages)
    assert not Turn.objects.exists()  # it was none


def test_speech_is_kept_unless_it_is_not_wanted(client: Client, tts: FakeTextToSpeech) -> None:
    for headers in ({}, {}, {"cache-control": "no-store"}):
        body = {"input": "Bonjour.", "voice": "claire"}
        sound(client.post(SPEECH, body, content_type="application/json", headers=headers))
    assert tts.spoken == ["Bonjour.", "Bonjour."]


# --- what there is -----------------------------------------------------------------------------


def test_the_voices(client: Client) -> None:
    told = client.get("/v1/audio/voices").json()
    assert told["voices"][0] == {
        "id": "grave", "language": "fr", "name": "Grave", "gender": "male", "default": True
    }  # fmt: skip
    assert told["aliases"] | {"alloy": "claire", "echo": "grave"} == told["aliases"]


def test_the_voices_where_none_speaks_the_default_language(
    client: Client, settings: Settings
) -> None:
    settings.VOICEBOT_LANGUAGE = "ja"
    assert client.get("/v1/audio/voices").json()["aliases"] == {}


@pytest.mark.weights
def test_the_models(client: Client, settings: Settings) -> None:
    settings.ENGINES = settings.PROFILES["embedded"]
    told = client.get("/v1/models").json()
    assert told["object"] == "list"
    assert {model["id"]: model["task"] for model in told["data"]} == {
        "whisper-base": "automatic-speech-recognition",
        "gemma-3-270m-q4": "text-generation",
        "kokoro-82m-int8": "text-to-speech",
    }
    [speaks] = [model for model in told["data"] if "voices" in model]
    assert "ff_siwis" in {voice["id"] for voice in speaks["voices"]}
    assert client.get("/v1/models/whisper-base").json() == told["data"][0]
    assert client.get("/v1/audio/models").json() == {"models": [{"id": "kokoro-82m-int8"}]}


def test_an_unknown_model(client: Client) -> None:
    response = client.get("/v1/models/org/gpt-9")
    assert response.status_code == 404
    assert response.json()["error"]["code"] == "model_not_found"


def test_an_unknown_address(client: Client) -> None:
    response = client.get("/v1/nowhere")
    assert response.status_code == 404
    assert response.json() == {
        "error": {
            "message": "Not found.", "type": "invalid_request_error",
            "param": None, "code": "not_found",
        }
    }  # fmt: skip


def test_a_wrong_method(client: Client) -> None:
    response = client.get(SPEECH)
    assert response.status_code == 405
    assert response.json()["error"]["code"] == "method_not_allowed"


@pytest.mark.parametrize("path", ["/v1/models/", "/v1/audio/voices/"])
def test_a_slash_more_is_no_other_address(client: Client, path: str) -> None:
    assert client.get(path).json() == client.get(path[:-1]).json()
