"""``/v1/chat/completions``: text or sound in, text or sound out, whole or while it is made."""

from __future__ import annotations

import json
import logging
from base64 import b64decode, b64encode
from collections.abc import Iterator
from typing import Any, cast
from urllib.parse import unquote

import pytest
from django.core import signing
from django.test import Client
from pytest_django import Settings

from api.openai.messages import MOST_SPOKEN, reply_id, reply_of
from history.models import Turn
from pipeline.audio import decode, from_wav
from pipeline.encoding import SAMPLE_RATE
from pipeline.engines import engines
from pipeline.errors import EngineBusy, EngineError, NoSpeech, TextTooLong
from pipeline.llm.base import AS_EVER, Message, Sampling
from pipeline.llm.fake import Fake as FakeLanguageModel
from pipeline.stt.base import Wanted
from pipeline.stt.fake import Fake as FakeSpeechToText
from pipeline.tts.fake import CHARS_PER_S
from pipeline.tts.fake import Fake as FakeTextToSpeech
from tests.api import engines as doubles
from tests.api.conftest import Ask, tone

pytestmark = pytest.mark.django_db

URL = "/v1/chat/completions"
HEARD = "Quelle heure est-il ?"
REPLY = "La capitale est Rome, bien sûr. Allez-y !"
AUDIO = {"modalities": ["text", "audio"], "audio": {"voice": "alloy", "format": "wav"}}


def user(*parts: str | bytes | dict[str, Any]) -> dict[str, Any]:
    """A message of these texts and recordings."""
    return {"role": "user", "content": [part_json(part) for part in parts]}


def part_json(part: str | bytes | dict[str, Any]) -> dict[str, Any]:
    if isinstance(part, dict):
        return part
    if isinstance(part, str):
        return {"type": "text", "text": part}
    return {"type": "input_audio", "input_audio": {"data": base64(part), "format": "wav"}}


def base64(data: bytes) -> str:
    return b64encode(data).decode("ascii")


def post(client: Client, *messages: Any, headers: Any = None, **body: Any) -> Any:
    asked = {"model": "gpt-4o-audio-preview", "messages": list(messages), **body}
    return client.post(URL, asked, content_type="application/json", headers=headers)


def text(content: str) -> dict[str, Any]:
    return {"role": "user", "content": content}


def streamed(response: Any) -> tuple[list[Any], bool]:
    """The chunks, and whether they came to their end."""
    assert response.status_code == 200, response.content
    body = b"".join(cast("Iterator[bytes]", response.streaming_content)).decode()
    *events, rest = body.split("\n\n")
    assert rest == ""
    data = [event.removeprefix("data: ") for event in events]
    complete = data[-1] == "[DONE]"
    return [json.loads(datum) for datum in (data[:-1] if complete else data)], complete


def deltas(chunks: list[Any]) -> list[Any]:
    return [chunk["choices"][0]["delta"] for chunk in chunks if chunk.get("choices")]


def asked_last(llm: FakeLanguageModel, skipping: int) -> list[Message]:
    """What the language model was asked, without the ``skipping`` first messages."""
    return list(llm.asked[-1][skipping:])


@pytest.fixture
def ours(client: Client, llm: FakeLanguageModel) -> int:
    """How many messages of ours go before the client's, in French."""
    post(client, text("Bonjour à tous"))
    return len(llm.asked.pop()) - 1


# --- text --------------------------------------------------------------------------------------


