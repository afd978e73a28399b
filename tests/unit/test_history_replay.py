"""A turn tried again from one of its stages on."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.cache import caches
from pytest_django import Settings

from cache.models import CachedSpeech
from history import files, memory, replay, retention
from history.errors import NotKept
from history.models import STAGES, Conversation, Turn
from history.recording import Recording
from history.retention import Gone
from pipeline.errors import EngineError, UnknownVoice
from pipeline.turn import Stage
from tests.unit.remembered import UTTERANCE, converse, days_ago, llm, stt, tts

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def conversation(settings: Settings) -> Conversation:
    settings.VOICEBOT_KEEP_UTTERANCES_DAYS = 30
    return Conversation.objects.create()


def again(row: Turn, stage: Stage, **options: Any) -> Turn:
    recording = Recording("again")
    for _event in replay.begin(recording, row, stage, **options):
        pass
    assert recording.row is not None
    recording.row.refresh_from_db()
    return recording.row


@pytest.mark.parametrize("stage", STAGES)
def test_only_what_follows_is_done_again(conversation: Conversation, stage: Stage) -> None:
    first = converse(conversation, "Qui est là ?", "C'est moi.")
    stt().script.enqueue("Qui est-ce ?")
    llm().script.enqueue("Personne.")
    asked, heard = len(llm().asked), len(stt().heard)
    second = again(first, stage)

    assert (second.replay_of, second.replayed_from) == (first, stage)
    assert (second.conversation, second.number) == (conversation, None)
    assert (second.request_id, second.status, second.code) == ("again", 200, "")
    assert second.said_at == first.said_at
    assert second.created_at > first.created_at
    assert second.transcript == ("Qui est-ce ?" if stage == "stt" else "Qui est là ?")
    assert second.reply == ("C'est moi." if stage == "tts" else "Personne.")
    assert len(stt().heard) - heard == (stage == "stt")
    assert len(llm().asked) - asked == (stage != "tts")
    assert (second.stt_s > 0) == (stage == "stt")
    assert (second.utterance_bytes > 0) == (stage == "stt")
    assert second.utterance_s == (0.5 if stage == "stt" else None)
    assert second.tts_cache == ("hit" if stage == "tts" else "miss")
    assert second.sentences.exists()


def test_what_lies_before_came_from_where_it_did(conversation: Conversation) -> None:
    first = converse(conversation)
    of_old = {"engine": "Ancient", "weights": "old"}
    Turn.objects.update(
        engines=dict.fromkeys(STAGES, of_old),
        stt_engine="Ancient",
        llm_engine="Ancient",
        stt_outbound=True,
        stt_cache="hit",
    )
    first.refresh_from_db()
    second = again(first, "llm")
    assert (second.stt_engine, second.llm_engine) == ("Ancient", "Fake")
    assert second.engines == {"stt": of_old, "llm": {"engine": "Fake"}, "tts": {"engine": "Fake"}}
    assert (second.stt_outbound, second.stt_cache) == (False, "off")  # not this time


def test_it_knows_what_was_known_then(conversation: Conversation) -> None:
    converse(conversation, "Un ?", "Un.")
    second = converse(conversation, "Deux ?", "Deux.")
    converse(conversation, "Trois ?", "Trois.")
    then = llm().asked[1]
    third = again(second, "llm")
    assert llm().asked[-1] == then
    again(third, "llm")
    assert llm().asked[-1] == then


def test_the_conversation_goes_on_without_it(conversation: Conversation) -> None:
    first = converse(conversation, "Un ?", "Un.")
    conversation.refresh_from_db()
    before = conversation.last_used_at, conversation.taken, conversation.title
    llm().script.enqueue("Une autre réponse.")
    again(first, "llm")
    conversation.refresh_from_db()
    assert (conversation.last_used_at, conversation.taken, conversation.title) == before
    said = [message.text for message in memory.messages(conversation, before=2)]
    assert said == ["Un ?", "Un."]
    assert converse(conversation).number == 2


def test_it_repeats_what_was_wished_unless_there_are_other_wishes(
    conversation: Conversation,
) -> None:
    first = converse(conversation, voice="claire", speed=1.5, language="fr")
    same = again(first, "tts")
    assert (same.voice, same.options) == ("claire", first.options)
    assert same.speech_s == first.speech_s
    other = again(first, "tts", wishes={"voice": "grave", "speed": 1.0})
    assert other.voice == "grave"
    assert other.options == {"voice": "grave", "speed": 1.0, "language": "fr"}
    assert other.speech_s > first.speech_s


def test_nothing_but_speech_comes_from_a_cache(
    conversation: Conversation, settings: Settings
) -> None:
    for role, wrapper in (("stt", "CachedSpeechToText"), ("llm", "CachedLanguageModel")):
        entry = {
            "BACKEND": f"cache.{role}.{wrapper}",
            "OPTIONS": {"engine": settings.ENGINES[role]},
        }
        settings.ENGINES = {**settings.ENGINES, role: entry}
    recording = Recording("request")
    recording.begin(conversation=conversation)
    list(recording.take(UTTERANCE))
    assert recording.row is not None
    assert (recording.row.stt_cache, recording.row.llm_cache) == ("miss", "miss")
    second = again(recording.row, "stt")
    assert (second.stt_cache, second.llm_cache, second.tts_cache) == ("off", "off", "hit")
    third = again(recording.row, "stt", remembering=False)
    assert (third.stt_cache, third.llm_cache, third.tts_cache) == ("off", "off", "off")
    caches["memory"].clear()


# --- what it begins with -----------------------------------------------------------------------


def test_what_is_not_kept_cannot_be_heard_again(settings: Settings) -> None:
    row = converse(Conversation.objects.create())
    assert replay.possible(row) == ["llm", "tts"]
    with pytest.raises(NotKept, match="What the user said is not kept"):
        again(row, "stt")
    assert Turn.objects.count() == 1


def test_nor_is_what_was_never_said(conversation: Conversation) -> None:
    row = converse(conversation, "Qui est là ?", EngineError("Rien."))
    assert replay.possible(row) == ["stt", "llm"]
    with pytest.raises(NotKept, match="The reply of this turn"):
        again(row, "tts")
    assert again(row, "llm").reply == "Vous avez dit : Qui est là ?"


def test_nor_is_what_has_expired(conversation: Conversation) -> None:
    row = converse(conversation)
    Turn.objects.update(transcript="", reply="")
    files.delete([row.pk], "utterance")  # by somebody else
    row.refresh_from_db()
    for stage in STAGES:
        with pytest.raises(NotKept):
            again(row, stage)


def test_outside_a_conversation_there_is_nothing() -> None:
    assert replay.possible(converse()) == []


# --- when it fails -----------------------------------------------------------------------------


def test_a_failure_is_kept_as_well(conversation: Conversation) -> None:
    row = converse(conversation)
    tts().script.enqueue(RuntimeError("private"))
    CachedSpeech.objects.all().delete()
    recording = Recording("again")
    with pytest.raises(EngineError):
        list(replay.begin(recording, row, "tts"))
    recording.keep(502, "engine_failed")
    [failed] = row.replays.all()
    assert (failed.code, failed.number, failed.reply) == ("engine_failed", None, row.reply)


def test_a_voice_that_is_gone(conversation: Conversation) -> None:
    row = converse(conversation)
    with pytest.raises(UnknownVoice):
        again(row, "tts", wishes={"voice": "nobody"})


def test_what_is_deleted_meanwhile_is_not_kept(
    conversation: Conversation, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "history")
    row = converse(conversation)
    recording = Recording("again")
    turn = replay.begin(recording, row, "stt")
    next(turn)
    Turn.objects.get().delete()
    list(turn)
    assert recording.row is None
    assert not Turn.objects.exists()
    assert list(files.stored()) == []
    assert "Turn again is forgotten with its conversation." in caplog.text


# --- how long it is kept -----------------------------------------------------------------------


def test_it_is_as_old_as_what_it_repeats(conversation: Conversation) -> None:
    with days_ago(31):
        row = converse(conversation)
    row.refresh_from_db()
    llm().script.enqueue("Autre chose.")
    third = again(again(row, "stt"), "tts")
    assert third.reply == "Autre chose."
    Conversation.objects.update(last_used_at=third.created_at)  # it is still in use
    gone = retention.expire()
    assert gone == Gone(utterances=2, texts=3)
    assert not Turn.objects.exclude(transcript="", reply="").exists()
    assert list(files.stored()) == []
    assert not CachedSpeech.objects.exists()


def test_it_goes_with_what_it_repeats(conversation: Conversation) -> None:
    row = converse(conversation)
    llm().script.enqueue("Autre chose.")
    again(again(row, "stt"), "stt")
    row.delete()
    assert not Turn.objects.exists()
    assert list(files.stored()) == []
    assert not CachedSpeech.objects.exists()
