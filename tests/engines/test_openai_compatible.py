"""Engines behind OpenAI's API: llama.cpp's own server, and a stand-in that hears and speaks."""

from __future__ import annotations

import json
import logging
import socket
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from pytest_django import Settings

from pipeline.audio import SAMPLE_RATE, Audio
from pipeline.base import Engine
from pipeline.engines import Engines, build
from pipeline.errors import (
    EngineBusy,
    EngineError,
    EngineTimeout,
    EngineUnavailable,
    InvalidEngineError,
    NoSpeech,
    UnsupportedTask,
)
from pipeline.llm.base import LanguageModel, Message, Sampling, Usage
from pipeline.llm.openai_compatible import OpenAICompatible as RemoteLanguageModel
from pipeline.stt.base import SpeechToText
from pipeline.stt.openai_compatible import OpenAICompatible as RemoteSpeechToText
from pipeline.tts.openai_compatible import OpenAICompatible as RemoteTextToSpeech
from tests.engines.contract import (
    LanguageModelContract,
    SpeechToTextContract,
    TextToSpeechContract,
)
from tests.engines.openai_stand_in import KEY, MODEL, Answering, audio_api, serving
from tests.settings import WEIGHTS

QUESTION = [Message("user", "Bonjour !")]
LLM = "pipeline.llm.openai_compatible.OpenAICompatible"


# --- A llama.cpp server ---------------------------------------------------------------------


@pytest.fixture(scope="module")
def llama_cpp(embedded: Engines) -> Iterator[str]:
    """The base URL of llama.cpp's server: one slot, a key."""
    from xllamacpp import CommonParams, Server

    params = CommonParams()
    params.model.path = str(WEIGHTS / "gemma-3-270m-q4" / "gemma-3-270m-Q4_K_M.gguf")
    params.n_ctx = 4096
    params.n_parallel = 1
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 2
    params.swa_full = True
    params.verbosity = 0
    params.api_keys = [KEY]
    params.ui = False
    server = Server(params)
    yield f"{server.listening_address}/v1"
    del server


@pytest.fixture
def language_model(llama_cpp: str) -> RemoteLanguageModel:
    return RemoteLanguageModel(base_url=llama_cpp, model="gemma", key=KEY, max_tokens=12)


@pytest.mark.weights
class TestOnLlamaCpp(LanguageModelContract):
    @pytest.fixture
    def engine(self, language_model: RemoteLanguageModel) -> RemoteLanguageModel:
        return language_model

    def test_constructor_reads_no_weights(self, engine: Engine, *_args: object) -> None:
        assert not RemoteLanguageModel(base_url="http://localhost:9/v1", model="gemma").loaded

    def test_a_wrong_key_is_told_without_telling_it(self, llama_cpp: str) -> None:
        engine = RemoteLanguageModel(base_url=llama_cpp, model="gemma", key="sk-wrong-98765")
        with pytest.raises(EngineUnavailable, match="refuses the key") as caught:
            list(engine.reply(QUESTION))
        assert "98765" not in f"{caught.value} {caught.value.__cause__!r}"

    def test_closing_a_reply_frees_the_servers_slot(self, llama_cpp: str) -> None:
        endless = RemoteLanguageModel(
            base_url=llama_cpp,
            model="gemma",
            key=KEY,
            max_tokens=3_500,
            extra={"ignore_eos": True},
        )
        reply = endless.reply(QUESTION)
        next(reply)
        assert busy(llama_cpp)
        reply.close()
        deadline = time.monotonic() + 60
        while busy(llama_cpp):
            assert time.monotonic() < deadline
            time.sleep(0.05)


def busy(base_url: str) -> bool:
    """Whether the only slot of a llama.cpp server is at work."""
    headers = {"Authorization": f"Bearer {KEY}"}
    request = urllib.request.Request(f"{base_url.removesuffix('/v1')}/slots", headers=headers)
    with urllib.request.urlopen(request) as response:
        [slot] = json.load(response)
    return bool(slot["is_processing"])


# --- Speech, heard and spoken by a stand-in -------------------------------------------------


@pytest.fixture(scope="module")
def stand_in(embedded: Engines) -> Iterator[str]:
    with serving(audio_api(embedded)) as (base_url, _asked):
        yield base_url


@pytest.fixture(scope="module")
def question(embedded: Engines) -> Audio:
    [speech] = embedded.tts.synthesize("Quelle heure est-il à Paris ?", language="fr")
    return speech.audio.resampled(SAMPLE_RATE)


