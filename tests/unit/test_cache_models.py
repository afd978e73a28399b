"""The cache keeps within its limit, and a row takes its file with it."""

import pytest
from django.db import transaction
from pytest_django import DjangoCaptureOnCommitCallbacks, Settings

from cache import files
from cache.models import CachedSpeech
from pipeline.audio import from_wav
from tests.unit.cached import cached, fill, say

pytestmark = pytest.mark.django_db

SIX = ("Un a.", "Un b.", "Un c.", "Un d.", "Un e.", "Un f.")  # as long as each other


def texts() -> list[str]:
    """Of what is left, the least recently used first."""
    return list(CachedSpeech.objects.order_by("last_used_at").values_list("text", flat=True))


def kept_keys() -> set[str]:
    return {file.stem for file in files.stored()}


def test_reading_by_key() -> None:
    [row] = fill("Bonjour.")
    wav = CachedSpeech.objects.wav(row.key)
    audio = CachedSpeech.objects.audio(row.key)
    assert wav == files.path(row.key).read_bytes()
    assert audio is not None
    assert audio.pcm16() == from_wav(wav).pcm16()
    files.path(row.key).write_bytes(wav[:-1])
    assert CachedSpeech.objects.wav(row.key) is None
    assert CachedSpeech.objects.audio(row.key) is None


@pytest.mark.parametrize("key", ["", "../../db.sqlite3", "0" * 64])
def test_reading_what_is_not_there(key: str) -> None:
    assert CachedSpeech.objects.audio(key) is None


@pytest.mark.django_db(transaction=True)
def test_the_least_recently_used_go_first(settings: Settings) -> None:
    rows = fill(*SIX)
    size = rows[0].size_bytes
    assert {row.size_bytes for row in rows} == {size}
    say(cached(), SIX[0])  # no longer the least recently used
    settings.VOICEBOT_CACHE_MAX_BYTES = 6 * size
    say(cached(), "Un g.")  # seven are too many; 90 % of six are five
    assert texts() == ["Un d.", "Un e.", "Un f.", "Un a.", "Un g."]
    assert kept_keys() == set(CachedSpeech.objects.values_list("key", flat=True))


@pytest.mark.django_db(transaction=True)
def test_what_is_pinned_stays(settings: Settings) -> None:
    rows = fill(*SIX)
    CachedSpeech.objects.filter(text__in=SIX[:2]).update(pinned=True)
    settings.VOICEBOT_CACHE_MAX_BYTES = rows[0].size_bytes
    speech = say(cached(), "Un g.")
    assert speech.cache == "miss"
    assert texts() == ["Un a.", "Un b."]
    assert kept_keys() == {rows[0].key, rows[1].key}


def test_a_cache_that_is_just_full_loses_nothing(settings: Settings) -> None:
    settings.VOICEBOT_CACHE_MAX_BYTES = sum(row.size_bytes for row in fill(*SIX))
    CachedSpeech.objects.all()._raw_delete("default")
    fill(*SIX)
    assert texts() == list(SIX)


def test_used_at_the_same_moment(settings: Settings) -> None:
    rows = fill(*SIX)
    CachedSpeech.objects.update(last_used_at=rows[0].last_used_at)
    size = rows[0].size_bytes
    beyond = CachedSpeech.objects.beyond(4 * size)
    assert [row.text for row in beyond.order_by("pk")] == ["Un a.", "Un b."]
    assert not CachedSpeech.objects.beyond(6 * size).exists()
    assert CachedSpeech.objects.beyond(6 * size - 1).count() == 1
    assert CachedSpeech.objects.beyond(0).count() == 6


@pytest.mark.parametrize("by", ["row", "queryset"])
def test_a_row_takes_its_file_with_it(
    by: str, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    first, second = fill("Un.", "Deux.")
    with django_capture_on_commit_callbacks(execute=True):
        if by == "row":
            first.delete()
        else:
            CachedSpeech.objects.filter(pk=first.pk).delete()
        assert kept_keys() == {first.key, second.key}  # not before it is certain
    assert kept_keys() == {second.key}


@pytest.mark.django_db(transaction=True)
def test_a_deletion_that_is_undone_keeps_the_file() -> None:
    [row] = fill("Un.")
    with transaction.atomic():
        row.delete()
        transaction.set_rollback(True)
    assert kept_keys() == {row.key}
    assert say(cached(), "Un.").cache == "hit"


@pytest.mark.django_db(transaction=True)
def test_a_file_that_cannot_be_deleted_is_harmless() -> None:
    [row] = fill("Un.")
    file = files.path(row.key)
    file.unlink()
    file.mkdir()
    row.delete()
    assert not CachedSpeech.objects.exists()


def test_it_is_shown_by_its_text() -> None:
    [row] = fill("Un " + "très " * 20 + "long discours.")
    assert str(row).startswith("Un très très")
    assert len(str(row)) == 60