def test_text(client: Client, llm: FakeLanguageModel) -> None:
    llm.script.enqueue(REPLY)
    response = post(client, text("Quelle est la capitale ?"), headers={"x-request-id": "my-turn"})
    assert response.status_code == 200
    assert response["Content-Type"] == "application/json"
    assert response["Cache-Control"] == "no-store"
    assert response["X-Request-Id"] == "my-turn"
    assert unquote(response["X-Reply"]) == REPLY
    assert response["Content-Language"] == "fr"
    told = response.json()
    assert told["id"] == "chatcmpl-my-turn"
    assert told["object"] == "chat.completion"
    assert told["model"] == "Fake"
    assert told["choices"] == [
        {
            "index": 0,
            "logprobs": None,
            "message": {"role": "assistant", "content": REPLY, "refusal": None},
            "finish_reason": "stop",
        }
    ]
    asked = sum(len(message.text.split()) for message in llm.asked[-1])
    assert told["usage"] == {
        "prompt_tokens": asked, "completion_tokens": 8, "total_tokens": asked + 8
    }  # fmt: skip


def test_text_as_it_is_written(client: Client, llm: FakeLanguageModel) -> None:
    llm.script.enqueue(f"  {REPLY}")
    response = post(client, text("Quelle est la capitale ?"), stream=True)
    assert response["Content-Type"] == "text/event-stream"
    assert response["X-Accel-Buffering"] == "no"
    chunks, complete = streamed(response)
    assert complete
    assert {chunk["object"] for chunk in chunks} == {"chat.completion.chunk"}
    assert len({(chunk["id"], chunk["created"]) for chunk in chunks}) == 1
    assert not any("usage" in chunk for chunk in chunks)
    first, *others = deltas(chunks)
    assert first == {"role": "assistant", "content": ""}
    assert "".join(delta.get("content", "") for delta in others) == REPLY
    reasons = [chunk["choices"][0]["finish_reason"] for chunk in chunks]
    assert reasons == [None] * (len(chunks) - 1) + ["stop"]


def test_usage_at_the_end_of_a_stream(client: Client) -> None:
    response = post(
        client, text("Bonjour à tous"), stream=True, stream_options={"include_usage": True}
    )
    chunks, _complete = streamed(response)
    assert chunks[-1]["choices"] == []
    assert chunks[-1]["usage"]["completion_tokens"] == 7
    assert [chunk["usage"] for chunk in chunks[:-1]] == [None] * (len(chunks) - 1)


def test_an_engine_that_does_not_count(client: Client, settings: Settings) -> None:
    path = f"{doubles.Uncounting.__module__}.{doubles.Uncounting.__name__}"
    settings.ENGINES = {**settings.ENGINES, "llm": {"BACKEND": path}}
    told = post(client, text("Bonjour")).json()
    assert told["usage"] is None
    assert told["choices"][0]["message"]["content"] == "Bonjour !"
    options = {"include_usage": True}
    chunks, _complete = streamed(post(client, text("Oui ?"), stream=True, stream_options=options))
    assert "".join(delta.get("content", "") for delta in deltas(chunks)) == "Bonjour !"
    assert chunks[-1]["usage"] is None


def test_an_empty_reply(client: Client, llm: FakeLanguageModel) -> None:
    llm.script.enqueue("", "")
    assert post(client, text("?")).json()["choices"][0]["message"]["content"] == ""
    chunks, complete = streamed(post(client, text("?"), stream=True))
    assert deltas(chunks) == [{"role": "assistant", "content": ""}, {}]
    assert complete


def test_a_reply_that_is_cut(client: Client, llm: FakeLanguageModel) -> None:
    told = post(client, text("Un deux trois quatre"), max_tokens=2).json()
    assert told["choices"][0]["finish_reason"] == "length"
    assert told["choices"][0]["message"]["content"] == "Vous avez"


@pytest.mark.parametrize(
    ("body", "sampling"),
    [
        ({}, AS_EVER),
        (
            {"temperature": None, "top_p": None, "max_tokens": None, "stop": None, "n": None,
             "stream": None, "modalities": None, "audio": None, "stream_options": None},
            AS_EVER,
        ),
        (
            {"temperature": 0.7, "top_p": 0.9, "max_tokens": 9, "stop": "\n"},
            Sampling(9, 0.7, 0.9, ("\n",)),
        ),
        (
            {"max_tokens": 9, "max_completion_tokens": 5, "stop": ["a", " b"]},
            Sampling(5, stop=("a", " b")),
        ),
    ],
)  # fmt: skip
def test_sampling(
    client: Client, llm: FakeLanguageModel, body: dict[str, Any], sampling: Sampling
) -> None:
    assert post(client, text("Bonjour"), **body).status_code == 200
    assert llm.sampled == [sampling]