@pytest.mark.weights
class TestSpeechToText(SpeechToTextContract):
    @pytest.fixture
    def engine(self, stand_in: str) -> RemoteSpeechToText:
        return RemoteSpeechToText(base_url=stand_in, model=MODEL, key=KEY)

    @pytest.fixture
    def utterance(self, question: Audio) -> Audio:
        return question

    def test_constructor_reads_no_weights(self, engine: Engine, *_args: object) -> None:
        assert not RemoteSpeechToText(base_url="http://localhost:9/v1", model=MODEL).loaded

    def test_hears_what_is_said(self, engine: SpeechToText, utterance: Audio) -> None:
        assert "heure" in engine.transcribe(utterance, language="fr").text

    def test_text_without_segments(self, stand_in: str, utterance: Audio) -> None:
        engine = RemoteSpeechToText(base_url=stand_in, model=MODEL, key=KEY, response_format="json")
        transcript = engine.transcribe(utterance, language="fr")
        [segment] = transcript.segments
        assert segment.text == transcript.text
        assert 0 <= segment.start < segment.end <= utterance.duration

    def test_text_without_segments_is_no_translation(self, utterance: Audio) -> None:
        engine = RemoteSpeechToText(
            base_url="http://127.0.0.1:9/v1", model=MODEL, response_format="json"
        )
        for options in ({"task": "translate"}, {"words": True}):
            with pytest.raises(UnsupportedTask):
                engine.transcribe(utterance, **options)

    def test_noise_is_not_sent(self) -> None:
        noise = np.random.default_rng(0).normal(0, 0.05, SAMPLE_RATE).astype(np.float32)
        engine = RemoteSpeechToText(base_url="http://127.0.0.1:9/v1", model=MODEL)
        with pytest.raises(NoSpeech):
            engine.transcribe(Audio(noise, SAMPLE_RATE))

    def test_a_model_there_is_not(self, stand_in: str, utterance: Audio) -> None:
        engine = RemoteSpeechToText(base_url=stand_in, model="whisper-9", key=KEY)
        with pytest.raises(EngineUnavailable, match="knows no model “whisper-9”"):
            engine.transcribe(utterance)


@pytest.mark.weights
class TestTextToSpeech(TextToSpeechContract):
    @pytest.fixture
    def engine(self, stand_in: str) -> RemoteTextToSpeech:
        voices = {"fr": "ff_siwis", "en": ["af_heart", "am_adam"]}
        return RemoteTextToSpeech(base_url=stand_in, model=MODEL, key=KEY, voices=voices)

    def test_constructor_reads_no_weights(self, engine: Engine, *_args: object) -> None:
        voices = {"fr": "ff_siwis"}
        url = "http://localhost:9/v1"
        assert not RemoteTextToSpeech(base_url=url, model=MODEL, voices=voices).loaded


# --- What can go wrong ----------------------------------------------------------------------


def sse(*events: object) -> bytes:
    lines = (event if isinstance(event, str) else json.dumps(event) for event in events)
    return "".join(f"data: {line}\n\n" for line in lines).encode()


def delta(text: str) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": {"content": text}}]}


def replying(base_url: str, **options: Any) -> RemoteLanguageModel:
    return RemoteLanguageModel(base_url=base_url, model="m", key=KEY, **options)


def streams(*events: object) -> Callable[[Answering, bytes], None]:
    return lambda http, _body: http.send(200, sse(*events), "text/event-stream")


def refuses(status: int, message: str = "No.", **headers: str) -> Callable[..., None]:
    return lambda http, _body: http.send_error_json(status, message, **headers)


def hangs_up(http: Answering, _body: bytes) -> None:
    http.connection.shutdown(socket.SHUT_RDWR)
    http.close_connection = True


def test_asks_as_the_api_is_documented() -> None:
    events = [
        {"choices": [{"index": 0, "delta": {"role": "assistant", "content": None}}]},
        delta("Bon"),
        delta("jour."),
        {"choices": [], "usage": {"total_tokens": 9}},
        "[DONE]",
    ]
    with serving(streams(*events)) as (base_url, asked):
        engine = replying(base_url, max_tokens=7, extra={"top_p": 0.5})
        assert list(engine.reply(QUESTION)) == ["Bon", "jour."]
    [(path, headers, body)] = asked
    assert path == "/v1/chat/completions"
    assert headers["Authorization"] == f"Bearer {KEY}"
    assert json.loads(body) == {
        "model": "m",
        "stream": True,
        "stream_options": {"include_usage": True},
        "temperature": 0,
        "max_tokens": 7,
        "top_p": 0.5,
        "messages": [{"role": "user", "content": "Bonjour !"}],
    }


