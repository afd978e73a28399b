"""What is kept of a turn."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from typing import Any, cast

import pytest
from django.db import connection
from django.db.utils import OperationalError
from pytest_django import Settings

from history import files
from history.models import Conversation, Sentence, Turn
from history.recording import Recording
from pipeline.audio import from_wav, to_wav
from pipeline.engines import engines
from pipeline.errors import EngineError
from pipeline.stt.base import Transcript
from pipeline.turn import Done, Heard, Spoken
from tests.unit.remembered import UTTERANCE, converse, llm, stt, tts

pytestmark = pytest.mark.django_db

HEARD = "Quelle heure est-il ?"


@pytest.fixture
def conversation() -> Conversation:
    return Conversation.objects.create(tenant="")


def kept_files() -> set[tuple[str, str]]:
    return {(turn.hex, kind) for _file, turn, kind in files.stored()}


# --- within a conversation ---------------------------------------------------------------------


def test_all_of_a_turn(conversation: Conversation) -> None:
    row = converse(conversation, voice="claire", speed=1.5)
    row.refresh_from_db()
    assert (row.conversation, row.number, row.replay_of) == (conversation, 1, None)
    assert (row.request_id, row.tenant) == ("request", "")
    assert (row.status, row.code) == (200, "")
    assert (row.language, row.voice) == ("fr", "claire")
    assert row.transcript == "Quelle heure est-il ?"
    assert row.reply == "Il est midi. Bon appétit !"
    assert (row.transcript_chars, row.reply_chars) == (21, 26)
    assert (row.upload_bytes, row.utterance_s) == (7, 0.5)
    assert row.options == {"voice": "claire", "speed": 1.5}
    assert row.engines == {role: {"engine": "Fake"} for role in ("stt", "llm", "tts")}
    assert (row.stt_engine, row.llm_engine, row.tts_engine) == ("Fake", "Fake", "Fake")
    assert (row.stt_cache, row.llm_cache, row.tts_cache) == ("off", "off", "miss")
    assert (row.stt_outbound, row.llm_outbound, row.tts_outbound) == (False, False, False)
    assert row.first_audio_s is not None
    assert 0 < row.stt_s < row.first_audio_s < row.total_s
    assert 0 < row.llm_first_s < row.total_s  # type: ignore[operator]

    sentences = list(row.sentences.all())
    assert [sentence.text for sentence in sentences] == ["Il est midi.", "Bon appétit!"]
    assert [sentence.place for sentence in sentences] == [0, 1]
    assert row.speech_s == pytest.approx(sum(sentence.duration for sentence in sentences))
    assert all(engines.tts.recall(sentence.key) for sentence in sentences)
    assert row.first_audio_s == pytest.approx(sentences[0].end_s)
    assert sentences[0].end_s <= sentences[1].start_s < sentences[1].end_s <= row.total_s


def test_decoding_is_part_of_the_wait() -> None:
    recording = Recording("request")
    recording.begin()
    recording.decoded_s = 10.0
    [*_events, _done] = recording.take(UTTERANCE)
    row = Turn.objects.get()
    assert row.decode_s == 10
    assert row.first_audio_s is not None
    assert 10 < row.first_audio_s <= row.total_s < 11
    assert Sentence.objects.earliest("place").start_s > 10


def test_it_is_kept_before_its_end_is_told(conversation: Conversation) -> None:
    recording = Recording("request")
    recording.begin(conversation=conversation)
    for event in recording.take(UTTERANCE):
        assert Turn.objects.exists() == isinstance(event, Done)
    assert recording.number == 1


def test_the_conversation_is_named_and_used(conversation: Conversation) -> None:
    before = conversation.last_used_at
    converse(conversation, "Quel  temps\nfait-il à " + "Paris, " * 20 + "demain ?")
    conversation.refresh_from_db()
    assert conversation.title.startswith("Quel temps fait-il à Paris, Paris")
    assert len(conversation.title) == 80
    assert conversation.title.endswith("…")
    assert conversation.last_used_at > before
    assert conversation.taken == 1
    title = conversation.title
    converse(conversation, "Et après-demain ?")
    conversation.refresh_from_db()
    assert (conversation.title, conversation.taken) == (title, 2)


def test_earlier_turns_are_known(conversation: Conversation) -> None:
    converse(conversation, "Qui est là ?", "C'est moi.")
    converse(conversation, "Qui ça ?", EngineError("Rien."))
    converse(conversation, "Allô ?", "Oui ?")
    converse(None, "Ailleurs ?", "Non.")
    converse(conversation, "Encore ?", "Encore.")
    last = [message.text for message in llm().asked[-1]]
    assert last[-5:] == ["Qui est là ?", "C'est moi.", "Allô ?", "Oui ?", "Encore ?"]
    assert [message.role for message in llm().asked[-1]][-5:] == [
        "user", "assistant", "user", "assistant", "user",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("role", "transcript", "reply"),
    [
        ("stt", "", ""),
        ("llm", HEARD, ""),
        ("tts", HEARD, "Un."),
    ],
)
def test_a_turn_that_failed(
    conversation: Conversation, role: str, transcript: str, reply: str
) -> None:
    fakes: dict[str, Any] = {"stt": stt(), "llm": llm(), "tts": tts()}
    fakes[role].script.enqueue(RuntimeError("private"))
    llm().script.enqueue("Un. Deux.")
    recording = Recording("request")
    recording.begin(conversation=conversation)
    with pytest.raises(EngineError):
        list(recording.take(UTTERANCE))
    recording.keep(502, "engine_failed")
    row = Turn.objects.get()
    assert (row.number, row.status, row.code) == (1, 502, "engine_failed")
    assert row.transcript == transcript
    assert row.reply == reply
    assert row.first_audio_s is None
    assert row.stt_s <= row.total_s
    assert row.utterance_s == 0.5


def test_a_turn_that_nobody_waited_for(conversation: Conversation) -> None:
    llm().script.enqueue("Un. Deux.")
    recording = Recording("request")
    recording.begin(conversation=conversation)
    turn = recording.take(UTTERANCE)
    while not isinstance(next(turn), Spoken):
        pass
    turn.close()
    recording.keep(499, "client_gone")
    row = Turn.objects.get()
    assert (row.code, row.reply) == ("client_gone", "Un.")
    assert [sentence.text for sentence in row.sentences.all()] == ["Un."]
    assert row.first_audio_s is not None
    assert row.first_audio_s < row.total_s


def test_one_that_failed_in_being_told(conversation: Conversation) -> None:
    recording = Recording("request")
    recording.begin(conversation=conversation)
    list(recording.take(UTTERANCE))
    recording.keep(200, "internal_error")
    row = Turn.objects.get()
    assert (row.code, row.reply) == ("internal_error", "Vous avez dit : Quelle heure est-il ?")


def test_what_was_heard_elsewhere_has_no_utterance(conversation: Conversation) -> None:
    recording = Recording("request")
    recording.begin(conversation=conversation)
    events = list(recording.take(Transcript("Bonsoir.", "fr")))
    assert isinstance(events[0], Heard)
    assert Turn.objects.get().utterance_s is None


# --- sound -------------------------------------------------------------------------------------


def test_sound_is_not_kept_by_default(conversation: Conversation) -> None:
    row = converse(conversation)
    assert (row.utterance_bytes, row.speech_bytes) == (0, 0)
    assert kept_files() == set()


def test_sound_is_kept_where_it_is_wanted(conversation: Conversation, settings: Settings) -> None:
    settings.VOICEBOT_KEEP_UTTERANCES_DAYS = settings.VOICEBOT_KEEP_SPEECH_DAYS = 1
    row = converse(conversation)
    utterance, speech = (files.read(row.pk, kind) for kind in files.KINDS)
    assert utterance == to_wav([UTTERANCE])
    assert row.utterance_bytes == len(utterance)
    assert speech is not None
    assert row.speech_bytes == len(speech)
    assert from_wav(speech).duration == pytest.approx(row.speech_s)


def test_a_full_disk_costs_the_sound_alone(
    conversation: Conversation, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    settings.VOICEBOT_KEEP_UTTERANCES_DAYS = 1
    files.root().mkdir()
    (files.root() / ".tmp").write_bytes(b"in the way")
    row = converse(conversation)
    assert Turn.objects.get().transcript
    assert row.utterance_bytes == 0
    assert "The utterance of a turn is not kept" in caplog.text


# --- outside of one ----------------------------------------------------------------------------


def test_alone_a_turn_leaves_sizes_and_times(settings: Settings) -> None:
    settings.VOICEBOT_KEEP_UTTERANCES_DAYS = settings.VOICEBOT_KEEP_SPEECH_DAYS = 1
    row = converse()
    row.refresh_from_db()
    assert (row.conversation, row.number) == (None, None)
    assert (row.transcript, row.reply) == ("", "")
    assert (row.transcript_chars, row.reply_chars) == (21, 26)
    assert kept_files() == set()
    sentences = list(row.sentences.values_list("text", "key", "voice", "cache"))
    assert sentences == [("", "", "grave", "miss")] * 2
    with connection.cursor() as cursor:
        for table in ("history_turn", "history_sentence", "history_conversation"):
            for line in cursor.execute(f"SELECT * FROM {table}"):
                assert "midi" not in str(line)
                assert "heure" not in str(line)


def test_or_nothing_at_all(settings: Settings, conversation: Conversation) -> None:
    settings.VOICEBOT_KEEP_TURNS_DAYS = 0
    recording = Recording("request")
    recording.begin()
    list(recording.take(UTTERANCE))
    assert not Turn.objects.exists()
    converse(conversation)
    assert Turn.objects.exists()


def test_what_was_not_understood_was_no_turn() -> None:
    Recording("request").keep(400, "audio_missing")
    assert not Turn.objects.exists()


# --- when it cannot be kept --------------------------------------------------------------------


@pytest.fixture
def read_only() -> Iterator[None]:
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA query_only = 1")
        yield
        cursor.execute("PRAGMA query_only = 0")


@pytest.mark.sqlite
def test_a_database_that_fails_costs_nobody_the_answer(
    read_only: None, caplog: pytest.LogCaptureFixture, settings: Settings
) -> None:
    settings.VOICEBOT_CACHE_MAX_BYTES = 0
    recording = Recording("request")
    recording.begin()
    events = list(recording.take(UTTERANCE))
    assert isinstance(events[-1], Done)
    assert "Turn request is not remembered." in caplog.text
    error = caplog.records[-1].exc_info
    assert error is not None
    assert isinstance(error[1], OperationalError)
    assert isinstance(cast("Exception", error[1]).__cause__, sqlite3.OperationalError)


def test_a_conversation_that_is_gone_takes_its_turn_along(
    conversation: Conversation, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    settings.VOICEBOT_KEEP_UTTERANCES_DAYS = 1
    caplog.set_level("INFO", "history")
    recording = Recording("request")
    recording.begin(conversation=conversation)
    for event in recording.take(UTTERANCE):
        if isinstance(event, Spoken):
            Conversation.objects.all().delete()
    assert not Turn.objects.exists()
    assert kept_files() == set()
    assert "Turn request is forgotten with its conversation." in caplog.text


def test_and_one_that_failed_before_its_turn_came(conversation: Conversation) -> None:
    Conversation.objects.all().delete()
    recording = Recording("request")
    recording.begin(conversation=conversation)
    recording.keep(415, "audio_unreadable")
    assert not Turn.objects.exists()


def test_a_failure_before_its_turn_came_has_its_place(conversation: Conversation) -> None:
    recording = Recording("request")
    recording.begin(conversation=conversation)
    recording.keep(415, "audio_unreadable")
    assert Turn.objects.get().number == 1
    assert converse(conversation).number == 2
