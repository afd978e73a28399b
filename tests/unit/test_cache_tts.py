"""Each sentence is spoken once, and a cache that fails costs no more than a synthesis."""

import logging
import re
import resource
import sqlite3
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from django.db import connection
from django.utils import timezone
from pytest_django import Settings

from cache import files
from cache.keys import speech_key
from cache.models import CachedSpeech, DailyHits
from cache.tts import CachedTextToSpeech, remembering, speaker_of
from files import atomic
from pipeline import tenants
from pipeline.audio import Audio, to_wav
from pipeline.deadline import Deadline
from pipeline.engines import build, engines
from pipeline.errors import (
    EngineBusy,
    EngineError,
    EngineTimeout,
    InputError,
    InvalidEngineError,
    UnknownVoice,
    UnsupportedLanguage,
)
from pipeline.tts.base import Voice, whole
from pipeline.tts.fake import Fake
from tests.unit.cached import cached, make_old, say, spoken

pytestmark = pytest.mark.django_db


@pytest.fixture
def tts() -> CachedTextToSpeech:
    return cached()


def row(key: str | None) -> CachedSpeech:
    return CachedSpeech.objects.get(key=key)


# --- remembering ---------------------------------------------------------------------------


def test_a_hit_is_what_the_miss_was_byte_for_byte(tts: CachedTextToSpeech) -> None:
    first, second = say(tts, "Bonjour."), say(tts, "Bonjour.")
    assert (first.cache, second.cache) == ("miss", "hit")
    assert first.key == second.key
    assert first.text == second.text == "Bonjour."
    assert first.voice == second.voice == "grave"
    assert spoken(tts) == ["Bonjour."]
    assert first.key is not None
    assert to_wav([first.audio]) == to_wav([second.audio]) == files.path(first.key).read_bytes()
    assert (first.audio.samples == second.audio.samples).all()


def test_each_sentence_is_an_entry(tts: CachedTextToSpeech) -> None:
    list(tts.synthesize("Bonjour. Il pleut."))
    states = [speech.cache for speech in tts.synthesize("Il pleut. Il neige. Bonjour.")]
    assert states == ["hit", "miss", "hit"]
    assert spoken(tts) == ["Bonjour.", "Il pleut.", "Il neige."]


def test_the_row_tells_all(tts: CachedTextToSpeech) -> None:
    speech = say(tts, "Bonjour.", voice="claire", speed=1.5)
    kept = row(speech.key)
    data = files.path(kept.key).read_bytes()
    assert (kept.text, kept.voice, kept.language, kept.speed) == ("Bonjour.", "claire", "fr", 1.5)
    assert (kept.engine, kept.identity) == ("Fake", {"engine": "Fake"})
    assert kept.duration == speech.audio.duration
    assert (kept.size_bytes, kept.sha256) == (len(data), atomic.digest(data))
    assert (kept.hits, kept.pinned) == (0, False)


def test_hits_are_counted(tts: CachedTextToSpeech) -> None:
    made = row(say(tts, "Bonjour.").key)
    for _ in range(3):
        say(tts, "Bonjour.")
    used = row(made.key)
    assert used.hits == 3
    assert used.last_used_at > made.last_used_at
    assert used.created_at == made.created_at


def test_a_hit_neither_loads_nor_waits_for_the_engine(tts: CachedTextToSpeech) -> None:
    say(tts, "Bonjour.")
    later = cached(wait_s=0)
    with later._at_work():  # the only slot is taken
        unloaded = cached(wait_s=0)
        assert say(later, "Bonjour.").cache == "hit"
        assert say(unloaded, "Bonjour.").cache == "hit"
        with pytest.raises(EngineBusy):
            say(later, "Il pleut.")
    assert not unloaded.loaded


def test_a_hit_does_not_wait_for_whoever_makes_speech(tts: CachedTextToSpeech) -> None:
    key = say(tts, "Bonjour.").key
    assert key
    later = cached(wait_s=0)
    with files.lock(key, timeout_s=1):
        assert say(later, "Bonjour.").cache == "hit"


def test_the_key_is_of_all_that_decides_the_sound(tts: CachedTextToSpeech) -> None:
    with tenants.acting_for("alice"):
        speech = say(tts, "Bonjour.", voice="claire", speed=1.5)
    assert speech.key == speech_key(
        "Bonjour.",
        voice="claire",
        language="fr",
        speed=1.5,
        identity={"engine": "Fake"},
        tenant="alice",
    )


