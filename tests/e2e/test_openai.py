"""OpenAI's API on real engines, asked by curl and by OpenAI's own package."""

from __future__ import annotations

import json
import shutil
import subprocess
from base64 import b64decode, b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jiwer
import pytest
from openai import OpenAI
from openai.types.chat import ChatCompletionUserMessageParam

from bench.recordings import recordings, words
from pipeline.audio import Audio, from_wav, to_wav
from pipeline.encoding import MEDIA_TYPES
from pipeline.engines import Engines
from tests.e2e.conftest import Server

pytestmark = pytest.mark.weights

ITALY = "q02.wav"
SAID = "La capitale de l'Italie est Rome."


@pytest.fixture
def client(server: Server) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{server.url}/v1", api_key="unused", max_retries=0) as client:
        yield client


@pytest.fixture
def question(speech_dir: Path) -> Path:
    return speech_dir / "questions" / ITALY


def curl(*arguments: str) -> bytes:
    if shutil.which("curl") is None:
        pytest.skip("no curl")
    command = ["curl", "--silent", "--show-error", "--fail-with-body", *arguments]
    return subprocess.run(command, check=True, capture_output=True, timeout=600).stdout


def spoken(recording: bytes) -> ChatCompletionUserMessageParam:
    data = b64encode(recording).decode("ascii")
    return {
        "role": "user",
        "content": [{"type": "input_audio", "input_audio": {"data": data, "format": "wav"}}],
    }


def heard_again(embedded: Engines, speech: Audio) -> str:
    return words(embedded.stt.transcribe(speech, language="fr").text)


def test_the_same_question_gets_the_same_reply_whoever_asks(
    server: Server, client: OpenAI, question: Path, tmp_path: Path
) -> None:
    recording = question.read_bytes()
    ours = server.ask(recording, accept="application/json").json["reply"]
    assert ours

    body = tmp_path / "body.json"
    body.write_text(json.dumps({"model": "gemma-3-270m-q4", "messages": [spoken(recording)]}))
    told = json.loads(
        curl(
            f"{server.url}/v1/chat/completions",
            "-H", "Content-Type: application/json", "-d", f"@{body}",
        )
    )  # fmt: skip
    by_curl = told["choices"][0]["message"]["content"]

    text = client.audio.transcriptions.create(model="whisper-base", file=question).text
    written = client.chat.completions.create(
        model="gemma-3-270m-q4", messages=[{"role": "user", "content": text}]
    )
    aloud = client.chat.completions.create(
        model="gpt-4o-audio-preview", modalities=["text", "audio"],
        audio={"voice": "alloy", "format": "wav"}, messages=[spoken(recording)],
    )  # fmt: skip
    assert aloud.choices[0].message.audio
    with client.chat.completions.create(
        model="gpt-4o", messages=[{"role": "user", "content": text}], stream=True
    ) as stream:
        streamed = "".join(chunk.choices[0].delta.content or "" for chunk in stream)

    assert {
        "curl": by_curl,
        "openai-python": written.choices[0].message.content,
        "input_audio": aloud.choices[0].message.audio.transcript,
        "stream": streamed.strip(),
    } == dict.fromkeys(["curl", "openai-python", "input_audio", "stream"], ours)
    assert written.usage
    assert 0 < written.usage.completion_tokens < 100 < written.usage.prompt_tokens


def test_every_question_is_written_down(client: OpenAI, speech_dir: Path) -> None:
    """Without a word about its language."""
    known = recordings("questions")
    heard = []
    for recording in known:
        file = speech_dir / "questions" / recording.name
        told = client.audio.transcriptions.create(
            model="whisper-1", file=file, response_format="verbose_json",
            timestamp_granularities=["word", "segment"],
        )  # fmt: skip
        assert told.language == "french"
        assert told.words
        assert told.segments
        starts = [word.start for word in told.words]
        assert starts == sorted(starts)
        assert told.words[-1].end <= told.duration
        assert " ".join(word.word for word in told.words) == told.text
        heard.append(words(told.text))
    rate = jiwer.wer([words(r.text) for r in known], heard)
    assert rate <= 0.21, f"word error rate {rate:.3f}"