def test_a_chat(client: Client, llm: FakeLanguageModel, ours: int) -> None:
    post(
        client,
        {"role": "system", "content": "Tu es Jeanne."},
        {"role": "developer", "content": [{"type": "text", "text": "Sois brève."}]},
        text("Bonjour à tous."),
        {"role": "assistant", "content": "Bonjour !"},
        {"role": "assistant", "content": [{"type": "text", "text": "Oui ?"}]},
        {"role": "assistant", "content": None, "tool_calls": [{"id": "1"}]},
        {"role": "tool", "content": "12", "tool_call_id": "1"},
        user("Je voudrais", "une pomme."),
        text("Rouge."),
    )
    assert llm.asked[-1][0].text.endswith("voix haute. Tu es Jeanne.\nSois brève.")
    assert asked_last(llm, ours) == [
        Message("user", "Bonjour à tous."),
        Message("assistant", "Bonjour !\nOui ?"),
        Message("user", "Je voudrais\nune pomme.\nRouge."),
    ]


@pytest.mark.parametrize(
    ("question", "body", "language"),
    [
        ("Quelle heure est-il ?", {}, "fr"),
        ("What time is it in Paris?", {}, "en"),
        ("¿Qué hora es en Madrid?", {}, "es"),
        ("OK", {}, "fr"),  # it could be any
        ("Quelle heure est-il ?", {"language": "en"}, "en"),
        ("What time is it in Paris?", {**AUDIO}, "en"),
        ("¿Qué hora es en Madrid?", {**AUDIO}, "fr"),  # no voice speaks Spanish
        (
            "What time is it in Paris?",
            {**AUDIO, "audio": {"voice": "claire", "format": "wav"}},
            "fr",
        ),
    ],
)
def test_the_language_of_what_is_written(
    client: Client, question: str, body: dict[str, Any], language: str
) -> None:
    assert post(client, text(question), **body)["Content-Language"] == language


# --- sound -------------------------------------------------------------------------------------


def test_sound_in(client: Client, stt: FakeSpeechToText) -> None:
    response = post(client, user(tone(0.5)))
    assert unquote(response["X-Transcript"]) == HEARD
    message = response.json()["choices"][0]["message"]
    assert message == {
        "role": "assistant", "content": f"Vous avez dit : {HEARD}", "refusal": None
    }  # fmt: skip
    assert stt.wanted == [Wanted()]


def test_sound_out(client: Client, llm: FakeLanguageModel) -> None:
    llm.script.enqueue(REPLY)
    message = post(client, text("Quelle est la capitale ?"), **AUDIO).json()["choices"][0][
        "message"
    ]
    assert message["content"] is None
    assert message["audio"]["transcript"] == REPLY
    assert message["audio"]["expires_at"] > 0
    speech = from_wav(b64decode(message["audio"]["data"]))  # which refuses a size that is not exact
    assert speech.sample_rate == SAMPLE_RATE
    said = "La capitale est Rome, bien sûr.Allez-y!"
    assert speech.duration == pytest.approx(len(said) / CHARS_PER_S, abs=0.01)


@pytest.mark.parametrize("format", ["mp3", "opus", "flac", "aac", "pcm16"])
def test_sound_in_every_format(client: Client, format: str) -> None:
    body = {**AUDIO, "audio": {"voice": "alloy", "format": format}}
    message = post(client, text("Bonjour à tous"), **body).json()["choices"][0]["message"]
    data = b64decode(message["audio"]["data"])
    if format == "pcm16":
        duration = len(data) / 2 / SAMPLE_RATE
    else:
        duration = decode(data, max_duration=60).duration
    assert duration == pytest.approx(len("Vous avez dit: Bonjour à tous") / CHARS_PER_S, abs=0.1)