def test_the_same_text_written_otherwise_is_the_same_speech(tts: CachedTextToSpeech) -> None:
    voice = Voice("grave", "fr", "Grave", "male")
    [made] = tts._speak("De\u0301ja\u0300\n midi.", voice, 1.0)
    [kept] = tts._speak("Déjà midi.", voice, 1.0)
    assert kept.cache == "hit"
    assert spoken(tts) == [made.text] == ["Déjà midi."]


@pytest.mark.parametrize("other", [{"voice": "claire"}, {"speed": 1.2}])
def test_another_sound_is_another_entry(tts: CachedTextToSpeech, other: dict[str, object]) -> None:
    say(tts, "Bonjour.")
    assert say(tts, "Bonjour.", **other).cache == "miss"  # type: ignore[arg-type]


def test_errors_are_not_kept(tts: CachedTextToSpeech) -> None:
    assert isinstance(tts.engine, Fake)
    tts.engine.script.enqueue(RuntimeError("private"))
    with pytest.raises(EngineError, match="Fake"):
        say(tts, "Bonjour.")
    assert not CachedSpeech.objects.exists()
    assert list(files.stored()) == []
    assert say(tts, "Bonjour.").cache == "miss"


def test_the_cache_can_be_off(tts: CachedTextToSpeech, settings: Settings) -> None:
    settings.VOICEBOT_CACHE_MAX_BYTES = 0
    for _ in range(2):
        speech = say(tts, "Bonjour.")
        assert (speech.cache, speech.key) == ("off", None)
    assert spoken(tts) == ["Bonjour.", "Bonjour."]
    assert not files.root().exists()
    assert not CachedSpeech.objects.exists()


# --- files and rows that disagree ----------------------------------------------------------


@pytest.mark.parametrize("harm", ["missing", "truncated", "altered", "swapped", "empty"])
def test_a_damaged_file_is_made_again(tts: CachedTextToSpeech, harm: str) -> None:
    first, other = say(tts, "Bonjour."), say(tts, "Il pleut.")
    assert first.key
    assert other.key
    file = files.path(first.key)
    data = file.read_bytes()
    match harm:
        case "missing":
            file.unlink()
        case "truncated":
            file.write_bytes(data[:-2])
        case "altered":
            file.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
        case "swapped":
            file.write_bytes(files.path(other.key).read_bytes())
        case "empty":
            file.write_bytes(b"")
    assert say(tts, "Bonjour.").cache == "miss"
    assert file.read_bytes() == data
    assert say(tts, "Bonjour.").cache == "hit"
    assert row(first.key).hits == 1
    assert CachedSpeech.objects.count() == 2


def test_a_file_without_a_row_is_not_trusted(tts: CachedTextToSpeech) -> None:
    first, other = say(tts, "Bonjour."), say(tts, "Il pleut.")
    assert first.key
    assert other.key
    files.write(first.key, files.path(other.key).read_bytes())
    CachedSpeech.objects.filter(key=first.key)._raw_delete("default")
    again = say(tts, "Bonjour.")
    assert again.cache == "miss"
    assert files.path(first.key).read_bytes() == to_wav([first.audio])


def test_a_pinned_row_stays_pinned_when_its_file_is_made_again(tts: CachedTextToSpeech) -> None:
    key = say(tts, "Bonjour.").key
    assert key
    CachedSpeech.objects.update(pinned=True, hits=7)
    files.path(key).unlink()
    say(tts, "Bonjour.")
    assert row(key).pinned
    assert row(key).hits == 7


def test_a_format_no_longer_written_is_a_miss(tts: CachedTextToSpeech) -> None:
    key = say(tts, "Bonjour.").key
    assert key
    files.write(key, b"RIFX")
    CachedSpeech.objects.update(sha256=atomic.digest(b"RIFX"))
    assert CachedSpeech.objects.audio(key) is None
    assert say(tts, "Bonjour.").cache == "miss"


# --- a cache that fails --------------------------------------------------------------------


def assert_uncached(tts: CachedTextToSpeech, text: str) -> None:
    speech = say(tts, text)
    assert (speech.cache, speech.key) == ("off", None)
    assert speech.audio.duration > 0