def test_asks_for_what_is_wanted_and_passes_on_what_the_server_counts() -> None:
    sampling = Sampling(max_tokens=300, temperature=0.7, top_p=0.9, stop=("FIN",))
    counted = {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}
    ends = {"choices": [{"index": 0, "delta": {}, "finish_reason": "length"}]}
    for usage, expected in (
        ({"choices": [], "usage": counted}, Usage(5, 2, cut=True)),
        ({"choices": [], "usage": None}, None),
        ({"choices": [], "usage": {"prompt_tokens": "many"}}, None),
    ):
        with serving(streams(delta("Oui."), ends, usage, "[DONE]")) as (base_url, asked):
            reply = replying(base_url, max_tokens=160).reply(QUESTION, sampling)
            assert next(reply) == "Oui."
            with pytest.raises(StopIteration) as end:
                next(reply)
        assert end.value.value == expected
        body = json.loads(asked[0][2])
        wanted = {"max_tokens": 160, "temperature": 0.7, "top_p": 0.9, "stop": ["FIN"]}
        assert wanted.items() <= body.items()


@pytest.mark.parametrize(
    ("answer", "error", "message"),
    [
        (refuses(401), EngineUnavailable, "127.0.0.1 refuses the key"),
        (refuses(403), EngineUnavailable, "127.0.0.1 refuses the key"),
        (refuses(404), EngineUnavailable, "knows no model “m”"),
        (refuses(400), EngineError, "HTTP 400"),
        (refuses(500), EngineError, "HTTP 500"),
        (refuses(502), EngineError, "HTTP 502"),
        (streams("garbage"), EngineError, "not understood"),
        (streams([1]), EngineError, "not understood"),
        (streams(delta("Bon")), EngineError, "not understood"),
        (streams({"error": {"message": "out of memory"}}), EngineError, r"^OpenAICompatible "),
        (lambda http, _body: http.send(200, b"<html>", "text/html"), EngineError, "not under"),
        (hangs_up, EngineError, "broke off"),
    ],
)
def test_failures_are_named(
    answer: Callable[[Answering, bytes], None], error: type[EngineError], message: str
) -> None:
    with serving(answer) as (base_url, _asked), pytest.raises(EngineError, match=message) as caught:
        list(replying(base_url).reply(QUESTION))
    assert type(caught.value) is error


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(
    ("header", "seconds"),
    [("17", 17), ("0", 1), ("999999", 3_600), ("Wed, 21 Oct 2026 07:28:00 GMT", 5)],
)
def test_a_busy_server_says_when_to_ask_again(status: int, header: str, seconds: int) -> None:
    answering = serving(refuses(status, Retry_After=header))
    with answering as (base_url, _asked), pytest.raises(EngineBusy) as caught:
        list(replying(base_url).reply(QUESTION))
    assert caught.value.retry_after_s == seconds


def test_redirects_are_not_followed() -> None:
    with serving(streams(delta("Stolen."), "[DONE]")) as (elsewhere, stolen):
        pointing = serving(refuses(307, Location=f"{elsewhere}/chat/completions"))
        refused = pytest.raises(EngineUnavailable, match="points elsewhere")
        with pointing as (base_url, _asked), refused:
            list(replying(base_url).reply(QUESTION))
    assert stolen == []


def test_nobody_there() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    with pytest.raises(EngineUnavailable, match=r"127\.0\.0\.1 cannot be reached"):
        list(replying(f"http://127.0.0.1:{port}/v1").reply(QUESTION))


@pytest.mark.parametrize("first", [b"", sse(delta("Bon"))], ids=["at once", "mid-stream"])
def test_a_server_that_falls_silent_is_left_in_time(first: bytes) -> None:
    released = threading.Event()

    def hang(http: Answering, _body: bytes) -> None:
        if first:
            http.send_response(200)
            http.end_headers()
            http.wfile.write(first)
        released.wait(60)
        http.close_connection = True

    with serving(hang) as (base_url, _asked):
        engine = replying(base_url, timeout_s=0.5)
        started = time.monotonic()
        with pytest.raises(EngineTimeout):
            list(engine.reply(QUESTION))
        assert time.monotonic() - started < 30
        released.set()


