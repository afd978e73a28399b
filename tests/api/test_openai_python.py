"""OpenAI's own Python package, as it is published, against a server."""

from __future__ import annotations

import asyncio
import io
import wave
from base64 import b64decode, b64encode
from collections.abc import Iterator

import httpx2
import openai
import pytest
from openai import AsyncOpenAI, OpenAI
from openai.types.chat import (
    ChatCompletionContentPartInputAudioParam,
    ChatCompletionUserMessageParam,
)

from pipeline.audio import from_wav
from pipeline.encoding import SAMPLE_RATE
from pipeline.engines import engines
from pipeline.errors import EngineError
from pipeline.tts.fake import CHARS_PER_S
from pipeline.tts.fake import Fake as FakeTextToSpeech
from tests.api.conftest import tone

TEXT = "Bonjour à tous. Il fait beau."
HEARD = "Quelle heure est-il ?"
SPEECH_S = len("Bonjour à tous.Il fait beau.") / CHARS_PER_S


@pytest.fixture
def client(asgi_server: tuple[str, int]) -> Iterator[OpenAI]:
    host, port = asgi_server
    with OpenAI(base_url=f"http://{host}:{port}/v1", api_key="unused", max_retries=0) as client:
        yield client


def recording() -> tuple[str, bytes]:
    return "question.wav", tone(0.5)


def test_transcription(client: OpenAI) -> None:
    told = client.audio.transcriptions.create(model="whisper-1", file=recording())
    assert told.text == HEARD
    assert told._request_id


def test_transcription_in_detail(client: OpenAI) -> None:
    told = client.audio.transcriptions.create(
        model="whisper-1", file=recording(), language="fr", response_format="verbose_json",
        timestamp_granularities=["word", "segment"], prompt="Voicebot", temperature=0,
    )  # fmt: skip
    assert (told.language, told.duration, told.text) == ("french", 0.5, HEARD)
    assert told.segments
    assert told.segments[0].text == HEARD
    assert told.words
    assert [word.word for word in told.words] == ["Quelle", "heure", "est-il ?"]


def test_transcription_as_text(client: OpenAI) -> None:
    create = client.audio.transcriptions.create
    assert create(model="whisper-1", file=recording(), response_format="text") == f"{HEARD}\n"
    subtitles = create(model="whisper-1", file=recording(), response_format="srt")
    assert subtitles == f"1\n00:00:00,000 --> 00:00:00,500\n{HEARD}\n\n"
    subtitles = create(model="whisper-1", file=recording(), response_format="vtt")
    assert subtitles == f"WEBVTT\n\n00:00:00.000 --> 00:00:00.500\n{HEARD}\n"


def test_transcription_as_events(client: OpenAI) -> None:
    with client.audio.transcriptions.create(
        model="gpt-4o-transcribe", file=recording(), stream=True
    ) as stream:
        delta, done = stream
    assert delta.type == "transcript.text.delta"
    assert delta.delta == HEARD
    assert done.type == "transcript.text.done"
    assert done.text == HEARD


@pytest.mark.filterwarnings("ignore:deprecated:DeprecationWarning")  # OpenAI's endpoint is
def test_translation(client: OpenAI) -> None:
    told = client.audio.translations.create(model="whisper-1", file=recording())
    assert told.text == HEARD  # the fake understands no English


def test_speech(client: OpenAI) -> None:
    mp3 = client.audio.speech.create(model="tts-1", voice="alloy", input=TEXT).read()
    told = client.audio.transcriptions.create(
        model="whisper-1", file=("speech.mp3", mp3), response_format="verbose_json"
    )
    assert told.duration == pytest.approx(SPEECH_S, abs=0.1)


def test_speech_while_it_is_made(client: OpenAI) -> None:
    with client.audio.speech.with_streaming_response.create(
        model="tts-1", voice="onyx", input=TEXT, response_format="wav", speed=1.25
    ) as response:
        wav = b"".join(response.iter_bytes())
    with wave.open(io.BytesIO(wav)) as file:
        frames = len(file.readframes(10**9)) / 2
    assert frames / SAMPLE_RATE == pytest.approx(SPEECH_S / 1.25, abs=0.01)


def test_a_failure_in_the_midst_of_speech(client: OpenAI, tts: FakeTextToSpeech) -> None:
    first = next(engines.bare.tts.synthesize("Bonjour.")).audio
    tts.script.enqueue(first, EngineError("It broke."))
    with (
        pytest.raises(httpx2.RemoteProtocolError, match="incomplete"),
        client.audio.speech.with_streaming_response.create(
            model="tts-1", voice="onyx", input=TEXT, response_format="pcm"
        ) as response,
    ):
        for _chunk in response.iter_bytes():
            pass


def test_models(client: OpenAI) -> None:
    listed = list(client.models.list())
    assert [model.id for model in listed] == ["Fake"]
    assert client.models.retrieve("Fake") == listed[0]
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("gpt-9")