WARNING = re.compile(
    r"(The speech cache (fails|cannot be (locked|swept))"
    r"|Speech is not cached"
    r"|The dictionary of pronunciation cannot be read"
    r"|Cached speech (cannot be (read|deleted)|is damaged, and will be made again)): "
    r"(?!None$|%s$)(?s:.+)"  # why
)


@pytest.fixture
def warnings(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    """At least one is expected, and none but those there are."""
    yield caplog
    records = [r for r in caplog.get_records("call") if r.levelno >= logging.WARNING]
    assert records
    for record in records:
        assert WARNING.fullmatch(record.getMessage()), record.getMessage()


def test_no_place_to_write(
    tts: CachedTextToSpeech, data_dir: Path, warnings: pytest.LogCaptureFixture
) -> None:
    (data_dir / "speech").write_text("in the way")
    assert_uncached(tts, "Bonjour.")
    assert not CachedSpeech.objects.exists()
    (data_dir / "speech").unlink()
    assert say(tts, "Bonjour.").cache == "miss"
    assert say(tts, "Bonjour.").cache == "hit"


def test_disk_full(tts: CachedTextToSpeech, warnings: pytest.LogCaptureFixture) -> None:
    long = "Bonjour " + "à tous " * 25 + "."
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, limit[1]))
    try:
        assert_uncached(tts, long)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert list(files.stored()) == list((files.root() / ".tmp").iterdir()) == []
    assert not CachedSpeech.objects.exists()
    assert say(tts, long).cache == "miss"


def test_a_file_that_cannot_be_replaced(
    tts: CachedTextToSpeech, warnings: pytest.LogCaptureFixture
) -> None:
    key = say(tts, "Bonjour.").key
    assert key
    files.path(key).unlink()
    files.path(key).mkdir()
    assert_uncached(tts, "Bonjour.")


def test_a_cache_that_fails_recalls_nothing(
    tts: CachedTextToSpeech, warnings: pytest.LogCaptureFixture
) -> None:
    key = say(tts, "Bonjour.").key
    assert key
    recalled = tts.recall(key)
    assert recalled is not None
    assert recalled.duration > 0
    files.path(key).unlink()
    files.path(key).mkdir()
    assert tts.recall(key) is None
    assert tts.recall("\ud800") is None  # no database can be asked for it


def test_what_is_forgotten_is_one_key_unless_it_is_pinned_or_used_since(
    tts: CachedTextToSpeech,
) -> None:
    first, other = row(say(tts, "Bonjour.").key), row(say(tts, "Il pleut.").key)
    tts.forget(first.key, unused_since=first.last_used_at - timedelta(seconds=1))
    CachedSpeech.objects.update(pinned=True)
    tts.forget(first.key, unused_since=timezone.now())
    assert CachedSpeech.objects.count() == 2
    CachedSpeech.objects.update(pinned=False)
    tts.forget(first.key, unused_since=timezone.now())
    assert CachedSpeech.objects.get() == other


def test_a_hit_on_what_has_been_purged_meanwhile_is_not_counted(tts: CachedTextToSpeech) -> None:
    kept = row(say(tts, "Bonjour.").key)
    CachedSpeech.objects.all().delete()
    CachedSpeech.objects.used(kept)
    assert not CachedSpeech.objects.exists()
    assert not DailyHits.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_no_table(tts: CachedTextToSpeech, warnings: pytest.LogCaptureFixture) -> None:
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE cache_cachedspeech RENAME TO elsewhere")
        assert_uncached(tts, "Bonjour.")
        assert list(files.stored()) == []  # it would count for nothing
        cursor.execute("ALTER TABLE elsewhere RENAME TO cache_cachedspeech")
    assert say(tts, "Bonjour.").cache == "miss"


@pytest.mark.sqlite
@pytest.mark.parametrize("refused", ["UPDATE", "DELETE"])
def test_a_refusal_leaves_the_transaction_around_it_usable(
    tts: CachedTextToSpeech,
    settings: Settings,
    refused: str,
    warnings: pytest.LogCaptureFixture,
) -> None:
    kept = row(say(tts, "Bonjour.").key)
    with connection.cursor() as cursor:
        cursor.execute(
            f"CREATE TRIGGER refuse BEFORE {refused} ON cache_cachedspeech "
            "BEGIN SELECT RAISE(ABORT, 'no'); END"
        )
    if refused == "UPDATE":
        assert say(tts, "Bonjour.").cache == "hit"
    else:
        settings.VOICEBOT_CACHE_MAX_BYTES = kept.size_bytes
        assert_uncached(tts, "Il pleut.")  # no room could be made
    assert CachedSpeech.objects.get() == kept
    assert [file.stem for file in files.stored()] == [kept.key]