def test_a_server_that_only_keeps_alive_is_left_in_time() -> None:
    def ping(http: Answering, _body: bytes) -> None:
        http.send_response(200)
        http.end_headers()
        try:
            for _ in range(600):
                http.wfile.write(b": ping\n\n")
                time.sleep(0.1)
        except OSError:  # they hung up
            pass
        http.close_connection = True

    with serving(ping) as (base_url, _asked), pytest.raises(EngineTimeout):
        list(replying(base_url, timeout_s=0.5).reply(QUESTION))


@pytest.mark.parametrize(
    "body", [b"", b"RIFF", b"RIFF\x04\0\0\0WAVE", b"ID3 an MP3", b'{"error": "no"}']
)
def test_speech_that_is_no_wav(body: bytes) -> None:
    with serving(lambda http, _body: http.send(200, body, "audio/wav")) as (base_url, _asked):
        engine = RemoteTextToSpeech(base_url=base_url, model="m", voices={"fr": "a"})
        with pytest.raises(EngineError, match="not understood"):
            list(engine.synthesize("Bonjour.", language="fr"))


@pytest.mark.weights
@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"segments": [{"start": "now"}]}'])
def test_a_transcript_that_is_none(body: bytes, question: Audio) -> None:
    answering = serving(lambda http, _body: http.send(200, body, "application/json"))
    with answering as (base_url, _asked):
        engine = RemoteSpeechToText(base_url=base_url, model="m")
        with pytest.raises(EngineError, match="not understood"):
            engine.transcribe(question)


# --- What leaves the machine ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("base_url", "outbound"),
    [
        ("http://localhost:8080/v1", False),
        ("http://LOCALHOST/v1", False),
        ("http://127.0.0.1/v1", False),
        ("http://127.8.9.1:1/v1", False),
        ("http://[::1]:8080/v1", False),
        ("https://gpu.example/v1", False),
        ("https://GPU.example:8443/v1", False),
        ("https://api.openai.com/v1", True),
        ("http://10.0.0.5:8000/v1", True),
        ("http://0.0.0.0/v1", True),
        ("http://localhost.example/v1", True),
        ("http://127.0.0.1.example/v1", True),
        ("http://127.1/v1", True),
        ("https://other.gpu.example/v1", True),
    ],
)
def test_outbound_unless_ours(base_url: str, outbound: bool, settings: Settings) -> None:
    settings.VOICEBOT_OWN_HOSTS = ["GPU.example"]
    assert replying(base_url).outbound is outbound


@pytest.mark.parametrize(
    "base_url",
    [
        "",
        "localhost:8080",
        "ftp://localhost/v1",
        "file:///etc/passwd",
        "http:///v1",
        f"http://user:{KEY}@localhost/v1",
        f"http://localhost/v1?api_key={KEY}",
        "http://example.org#@localhost/v1",
        "http://localhost\\@example.org/v1",
    ],
)
def test_urls_that_cannot_be_asked(base_url: str) -> None:
    entry = {"BACKEND": LLM, "OPTIONS": {"base_url": base_url, "model": "m"}}
    with pytest.raises(InvalidEngineError, match="base_url") as caught:
        build(entry, LanguageModel, where="ENGINES['llm']")
    assert KEY not in str(caught.value)


@pytest.mark.parametrize("voices", [{}, {"fr": []}, {"fr": "alloy", "en": "alloy"}])
def test_voices_speak_one_language_each(voices: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="voices"):
        RemoteTextToSpeech(base_url="http://localhost/v1", model="m", voices=voices)


def test_no_proxy_is_asked_for_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(refuses(502)) as (proxy, proxied):
        monkeypatch.setenv("HTTP_PROXY", proxy.removesuffix("/v1"))
        monkeypatch.setenv("ALL_PROXY", proxy.removesuffix("/v1"))
        with serving(streams(delta("Oui."), "[DONE]")) as (base_url, _asked):
            assert list(replying(base_url).reply(QUESTION)) == ["Oui."]
    assert proxied == []


# --- The key --------------------------------------------------------------------------------


def test_no_key_is_sent_where_there_is_none() -> None:
    with serving(streams("[DONE]")) as (base_url, asked):
        list(RemoteLanguageModel(base_url=base_url, model="m").reply(QUESTION))
    assert "Authorization" not in asked[0][1]


def test_the_key_is_told_nowhere(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with serving(refuses(500, f"Your key {KEY} is not to my liking.")) as (base_url, _asked):
        engine = replying(base_url)
        with pytest.raises(EngineError) as caught:
            list(engine.reply(QUESTION))
    assert "Your key … is not" in str(caught.value.__cause__)
    told = f"{caught.value} {caught.value.__cause__!r} {engine.identity} {engine!r} {caplog.text}"
    assert KEY not in told
