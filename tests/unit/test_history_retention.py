"""What should be gone is gone, from the disk too."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from datetime import timedelta
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import call_command
from django.db import transaction
from django.db.models import F
from django.utils import timezone, translation
from pytest_django import Settings

from cache.models import CachedSpeech
from files import atomic
from history import files, retention
from history.models import Conversation, Sentence, Turn
from history.retention import Gone
from jobs.models import Job, Status
from tests.unit.cached import make_old
from tests.unit.remembered import converse, days_ago
from voicebot import housekeeping

pytestmark = pytest.mark.django_db(transaction=True)

SECRET = "Le mot est sésame, et rien d'autre."
"""Of nothing but ASCII and é, which no encoding on the way may hide: see `traces`."""


@pytest.fixture
def all_kept(settings: Settings) -> None:
    settings.VOICEBOT_KEEP_UTTERANCES_DAYS = 2
    settings.VOICEBOT_KEEP_SPEECH_DAYS = 4
    settings.VOICEBOT_KEEP_TEXTS_DAYS = 6
    settings.VOICEBOT_KEEP_TURNS_DAYS = 8


def new() -> Conversation:
    return Conversation.objects.create()


def sounds() -> list[str]:
    return sorted(kind for _file, _turn, kind in files.stored())


def spoken() -> set[str]:
    """Texts of the cached speech."""
    return set(CachedSpeech.objects.values_list("text", flat=True))


def traces(data_dir: Path, text: str) -> list[Path]:
    """Where ``text`` is still read on the disk, the database included."""
    places = [*data_dir.rglob("*"), *Path(str(_database())).parent.glob("test.sqlite3*")]
    files = [place for place in places if place.is_file() and "weights" not in place.parts]
    return [file for file in files if text.encode() in file.read_bytes()]


def _database() -> object:
    from django.db import connection

    return connection.settings_dict["NAME"]


# --- by age ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("days", "gone", "left"),
    [
        (1, Gone(), ["speech", "utterance"]),
        (3, Gone(utterances=1), ["speech"]),
        (5, Gone(utterances=1, speeches=1), []),
        (7, Gone(utterances=1, speeches=1, texts=1, conversations=1), []),
        (9, Gone(utterances=1, speeches=1, texts=1, conversations=1, turns=1), []),
    ],
)
def test_each_thing_in_its_time(all_kept: None, days: int, gone: Gone, left: list[str]) -> None:
    with days_ago(days):
        converse(new())
    assert retention.expire() == gone
    assert sounds() == left
    assert Turn.objects.exclude(transcript="").count() == 1 - gone.texts
    assert Sentence.objects.exclude(text="", key="").count() == 2 * (1 - gone.texts)
    assert Conversation.objects.count() == 1 - gone.conversations
    assert Turn.objects.count() == 1 - gone.turns
    assert len(spoken()) == 2 * (1 - gone.texts)
    assert retention.expire() == Gone()


def test_sizes_and_times_outlive_the_texts(all_kept: None) -> None:
    with days_ago(7):
        row = converse(new(), reply=SECRET)
    retention.expire()
    kept = Turn.objects.get()
    assert (kept.conversation, kept.number, kept.transcript, kept.reply) == (None, None, "", "")
    assert (kept.reply_chars, kept.total_s) == (len(SECRET), row.total_s)
    assert kept.sentences.get().duration > 0


def test_a_conversation_in_use_loses_its_old_turns(all_kept: None) -> None:
    conversation = new()
    with days_ago(9):
        converse(conversation, "Le plus vieux ?")
    with days_ago(7):
        converse(conversation, "Le vieux ?")
    converse(conversation, "Le jeune ?")
    assert retention.expire() == Gone(utterances=2, speeches=2, texts=2, turns=1)
    conversation.refresh_from_db()
    assert conversation.title == "Le jeune ?"
    assert list(conversation.turns.order_by("number").values_list("number", "transcript")) == [
        (2, ""),
        (3, "Le jeune ?"),
    ]


def test_no_title_is_left_of_a_text_that_is_gone(all_kept: None) -> None:
    conversation = new()
    with days_ago(7):
        converse(conversation, SECRET)
    Conversation.objects.update(last_used_at=F("created_at"))
    retention.expire()
    conversation.refresh_from_db()
    assert conversation.title == ""


def test_an_empty_conversation_goes_as_well(settings: Settings) -> None:
    with days_ago(31):
        new()
    assert retention.expire() == Gone(conversations=1)


def test_turns_outside_conversations_go_by_their_own_time(settings: Settings) -> None:
    settings.VOICEBOT_KEEP_TURNS_DAYS = 40
    for age in (39, 41):
        with days_ago(age):
            converse()
    assert retention.expire() == Gone(turns=1)


def test_what_is_not_wanted_any_more_goes_at_once(all_kept: None, settings: Settings) -> None:
    converse(new())
    settings.VOICEBOT_KEEP_UTTERANCES_DAYS = settings.VOICEBOT_KEEP_SPEECH_DAYS = 0
    assert retention.expire() == Gone(utterances=1, speeches=1)
    assert sounds() == []


def test_many(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "BATCH", 2)
    with days_ago(91):
        for _number in range(5):
            converse(new())
    converse(new())
    assert retention.expire() == Gone(texts=5, conversations=5, turns=5)
    assert Turn.objects.count() == 1


# --- at once -----------------------------------------------------------------------------------


@pytest.mark.sqlite
def test_deleting_a_conversation_leaves_nothing_on_the_disk(all_kept: None, data_dir: Path) -> None:
    other = converse(new(), "Autre question ?", "Autre réponse.")
    conversation = new()
    converse(conversation, SECRET, f"Vous dites : {SECRET}")
    assert traces(data_dir, "sésame")
    conversation.delete()
    assert Turn.objects.get() == other
    assert {turn for _file, turn, _kind in files.stored()} == {other.pk}
    assert spoken() == {"Autre réponse."}
    assert traces(data_dir, "sésame") == []


def test_deleting_a_turn(all_kept: None) -> None:
    conversation = new()
    first, second = converse(conversation, "Un ?", "Un."), converse(conversation, "Deux ?", "Deux.")
    first.delete()
    assert {turn for _file, turn, _kind in files.stored()} == {second.pk}
    assert spoken() == {"Deux."}
    assert converse(conversation).number == 3


def test_deleting_within_a_transaction(all_kept: None) -> None:
    row = converse(new())
    with transaction.atomic():
        row.delete()
        assert sounds() == ["speech", "utterance"]
    assert sounds() == []
    assert spoken() == set()


# --- cached speech -----------------------------------------------------------------------------


def test_speech_that_another_turn_has_stays() -> None:
    one, other = new(), new()
    converse(one, reply="Bonjour. Un.")
    converse(other, reply="Bonjour. Deux.")
    one.delete()
    assert spoken() == {"Bonjour.", "Deux."}
    other.delete()
    assert spoken() == set()


def test_speech_that_was_spoken_since_stays() -> None:
    conversation = new()
    with days_ago(31):
        converse(conversation, reply="Bonjour. Un.")
    converse(reply="Bonjour. Deux.")  # to somebody without a conversation
    retention.expire()
    assert spoken() == {"Bonjour.", "Deux."}


def test_speech_that_is_pinned_stays() -> None:
    conversation = new()
    converse(conversation, reply="Un. Deux.")
    CachedSpeech.objects.filter(text="Un.").update(pinned=True)
    conversation.delete()
    assert spoken() == {"Un."}


def test_a_cache_that_does_not_forget_keeps_nothing_else(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    conversation = new()
    converse(conversation)
    settings.ENGINES = {**settings.ENGINES, "tts": {"BACKEND": "no.such.Engine"}}
    conversation.delete()
    assert not Turn.objects.exists()
    assert "no.such.Engine" in caplog.text


# --- files without a row -----------------------------------------------------------------------


@pytest.fixture
def litter(all_kept: None) -> list[Path]:
    """Two files that are somebody's, a stranger, and three that are nobody's."""
    row, lost = converse(new()), converse(new())
    for _file, turn, kind in files.stored():
        make_old(files.path(turn, kind))
    Turn.objects.filter(pk=lost.pk).update(speech_bytes=0)
    Turn.objects.filter(pk=lost.pk).delete()  # forgets the utterance, not the speech
    files.write(row.pk, "speech", b"RIFF")
    make_old(files.path(row.pk, "speech"))
    Turn.objects.filter(pk=row.pk).update(speech_bytes=0)
    unfinished = files.root() / ".tmp" / "unfinished"
    unfinished.write_bytes(b"RIFF")
    make_old(unfinished)
    stranger = files.root() / "ab" / "stranger.wav"
    stranger.parent.mkdir(exist_ok=True)
    stranger.write_bytes(b"RIFF")
    make_old(stranger)
    return sorted([files.path(lost.pk, "speech"), files.path(row.pk, "speech"), unfinished])


def test_files_of_nobody(litter: list[Path]) -> None:
    assert set(retention.orphans()) == set(litter)


def test_young_files_wait_for_their_rows(all_kept: None) -> None:
    row = converse(new())
    Turn.objects.update(speech_bytes=0)
    assert retention.orphans() == []
    make_old(files.path(row.pk, "speech"))
    assert retention.orphans() == [files.path(row.pk, "speech")]


# --- the command -------------------------------------------------------------------------------


def expire_history(*options: str) -> dict[str, str]:
    """What was told: the line's name → its figure."""
    out = StringIO()
    with translation.override("en"):
        call_command("expire_history", *options, stdout=out)
    return dict(re.findall(r"^(.+): (.+)$", out.getvalue(), re.MULTILINE))


