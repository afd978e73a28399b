"""Another text said in the place of a kept one, from the admin on to who asks."""

from __future__ import annotations

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.test import Client
from pytest_django import Settings

from cache import files
from cache.models import CachedSpeech
from cache.tts import CachedTextToSpeech
from pipeline.audio import from_wav
from pipeline.engines import engines
from pipeline.errors import EngineError
from pipeline.tts.base import Speech
from pipeline.tts.fake import Fake
from tests.unit.cached import cached, fill, say
from tests.unit.test_cache_admin import LIST, browser, text_of, with_permissions

pytestmark = pytest.mark.django_db(transaction=True)

WRONG, RIGHT = "Le Wi-Fi est en panne.", "Le ouifi est en panne, hélas."


@pytest.fixture
def admin(admin_user: User) -> Client:
    return browser(admin_user)


@pytest.fixture
def row() -> CachedSpeech:
    """In the cache of the engines in use."""
    return CachedSpeech.objects.get(key=say(engines.tts, WRONG).key)


@pytest.fixture
def fake() -> Fake:
    assert isinstance(engines.tts, CachedTextToSpeech)
    assert isinstance(engines.tts.engine, Fake)
    return engines.tts.engine


def url(row: CachedSpeech, page: str = "correct") -> str:
    return f"{LIST}{row.pk}/{page}/"


def correct(client: Client, row: CachedSpeech, text: str, voice: str = "grave") -> str:
    return text_of(client.post(url(row), {"text": text, "voice": voice}, follow=True))


def again() -> Speech:
    """What who asks for it is given."""
    return say(engines.tts, WRONG)


def test_callers_get_the_correction(admin: Client, row: CachedSpeech, fake: Fake) -> None:
    before = again()
    page = correct(admin, row, RIGHT)
    assert f"“{RIGHT}” is said in the place of “{WRONG}” by grave." in page
    after = again()
    assert fake.spoken == [WRONG, RIGHT]
    assert (after.key, after.cache, after.text, after.voice) == (row.key, "hit", RIGHT, "grave")
    assert after.audio.duration > before.audio.duration


def test_it_is_marked_pinned_and_found_by_either_text(admin: Client, row: CachedSpeech) -> None:
    fill("Bonjour.")
    correct(admin, row, RIGHT)
    corrected = CachedSpeech.objects.get(key=row.key)
    assert corrected.pinned
    assert corrected.text == WRONG
    assert corrected.size_bytes == files.path(row.key).stat().st_size
    for asked in ({"q": "Wi-Fi"}, {"q": "ouifi"}, {"corrected": "1"}):
        page = text_of(admin.get(LIST, asked))
        assert f'<ins title="corrected">{RIGHT}</ins> <del>{WRONG}</del>' in page
        assert "Bonjour." not in page
    page = text_of(admin.get(LIST, {"corrected": "0"}))
    assert "Bonjour." in page
    assert RIGHT not in page
    page = text_of(admin.get(url(row, "change")))
    assert page.count(RIGHT) == 1
    assert WRONG in page


@pytest.mark.parametrize("damage", ["removed", "changed"])
def test_what_is_damaged_is_made_again_from_the_correction(
    admin: Client, row: CachedSpeech, fake: Fake, damage: str
) -> None:
    correct(admin, row, RIGHT, voice="claire")
    kept, file = again(), files.path(row.key)
    if damage == "removed":
        file.unlink()
    else:
        file.write_bytes(file.read_bytes()[:-2])
    made = again()
    assert (made.cache, made.text) == ("miss", RIGHT)
    assert (made.voice, made.engine, made.outbound) == ("grave", "Fake", False)
    assert made.audio.samples.tobytes() == kept.audio.samples.tobytes()
    assert fake.spoken[-2:] == [RIGHT, RIGHT]
    corrected = CachedSpeech.objects.get(key=row.key)
    assert (corrected.corrected_text, corrected.text, corrected.pinned) == (RIGHT, WRONG, True)
    assert again().cache == "hit"


def test_another_voice_says_it_and_the_next_sentence_is_the_first_ones(
    admin: Client, row: CachedSpeech, fake: Fake
) -> None:
    row_audio = again().audio
    correct(admin, row, WRONG, voice="claire")
    first, second = engines.tts.synthesize(f"{WRONG} Redémarrez-le.", voice="grave")
    assert first.audio.samples.tobytes() != row_audio.samples.tobytes()
    assert first.audio.samples.tobytes() == say(cached(), WRONG, "claire").audio.samples.tobytes()
    assert (first.voice, second.voice) == ("grave", "grave")
    assert "claire<small>fr · Fake</small>" in text_of(admin.get(LIST))


def test_a_voice_that_is_gone_is_replaced_by_the_own_one(admin: Client, row: CachedSpeech) -> None:
    correct(admin, row, RIGHT, voice="claire")
    CachedSpeech.objects.update(corrected_voice="gone")
    files.delete(row.key)
    assert again().text == RIGHT


