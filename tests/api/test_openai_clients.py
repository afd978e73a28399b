"""What clients of OpenAI's API send: Open WebUI, and four integrations of Home Assistant.
``docs/openai.md`` tells how each is set up.

A key is needed, as it is on any network.
"""

from __future__ import annotations

import asyncio
import io
import json
import uuid
import wave
from collections.abc import Awaitable, Callable
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI
from pytest_django import Settings

from access.models import ApiKey
from pipeline.audio import decode
from pipeline.encoding import SAMPLE_RATE
from pipeline.engines import engines
from pipeline.llm.base import Sampling
from pipeline.llm.fake import Fake as FakeLanguageModel
from pipeline.stt.base import Wanted
from pipeline.stt.fake import Fake as FakeSpeechToText
from tests.api.conftest import tone
from tests.api.http import Answer, send
from tests.uploads import encode

HEARD = "Quelle heure est-il ?"
TEXT = "Il est midi. Bon appétit !"
MP3 = "audio/mpeg"


@pytest.fixture
def key(settings: Settings, asgi_server: tuple[str, int]) -> str:
    settings.VOICEBOT_KEYS = "always"
    return ApiKey.objects.make("house").text


class Caller:
    """Sends what a client sends, with its headers."""

    def __init__(self, address: tuple[str, int], key: str, **headers: str) -> None:
        self._address = address
        self._headers = headers
        self._key = {"Authorization": f"Bearer {key}"}

    def get(self, path: str, *, key: bool = True) -> Answer:
        return send(
            self._address, "GET", path, headers={**self._headers, **(self._key if key else {})}
        )

    def post_json(self, path: str, body: dict[str, Any]) -> Answer:
        headers = {**self._headers, **self._key, "Content-Type": "application/json"}
        return send(self._address, "POST", path, json.dumps(body).encode(), headers)

    def post_form(
        self, path: str, fields: dict[str, str], name: str, content: bytes, media_type: str = ""
    ) -> Answer:
        """As the package requests writes forms: a file has a type where its caller gives one."""
        boundary = uuid.uuid4().hex
        parts = [
            f'--{boundary}\r\nContent-Disposition: form-data; name="{field}"\r\n\r\n{value}\r\n'
            for field, value in fields.items()
        ]
        kind = f"Content-Type: {media_type}\r\n" if media_type else ""
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n'
        body = "".join([*parts, head, kind, "\r\n"]).encode()
        body += content + f"\r\n--{boundary}--\r\n".encode()
        headers = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
        return send(self._address, "POST", path, body, {**self._headers, **self._key, **headers})


def told(answer: Answer) -> Any:
    response, body = answer
    assert response.status == 200, body
    return json.loads(body)


def heard_s(answer: Answer, media_type: str) -> float:
    """How long the sound of ``answer`` lasts."""
    response, body = answer
    assert (response.status, response.headers["Content-Type"]) == (200, media_type)
    return decode(body, max_duration=60).duration


def streamed_text(answer: Answer) -> str:
    response, body = answer
    assert response.status == 200, body
    events = body.decode().split("\n\n")
    assert events[-2:] == ["data: [DONE]", ""]
    chunks = [json.loads(event.removeprefix("data: ")) for event in events[:-2]]
    choices = [chunk["choices"][0] for chunk in chunks if chunk["choices"]]
    return "".join(choice["delta"].get("content") or "" for choice in choices)


# --- Open WebUI: backend/open_webui/routers/audio.py and openai.py -----------------------------


@pytest.fixture
def open_webui(asgi_server: tuple[str, int], key: str) -> Caller:
    return Caller(asgi_server, key, **{"User-Agent": "Python/3.11 aiohttp/3.12", "Accept": "*/*"})


def test_open_webui_lists_models_and_voices(open_webui: Caller) -> None:
    assert told(open_webui.get("/v1/models"))["data"][0]["id"] == "Fake"
    assert told(open_webui.get("/v1/audio/models"))["models"] == [{"id": "Fake"}]
    voices = told(open_webui.get("/v1/audio/voices"))["voices"]
    assert {voice["id"]: voice["name"] for voice in voices}["claire"] == "Claire"


def test_open_webui_falls_back_to_openais_voices_where_it_sends_no_key(open_webui: Caller) -> None:
    response, body = open_webui.get("/v1/audio/voices", key=False)
    assert response.status == 401
    assert json.loads(body)["error"]["type"] == "authentication_error"
    for voice in ("alloy", "echo", "fable", "onyx", "nova", "shimmer"):
        asked = {"input": TEXT, "voice": voice, "model": "tts-1"}
        assert heard_s(open_webui.post_json("/v1/audio/speech", asked), MP3) > 1


