"""When an engine fails another one speaks, and it is never a secret which."""

from __future__ import annotations

import logging
from typing import cast

import numpy as np
import pytest

from pipeline.audio import Audio
from pipeline.breaker import Resting
from pipeline.engines import build
from pipeline.errors import EngineBusy, EngineError, EngineUnavailable, InputError, UnknownVoice
from pipeline.errors import InvalidEngineError as Invalid
from pipeline.tts.base import Speech, TextToSpeech, Voice
from pipeline.tts.fake import Fake
from pipeline.tts.fallback import RATE, Fallback

LOCAL = {"BACKEND": "pipeline.tts.fake.Fake"}


class Faraway(Fake):
    """Of the languages of the local one it lacks one, and has one more."""

    voices = (
        Voice("loin", "fr", "Loin", "female"),
        Voice("plus-loin", "fr", "Plus loin", "male"),
        Voice("weit", "de", "Weit", "male"),
    )
    default_voices = {"fr": "loin", "de": "weit"}
    pitches = {"loin": 330.0, "plus-loin": 165.0, "weit": 150.0}

    @property
    def outbound(self) -> bool:
        return True


class Lacking(Fake):
    def missing(self) -> str | None:
        return "no weights"


FARAWAY = {"BACKEND": f"{__name__}.Faraway"}
LACKING = {"BACKEND": f"{__name__}.Lacking"}


@pytest.fixture
def tts() -> Fallback:
    return Fallback(engines=[FARAWAY, LOCAL])


def inside(tts: Fallback) -> list[Fake]:
    return cast("list[Fake]", tts.engines)


def say(tts: TextToSpeech, text: str = "Oui.", **options: str) -> Speech:
    [speech] = tts.synthesize(text, **options)  # type: ignore[arg-type]
    return speech


def told(speech: Speech) -> tuple[str, str, bool]:
    return speech.engine, speech.voice, speech.outbound


def test_the_first_speaks_as_long_as_it_can(tts: Fallback) -> None:
    assert told(say(tts)) == ("Faraway", "loin", True)
    assert told(say(tts, voice="plus-loin")) == ("Faraway", "plus-loin", True)
    assert inside(tts)[1].spoken == []


@pytest.mark.parametrize(
    "failure", [EngineUnavailable("…"), EngineBusy(3), EngineError("…"), RuntimeError("private")]
)
def test_when_it_fails_the_next_one_says_the_same(tts: Fallback, failure: Exception) -> None:
    faraway, local = inside(tts)
    faraway.script.enqueue(failure)
    speech = say(tts, "Il pleut.", voice="plus-loin")
    assert (speech.text, speech.engine, speech.voice) == ("Il pleut.", "Fake", "grave")
    assert faraway.spoken == local.spoken == ["Il pleut."]
    assert told(say(tts))[0] == "Faraway"


def test_text_that_may_have_been_sent_counts_as_sent(tts: Fallback) -> None:
    inside(tts)[0].script.enqueue(EngineError("It hung up."), Resting("Not even asked."))
    assert told(say(tts)) == ("Fake", "grave", True)
    assert told(say(tts)) == ("Fake", "grave", False)


def test_who_stands_in_stays_to_the_end_of_the_text(tts: Fallback) -> None:
    faraway, local = inside(tts)
    speeches = tts.synthesize("Un. Deux. Trois.", voice="loin")
    first = next(speeches)
    faraway.script.enqueue(EngineError("…"))
    assert [told(speech) for speech in (first, *speeches)] == [
        ("Faraway", "loin", True),
        ("Fake", "grave", True),
        ("Fake", "grave", False),
    ]
    assert (faraway.spoken, local.spoken) == (["Un.", "Deux."], ["Deux.", "Trois."])


def test_it_is_logged_with_its_cause(tts: Fallback, caplog: pytest.LogCaptureFixture) -> None:
    inside(tts)[0].script.enqueue(EngineUnavailable("No network."), Resting("Too many."))
    say(tts)
    say(tts)
    failed, resting = (r for r in caplog.records if r.name == "pipeline.tts.fallback")
    assert failed.getMessage() == "Faraway does not speak: No network."
    assert failed.levelno == logging.WARNING
    assert failed.exc_info is not None
    assert resting.exc_info is None


