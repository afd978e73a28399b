"""Many want the same speech at once: it is made once."""

import logging
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection

from cache import files
from cache.models import CachedSpeech
from pipeline.audio import to_wav
from pipeline.base import CacheState
from pipeline.errors import EngineBusy
from tests.unit.cached import cached, say, spoken

SLOW = "tests.unit.cached.Slow"


@pytest.mark.django_db(transaction=True)
def test_threads_wait_for_one_synthesis() -> None:
    tts = cached(SLOW, slots=20)
    together = threading.Barrier(20)

    def ask(_number: int) -> tuple[CacheState, bytes]:
        together.wait()
        try:
            speech = say(tts, "Bonjour.")
            return speech.cache, to_wav([speech.audio])
        finally:
            connection.close()

    with ThreadPoolExecutor(20) as threads:
        answers = list(threads.map(ask, range(20)))

    assert spoken(tts) == ["Bonjour."]
    assert Counter(state for state, _wav in answers) == {"miss": 1, "hit": 19}
    assert len({wav for _state, wav in answers}) == 1
    assert CachedSpeech.objects.get().hits == 19


@pytest.mark.django_db(transaction=True)
def test_threads_that_write_at_once_all_succeed(caplog: pytest.LogCaptureFixture) -> None:
    tts = cached(slots=20)
    together = threading.Barrier(20)

    def ask(number: int) -> CacheState:
        together.wait()
        try:
            return say(tts, f"Phrase {chr(97 + number)}.").cache
        finally:
            connection.close()

    with ThreadPoolExecutor(20) as threads:
        assert list(threads.map(ask, range(20))) == ["miss"] * 20
    assert CachedSpeech.objects.count() == 20
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


@pytest.mark.django_db(transaction=True)
def test_the_wait_has_an_end() -> None:
    tts = cached(wait_s=0.1)
    key = say(tts, "Bonjour.").key
    assert key
    CachedSpeech.objects.all().delete()
    with files.lock(key, timeout_s=1), pytest.raises(EngineBusy) as busy:
        say(tts, "Bonjour.")
    assert busy.value.retry_after_s == 1
    assert say(tts, "Bonjour.").cache == "miss"