@pytest.mark.parametrize("language", ["", "fr"])
def test_open_webui_dictates(open_webui: Caller, stt: FakeSpeechToText, language: str) -> None:
    fields = {"model": "whisper-1", **({"language": language} if language else {})}
    recordings = {
        "wav": tone(0.5),
        "mp3": encode("mp3", "libmp3lame"),  # what it makes of browsers' WebM
        "webm": encode("webm", "libopus"),  # where it has no ffmpeg
    }
    for suffix, recording in recordings.items():
        name = f"{uuid.uuid4()}.{suffix}"
        answer = open_webui.post_form("/v1/audio/transcriptions", fields, name, recording)
        assert told(answer)["text"] == HEARD
    assert stt.wanted == [Wanted(language or None)] * 3


def test_open_webui_reads_aloud(open_webui: Caller) -> None:
    body: dict[str, Any] = {"input": TEXT, "voice": "claire", "model": "Fake"}
    assert heard_s(open_webui.post_json("/v1/audio/speech", body), MP3) > 1
    body |= {"response_format": "wav", "speed": 1.25}  # its “Additional Parameters”
    assert heard_s(open_webui.post_json("/v1/audio/speech", body), "audio/wav") > 1


def test_open_webui_shows_our_errors(open_webui: Caller) -> None:
    response, body = open_webui.post_json("/v1/audio/speech", {"input": TEXT, "voice": "bob"})
    assert response.status == 400
    assert "bob" in json.loads(body)["error"]["message"]


def test_open_webui_chats(open_webui: Caller, llm: FakeLanguageModel) -> None:
    body = {
        "stream": True,
        "model": "Fake",
        "messages": [{"role": "user", "content": HEARD}],
        "stream_options": {"include_usage": True},
    }
    answer = open_webui.post_json("/v1/chat/completions", body)
    assert streamed_text(answer) == f"Vous avez dit : {HEARD}"
    task = {
        "model": "Fake",
        "messages": [{"role": "user", "content": "### Task:\nGenerate a concise title."}],
        "stream": False,
        "max_completion_tokens": 1000,
    }
    title = told(open_webui.post_json("/v1/chat/completions", task))
    assert title["choices"][0]["message"]["content"]
    assert llm.sampled[-1] == Sampling(max_tokens=1000)


# --- Home Assistant: sfortis/openai_tts --------------------------------------------------------


@pytest.fixture
def openai_tts(asgi_server: tuple[str, int], key: str) -> Caller:
    return Caller(asgi_server, key, **{"User-Agent": "HomeAssistant-OpenAI-TTS"})


def test_openai_tts_tries_its_key(openai_tts: Caller, asgi_server: tuple[str, int]) -> None:
    probe = {"model": "tts-1", "input": ".", "voice": "alloy", "response_format": "mp3"}
    response, _body = openai_tts.post_json("/v1/audio/speech", probe)
    assert response.status == 200
    stranger = Caller(asgi_server, "sk-made-up")
    response, _body = stranger.post_json("/v1/audio/speech", probe)
    assert response.status == 401


def test_openai_tts_lists_voices(openai_tts: Caller) -> None:
    listed = told(openai_tts.get("/v1/audio/voices"))
    items = listed.get("items") or listed.get("data") or listed.get("voices")
    assert [(item["id"], item["name"]) for item in items][:2] == [
        ("grave", "Grave"), ("claire", "Claire")
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("response_format", "media_type"), [("mp3", MP3), ("opus", "audio/ogg"), ("wav", "audio/wav")]
)
def test_openai_tts_announces(openai_tts: Caller, response_format: str, media_type: str) -> None:
    body = {
        "model": "tts-1",
        "input": TEXT,
        "voice": "claire",
        "response_format": response_format,
        "speed": 1.0,
        "instructions": "Speak in a cheerful tone.",
    }
    assert heard_s(openai_tts.post_json("/v1/audio/speech", body), media_type) > 1


# --- Home Assistant: fabio-garavini/ha-openai-whisper-stt-api ----------------------------------


def test_openai_whisper_cloud_listens(
    asgi_server: tuple[str, int], key: str, stt: FakeSpeechToText
) -> None:
    client = Caller(asgi_server, key, **{"User-Agent": "python-requests/2.32.3"})
    assert told(client.get("/v1/models"))["data"]  # it tries its key so
    fields = {"model": "Fake", "language": "fr", "temperature": "0", "prompt": ""}
    answer = client.post_form(
        "/v1/audio/transcriptions", fields, "audio.wav", tone(0.5), "audio/wav"
    )
    assert told(answer)["text"] == HEARD
    assert stt.wanted == [Wanted("fr")]