def test_when_all_fail_the_last_one_says_why(tts: Fallback) -> None:
    faraway, local = inside(tts)
    faraway.script.enqueue(EngineError("First."))
    local.script.enqueue(EngineUnavailable("Last."))
    with pytest.raises(EngineUnavailable, match="Last"):
        say(tts)


def test_wrong_input_is_not_a_failure_to_stand_in_for(tts: Fallback) -> None:
    with pytest.raises(UnknownVoice):
        tts.synthesize("Oui.", voice="nobody")
    inside(tts)[0].script.enqueue(InputError("…"))
    with pytest.raises(InputError):
        say(tts)
    assert inside(tts)[1].spoken == []


def test_the_voices_are_those_of_all(tts: Fallback) -> None:
    assert [v.id for v in tts.voices] == ["loin", "plus-loin", "weit", "grave", "claire", "low"]
    assert tts.default_voices == {"fr": "loin", "de": "weit", "en": "low"}
    assert tts.languages == ["de", "en", "fr"]


def test_a_local_voice_sends_nothing_out(tts: Fallback) -> None:
    assert told(say(tts, voice="claire")) == ("Fake", "claire", False)
    assert told(say(tts, language="en")) == ("Fake", "low", False)
    assert inside(tts)[0].spoken == []


def test_nobody_stands_in_for_a_language_of_one_alone(tts: Fallback) -> None:
    assert told(say(tts, "Ja.", language="de"))[0] == "Faraway"
    inside(tts)[0].script.enqueue(EngineError("It hung up."))
    with pytest.raises(EngineError, match="hung up"):
        say(tts, "Ja.", language="de")


def test_the_same_voice_goes_on_where_both_have_it() -> None:
    tts = Fallback(engines=[LOCAL, LOCAL])
    inside(tts)[0].script.enqueue(EngineError("…"))
    assert told(say(tts, voice="claire")) == ("Fake", "claire", False)
    assert [fake.spoken for fake in inside(tts)] == [["Oui."], ["Oui."]]


def test_a_reply_has_one_sample_rate(tts: Fallback) -> None:
    faraway, local = inside(tts)
    faraway.script.enqueue(Audio(np.zeros(44_100, np.float32), 44_100), EngineError("…"))
    local.script.enqueue(Audio(np.zeros(16_000, np.float32), 16_000))
    for speech in tts.synthesize("Un. Deux."):
        assert speech.audio.sample_rate == RATE
        assert speech.audio.duration == pytest.approx(1.0, abs=0.001)


def test_it_says_what_it_is(tts: Fallback) -> None:
    assert tts.name == "Faraway, else Fake"
    assert tts.identity == {
        "engine": "Faraway, else Fake",
        "1.engine": "Faraway",
        "2.engine": "Fake",
    }
    assert tts.outbound
    assert not Fallback(engines=[LOCAL, LOCAL]).outbound


def test_warming_up_loads_all(tts: Fallback) -> None:
    before = tts.loaded
    tts.warm_up()
    assert (before, tts.loaded) == (False, True)
    assert all(engine.loaded for engine in tts.engines)


@pytest.mark.parametrize("engines", [[LACKING, LOCAL], [FARAWAY, LACKING]])
def test_what_any_of_them_lacks_is_missing(tts: Fallback, engines: list[dict[str, object]]) -> None:
    assert tts.missing() is None
    assert Fallback(engines=engines).missing() == "no weights"


@pytest.mark.parametrize(
    ("engines", "message"),
    [
        ([], "two engines"),
        ([LOCAL], "two engines"),
        ([LOCAL, FARAWAY], "only the first may send data out, not Faraway"),
        ([FARAWAY, FARAWAY], "only the first may send data out, not Faraway"),
        ([FARAWAY, LOCAL, FARAWAY], "only the first may send data out, not Faraway"),
        ([FARAWAY, {"BACKEND": "pipeline.llm.fake.Fake"}], r"\['engines'\]\[1\]"),
    ],
)
def test_what_is_refused_at_the_start(engines: list[dict[str, object]], message: str) -> None:
    entry = {"BACKEND": "pipeline.tts.fallback.Fallback", "OPTIONS": {"engines": engines}}
    with pytest.raises(Invalid, match=message):
        build(entry, TextToSpeech, where="ENGINES['tts']")
