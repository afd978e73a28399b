"""A turn, as it happens and as a whole."""

from __future__ import annotations

import threading
import time
from collections.abc import Generator, Iterator, Sequence
from dataclasses import replace
from typing import ClassVar, cast

import numpy as np
import pytest

from pipeline import turn
from pipeline.admission import Place, admission
from pipeline.audio import SAMPLE_RATE, Audio
from pipeline.base import CacheState, Deadline
from pipeline.engines import Engines
from pipeline.errors import (
    EngineError,
    NoSpeech,
    PipelineError,
    UnknownVoice,
    UnsupportedLanguage,
)
from pipeline.llm import fake as llm
from pipeline.llm.base import LanguageModel, Message, Sampling, Usage
from pipeline.stt import fake as stt
from pipeline.stt.base import Transcript, Wanted
from pipeline.tts import fake as tts
from pipeline.tts.base import Speech, Voice
from pipeline.turn import Done, Heard, ReplyDelta, Spoken, Times, Turn

UTTERANCE = Audio(np.ones(SAMPLE_RATE // 2, np.float32), SAMPLE_RATE)
SILENCE = Audio(np.zeros(SAMPLE_RATE, np.float32), SAMPLE_RATE)


class Hears(stt.Fake):
    """Each language it may hear is an option."""

    def __init__(self, *, hears: str = "fr") -> None:
        super().__init__(wait_s=0)
        self._hears = hears

    def _transcribe(self, audio: Audio, wanted: Wanted, deadline: Deadline) -> Transcript:
        heard = replace(wanted, language=wanted.language or self._hears)
        return super()._transcribe(audio, heard, deadline)


class HearsHere(Hears):
    """Passes for one that computes."""

    elsewhere = False


class Writes(LanguageModel):
    """Says ``deltas``, which a test sets; a number is a wait in seconds, an error is raised."""

    deltas: Sequence[str | float | Exception] = ()

    def __init__(self) -> None:
        super().__init__(wait_s=0)

    def _load(self) -> None:
        pass

    def _reply(
        self, messages: Sequence[Message], sampling: Sampling, deadline: Deadline
    ) -> Generator[str, None, None]:
        for delta in self.deltas:
            match delta:
                case str():
                    yield delta
                case float():
                    time.sleep(delta)
                case _:
                    raise delta


class WaitsForSpeech(LanguageModel):
    """Goes on after its first sentence only once that one was spoken."""

    def __init__(self) -> None:
        super().__init__()
        self.spoken = threading.Event()

    def _load(self) -> None:
        pass

    def _reply(
        self, messages: Sequence[Message], sampling: Sampling, deadline: Deadline
    ) -> Generator[str, None, None]:
        yield "Bonjour. "
        if not self.spoken.wait(timeout=60):
            raise TimeoutError
        yield "Il fait beau."


class Endless(LanguageModel):
    """Pauses in its third delta until it is let go on, then never ends."""

    def __init__(self) -> None:
        super().__init__(wait_s=0)
        self.go_on = threading.Event()
        self.deltas_after = 0
        self.stopped = False

    def _load(self) -> None:
        pass

    def _reply(
        self, messages: Sequence[Message], sampling: Sampling, deadline: Deadline
    ) -> Generator[str, None, None]:
        try:
            yield from ("Bonjour. ", "Il ")
            self.go_on.wait(timeout=60)
            while True:
                self.deltas_after += 1
                yield "fait "
        finally:
            self.stopped = True


class SpeaksSlowly(tts.Fake):
    def _synthesize(self, sentence: str, voice: Voice, speed: float, deadline: Deadline) -> Audio:
        time.sleep(0.2)
        return super()._synthesize(sentence, voice, speed, deadline)


class FreeLater(threading.BoundedSemaphore):
    """A slot that is free 0.3 s after it was wanted."""

    def acquire(self, blocking: bool = True, timeout: float | None = None) -> bool:
        if not blocking:
            return False
        time.sleep(0.3)
        return super().acquire(blocking, timeout)


def engines_of(**classes: type) -> Engines:
    """The fakes, which wait for no slot, but for the roles of ``classes``."""
    fakes = {
        role: {"BACKEND": f"pipeline.{role}.fake.Fake", "OPTIONS": {"wait_s": 0}}
        for role in ("stt", "llm", "tts")
    }
    named = {role: {"BACKEND": f"{__name__}.{cls.__name__}"} for role, cls in classes.items()}
    return Engines({**fakes, **named})


@pytest.fixture
def engines() -> Engines:
    return engines_of()


def writing(*deltas: str | float | Exception) -> Engines:
    chosen = engines_of(llm=Writes)
    cast("Writes", chosen.llm).deltas = deltas
    return chosen


@pytest.fixture(autouse=True)
def nothing_left_behind() -> Iterator[None]:
    yield
    assert "ahead" not in {thread.name for thread in threading.enumerate()}


# --- What happens, and when --------------------------------------------------------------------


def test_events_come_as_things_happen() -> None:
    events = list(turn.events(UTTERANCE, writing("Bonjour. ", "Il fait ", "beau.")))
    happened = [
        event.text
        if isinstance(event, ReplyDelta)
        else f"« {event.speech.text} »"
        if isinstance(event, Spoken)
        else type(event).__name__
        for event in events
    ]
    assert happened == [
        "Heard",
        "Bonjour. ",
        "« Bonjour. »",
        "Il fait ",
        "beau.",
        "« Il fait beau. »",
        "Done",
    ]
    assert isinstance(events[0], Heard)
    assert events[0].transcript.text == "Quelle heure est-il ?"


@pytest.mark.parametrize(
    ("eager", "spoken"),
    [
        (False, ["Il fait beau ici, bien sûr.", "Merci."]),
        (True, ["Il fait beau ici,", "bien sûr.", "Merci."]),
    ],
)
def test_who_listens_meanwhile_hears_the_first_clause_first(eager: bool, spoken: list[str]) -> None:
    engines = writing("Il fait beau ", "ici, bien ", "sûr. Merci.")
    taken = turn.take(turn.events(UTTERANCE, engines, eager=eager))
    assert [speech.text for speech in taken.speeches] == spoken
    assert taken.reply == "Il fait beau ici, bien sûr. Merci."


def test_the_first_sentence_is_spoken_while_the_reply_goes_on() -> None:
    engines = engines_of(llm=WaitsForSpeech)
    model = cast("WaitsForSpeech", engines.llm)
    spoken = []
    for event in turn.events(UTTERANCE, engines):
        if isinstance(event, Spoken):
            model.spoken.set()
            spoken.append(event.speech.text)
    assert spoken == ["Bonjour.", "Il fait beau."]


def test_when_each_sentence_was_made_is_told() -> None:
    engines = engines_of(llm=WaitsForSpeech, tts=SpeaksSlowly)
    model = cast("WaitsForSpeech", engines.llm)
    spoken = []
    for event in turn.events(UTTERANCE, engines):
        if isinstance(event, Spoken):
            time.sleep(0.1)
            model.spoken.set()
            spoken.append(event)
    assert isinstance(event, Done)
    first, second = spoken
    assert first.end - first.start >= 0.2
    assert first.end == pytest.approx(event.turn.times.first_audio)
    assert second.start - first.end >= 0.1
    assert second.end - second.start >= 0.2
    assert second.end <= event.turn.times.total


def test_stages_overlap_and_their_times_are_told() -> None:
    engines = engines_of(llm=WaitsForSpeech, tts=SpeaksSlowly)
    model = cast("WaitsForSpeech", engines.llm)
    for event in turn.events(UTTERANCE, engines):
        if isinstance(event, Spoken):
            model.spoken.set()
    assert isinstance(event, Done)
    times = event.turn.times
    assert times.stt > 0
    assert times.llm_first > 0
    assert times.llm >= times.llm_first + 0.2  # the first sentence was spoken meanwhile
    assert times.tts >= 0.4
    assert times.stt + times.llm_first + 0.2 <= times.first_audio <= times.total - 0.2
    assert times.stt + times.llm <= times.total


@pytest.mark.parametrize("stage", ["stt", "llm", "tts"])
def test_a_wait_for_a_slot_is_no_part_of_a_stage(engines: Engines, stage: str) -> None:
    engines[stage]._wait_s = 60
    engines[stage]._free = FreeLater()
    *events, done = turn.events(UTTERANCE, engines)
    assert isinstance(done, Done)
    times = done.turn.times
    assert times.wait >= 0.3
    assert getattr(times, stage) + times.wait <= times.total
    assert times.llm_first <= times.llm
    spoken = [event for event in events if isinstance(event, Spoken)]
    assert 0 < sum(event.end - event.start for event in spoken) <= times.tts + 1e-6


def test_a_wait_for_the_processors_is_no_part_of_a_stage() -> None:
    engines = engines_of(stt=HearsHere)
    former = Place(admission)
    former.enter(engines, "stt")
    former.begin(here=True)
    with admission.visit() as place:
        place.enter(engines, "stt", "llm", "tts")

        def leave() -> None:
            while not place.waiting:
                time.sleep(0.01)
            time.sleep(0.3)
            former.leave()

        later = threading.Thread(target=leave)
        later.start()
        times = turn.take(turn.events(UTTERANCE, engines)).times
        place.leave()
        later.join()
    assert times.wait > 0.2
    assert times.stt + times.wait <= times.total


def test_who_waits_for_nobody_has_not_waited(engines: Engines) -> None:
    assert turn.take(turn.events(UTTERANCE, engines)).times.wait == 0


def test_where_the_time_went_of_a_turn_that_fails() -> None:
    engines, times = writing("Bonjour. ", 0.1, EngineError("Rien.")), Times()
    with pytest.raises(EngineError, match="Rien"):
        turn.take(turn.events(UTTERANCE, engines, times=times))
    assert times.stt > 0
    assert times.llm >= 0.1


@pytest.mark.parametrize("deltas_read", [0, 1, 2])
def test_closing_stops_the_reply_within_a_delta(deltas_read: int) -> None:
    engines = engines_of(stt=Hears, llm=Endless)
    model = cast("Endless", engines.llm)
    events = turn.events(UTTERANCE, engines)
    assert isinstance(next(events), Heard)
    for _ in range(deltas_read):
        while not isinstance(next(events), ReplyDelta):
            pass
    # Closing waits for the delta that is being thought of: let it come meanwhile.
    threading.Timer(0.2, model.go_on.set).start()
    events.close()
    assert model.stopped is (deltas_read > 0)
    assert model.deltas_after == (1 if deltas_read else 0)
    # Every slot is free: none of these engines waits for one.
    again = turn.events(UTTERANCE, engines)
    assert isinstance(next(again), Heard)
    assert next(again) == ReplyDelta("Bonjour. ")
    assert isinstance(next(again), Spoken)
    again.close()


def test_what_was_heard_before_is_not_heard_again(engines: Engines) -> None:
    taken = turn.take(turn.events(Transcript("Bonsoir.", "en"), engines))
    assert cast("stt.Fake", engines.stt).heard == []
    assert taken.transcript == Transcript("Bonsoir.", "en")
    assert taken.reply == "Vous avez dit : Bonsoir."
    assert taken.speeches[0].voice == "low"
    assert taken.times.stt == 0


def test_what_was_written_before_is_not_written_again(engines: Engines) -> None:
    said = Transcript("Bonsoir.", "fr")
    events = list(turn.events(said, engines, reply="Bien dormi ? Tant mieux."))
    assert cast("llm.Fake", engines.llm).asked == []
    assert [type(event) for event in events] == [Heard, ReplyDelta, Spoken, Spoken, Done]
    done = events[-1]
    assert isinstance(done, Done)
    assert done.turn.reply == "Bien dormi ? Tant mieux."
    assert [speech.text for speech in done.turn.speeches] == ["Bien dormi?", "Tant mieux."]
    assert done.turn.times.llm == 0


def test_closing_before_anything_was_done_does_nothing(engines: Engines) -> None:
    turn.events(UTTERANCE, engines).close()
    assert cast("stt.Fake", engines.stt).heard == []


def test_what_is_written_beside_goes_before_what_is_said(engines: Engines) -> None:
    turn.take(turn.events(UTTERANCE, engines, beside="En anglais :"))
    assert isinstance(engines.llm, llm.Fake)
    assert engines.llm.asked[-1][-1].text == "En anglais :\nQuelle heure est-il ?"


def test_a_voice_may_be_chosen_once_the_language_is_heard() -> None:
    engines = engines_of(stt=HearsEnglish)
    asked: list[str | None] = []

    def choose(language: str | None) -> str:
        asked.append(language)
        return {"fr": "claire", "en": "low"}[language or "fr"]

    taken = turn.take(turn.events(UTTERANCE, engines, voice=choose))
    assert {speech.voice for speech in taken.speeches} == {"low"}
    assert asked == ["en"]


def test_what_was_said_before_is_told() -> None:
    engines = engines_of()
    history = [Message("user", "Je m'appelle Alice."), Message("assistant", "Bonjour, Alice.")]
    turn.take(turn.events(UTTERANCE, engines, history=history))
    [asked] = cast("llm.Fake", engines.llm).asked
    assert [*asked[-3:]] == [*history, Message("user", "Quelle heure est-il ?")]


# --- Voices and languages ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("hears", "language", "voice", "spoken_by"),
    [
        ("fr", None, None, "grave"),
        ("en", None, None, "low"),
        ("en", "fr", None, "grave"),
        ("fr", None, "claire", "claire"),
        ("fr", "fr", "claire", "claire"),
        ("en", "en", "low", "low"),
    ],
)
def test_who_speaks(hears: str, language: str | None, voice: str | None, spoken_by: str) -> None:
    engines = Engines(
        {
            "stt": {"BACKEND": f"{__name__}.Hears", "OPTIONS": {"hears": hears}},
            "llm": {"BACKEND": "pipeline.llm.fake.Fake"},
            "tts": {"BACKEND": "pipeline.tts.fake.Fake"},
        }
    )
    taken = turn.take(turn.events(UTTERANCE, engines, language=language, voice=voice))
    assert taken.transcript.language == (language or hears)
    assert {speech.voice for speech in taken.speeches} == {spoken_by}


@pytest.mark.parametrize(
    ("language", "voice", "error"),
    [
        (None, "nobody", UnknownVoice),
        ("en", "claire", UnknownVoice),
        ("de", None, UnsupportedLanguage),
        ("de", "claire", UnsupportedLanguage),
        ("xx", None, UnsupportedLanguage),
    ],
)
def test_a_wrong_choice_costs_no_work(
    engines: Engines, language: str | None, voice: str | None, error: type[PipelineError]
) -> None:
    with pytest.raises(error):
        next(turn.events(UTTERANCE, engines, language=language, voice=voice))
    assert cast("stt.Fake", engines.stt).heard == []


class HearsGerman(Hears):
    def __init__(self) -> None:
        super().__init__(hears="de")


class HearsEnglish(Hears):
    def __init__(self) -> None:
        super().__init__(hears="en")


def test_a_language_that_is_heard_but_that_no_voice_speaks() -> None:
    engines = engines_of(stt=HearsGerman)
    with pytest.raises(UnsupportedLanguage) as caught:
        next(turn.events(UTTERANCE, engines))
    assert (caught.value.language, caught.value.valid) == ("de", ("en", "fr"))
    assert cast("llm.Fake", engines.llm).asked == []


def test_a_voice_that_does_not_speak_the_language_that_is_heard() -> None:
    engines = engines_of(stt=HearsEnglish)
    with pytest.raises(UnknownVoice) as caught:
        next(turn.events(UTTERANCE, engines, voice="claire"))
    assert caught.value.valid == ("low",)
    assert cast("llm.Fake", engines.llm).asked == []


# --- What can go wrong -------------------------------------------------------------------------


@pytest.mark.parametrize("stage", ["stt", "llm", "tts"])
def test_a_stage_that_fails_fails_the_turn_and_frees_the_slots(
    engines: Engines, stage: str
) -> None:
    engine = cast("stt.Fake | llm.Fake | tts.Fake", engines[stage])
    engine.script.enqueue(RuntimeError("private"))
    with pytest.raises(EngineError) as caught:
        turn.take(turn.events(UTTERANCE, engines))
    assert isinstance(caught.value.__cause__, RuntimeError)
    assert "private" not in caught.value.message
    assert turn.take(turn.events(UTTERANCE, engines)).reply


def test_what_was_said_before_a_failure_was_said() -> None:
    events = turn.events(UTTERANCE, writing("Bonjour. ", "Il fait ", RuntimeError("private")))
    seen: list[turn.Event] = []
    with pytest.raises(EngineError):
        seen.extend(events)
    assert [event.speech.text for event in seen if isinstance(event, Spoken)] == ["Bonjour."]
    assert not any(isinstance(event, Done) for event in seen)


def test_a_voice_that_fails_stops_the_reply() -> None:
    engines = engines_of(llm=Endless)
    model = cast("Endless", engines.llm)
    cast("tts.Fake", engines.tts).script.enqueue(RuntimeError())
    threading.Timer(0.2, model.go_on.set).start()
    with pytest.raises(EngineError):
        turn.take(turn.events(UTTERANCE, engines))
    assert model.stopped
    assert model.deltas_after == 1


def test_silence_is_no_question(engines: Engines) -> None:
    with pytest.raises(NoSpeech):
        next(turn.events(SILENCE, engines))
    assert cast("llm.Fake", engines.llm).asked == []


@pytest.mark.parametrize("deltas", [(), ("", ""), (" ", "\n"), ("😀",), ("…", " 👍 ", "!")])
def test_a_reply_with_nothing_to_say_aloud_is_a_failure(deltas: tuple[str, ...]) -> None:
    events = turn.events(UTTERANCE, writing(*deltas))
    assert isinstance(next(events), Heard)
    with pytest.raises(EngineError) as caught:
        list(events)
    assert caught.value.__cause__ is None
    assert caught.value.message


# --- The whole ---------------------------------------------------------------------------------


def test_take() -> None:
    taken = turn.take(turn.events(UTTERANCE, writing(" Bonjour. ", "Il fait ", "beau. ", "😀\n")))
    assert taken.transcript.text == "Quelle heure est-il ?"
    assert taken.reply == "Bonjour. Il fait beau. 😀"
    assert [speech.text for speech in taken.speeches] == ["Bonjour.", "Il fait beau."]
    assert taken.audio == [speech.audio for speech in taken.speeches]
    assert taken.duration == pytest.approx(len("Bonjour.Il fait beau.") / tts.CHARS_PER_S, abs=1e-3)
    assert taken.times.total > 0


class TestCacheState:
    audio: ClassVar = Audio(np.zeros(1, np.float32), SAMPLE_RATE)

    @pytest.mark.parametrize(
        ("states", "whole"),
        [
            (["hit", "hit"], "hit"),
            (["hit", "miss"], "miss"),
            (["miss"], "miss"),
            (["off", "off"], "off"),
            (["hit", "off"], "off"),
        ],
    )
    def test_of_the_whole(self, states: list[CacheState], whole: CacheState) -> None:
        speeches = tuple(
            Speech("Oui.", self.audio, "grave", engine="Fake", outbound=False, cache=state)
            for state in states
        )
        taken = Turn(Transcript("Oui ?", "fr"), "Oui.", speeches, Times())
        assert taken.cache == {"stt": "off", "llm": "off", "tts": whole}

    def test_of_what_was_heard_and_replied(self) -> None:
        heard = Transcript("Oui ?", "fr", cache="hit")
        taken = Turn(heard, "Oui.", (), Times(), Usage(3, 1, cache="miss"))
        assert taken.cache == {"stt": "hit", "llm": "miss", "tts": "off"}