def test_it_can_be_taken_back(admin: Client, row: CachedSpeech) -> None:
    before = files.path(row.key).read_bytes()
    correct(admin, row, RIGHT, voice="claire")
    page = text_of(admin.get(url(row)))
    assert "Say its own text again" in page
    page = text_of(admin.post(url(row), {"_own_text": "1"}, follow=True))
    assert f"“{WRONG}” is said as it is written again." in page
    assert again().text == WRONG
    assert files.path(row.key).read_bytes() == before
    back = CachedSpeech.objects.get(key=row.key)
    assert (back.corrected_text, back.corrected_voice, back.pinned) == ("", "", False)
    assert "Say its own text again" not in text_of(admin.get(url(row)))


def test_corrections_are_in_the_log(admin: Client, admin_user: User, row: CachedSpeech) -> None:
    correct(admin, row, RIGHT)
    entry = LogEntry.objects.get()
    assert (entry.user, entry.object_id) == (admin_user, str(row.pk))
    assert RIGHT in entry.get_change_message()
    assert WRONG in entry.get_change_message()


# --- what cannot be ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"text": " ", "voice": "grave"}, "This field is required."),
        ({"text": "Bien.", "voice": "low"}, "low is not one of the available choices."),
        ({"text": "🙂", "voice": "grave"}, "There is nothing to say aloud in this text."),
        ({"text": "a" * 5001, "voice": "grave"}, "at most 5000 characters"),
    ],
)
def test_what_cannot_be_said(
    admin: Client, row: CachedSpeech, fields: dict[str, str], said: str
) -> None:
    assert said in text_of(admin.post(url(row), fields))
    assert again().text == WRONG
    rehearsed = admin.post(url(row, "rehearse"), fields)
    assert rehearsed.status_code == 400
    assert said in rehearsed.content.decode()


def test_an_engine_that_fails(admin: Client, row: CachedSpeech, fake: Fake) -> None:
    fake.script.enqueue(EngineError("Fake failed."))
    assert "Fake failed." in correct(admin, row, RIGHT)
    assert again().text == WRONG
    assert not LogEntry.objects.exists()


def test_a_disk_that_is_full(
    admin: Client, row: CachedSpeech, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(key: str, data: bytes) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(files, "write", full)
    assert "It cannot be kept" in correct(admin, row, RIGHT)
    assert again().text == WRONG


def test_speech_of_an_engine_that_is_not_in_use(
    admin: Client, row: CachedSpeech, settings: Settings
) -> None:
    CachedSpeech.objects.update(identity={"engine": "Fake", "weights": "of yore"})
    page = text_of(admin.get(url(row), follow=True))
    assert "nobody is given this speech any more" in page
    rehearsed = admin.post(url(row, "rehearse"), {"text": "Bien.", "voice": "grave"})
    assert rehearsed.status_code == 409


def test_speech_of_an_engine_that_stands_in(admin: Client, settings: Settings) -> None:
    entry = {"BACKEND": "pipeline.tts.fake.Fake"}
    cached = {"BACKEND": "cache.tts.CachedTextToSpeech", "OPTIONS": {"engine": entry}}
    settings.ENGINES = {
        **settings.ENGINES,
        "tts": {
            "BACKEND": "pipeline.tts.fallback.Fallback",
            "OPTIONS": {"engines": [entry, cached]},
        },
    }
    [row] = fill(WRONG)
    correct(admin, row, RIGHT)
    assert CachedSpeech.objects.get(key=row.key).corrected_text == RIGHT


def test_speech_that_is_gone(admin: Client, row: CachedSpeech) -> None:
    page = url(row)
    row.delete()
    assert admin.get(page).status_code == 404
    tts = engines.tts
    assert isinstance(tts, CachedTextToSpeech)
    assert not tts.correct(row, RIGHT, tts.choose_voice("grave"))
    assert list(files.stored()) == []


def test_it_takes_the_permission_to_change(row: CachedSpeech) -> None:
    viewer = with_permissions("view_cachedspeech", "listen_cachedspeech")
    assert viewer.get(url(row)).status_code == 403
    assert viewer.post(url(row, "rehearse"), {}).status_code == 403
    assert url(row) not in text_of(viewer.get(url(row, "change")))
    assert url(row) in text_of(with_permissions("change_cachedspeech").get(url(row, "change")))


# --- listening first -----------------------------------------------------------------------


def test_rehearsing_keeps_nothing(admin: Client, row: CachedSpeech) -> None:
    response = admin.post(url(row, "rehearse"), {"text": RIGHT, "voice": "claire"})
    assert response.status_code == 200
    assert response["Content-Type"] == "audio/wav"
    assert from_wav(response.content).duration > row.duration
    assert CachedSpeech.objects.get().corrected_text == ""
    assert again().text == WRONG


def test_several_sentences_are_one_speech(admin: Client, row: CachedSpeech, fake: Fake) -> None:
    correct(admin, row, "Il y a une panne. Il coûte 3 €.")
    assert fake.spoken[-2:] == ["Il y a une panne.", "Il coûte trois euros."]
    assert again().text == "Il y a une panne. Il coûte 3 €."
