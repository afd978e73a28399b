"""What was heard and what was replied is remembered: for whom, for how long, and what is not."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from typing import Any, cast

import numpy as np
import pytest
from django.core.cache import caches
from django.core.cache.backends.dummy import DummyCache
from pytest_django import Settings

from cache.llm import CachedLanguageModel
from cache.stt import CachedSpeechToText
from pipeline import tenants
from pipeline.audio import SAMPLE_RATE, Audio
from pipeline.base import CacheState, Deadline
from pipeline.engines import ROLES, Engines
from pipeline.errors import EngineError, NoSpeech, UnsupportedLanguage
from pipeline.llm import fake as llm
from pipeline.llm.base import Deltas, Message, Sampling, Usage
from pipeline.stt import fake as stt

UTTERANCE = Audio(np.ones(SAMPLE_RATE // 2, np.float32), SAMPLE_RATE)
OTHER = Audio(np.full(SAMPLE_RATE // 2, 0.5, np.float32), SAMPLE_RATE)
QUESTION = (Message("user", "Quelle heure est-il ?"),)


@pytest.fixture(autouse=True)
def forgetful() -> Iterator[None]:
    yield
    caches["memory"].clear()


class Broken(DummyCache):
    """A server that is gone."""

    def get(self, *args: Any, **kwargs: Any) -> Any:
        raise ConnectionError("gone")

    def set(self, *args: Any, **kwargs: Any) -> None:
        raise ConnectionError("gone")


class Uncounted(llm.Fake):
    """Cannot tell what a reply took."""

    def _reply(self, messages: object, sampling: Sampling, deadline: Deadline) -> Deltas:
        yield "Oui."
        return None


def hearing(**options: object) -> CachedSpeechToText:
    return CachedSpeechToText(engine={"BACKEND": "pipeline.stt.fake.Fake", "OPTIONS": options})


def replying(engine: str = "pipeline.llm.fake.Fake") -> CachedLanguageModel:
    return CachedLanguageModel(engine={"BACKEND": engine})


def reply(
    model: CachedLanguageModel,
    messages: tuple[Message, ...] = QUESTION,
    sampling: Sampling = Sampling(),  # noqa: B008 - it is frozen
) -> tuple[str, Usage | None]:
    deltas, text = model.reply(messages, sampling), ""
    while True:
        try:
            text += next(deltas)
        except StopIteration as end:
            return text, end.value


def state(answer: tuple[str, Usage | None]) -> CacheState | None:
    _text, usage = answer
    return None if usage is None else usage.cache


def times_heard(engine: CachedSpeechToText) -> int:
    return len(cast("stt.Fake", engine.engine).heard)


def times_asked(engine: CachedLanguageModel) -> int:
    return len(cast("llm.Fake", engine.engine).asked)


# --- what was heard ---------------------------------------------------------------------------


def test_the_same_sound_is_heard_once() -> None:
    engine = hearing()
    first, again, other = (engine.transcribe(audio) for audio in (UTTERANCE, UTTERANCE, OTHER))
    assert [t.cache for t in (first, again, other)] == ["miss", "hit", "miss"]
    assert (again.text, again.segments) == (first.text, first.segments)
    assert times_heard(engine) == 2


def test_what_is_wanted_of_a_sound_is_part_of_the_question() -> None:
    engine = hearing()
    for language in ("fr", "en", None):
        assert engine.transcribe(UTTERANCE, language=language).cache == "miss"
    assert engine.transcribe(UTTERANCE, prompt="Noms : Zoé.").cache == "miss"
    assert engine.transcribe(UTTERANCE, language="fr").cache == "hit"


def test_a_rate_is_part_of_a_sound() -> None:
    engine = hearing()
    engine.transcribe(UTTERANCE)
    assert engine.transcribe(Audio(UTTERANCE.samples, 2 * SAMPLE_RATE)).cache == "miss"


def test_another_engine_remembers_for_itself() -> None:
    hearing(text="Un.").transcribe(UTTERANCE)
    other = hearing(text="Deux.").transcribe(UTTERANCE)
    assert (other.text, other.cache) == ("Deux.", "miss")


def test_how_an_engine_is_written_down_is_no_matter() -> None:
    hearing(text="Un.", wait_s=1).transcribe(UTTERANCE)
    options = {"wait_s": 1, "text": "Un."}
    same = CachedSpeechToText(engine={"OPTIONS": options, "BACKEND": "pipeline.stt.fake.Fake"})
    assert same.transcribe(UTTERANCE).cache == "hit"


def test_no_speech_and_errors_are_not_remembered() -> None:
    engine = hearing()
    silence = Audio(np.zeros(SAMPLE_RATE, np.float32), SAMPLE_RATE)
    for _ in range(2):
        with pytest.raises(NoSpeech):
            engine.transcribe(silence)
        with pytest.raises(UnsupportedLanguage):
            engine.transcribe(UTTERANCE, language="xx")
    assert times_heard(engine) == 2


def test_it_hears_like_the_engine_it_wraps() -> None:
    engine = hearing()
    inside = engine.engine
    assert engine.languages == inside.languages
    assert engine.translates is inside.translates
    assert engine.times_words is inside.times_words
    assert (engine.name, engine.identity) == (inside.name, inside.identity)
    assert (
        engine.transcribe(UTTERANCE, words=True).words
        == inside.transcribe(UTTERANCE, words=True).words
    )


# --- what was replied -------------------------------------------------------------------------


def test_the_same_messages_are_replied_to_once() -> None:
    engine = replying()
    first, again = reply(engine), reply(engine)
    assert first[0] == again[0] == "Vous avez dit : Quelle heure est-il ?"
    assert [state(first), state(again)] == ["miss", "hit"]
    assert first[1] is not None
    assert again[1] is not None
    assert first[1].reply_tokens == again[1].reply_tokens > 0
    assert times_asked(engine) == 1


def test_who_said_what_is_part_of_the_question() -> None:
    engine = replying()
    one, other = Message("user", "Oui."), Message("assistant", "Oui.")
    reply(engine, (one, one, *QUESTION))
    assert state(reply(engine, (one, other, *QUESTION))) == "miss"
    assert state(reply(engine, QUESTION, Sampling(max_tokens=3))) == "miss"


def test_it_replies_like_the_engine_it_wraps() -> None:
    engine = replying()
    inside = engine.engine
    assert (engine.name, engine.identity) == (inside.name, inside.identity)
    long = [Message("user", "Bonjour. " * 1_000)] * 50
    for messages in (QUESTION, long):
        assert engine.fits(messages) == inside.fits(messages)


def test_a_reply_by_chance_is_not_remembered() -> None:
    engine = replying()
    by_chance = Sampling(temperature=0.7)
    assert [state(reply(engine, QUESTION, by_chance)) for _ in range(2)] == ["off", "off"]
    assert times_asked(engine) == 2


def test_a_reply_that_was_left_is_not_remembered() -> None:
    engine = replying()
    deltas = engine.reply(QUESTION)
    next(deltas)
    deltas.close()
    assert cast("llm.Fake", engine.engine).stopped == 1
    assert state(reply(engine)) == "miss"


def test_a_reply_that_failed_is_not_remembered() -> None:
    engine = replying()
    cast("llm.Fake", engine.engine).script.enqueue(RuntimeError("private"))
    with pytest.raises(EngineError):
        reply(engine)
    assert state(reply(engine)) == "miss"


def test_a_reply_that_is_not_counted_is_not_remembered() -> None:
    engine = replying(f"{__name__}.Uncounted")
    assert reply(engine) == reply(engine) == ("Oui.", None)


# --- for whom, and for how long ---------------------------------------------------------------


def test_one_tenant_is_never_answered_from_the_memory_of_another() -> None:
    ears, model = hearing(), replying()
    for tenant in ("one", "other", ""):
        with tenants.acting_for(tenant):
            assert ears.transcribe(UTTERANCE).cache == "miss"
            assert state(reply(model)) == "miss"
    with tenants.acting_for("other"):
        assert ears.transcribe(UTTERANCE).cache == "hit"
        assert state(reply(model)) == "hit"


def test_it_is_forgotten(settings: Settings) -> None:
    settings.CACHES = {
        **settings.CACHES,
        "memory": {**settings.CACHES["memory"], "LOCATION": "brief", "TIMEOUT": 0.05},
    }
    engine = hearing()
    engine.transcribe(UTTERANCE)
    time.sleep(0.1)
    assert engine.transcribe(UTTERANCE).cache == "miss"


def test_nothing_is_remembered_where_that_is_turned_off(settings: Settings) -> None:
    settings.VOICEBOT_MEMORY_S = 0
    ears, model = hearing(), replying()
    assert [ears.transcribe(UTTERANCE).cache for _ in range(2)] == ["off", "off"]
    assert [state(reply(model)) for _ in range(2)] == ["off", "off"]


def test_a_memory_that_fails_costs_a_warning(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    settings.CACHES = {
        **settings.CACHES,
        "memory": {"BACKEND": f"{__name__}.Broken"},
    }
    engine = hearing()
    assert engine.transcribe(UTTERANCE).text == "Quelle heure est-il ?"
    said = [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]
    assert said == ["The memory fails: gone"] * 2  # neither recalled nor kept


# --- engines without memory -------------------------------------------------------------------


@pytest.mark.django_db  # the dictionary of pronunciation
def test_the_bare_engines_are_the_ones_inside() -> None:
    classes = {"stt": "stt.CachedSpeechToText", "llm": "llm.CachedLanguageModel"}
    entries = {role: {"BACKEND": f"pipeline.{role}.fake.Fake"} for role in ROLES}
    wrapped = Engines(
        {
            role: {
                "BACKEND": f"cache.{classes.get(role, 'tts.CachedTextToSpeech')}",
                "OPTIONS": {"engine": entry},
            }
            for role, entry in entries.items()
        }
    )
    bare = wrapped.bare
    assert bare.stt is cast("CachedSpeechToText", wrapped.stt).engine
    assert bare.llm is cast("CachedLanguageModel", wrapped.llm).engine
    [speech] = bare.tts.synthesize("Oui.")
    assert speech.cache == "off"
    assert Engines(entries).bare.stt.name == "Fake"
