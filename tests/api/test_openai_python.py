"""OpenAI's own Python package, as it is published, against a server."""

from __future__ import annotations

import io
import wave
from collections.abc import Iterator

import httpx2
import openai
import pytest
from openai import OpenAI

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