def test_transcripts_by_curl(server: Server, question: Path) -> None:
    url = f"{server.url}/v1/audio/transcriptions"
    form = ["-F", f"file=@{question}", "-F", "model=whisper-1"]
    text = curl(url, *form, "-F", "response_format=text").decode()
    assert words(text) == words("Quelle est la capitale de l'Italie ?")
    assert json.loads(curl(url, *form))["text"] == text.strip()
    vtt = curl(url, *form, "-F", "response_format=vtt").decode()
    assert vtt.startswith("WEBVTT\n\n00:00:0")
    events = curl("-N", url, *form, "-F", "stream=true").decode()
    assert events.startswith('data: {"type": "transcript.text.delta"')


def test_what_is_said_is_translated(server: Server, embedded: Engines, question: Path) -> None:
    told = json.loads(
        curl(
            f"{server.url}/v1/audio/translations",
            "-F", f"file=@{question}", "-F", "response_format=verbose_json",
        )
    )  # fmt: skip
    assert told["language"] == "english"
    assert {"capital", "italy"} & set(words(told["text"], "en").split())


@pytest.mark.parametrize("response_format", MEDIA_TYPES)
def test_speech_is_understood_in_every_format(client: OpenAI, response_format: Any) -> None:
    sound = client.audio.speech.create(
        model="tts-1", voice="alloy", input=SAID, response_format=response_format
    ).read()
    if response_format == "pcm":
        sound = to_wav([Audio.from_pcm16(sound, 24_000)])
    heard = client.audio.transcriptions.create(
        model="whisper-1", file=(f"speech.{response_format}", sound), language="fr"
    )
    assert jiwer.wer(words(SAID), words(heard.text)) <= 0.34, heard.text


def test_from_sound_to_sound_in_one_request(
    client: OpenAI, embedded: Engines, question: Path
) -> None:
    with client.chat.completions.create(
        model="gpt-4o-audio-preview", modalities=["text", "audio"], stream=True,
        audio={"voice": "shimmer", "format": "pcm16"}, messages=[spoken(question.read_bytes())],
    ) as stream:  # fmt: skip
        audio = [chunk.choices[0].delta.audio for chunk in stream]
    pieces = [delta for delta in audio if delta]
    transcript = "".join(delta.transcript or "" for delta in pieces)
    pcm = b"".join(b64decode(delta.data or "") for delta in pieces)
    heard = heard_again(embedded, Audio.from_pcm16(pcm, 24_000))
    assert jiwer.wer(words(transcript), heard) <= 0.34, (transcript, heard)


def test_english_is_answered_in_english(client: OpenAI, embedded: Engines) -> None:
    """As it is heard, and as it is read; OpenAI's voices speak what is asked of them."""
    asked = "What is the capital of Italy?"
    speech = to_wav([s.audio for s in embedded.tts.synthesize(asked, language="en")])
    audio: Any = {"voice": "alloy", "format": "wav"}
    messages: list[ChatCompletionUserMessageParam] = [
        spoken(speech), {"role": "user", "content": asked}
    ]  # fmt: skip
    for message in messages:
        raw = client.chat.completions.with_raw_response.create(
            model="gpt-4o-audio-preview", modalities=["text", "audio"], audio=audio,
            messages=[message],
        )  # fmt: skip
        assert raw.headers["Content-Language"] == "en"
        reply = raw.parse().choices[0].message.audio
        assert reply
        assert "Rome" in reply.transcript
        heard = embedded.stt.transcribe(from_wav(b64decode(reply.data)), language="en")
        assert "Rome" in heard.text

    read = client.audio.speech.create(
        model="tts-1", voice="alloy", input="The capital of Italy is Rome.", response_format="wav"
    ).read()
    told = client.audio.transcriptions.create(
        model="whisper-1", file=("speech.wav", read), response_format="verbose_json"
    )
    assert (told.language, words(told.text, "en")) == ("english", "the capital of italy is rome")