@pytest.mark.parametrize("format", ["pcm16", "wav", "mp3"])
def test_sound_as_it_is_made(client: Client, llm: FakeLanguageModel, format: str) -> None:
    llm.script.enqueue(REPLY)
    body = {**AUDIO, "audio": {"voice": "alloy", "format": format}}
    response = post(client, user(tone(0.5)), stream=True, **body)
    assert unquote(response["X-Transcript"]) == HEARD
    chunks, complete = streamed(response)
    assert complete
    first, *others = deltas(chunks)
    assert first == {"role": "assistant"}
    audio = [delta["audio"] for delta in others if delta]
    assert "".join(piece.get("transcript", "") for piece in audio) == REPLY
    sound = b"".join(b64decode(piece.get("data", "")) for piece in audio)
    said = "La capitale est Rome,bien sûr.Allez-y!"
    if format == "pcm16":
        assert len(sound) / 2 / SAMPLE_RATE == pytest.approx(len(said) / CHARS_PER_S, abs=0.01)
        assert len([piece for piece in audio if "data" in piece]) == 3  # the first clause first
    elif format == "mp3":
        heard_s = decode(sound, max_duration=60).duration
        assert heard_s == pytest.approx(len(said) / CHARS_PER_S, abs=0.1)
    assert audio[-2].keys() == {"id"}
    assert reply_of(audio[-2]["id"]) == REPLY
    assert audio[-1].keys() == {"expires_at"}
    assert chunks[-1]["choices"][0] == {
        "index": 0, "logprobs": None, "delta": {}, "finish_reason": "stop"
    }  # fmt: skip


def test_speech_comes_before_the_reply_is_complete(client: Client, llm: FakeLanguageModel) -> None:
    llm.script.enqueue("Une phrase. " + "Et encore une autre phrase. " * 100)
    chunks, _complete = streamed(post(client, text("Bonjour à tous"), stream=True, **AUDIO))
    kinds = ["data" if "data" in d["audio"] else "text" for d in deltas(chunks)[1:-1] if d]
    assert kinds.index("data") < len(kinds) - kinds[::-1].index("text") - 1


def test_a_turn_from_sound_to_sound_is_that_of_our_own_address(
    client: Client, ask: Ask, llm: FakeLanguageModel
) -> None:
    ask(headers={"accept": "application/json"})
    body = {**AUDIO, "audio": {"voice": "", "format": "wav"}, "language": "fr"}
    told = post(client, user(tone(0.5)), **body).json()
    assert llm.asked[0] == llm.asked[1]
    ours = from_wav(ask().content)
    theirs = from_wav(b64decode(told["choices"][0]["message"]["audio"]["data"]))
    assert theirs.pcm16() == ours.pcm16()


def test_text_beside_sound_says_what_to_do_with_it(
    client: Client, llm: FakeLanguageModel, ours: int
) -> None:
    post(client, user("Traduis en anglais :", tone(0.5)))
    assert asked_last(llm, ours) == [Message("user", f"Traduis en anglais :\n{HEARD}")]


def test_recordings_of_one_message_are_one(client: Client, stt: FakeSpeechToText) -> None:
    post(client, user(tone(0.5), tone(0.25)))
    assert [heard.duration for heard in stt.heard] == [0.75]


def test_what_was_said_before(
    client: Client, llm: FakeLanguageModel, stt: FakeSpeechToText, ours: int
) -> None:
    stt.script.enqueue("Quelle est la capitale ?", NoSpeech(), "Et celle du Pérou ?")
    post(
        client,
        user(tone(0.5)),
        {"role": "assistant", "audio": {"id": reply_id("C'est Rome.")}},
        user(tone(0.5)),
        {"role": "assistant", "content": "Pardon ?"},
        user(tone(0.5)),
        language="fr",
    )
    assert asked_last(llm, ours) == [
        Message("user", "Quelle est la capitale ?"),
        Message("assistant", "C'est Rome.\nPardon ?"),
        Message("user", "Et celle du Pérou ?"),
    ]
    assert stt.wanted == [Wanted("fr")] * 3