@pytest.mark.sqlite
@pytest.mark.django_db(transaction=True)
def test_a_locked_database(tts: CachedTextToSpeech, warnings: pytest.LogCaptureFixture) -> None:
    key = say(tts, "Bonjour.").key
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA busy_timeout = 10")
    other = sqlite3.connect(connection.settings_dict["NAME"], isolation_level=None)
    try:
        other.execute("BEGIN IMMEDIATE")
        assert say(tts, "Bonjour.").cache == "hit"  # not counted, but served
        assert_uncached(tts, "Il pleut.")
    finally:
        other.close()
        connection.close()  # with its short patience
    assert row(key).hits == 0
    assert say(tts, "Il pleut.").cache == "miss"


def test_text_that_no_database_holds(
    tts: CachedTextToSpeech, warnings: pytest.LogCaptureFixture
) -> None:
    voice = Voice("grave", "fr", "Grave", "male")
    [speech] = tts._speak("Bonjour \ud800.", voice, 1.0)
    assert speech.cache == "off"
    assert list(files.stored()) == []


# --- passing for the engine inside ---------------------------------------------------------


def test_it_passes_for_the_engine_inside(tts: CachedTextToSpeech) -> None:
    inside = tts.engine
    assert (tts.name, tts.identity) == ("Fake", inside.identity)
    assert tts.voices == inside.voices
    assert tts.default_voices == inside.default_voices
    assert tts.languages == inside.languages == ["en", "fr"]
    assert tts.missing() is None
    assert not tts.outbound
    with pytest.raises(UnknownVoice):
        tts.synthesize("Bonjour.", voice="personne")


class Away(Fake):
    """An engine that is not here."""

    outbound = True

    def missing(self) -> str | None:
        return "no weights"


def test_what_the_engine_inside_lacks_shows() -> None:
    tts = cached("tests.unit.test_cache_tts.Away")
    assert (tts.name, tts.outbound, tts.missing()) == ("Away", True, "no weights")


class Outside(Fake):
    outbound = True


def test_what_is_remembered_is_not_sent_out_again() -> None:
    tts = cached("tests.unit.test_cache_tts.Outside")
    told = [(s.engine, s.cache, s.outbound) for s in (say(tts, "Oui."), say(tts, "Oui."))]
    assert told == [("Outside", "miss", True), ("Outside", "hit", False)]


def test_which_engine_in_use_speaks() -> None:
    tts = engines.tts
    assert speaker_of("fr") is speaker_of("en") is tts
    with pytest.raises(UnsupportedLanguage) as caught:
        speaker_of("de")
    assert (caught.value.language, caught.value.valid) == ("de", ("en", "fr"))
    assert remembering(tts.choose_voice("claire")) is tts
    assert remembering(Voice("personne", "fr", "Personne", "male")) is None


class Punctual(Fake):
    """Looks at its deadline, as engines do."""

    def _synthesize(self, sentence: str, voice: Voice, speed: float, deadline: Deadline) -> Audio:
        deadline.check()
        return super()._synthesize(sentence, voice, speed, deadline)


def test_the_engine_inside_works_in_its_own_slots_and_time() -> None:
    tts = cached("tests.unit.test_cache_tts.Punctual", slots=3, timeout_s=30)
    assert tts.slots == 3
    assert say(tts, "Oui.").cache == "miss"
    hurried = cached("tests.unit.test_cache_tts.Punctual", timeout_s=0)
    with pytest.raises(EngineTimeout):
        say(hurried, "Non.")


def test_what_is_rehearsed_is_said_at_the_speed_asked_for(tts: CachedTextToSpeech) -> None:
    voice = tts.choose_voice("claire")
    normal = tts.aloud("Bonjour à vous.", voice)
    assert (normal.samples == tts.aloud("Bonjour à vous.", voice, 1.0).samples).all()
    for say_it in (tts.aloud, tts.rehearse):
        fast = say_it("Bonjour à vous.", voice, 2.0)
        assert fast.duration == pytest.approx(normal.duration / 2, abs=0.001)
    with pytest.raises(InputError, match=r"^There is nothing to say aloud in this text\.$"):
        tts.rehearse("…", voice, 1.0)
    assert not CachedSpeech.objects.exists()