def test_a_dry_run_tells_the_same_and_removes_nothing(litter: list[Path]) -> None:
    with days_ago(9):
        converse(new())
    long_ago = timezone.now() - timedelta(days=9)
    Job.objects.create(status=Status.DONE, finished_at=long_ago)
    before = list(Turn.objects.order_by("pk").values()), sounds(), spoken()
    told = expire_history("--dry-run")
    assert told.pop("This was a dry run") == "nothing was removed."
    assert told == {
        "Utterances removed": "1",
        "Speech removed": "1",
        "Turns whose texts are removed": "1",
        "Conversations removed": "1",
        "Turns removed": "1",
        "Jobs removed": "1",
        "Files that belong to nothing, removed": "3",
    }
    assert (list(Turn.objects.order_by("pk").values()), sounds(), spoken()) == before
    assert Job.objects.count() == 1
    assert all(file.exists() for file in litter)
    assert expire_history() == told
    assert not any(file.exists() for file in litter)
    assert set(expire_history().values()) == {"0"}


# --- every hour --------------------------------------------------------------------------------


@pytest.fixture
def stopping() -> Iterator[list[threading.Event]]:
    begun: list[threading.Event] = []
    yield begun
    for stop in begun:
        stop.set()
    for thread in threading.enumerate():
        if thread.name == "housekeeping":
            thread.join(timeout=60)
            assert not thread.is_alive()


def test_a_server_does_it_by_itself(
    litter: list[Path], stopping: list[threading.Event], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(housekeeping, "TIDY_EVERY_S", 0.05)
    monkeypatch.setattr(housekeeping, "RESUME_EVERY_S", 0.05)
    stopping.append(housekeeping.start())
    for _round in range(2):  # not only at the start
        with days_ago(9):
            converse()
        give_up = threading.Event()
        for _ in range(600):
            if not Turn.objects.filter(conversation=None).exists():
                break
            give_up.wait(0.1)
        else:
            pytest.fail("nothing was removed")
    assert not any(file.exists() for file in litter)


def test_what_fails_is_logged(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, settings: Settings
) -> None:
    files.root().mkdir()
    (files.root() / ".tmp").mkdir()
    (files.root() / ".tmp" / "folder").mkdir()
    make_old(files.root() / ".tmp" / "folder")
    housekeeping.tidy()
    assert "What is old cannot be removed." in caplog.text
    assert atomic.is_stale(files.root() / ".tmp" / "folder")
