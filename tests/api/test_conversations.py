"""Conversations: what is remembered, told, and forgotten."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import ANY

import pytest
from django.test import Client
from pytest_django import Settings

from access.models import ApiKey
from api import conversations
from cache.models import CachedSpeech
from history import files, memory
from history.models import Conversation, Turn
from pipeline import prompts
from pipeline.llm.fake import Fake as FakeLanguageModel
from pipeline.stt.fake import Fake as FakeSpeechToText
from tests.api.conftest import Ask, tone

pytestmark = pytest.mark.django_db(transaction=True)

JSON = {"Accept": "application/json"}
NOBODY = "00000000-0000-4000-8000-000000000000"

Say = Callable[..., Any]


@pytest.fixture
def begin(client: Client) -> Callable[..., dict[str, Any]]:
    def post(**fields: str) -> dict[str, Any]:
        response = client.post("/api/conversations/", fields, content_type="application/json")
        assert response.status_code == 201
        return response.json()  # type: ignore[no-any-return]

    return post


@pytest.fixture
def say(ask: Ask, stt: FakeSpeechToText, llm: FakeLanguageModel) -> Say:
    """A turn of a conversation."""

    def post(conversation: str, heard: str, reply: str | Exception = "Bien.", **fields: str) -> Any:
        stt.script.enqueue(heard)
        llm.script.enqueue(reply)
        return ask(headers=JSON, conversation=conversation, **fields)

    return post


def texts(llm: FakeLanguageModel) -> list[str]:
    """What the language model was last asked, without instructions and examples."""
    preface = len(prompts.messages("", "fr")) - 1
    return [message.text for message in llm.asked[-1][preface:]]


# --- begun -------------------------------------------------------------------------------------


def test_a_new_one(client: Client) -> None:
    wanted = {"title": "Visite", "language": "fr-FR", "voice": "claire"}
    response = client.post("/api/conversations/", wanted, content_type="application/json")
    assert response.status_code == 201
    body = response.json()
    row = Conversation.objects.get()
    assert body == {
        "id": str(row.pk),
        "url": f"http://testserver/api/conversations/{row.pk}/",
        "title": "Visite",
        "language": "fr",
        "voice": "claire",
        "taken": 0,
        "created_at": ANY,
        "last_used_at": ANY,
    }
    assert response["Location"] == body["url"]
    assert client.get(body["url"]).json() == {**body, "turns": [], "earlier": None}


@pytest.mark.parametrize("content_type", ["form", "json", "nothing"])
def test_in_any_form(client: Client, content_type: str) -> None:
    if content_type == "nothing":
        response = client.post("/api/conversations")
    else:
        kind = {"content_type": "application/json"} if content_type == "json" else {}
        response = client.post("/api/conversations/", {"title": "Été"}, **kind)  # type: ignore[arg-type]
    assert response.status_code == 201
    assert response.json()["title"] == ("" if content_type == "nothing" else "Été")


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ('{"title": "' + 81 * "a" + '"}', 400, "title_max_length"),
        ('{"title": ["a"]}', 400, "title_invalid"),
        (r'{"title": "\ud83d"}', 400, "title_surrogate_characters_not_allowed"),
        (r'{"title": "a\u0000"}', 400, "title_null_characters_not_allowed"),
        ('{"voice": "nobody"}', 400, "unknown_voice"),
        ('{"language": "xx"}', 400, "unsupported_language"),
        ('{"language": "en", "voice": "claire"}', 400, "unknown_voice"),
        ("[1]", 400, "body_invalid"),
        ('{"title"', 400, "parse_error"),
    ],
)
def test_what_cannot_be_one(client: Client, body: str, status: int, code: str) -> None:
    response = client.post("/api/conversations/", body, content_type="application/json")
    assert (response.status_code, response.json()["code"]) == (status, code)
    assert not Conversation.objects.exists()


# --- gone on with ------------------------------------------------------------------------------


def test_a_question_is_answered_in_the_light_of_the_first(
    begin: Any, say: Say, llm: FakeLanguageModel
) -> None:
    conversation = begin()["id"]
    first = say(conversation, "Je m'appelle Alice.", "Bonjour, Alice.").json()
    second = say(conversation, "Comment est-ce que je m'appelle ?", "Alice.").json()
    assert texts(llm) == [
        "Je m'appelle Alice.",
        "Bonjour, Alice.",
        "Comment est-ce que je m'appelle ?",
    ]
    assert first["conversation"] == {
        "id": conversation,
        "number": 1,
        "turn": f"http://testserver/api/conversations/{conversation}/turns/{turn(1).pk}/",
    }
    assert second["conversation"]["number"] == 2


def turn(number: int) -> Turn:
    return Turn.objects.get(number=number)


def test_addresses_do_not_repeat_the_format(begin: Any, ask: Ask) -> None:
    told = ask(url="/api/voice/?format=json", conversation=begin()["id"]).json()
    addresses = [told["conversation"]["turn"], told["speech"]["url"]]
    assert not any("?" in address for address in addresses)


def test_without_one_nothing_is_remembered(ask: Ask, llm: FakeLanguageModel) -> None:
    for _time in range(2):
        assert ask(headers=JSON, conversation="").json()["conversation"] is None
    assert len(texts(llm)) == 1


@pytest.mark.parametrize("accept", ["audio/wav", "audio/L16", "text/event-stream"])
def test_whatever_it_is_answered_in(begin: Any, ask: Ask, accept: str) -> None:
    conversation = begin()["id"]
    response = ask(conversation=conversation, headers={"Accept": accept})
    body = b"".join(response.streaming_content) if response.streaming else response.content
    turn = Turn.objects.get()
    assert str(turn.conversation_id) == conversation
    if accept == "text/event-stream":
        done = json.loads(body.decode().partition("event: done\ndata: ")[2])
        assert done["conversation"]["turn"].endswith(f"/turns/{turn.pk}/")


def test_it_has_a_language_and_a_voice_of_its_own(begin: Any, say: Say) -> None:
    conversation = begin(language="en", voice="low")["id"]
    first = say(conversation, "Hello.").json()
    assert (first["language"], first["speech"]["voice"]) == ("en", "low")
    other = say(conversation, "Bonjour.", language="fr", voice="claire").json()
    assert (other["language"], other["speech"]["voice"]) == ("fr", "claire")


@pytest.mark.parametrize("conversation", [NOBODY, "nonsense", "\x00", "…" * 1000])
def test_an_unknown_one(ask: Ask, conversation: str, stt: FakeSpeechToText) -> None:
    response = ask(conversation=conversation)
    assert response.status_code in (404, 400)
    assert response.json()["code"] == (
        "conversation_null_characters_not_allowed"
        if conversation == "\x00"
        else "conversation_not_found"
    )
    assert not Turn.objects.exists()


def test_a_turn_that_failed_is_there_and_was_not_said(
    begin: Any, say: Say, llm: FakeLanguageModel, client: Client
) -> None:
    conversation = begin()
    assert say(conversation["id"], "Et alors ?", RuntimeError("private")).status_code == 502
    say(conversation["id"], "Allô ?")
    assert texts(llm) == ["Allô ?"]
    failed, _said = client.get(conversation["url"]).json()["turns"]
    assert (failed["status"], failed["code"]) == (502, "engine_failed")
    assert (failed["transcript"], failed["reply"]) == ("Et alors ?", "")


def test_one_turn_at_a_time(
    begin: Any, ask: Ask, monkeypatch: pytest.MonkeyPatch, stt: FakeSpeechToText
) -> None:
    monkeypatch.setattr(memory, "WAIT_S", 0.05)
    conversation = begin()["id"]
    with files.lock(conversation.replace("-", ""), 1):
        response = ask(conversation=conversation)
    assert response.status_code == 409
    assert response.json()["code"] == "conversation_busy"
    assert response["Retry-After"] == "1"
    assert ask(conversation=conversation).status_code == 200


# --- as far as the context reaches -------------------------------------------------------------


@contextmanager
def context_of(llm: FakeLanguageModel, words: int) -> Iterator[None]:
    """Besides instructions and examples."""
    preface = prompts.messages("", "fr")
    llm._context_tokens = words + sum(len(message.text.split()) for message in preface)
    yield


def test_the_oldest_is_left_out_first(begin: Any, say: Say, llm: FakeLanguageModel) -> None:
    conversation = begin()["id"]
    with context_of(llm, words=8):
        for number in ("Un", "Deux", "Trois", "Quatre"):
            assert say(conversation, f"{number} ?", f"{number}.").status_code == 200
    assert texts(llm) == ["Deux ?", "Deux.", "Trois ?", "Trois.", "Quatre ?"]


def test_nothing_but_the_question_when_nothing_else_fits(
    begin: Any, say: Say, llm: FakeLanguageModel
) -> None:
    conversation = begin()["id"]
    with context_of(llm, words=3):
        say(conversation, "Un mot ?", "Un.")
        assert say(conversation, "Un autre ?", "Deux.").status_code == 200
    assert texts(llm) == ["Un autre ?"]


# --- listed ------------------------------------------------------------------------------------


def test_page_after_page(begin: Any, client: Client, say: Say) -> None:
    made = [begin(title=str(number))["id"] for number in range(5)]
    say(made[0], "Encore ?")  # it was used last
    url, seen = "/api/conversations/?page_size=2", []
    while url:
        page = client.get(url).json()
        assert len(page["results"]) <= 2
        seen += [conversation["id"] for conversation in page["results"]]
        url = page["next"]
    assert seen == [made[0], *reversed(made[1:])]
    assert page["previous"]


@pytest.mark.parametrize("cursor", ["cD14eXo=", "nonsense", "%FF", "cD0yMDI2"])
def test_a_page_that_is_none(begin: Any, client: Client, cursor: str) -> None:
    begin()
    response = client.get(f"/api/conversations/?cursor={cursor}")
    assert (response.status_code, response.json()["code"]) == (404, "not_found")


def test_many_turns(begin: Any, client: Client, say: Say, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conversations, "TURNS", 2)
    conversation = begin()
    for number in range(1, 6):
        say(conversation["id"], f"{number} ?")
    url, seen = conversation["url"], list[int]()
    while url:
        told = client.get(url).json()
        seen = [turn["number"] for turn in told["turns"]] + seen
        url = told["earlier"]
    assert seen == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("before", ["x", "0", "1.5"])
def test_before_what(begin: Any, client: Client, before: str) -> None:
    response = client.get(f"{begin()['url']}?before={before}")
    assert response.status_code == 400
    assert response.json()["code"] in ("before_invalid", "before_min_value")


# --- a turn ------------------------------------------------------------------------------------


def test_where_all_of_a_turn_came_from(begin: Any, client: Client, say: Say) -> None:
    answer = say(begin()["id"], "Quelle heure est-il ?", "Il est midi. Bon appétit !").json()
    turn = client.get(answer["conversation"]["turn"]).json()
    for name in ("engines", "cache", "outbound", "language", "reply"):
        assert turn[name] == answer[name], name
    assert turn["request"] == answer["id"]
    assert turn["times"] == pytest.approx(answer["times"], abs=1e-4)
    assert turn["transcript"] == answer["transcript"]["text"]
    assert (turn["status"], turn["code"], turn["number"]) == (200, "", 1)
    assert turn["options"] == {"language": "fr", "voice": None, "speed": 1.0, "eager": False}
    assert turn["utterance"] == {"url": None, "duration": 0.5}
    told = answer["speech"]["sentences"]
    timed = {"outbound": False, "start": ANY, "end": ANY}
    assert turn["speech"]["sentences"] == [{**sentence, **timed} for sentence in told]
    starts = [sentence["start"] for sentence in turn["speech"]["sentences"]]
    assert 0 < starts[0] < starts[1] < turn["times"]["total"]
    assert client.get(turn["speech"]["url"]).content == client.get(answer["speech"]["url"]).content
    assert client.get(f"{turn['url']}utterance.wav").json()["code"] == "utterance_not_found"


def test_sounds_that_are_kept(begin: Any, client: Client, say: Say, settings: Settings) -> None:
    settings.VOICEBOT_KEEP_UTTERANCES_DAYS = settings.VOICEBOT_KEEP_SPEECH_DAYS = 1
    where = say(begin()["id"], "Quelle heure est-il ?").json()["conversation"]["turn"]
    turn = client.get(where).json()
    response = client.get(turn["utterance"]["url"])
    assert response.content == tone(0.5)
    assert (response["Content-Type"], response["Cache-Control"]) == (
        "audio/wav",
        "private, no-cache",
    )
    part = client.get(turn["utterance"]["url"], headers={"Range": "bytes=0-3"})
    assert (part.status_code, part.content) == (206, b"RIFF")
    settings.ENGINES = {**settings.ENGINES, "tts": {"BACKEND": "pipeline.tts.fake.Fake"}}
    assert client.get(turn["speech"]["url"]).content[:4] == b"RIFF"


def test_speech_that_is_gone(begin: Any, client: Client, say: Say) -> None:
    where = say(begin()["id"], "Quelle heure est-il ?").json()["conversation"]["turn"]
    url = client.get(where).json()["speech"]["url"]
    CachedSpeech.objects.all().delete()
    turn = client.get(where).json()
    assert turn["speech"]["url"] is None
    assert [sentence["url"] for sentence in turn["speech"]["sentences"]] == [None]
    assert client.get(url).json()["code"] == "speech_not_found"


# --- again -------------------------------------------------------------------------------------


def test_tried_again(
    begin: Any, client: Client, say: Say, stt: FakeSpeechToText, settings: Settings
) -> None:
    settings.VOICEBOT_KEEP_UTTERANCES_DAYS = 1
    conversation = begin()
    url = say(conversation["id"], "Qui est là ?", "C'est moi.").json()["conversation"]["turn"]
    stt.script.enqueue("Qui est-ce ?")
    response = client.post(f"{url}replay/", {"from": "stt"})
    made = response.json()
    assert response.status_code == 201
    assert response["Location"] == made["url"] != url
    assert (made["transcript"], made["reply"]) == ("Qui est-ce ?", "Vous avez dit : Qui est-ce ?")
    assert (made["replay_of"]["url"], made["from"], made["number"]) == (url, "stt", None)
    assert client.get(made["url"]).json() == made
    assert client.get(url).json()["replays"] == [
        {"id": made["id"], "url": made["url"], "from": "stt"}
    ]
    assert [turn["url"] for turn in client.get(conversation["url"]).json()["turns"]] == [url]
    assert client.get(made["utterance"]["url"]).content == tone(0.5)
    assert client.get(made["speech"]["url"]).status_code == 200


def test_tried_again_otherwise(begin: Any, client: Client, say: Say) -> None:
    url = say(begin()["id"], "Qui est là ?").json()["conversation"]["turn"]
    wanted = {"from": "tts", "voice": "claire", "speed": 2, "cache": "off"}
    made = client.post(f"{url}replay", wanted, content_type="application/json").json()
    assert (made["voice"], made["options"]["speed"]) == ("claire", 2)
    assert (made["cache"]["tts"], made["speech"]["url"]) == ("off", None)


@pytest.mark.parametrize(
    ("wanted", "status", "code"),
    [
        ({}, 400, "from_missing"),
        ({"from": "end"}, 400, "from_invalid_choice"),
        ({"from": "tts", "speed": "9"}, 400, "speed_max_value"),
        ({"from": "tts", "voice": "nobody"}, 400, "unknown_voice"),
        ({"from": "tts", "cache": "never"}, 400, "cache_invalid_choice"),
        ({"from": "stt"}, 409, "not_kept"),
    ],
)
def test_what_cannot_be_tried_again(
    begin: Any, client: Client, say: Say, wanted: dict[str, str], status: int, code: str
) -> None:
    url = say(begin()["id"], "Qui est là ?").json()["conversation"]["turn"]
    response = client.post(f"{url}replay/", wanted)
    assert (response.status_code, response.json()["code"]) == (status, code)
    failed = [again["code"] for again in Turn.objects.exclude(replay_of=None).values("code")]
    assert failed == (["unknown_voice"] if code == "unknown_voice" else [])


def test_one_that_fails_again(begin: Any, client: Client, say: Say, llm: FakeLanguageModel) -> None:
    url = say(begin()["id"], "Qui est là ?").json()["conversation"]["turn"]
    llm.script.enqueue(RuntimeError("private"))
    response = client.post(f"{url}replay/", {"from": "llm"})
    assert (response.status_code, response.json()["code"]) == (502, "engine_failed")
    [failed] = client.get(url).json()["replays"]
    assert client.get(failed["url"]).json()["code"] == "engine_failed"


def test_one_that_is_not_there(begin: Any, client: Client) -> None:
    conversation = begin()
    response = client.post(f"{conversation['url']}turns/{NOBODY}/replay/", {"from": "llm"})
    assert (response.status_code, response.json()["code"]) == (404, "turn_not_found")


# --- forgotten ---------------------------------------------------------------------------------


def test_deleted(begin: Any, client: Client, say: Say, settings: Settings) -> None:
    settings.VOICEBOT_KEEP_UTTERANCES_DAYS = settings.VOICEBOT_KEEP_SPEECH_DAYS = 1
    conversation, other = begin(), begin()
    answer = say(conversation["id"], "Un ?", "Un.").json()
    say(other["id"], "Deux ?", "Deux.")
    assert len(list(files.stored())) == 4
    response = client.delete(conversation["url"])
    assert (response.status_code, response.content) == (204, b"")
    assert {str(turn.conversation_id) for turn in Turn.objects.all()} == {other["id"]}
    assert len(list(files.stored())) == 2
    assert {lock.stem for lock in files.root().glob(".locks/*")} <= {other["id"].replace("-", "")}
    assert client.get(answer["speech"]["url"]).status_code == 404
    for url in (conversation["url"], answer["conversation"]["turn"]):
        assert client.get(url).json()["code"] == "conversation_not_found"
    assert client.delete(conversation["url"]).status_code == 404


def test_a_turn_deleted(
    begin: Any, client: Client, say: Say, llm: FakeLanguageModel, settings: Settings
) -> None:
    settings.VOICEBOT_KEEP_UTTERANCES_DAYS = 1
    conversation = begin()
    url = say(conversation["id"], "Un secret.", "Je le garde.").json()["conversation"]["turn"]
    assert client.delete(url).status_code == 204
    assert list(files.stored()) == []
    assert client.get(url).json()["code"] == "turn_not_found"
    assert say(conversation["id"], "Alors ?").json()["conversation"]["number"] == 2
    assert texts(llm) == ["Alors ?"]


def test_nothing_else_can_be_done(begin: Any, client: Client) -> None:
    conversation = begin()
    assert client.put(conversation["url"]).status_code == 405
    assert client.delete("/api/conversations/").status_code == 405
    assert client.get("/api/conversations/nonsense/").json()["code"] == "not_found"


# --- whose it is -------------------------------------------------------------------------------


def bearer(key: ApiKey) -> dict[str, str]:
    return {"Authorization": f"Bearer {key.text}"}


def test_nobody_elses(client: Client, ask: Ask, settings: Settings) -> None:
    settings.VOICEBOT_KEEP_UTTERANCES_DAYS = 1
    mine, theirs = (bearer(ApiKey.objects.make(name)) for name in ("mine", "theirs"))
    conversation = client.post("/api/conversations/", headers=mine).json()
    answer = ask(headers={**JSON, **mine}, conversation=conversation["id"]).json()
    turn = answer["conversation"]["turn"]
    addresses = [conversation["url"], turn, f"{turn}utterance.wav", f"{turn}speech.wav"]
    for address in addresses:
        assert client.get(address, headers=mine).status_code == 200
        for headers in (theirs, {}):
            response = client.get(address, headers=headers)
            assert response.json()["code"] == "conversation_not_found"
    for address in (conversation["url"], turn):
        assert client.delete(address, headers=theirs).status_code == 404
    assert client.post(f"{turn}replay/", {"from": "llm"}, headers=theirs).status_code == 404
    assert ask(headers=theirs, conversation=conversation["id"]).status_code == 404
    for headers, count in ((mine, 1), (theirs, 0)):
        assert len(client.get("/api/conversations/", headers=headers).json()["results"]) == count
    assert Turn.objects.count() == 1


def test_a_key_for_turns_alone_begins_and_goes_on_with_none(client: Client, ask: Ask) -> None:
    headers = bearer(ApiKey.objects.make("kiosk", scopes=["talk"]))
    other = bearer(ApiKey.objects.make("desk", tenant="kiosk"))
    conversation = client.post("/api/conversations/", headers=other).json()
    for response in (
        client.post("/api/conversations/", headers=headers),
        client.get(conversation["url"], headers=headers),
        ask(headers=headers, conversation=conversation["id"]),
    ):
        assert (response.status_code, response.json()["code"]) == (403, "scope_missing")
    assert ask(headers=headers).status_code == 200