def test_silence_before_leaves_nobody_twice_in_a_row(
    client: Client, llm: FakeLanguageModel, stt: FakeSpeechToText, ours: int
) -> None:
    stt.script.enqueue(NoSpeech(), NoSpeech())
    talk = [
        *(text("Je m'appelle Alice."), {"role": "assistant", "content": " "}),
        *(user(tone(0.5)), {"role": "assistant", "content": "Bonjour."}),
        *(user(tone(0.5)), {"role": "assistant", "content": "Pardon ?"}),
    ]
    post(client, *talk, text("Qui suis-je ?"), language="fr")
    assert asked_last(llm, ours) == [
        Message("user", "Je m'appelle Alice."),
        Message("assistant", "Bonjour.\nPardon ?"),
        Message("user", "Qui suis-je ?"),
    ]


@pytest.mark.parametrize("role", ["assistant", "system"])
def test_only_the_user_sends_recordings(client: Client, llm: FakeLanguageModel, role: str) -> None:
    response = post(client, {**user(tone(0.5)), "role": role}, text("Et alors ?"))
    error = response.json()["error"]
    assert (response.status_code, error["code"]) == (400, "messages_unsupported")
    assert error["param"] == "messages[0].content"
    assert llm.asked == []


def test_only_the_latest_recordings_are_heard(client: Client, stt: FakeSpeechToText) -> None:
    talk = [user(tone(0.1)), {"role": "assistant", "content": "Oui."}] * (MOST_SPOKEN + 5)
    assert post(client, *talk, user(tone(0.1))).status_code == 200
    assert len(stt.heard) == MOST_SPOKEN + 1


def test_a_reply_is_known_again_by_its_id(
    client: Client, llm: FakeLanguageModel, ours: int
) -> None:
    first = post(client, text("Bonjour à tous"), **AUDIO).json()["choices"][0]["message"]
    post(
        client,
        text("Bonjour à tous"),
        {"role": "assistant", "audio": {"id": first["audio"]["id"]}},
        text("Et toi ?"),
    )
    assert asked_last(llm, ours)[1] == Message("assistant", "Vous avez dit : Bonjour à tous")


@pytest.mark.parametrize(
    ("voice", "language", "hears", "spoken_by"),
    [
        ("claire", None, "fr", "claire"),
        ("low", None, "en", "low"),  # a voice speaks one language
        ("alloy", None, "fr", "claire"),
        ("alloy", "en", "en", "low"),
        ("echo", None, "fr", "grave"),
    ],
)
def test_who_speaks(
    client: Client, tts: FakeTextToSpeech, stt: FakeSpeechToText,
    voice: str, language: str | None, hears: str, spoken_by: str,
) -> None:  # fmt: skip
    body = {**AUDIO, "audio": {"voice": voice, "format": "pcm16"}, "language": language}
    response = post(client, user(tone(0.5)), **body)
    assert response["Content-Language"] == hears
    sound = b64decode(response.json()["choices"][0]["message"]["audio"]["data"])
    [direct] = engines.bare.tts.synthesize(tts.spoken[-1], voice=spoken_by)
    assert sound.endswith(direct.audio.pcm16())


def test_nothing_is_kept_of_what_must_not_be(
    client: Client, tts: FakeTextToSpeech, stt: FakeSpeechToText
) -> None:
    for _again in range(2):
        response = post(client, user(tone(0.5)), headers={"cache-control": "no-store"}, **AUDIO)
        assert response["X-Cache"] == "stt=off, llm=off, tts=off"