@pytest.mark.parametrize("text", ["Bonjour à tous.", ""])
def test_what_is_corrected_is_said_at_the_speed_of_the_row(
    tts: CachedTextToSpeech, text: str
) -> None:
    voice = tts.choose_voice("claire")
    kept = row(say(tts, "Bonjour à vous.", voice="claire", speed=2.0).key)
    assert tts.correct(kept, text, voice)
    said = tts.aloud(text or "Bonjour à vous.", voice, 2.0)
    assert row(kept.key).duration == pytest.approx(said.duration, abs=0.001)


class Waking(Fake):
    """Counts how it is woken."""

    loads = warm_ups = 0

    def _load(self) -> None:
        self.loads += 1

    def _warm_up(self) -> None:
        self.warm_ups += 1


def test_warming_up_loads_the_engine_inside_once() -> None:
    tts = cached("tests.unit.test_cache_tts.Waking")
    inside = tts.engine
    assert isinstance(inside, Waking)
    before = tts.loaded
    tts.load()
    assert (before, tts.loaded) == (False, True)
    tts.warm_up()
    say(tts, "Bonjour.")
    assert (inside.loads, inside.warm_ups) == (1, 1)


@pytest.fixture
def leftover() -> Path:
    """Where a crash left a temporary file."""
    path = files.root() / ".tmp" / "leftover"
    path.parent.mkdir(parents=True)
    return path


def test_loading_sweeps_what_crashes_left(tts: CachedTextToSpeech, leftover: Path) -> None:
    leftover.touch()
    make_old(leftover)
    tts.load()
    assert not leftover.exists()


def test_loading_when_it_cannot_be_swept(
    tts: CachedTextToSpeech, leftover: Path, warnings: pytest.LogCaptureFixture
) -> None:
    leftover.mkdir()
    make_old(leftover)
    tts.load()
    assert tts.loaded


@pytest.mark.parametrize("entry", [{}, {"BACKEND": "pipeline.llm.fake.Fake"}, "Fake"])
def test_only_a_text_to_speech_fits_inside(entry: object) -> None:
    outer = {"BACKEND": "cache.tts.CachedTextToSpeech", "OPTIONS": {"engine": entry}}
    with pytest.raises(InvalidEngineError, match=r"ENGINES\['tts'\]\['OPTIONS'\]\['engine'\]"):
        build(outer, CachedTextToSpeech, where="ENGINES['tts']")


class InPieces(Fake):
    """Its sound is ready in two halves."""

    def _synthesize_pieces(
        self, sentence: str, voice: Voice, speed: float, deadline: Deadline
    ) -> Iterator[tuple[Audio, bool]]:
        audio = self._synthesize(sentence, voice, speed, deadline)
        middle = len(audio.samples) // 2
        yield Audio(audio.samples[:middle], audio.sample_rate), False
        yield Audio(audio.samples[middle:], audio.sample_rate), True


def in_pieces() -> CachedTextToSpeech:
    entry = {"BACKEND": f"{__name__}.InPieces", "OPTIONS": {}}
    return CachedTextToSpeech(engine=entry)


def test_pieces_are_kept_as_the_sentence_they_make() -> None:
    tts = in_pieces()
    first, last, other = tts.synthesize("Bonjour. Il pleut.", eager=True)
    assert (first.cache, first.key, first.last) == ("miss", None, False)
    assert (last.cache, last.last) == ("miss", True)
    assert other.text == "Il pleut."  # only the first sentence comes in pieces
    [again] = tts.synthesize("Bonjour.", eager=True)
    assert (again.cache, again.key, again.last) == ("hit", last.key, True)
    [joined] = whole([first, last])
    assert (again.audio.samples == joined.audio.samples).all()


def test_a_sentence_that_is_broken_off_is_not_kept() -> None:
    tts = in_pieces()
    pieces = tts.synthesize("Bonjour.", eager=True)
    next(pieces)
    pieces.close()
    assert list(files.stored()) == []
    with tts._at_work():  # its slot is free again
        pass
    [speech] = tts.synthesize("Bonjour.")
    assert speech.cache == "miss"
