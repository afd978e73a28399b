"""What one tenant is told is not heard, found or counted by another."""

from __future__ import annotations

import contextvars
import threading

import pytest

from cache import files
from cache.models import CachedSpeech
from pipeline import tenants
from pipeline.ahead import ahead
from tests.unit.cached import cached, say, spoken


def test_without_a_name_it_is_empty() -> None:
    assert contextvars.Context().run(tenants.current) == ""


def test_it_lasts_as_long_as_the_block() -> None:
    with tenants.acting_for("alice"):
        assert tenants.current() == "alice"
        with tenants.acting_for(""):
            tenants.become("bob")
            assert tenants.current() == "bob"
        assert tenants.current() == "alice"
    assert tenants.current() == ""


def test_work_ahead_is_its_callers() -> None:
    with tenants.acting_for("alice"), ahead(tenants.current() for _ in range(2)) as seen:
        assert list(seen) == ["alice", "alice"]


def test_threads_do_not_see_each_others() -> None:
    seen: list[str] = []
    with tenants.acting_for("alice"):
        thread = threading.Thread(target=lambda: seen.append(tenants.current()))
        thread.start()
        thread.join()
    assert seen == [""]


@pytest.mark.django_db
def test_the_same_sentence_of_two_tenants_is_two_entries() -> None:
    tts = cached()
    keys = set()
    for tenant in ("", "alice", "bob"):
        with tenants.acting_for(tenant):
            first, second = say(tts, "Ton code est 1234."), say(tts, "Ton code est 1234.")
        assert (first.cache, second.cache) == ("miss", "hit")
        assert first.key == second.key is not None
        assert CachedSpeech.objects.get(key=first.key).tenant == tenant
        keys.add(first.key)
    assert len(keys) == len(spoken(tts)) == 3
    assert {file.stem for file in files.stored()} == keys