# --- refusals ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("messages", "status", "code", "param"),
    [
        ([], 400, "messages_empty", "messages"),
        (["Bonjour"], 400, "messages_invalid", "messages[0]"),
        ([text("a"), {"role": "king", "content": "b"}], 400, "messages_invalid_choice",
         "messages[1].role"),
        ([{"content": "b"}], 400, "messages_missing", "messages[0].role"),
        ([{"role": "user", "content": 7}], 400, "messages_invalid", "messages[0].content"),
        ([{"role": "user", "content": ["a"]}], 400, "messages_invalid", "messages[0].content[0]"),
        ([text("a\ud800")], 400, "messages_surrogate_characters_not_allowed",
         "messages[0].content"),
        ([text("a\0")], 400, "messages_null_characters_not_allowed", "messages[0].content"),
        ([user("a", {"type": "image_url", "image_url": {"url": "x"}})], 400,
         "messages_unsupported", "messages[0].content[1]"),
        ([user({"type": "input_audio", "input_audio": {"data": "a!", "format": "wav"}})], 400,
         "messages_not_base64", "messages[0].content[0]"),
        ([user({"type": "input_audio", "input_audio": {"data": 7}})], 400,
         "messages_not_base64", "messages[0].content[0]"),
        ([user({"type": "input_audio"})], 415, "audio_unreadable", None),
        ([user(b"no audio")], 415, "audio_unreadable", None),
        ([user(tone(40), tone(40))], 413, "audio_too_long", None),
        ([user(tone(0.5, peak=0.0))], 422, "no_speech", None),
        ([text("")], 400, "messages_no_question", "messages"),
        ([text("a"), {"role": "assistant", "content": "b"}], 400,
         "messages_no_question", "messages"),
        ([{"role": "system", "content": "a"}], 400, "messages_no_question", "messages"),
        ([text("a"), {"role": "assistant", "audio": {"id": "audio_abc"}}, text("b")], 400,
         "messages_not_found", "messages[1].audio.id"),
        ([text("a" * 40_000)], 413, "text_too_long", None),
    ],
)  # fmt: skip
@pytest.mark.parametrize("stream", [False, True])
def test_refusals_of_messages(
    client: Client, messages: list[Any], status: int, code: str, param: str | None, stream: bool
) -> None:
    response = post(client, *messages, stream=stream)
    assert response.status_code == status
    error = response.json()["error"]
    assert error.pop("message")
    assert error == {"type": "invalid_request_error", "param": param, "code": code}


@pytest.mark.parametrize(
    ("body", "status", "code", "param"),
    [
        ({"messages": None}, 400, "messages_null", "messages"),
        ({"modalities": ["text", "smell"]}, 400, "modalities_invalid_choice", "modalities[1]"),
        ({**AUDIO, "audio": {"format": "ogg"}}, 400, "audio_invalid_choice", "audio.format"),
        ({**AUDIO, "audio": {"voice": "nobody"}}, 400, "unknown_voice", None),
        ({**AUDIO, "audio": {"voice": "claire"}, "language": "en"}, 400, "unknown_voice", None),
        ({**AUDIO, "language": "tlh"}, 400, "unsupported_language", None),
        ({"temperature": 3}, 400, "temperature_max_value", "temperature"),
        ({"max_tokens": 0}, 400, "max_tokens_min_value", "max_tokens"),
        ({"n": 2}, 400, "n_max_value", "n"),
        ({"stop": [7, {}]}, 400, "stop_invalid", "stop[1]"),
        ({"response_format": {"type": "json_object"}}, 400, "response_format_unsupported",
         "response_format"),
        ({"tool_choice": "required"}, 400, "tool_choice_unsupported", "tool_choice"),
        ({"stream": "perhaps"}, 400, "stream_invalid", "stream"),
    ],
)  # fmt: skip
def test_refusals(
    client: Client, body: dict[str, Any], status: int, code: str, param: str | None
) -> None:
    response = post(client, text("Bonjour à tous"), **body)
    assert response.status_code == status
    error = response.json()["error"]
    assert (error["code"], error["param"]) == (code, param)