def test_refusals_are_its_own_exceptions(client: OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        client.audio.speech.create(model="tts-1", voice="nobody", input=TEXT)
    assert refused.value.code == "unknown_voice"
    assert "“nobody”" in refused.value.message
    assert refused.value.type == "invalid_request_error"
    with pytest.raises(openai.APIStatusError) as refused_too:
        client.audio.transcriptions.create(model="whisper-1", file=("a.wav", b"no audio"))
    assert refused_too.value.status_code == 415
    assert refused_too.value.code == "audio_unreadable"


# --- chat --------------------------------------------------------------------------------------


def written(text: str) -> ChatCompletionUserMessageParam:
    return {"role": "user", "content": text}


def spoken(sound: bytes | None = None) -> ChatCompletionUserMessageParam:
    data = b64encode(tone(0.5) if sound is None else sound).decode("ascii")
    recording: ChatCompletionContentPartInputAudioParam = {
        "type": "input_audio",
        "input_audio": {"data": data, "format": "wav"},
    }
    return {"role": "user", "content": [recording]}


def test_chat(client: OpenAI) -> None:
    told = client.chat.completions.create(
        model="gpt-4o", messages=[written("Bonjour à tous")], temperature=0
    )
    assert told.choices[0].message.content == "Vous avez dit : Bonjour à tous"
    assert told.choices[0].finish_reason == "stop"
    assert told.usage
    assert told.usage.completion_tokens == 7
    assert told.usage.total_tokens == told.usage.prompt_tokens + 7


def test_chat_as_it_is_written(client: OpenAI) -> None:
    with client.chat.completions.create(
        model="gpt-4o", messages=[written("Bonjour à tous")],
        stream=True, stream_options={"include_usage": True},
    ) as stream:  # fmt: skip
        *chunks, last = stream
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    assert text == "Vous avez dit : Bonjour à tous"
    assert chunks[-1].choices[0].finish_reason == "stop"
    assert last.usage
    assert last.usage.completion_tokens == 7


def test_chat_by_the_packages_own_accumulation(client: OpenAI) -> None:
    with client.chat.completions.stream(
        model="gpt-4o", messages=[written("Bonjour à tous")]
    ) as stream:
        told = stream.get_final_completion()
    assert told.choices[0].message.content == "Vous avez dit : Bonjour à tous"


def test_chat_from_sound_to_sound(client: OpenAI) -> None:
    first = client.chat.completions.create(
        model="gpt-4o-audio-preview", modalities=["text", "audio"],
        audio={"voice": "alloy", "format": "wav"},
        messages=[spoken()],
    )  # fmt: skip
    reply = first.choices[0].message
    assert reply.content is None
    assert reply.audio
    assert reply.audio.transcript == f"Vous avez dit : {HEARD}"
    assert from_wav(b64decode(reply.audio.data)).sample_rate == SAMPLE_RATE
    # As OpenAI's guide goes on with it.
    second = client.chat.completions.create(
        model="gpt-4o-audio-preview", modalities=["text", "audio"],
        audio={"voice": "alloy", "format": "wav"},
        messages=[
            spoken(),
            {"role": "assistant", "audio": {"id": reply.audio.id}},
            written("Et à Londres ?"),
        ],
    )  # fmt: skip
    assert second.choices[0].message.audio
    assert second.choices[0].message.audio.transcript == "Vous avez dit : Et à Londres ?"


def test_chat_from_sound_to_sound_as_it_is_made(client: OpenAI) -> None:
    with client.chat.completions.create(
        model="gpt-4o-audio-preview", modalities=["text", "audio"],
        audio={"voice": "alloy", "format": "pcm16"}, stream=True,
        messages=[spoken()],
    ) as stream:  # fmt: skip
        deltas = [chunk.choices[0].delta.audio for chunk in stream]
    audio = [delta for delta in deltas if delta]
    assert "".join(delta.transcript or "" for delta in audio) == f"Vous avez dit : {HEARD}"
    pcm = b"".join(b64decode(delta.data or "") for delta in audio)
    said = "Vous avez dit: Quelle heure est-il?"
    assert len(pcm) / 2 / SAMPLE_RATE == pytest.approx(len(said) / CHARS_PER_S, abs=0.2)
    assert [delta.expires_at for delta in audio if delta.expires_at]


def test_a_failure_in_the_midst_of_a_chat(client: OpenAI, tts: FakeTextToSpeech) -> None:
    tts.script.enqueue(EngineError("It broke."))
    with (
        pytest.raises(openai.APIError, match="It broke"),
        client.chat.completions.create(
            model="gpt-4o-audio-preview", modalities=["text", "audio"],
            audio={"voice": "alloy", "format": "pcm16"}, stream=True,
            messages=[written("Bonjour à tous")],
        ) as stream,
    ):  # fmt: skip
        for _chunk in stream:
            pass


def test_refusals_of_chats(client: OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        client.chat.completions.create(
            model="gpt-4o", messages=[written("Bonjour")],
            response_format={"type": "json_object"},
        )  # fmt: skip
    assert refused.value.param == "response_format"
    with pytest.raises(openai.UnprocessableEntityError) as silent:
        client.chat.completions.create(
            model="gpt-4o", messages=[spoken(tone(0.5, peak=0.0))]
        )  # fmt: skip
    assert silent.value.code == "no_speech"


def test_its_asynchronous_client(asgi_server: tuple[str, int]) -> None:
    host, port = asgi_server

    async def ask() -> list[str]:
        async with AsyncOpenAI(base_url=f"http://{host}:{port}/v1", api_key="unused") as client:
            stream = await client.chat.completions.create(
                model="gpt-4o",
                messages=[written("Bonjour à tous")],
                stream=True,
            )
            return [chunk.choices[0].delta.content or "" async for chunk in stream]

    assert "".join(asyncio.run(ask())) == "Vous avez dit : Bonjour à tous"