def test_openai_whisper_cloud_hears_silence(asgi_server: tuple[str, int], key: str) -> None:
    client = Caller(asgi_server, key)
    answer = client.post_form(
        "/v1/audio/transcriptions", {"model": "Fake"}, "audio.wav", tone(0.5, peak=0), "audio/wav"
    )
    assert told(answer)["text"] == ""


# --- Home Assistant, by OpenAI's package -------------------------------------------------------


def by_the_package(
    address: tuple[str, int], key: str, ask: Callable[[AsyncOpenAI], Awaitable[Any]]
) -> Any:
    """What ``ask`` gets with a client of ``address``."""

    async def asking() -> Any:
        host, port = address
        async with AsyncOpenAI(base_url=f"http://{host}:{port}/v1", api_key=key) as client:
            return await ask(client)

    return asyncio.run(asking())


@pytest.mark.parametrize("stream", [False, True])
def test_wyoming_openai_listens(asgi_server: tuple[str, int], key: str, stream: bool) -> None:
    recording = io.BytesIO()
    with wave.open(recording, "wb") as file:  # of the chunks a satellite sent
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16_000)
        file.writeframes(tone(0.5)[44:])

    async def ask(client: AsyncOpenAI) -> str:
        transcription: Any = await client.audio.transcriptions.create(
            file=("recording.wav", recording.getvalue()), model="Fake",
            temperature=openai.omit, prompt=openai.omit, response_format="json", stream=stream,
        )  # fmt: skip
        if not stream:
            return str(transcription.text)
        deltas = [event.delta async for event in transcription if "delta" in event.type]
        return "".join(deltas)

    assert by_the_package(asgi_server, key, ask) == HEARD


@pytest.mark.parametrize("response_format", ["pcm", "wav"])
def test_wyoming_openai_speaks(
    asgi_server: tuple[str, int], key: str, response_format: Any
) -> None:
    async def ask(client: AsyncOpenAI) -> bytes:
        listed: Any = await client.get("/audio/voices", cast_to=object)
        assert "claire" in [voice["id"] for voice in listed["voices"]]
        async with client.audio.speech.with_streaming_response.create(
            model="Fake", voice="claire", input=TEXT, response_format=response_format
        ) as response:
            return b"".join([chunk async for chunk in response.iter_bytes(2048)])

    sound = by_the_package(asgi_server, key, ask)
    direct = b"".join(s.audio.pcm16() for s in engines.bare.tts.synthesize(TEXT, voice="claire"))
    assert sound[-len(direct) :] == direct
    assert len(direct) > SAMPLE_RATE


def test_extended_openai_conversation_talks(
    asgi_server: tuple[str, int], key: str, llm: FakeLanguageModel
) -> None:
    tool: Any = {
        "type": "function",
        "function": {"name": "execute_services", "parameters": {"type": "object"}},
    }

    async def ask(client: AsyncOpenAI) -> tuple[str, int]:
        await client.models.list()  # it tries its key so
        stream = await client.chat.completions.create(
            model="Fake", max_tokens=150, top_p=1, temperature=0.5, user="01J9ABC", stream=True,
            stream_options={"include_usage": True}, tools=[tool], tool_choice="auto",
            messages=[
                {"role": "system", "content": "Tu es la maison. Appareils : lampe, volet."},
                {"role": "user", "content": "Allume la lampe."},
                {"role": "assistant", "content": "Laquelle ?"},
                {"role": "user", "content": "Celle du salon."},
            ],
        )  # fmt: skip
        text, tokens = "", 0
        async for chunk in stream:
            if chunk.usage:
                tokens = chunk.usage.total_tokens
            text += "".join(choice.delta.content or "" for choice in chunk.choices)
        return text, tokens

    text, tokens = by_the_package(asgi_server, key, ask)
    assert text == "Vous avez dit : Celle du salon."
    assert tokens > 0
    assert llm.asked[-1][0].text.endswith("Tu es la maison. Appareils : lampe, volet.")
    assert llm.sampled[-1] == Sampling(150, 0.5, 1.0)


def test_a_wrong_key_is_an_error_the_package_knows(asgi_server: tuple[str, int], key: str) -> None:
    async def ask(client: AsyncOpenAI) -> None:
        await client.models.list()

    with pytest.raises(openai.AuthenticationError) as refused:
        by_the_package(asgi_server, "sk-made-up", ask)
    assert refused.value.type == "authentication_error"