def test_a_reply_of_another_service_is_not_known(client: Client) -> None:
    with pytest.raises(ValueError, match="audio_"):
        reply_of("audio_" + signing.dumps("Bonjour", salt="another"))


def test_what_clients_send_besides_is_ignored(client: Client) -> None:
    response = post(
        client, text("Bonjour à tous"), user="me", seed=7, store=False, metadata={"a": "b"},
        frequency_penalty=0.5, presence_penalty=0.5, logit_bias={}, parallel_tool_calls=False,
        tools=[{"type": "function", "function": {"name": "f"}}], tool_choice="auto",
        response_format={"type": "text"}, reasoning_effort="low", logprobs=True, top_logprobs=2,
        service_tier="auto", prediction=None, stream_options={"include_obfuscation": False},
    )  # fmt: skip
    assert response.status_code == 200


def test_a_failure_before_the_first_word_is_an_answer(
    client: Client, llm: FakeLanguageModel
) -> None:
    llm.script.enqueue(EngineBusy(7), TextTooLong(9, 8))
    for stream, status in ((True, 503), (True, 413)):
        assert post(client, text("Bonjour à tous"), stream=stream).status_code == status


def test_a_failure_after_it_ends_the_stream(client: Client, tts: FakeTextToSpeech) -> None:
    tts.script.enqueue(EngineError("It broke."))
    chunks, complete = streamed(post(client, text("Bonjour à tous"), stream=True, **AUDIO))
    assert not complete
    assert chunks[-1]["error"]["code"] == "engine_failed"
    assert post(client, text("Bonjour à tous"), **AUDIO).status_code == 200  # the slot is free


# --- what is left behind -----------------------------------------------------------------------


def test_a_turn_is_accounted_for(client: Client, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "api.turns")
    headers = {"x-request-id": "my-turn"}
    streamed(post(client, user(tone(0.5)), stream=True, headers=headers, **AUDIO))
    [line] = [line for line in caplog.messages if "status=" in line]
    assert line.startswith("turn my-turn status=200 upload_bytes=16044 language=fr")
    assert HEARD not in line
    [row] = Turn.objects.all()
    assert (row.request_id, row.status, row.code) == ("my-turn", 200, "")
    assert row.options == {
        "aloud": True, "eager": True, "format": "wav", "language": None, "voice": "alloy"
    }  # fmt: skip
    assert row.transcript_chars == len(HEARD)
    assert row.speech_s > 0
    assert row.transcript == ""  # said outside a conversation


def test_a_refusal_is_accounted_for(client: Client, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "api.turns")
    post(client, user(tone(0.5, peak=0.0)))
    post(client)
    first, second = (line for line in caplog.messages if "status=" in line)
    assert "status=422 upload_bytes=16044 code=no_speech" in first
    assert "status=400 upload_bytes=0 code=messages_empty" in second
    [row] = Turn.objects.all()  # of the second nothing was understood
    assert (row.status, row.code) == (422, "no_speech")


def test_a_client_that_leaves_stops_the_reply(
    client: Client, llm: FakeLanguageModel, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "api.turns")
    llm.script.enqueue("Un mot. " * 1_000)
    response = post(client, text("Bonjour à tous"), stream=True)
    next(iter(response.streaming_content))
    response.close()
    assert llm.stopped == 1
    assert caplog.messages[-1].endswith("status=499 upload_bytes=0 code=client_gone")


@pytest.mark.usefixtures("stt")
def test_a_model_of_another_task(client: Client, settings: Settings) -> None:
    settings.ENGINES = {**settings.ENGINES, "stt": settings.PROFILES["embedded"]["stt"]}
    messages = [text("Bonjour")]
    asked = {"model": "whisper-base", "messages": messages}
    response = client.post(URL, asked, content_type="application/json")
    assert response.status_code == 404
    assert response.json()["error"]["code"] == "model_not_found"
