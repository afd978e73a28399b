"""How engines are built and guarded, whatever they do."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Collection, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.test import override_settings
from pytest_django import Settings

from pipeline import ahead, deadline
from pipeline.audio import SAMPLE_RATE, Audio
from pipeline.base import Deadline, Engine
from pipeline.engines import Engines, build, engines
from pipeline.errors import (
    EngineBusy,
    EngineError,
    EngineTimeout,
    EngineUnavailable,
    InvalidEngineError,
    NoSpeech,
    PipelineError,
)
from pipeline.llm import fake as llm
from pipeline.llm.base import LanguageModel, Message, Sampling
from pipeline.stt import fake as stt
from pipeline.stt.base import SpeechToText, Transcript, Wanted
from pipeline.tts import fake as tts
from pipeline.tts.base import Voice
from pipeline.weighted import Weighted
from tests.clock import Clock

SECRET = "what the user said in private"
SOUND = Audio(np.ones(SAMPLE_RATE // 10, np.float32), SAMPLE_RATE)
QUESTION = [Message("user", "un deux trois")]
FAKES = {role: {"BACKEND": f"pipeline.{role}.fake.Fake"} for role in ("stt", "llm", "tts")}


class Counted(stt.Fake):
    """Takes its time to be made and to load, and counts how often both happen."""

    made = 0
    loads = 0

    def __init__(self) -> None:
        type(self).made += 1
        time.sleep(0.05)
        super().__init__()

    def _load(self) -> None:
        self.loads += 1
        time.sleep(0.05)


class Choosy(stt.Fake):
    def __init__(self, *, size: str = "base", slots: int = 1) -> None:
        super().__init__(slots=slots)
        if size != "base":
            raise ValueError(f"there is no size {size}")


class Unloadable(stt.Fake):
    def _load(self) -> None:
        raise RuntimeError(SECRET)


class Patient(SpeechToText):
    """Works until it is told to stop."""

    languages: Collection[str] = ["fr"]

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.working = threading.Event()
        self.stop = threading.Event()

    def _load(self) -> None:
        pass

    def _transcribe(self, audio: Audio, wanted: Wanted, deadline: Deadline) -> Transcript:
        self.working.set()
        while not self.stop.wait(0.01):
            deadline.check()
        return Transcript("Oui.", "fr")


class Slow(LanguageModel):
    """Says a word every 20 ms, for five seconds."""

    def _load(self) -> None:
        pass

    def _reply(
        self, messages: Sequence[Message], sampling: Sampling, deadline: Deadline
    ) -> Generator[str, None, None]:
        for _ in range(250):
            time.sleep(0.02)
            yield "mot "


class NeverFree(threading.BoundedSemaphore):
    """Slots that are waited for in vain, and the clock by which they are."""

    now_s = 0.0

    def acquire(self, blocking: bool = True, timeout: float | None = None) -> bool:
        self.now_s += timeout or 0.0
        return False

    def monotonic(self) -> float:
        return self.now_s


class Mute(tts.Fake):
    def _synthesize(self, sentence: str, voice: Voice, speed: float, deadline: Deadline) -> Audio:
        return Audio(np.empty(0, np.float32), 24_000)


class Read(Weighted, stt.Fake):
    main = "model.bin"

    def __init__(self, *, weights: str) -> None:
        super().__init__(weights=weights)


def entry(cls: type, **options: object) -> dict[str, object]:
    return {"BACKEND": f"{cls.__module__}.{cls.__qualname__}", "OPTIONS": options}


def in_threads(count: int, call: Callable[[], object]) -> list[object]:
    """What ``call`` returns to ``count`` threads that make it at the same moment."""
    start = threading.Barrier(count)

    def run() -> object:
        start.wait()
        return call()

    with ThreadPoolExecutor(count) as pool:
        return [future.result() for future in [pool.submit(run) for _ in range(count)]]


# --- From the setting to an engine -----------------------------------------------------------


def test_one_instance_even_when_all_threads_ask_at_once() -> None:
    Counted.made = 0
    chosen = Engines({**FAKES, "stt": entry(Counted)})
    assert len({id(engine) for engine in in_threads(20, lambda: chosen.stt)}) == 1
    assert Counted.made == 1


def test_loads_once_even_when_all_threads_ask_at_once() -> None:
    engine = Counted()
    assert in_threads(20, lambda: engine.transcribe(SOUND).text) == ["Quelle heure est-il ?"] * 20
    assert engine.loads == 1
    assert engine.loaded


def test_the_setting_is_read_when_it_is_needed_and_again_when_it_changes() -> None:
    with override_settings(ENGINES=FAKES):
        first = engines.stt
        assert first is engines.stt
        assert type(first) is stt.Fake
    with override_settings(ENGINES={**FAKES, "stt": entry(Patient)}):
        assert type(engines.stt) is Patient


def test_each_role_has_its_engine() -> None:
    chosen = Engines(FAKES)
    assert [(role, type(engine)) for role, engine in chosen] == [
        ("stt", stt.Fake),
        ("llm", llm.Fake),
        ("tts", tts.Fake),
    ]
    assert (chosen.stt, chosen.llm, chosen.tts) == tuple(engine for _role, engine in chosen)


def test_warming_up_loads_all() -> None:
    chosen = Engines(FAKES)
    chosen.stt.warm_up()
    assert not chosen.loaded
    chosen.warm_up()
    assert chosen.loaded


def test_a_role_that_is_not_configured() -> None:
    with pytest.raises(InvalidEngineError, match=r"ENGINES has no entry 'stt'\."):
        _ = Engines({}).stt


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("pipeline.stt.fake.Fake", r"^HERE must be \{'BACKEND'"),
        ({}, r"^HERE must be \{'BACKEND'"),
        ({"BACKEND": stt.Fake}, r"^HERE must be \{'BACKEND'"),
        ({**FAKES["stt"], "OPTION": {}}, r"^HERE has unknown keys: OPTION\.$"),
        ({"BACKEND": "Fake"}, r"^HERE: cannot import 'Fake'"),
        ({"BACKEND": "no.such.Engine"}, r"^HERE: cannot import 'no\.such\.Engine'.*'no'"),
        ({"BACKEND": "pipeline.stt.fake.Fale"}, r"^HERE: cannot import .*Fale"),
        (FAKES["tts"], r"^HERE: pipeline\.tts\.fake\.Fake is not a SpeechToText\.$"),
        ({"BACKEND": "pipeline.audio.decode"}, r"^HERE: pipeline\.audio\.decode is not a Spee"),
        (
            entry(Choosy, sise="base"),
            r"^HERE: wrong options for .*\.Choosy: .*'sise'\. Its options are: size, slots\.$",
        ),
        ({**entry(Choosy), "OPTIONS": None}, r"^HERE: wrong options for .*\.Choosy"),
        ({**entry(Choosy), "OPTIONS": ["base"]}, r"^HERE: wrong options for .*\.Choosy"),
        (entry(Choosy, size="huge"), r"^HERE: .*\.Choosy refuses.*: there is no size huge$"),
        (entry(Choosy, slots=0), r"^HERE: .*\.Choosy refuses its options: slots must be at least"),
        (entry(Choosy, slots="2"), r"^HERE: .*\.Choosy refuses its options: "),
        ({"BACKEND": "pipeline.stt.base.SpeechToText"}, r"^HERE: .*SpeechToText refuses.*abstract"),
    ],
)
def test_a_wrong_entry_says_where_and_what(wrong: object, said: str) -> None:
    with pytest.raises(InvalidEngineError, match=said):
        build(wrong, SpeechToText, where="HERE")


# --- Slots and deadlines -----------------------------------------------------------------------


@pytest.fixture
def patient() -> Iterator[Patient]:
    """An engine of two slots, both taken."""
    engine = Patient(slots=2, wait_s=60)
    with ThreadPoolExecutor(2) as pool:
        for _ in range(2):
            engine.working.clear()
            pool.submit(engine.transcribe, SOUND)
            assert engine.working.wait(timeout=60)
        yield engine
        engine.stop.set()


def test_busy_when_every_slot_stays_taken(patient: Patient) -> None:
    patient._wait_s = 0.2
    started = time.monotonic()
    with pytest.raises(EngineBusy) as caught:
        patient.transcribe(SOUND)
    assert time.monotonic() - started >= 0.2
    assert caught.value.retry_after_s == 1


def test_waits_for_a_slot(patient: Patient) -> None:
    threading.Timer(0.05, patient.stop.set).start()
    assert patient.transcribe(SOUND).text == "Oui."


@pytest.mark.parametrize(("wait_s", "retry_after_s"), [(0.0, 1), (0.01, 1), (1.2, 2)])
def test_when_to_come_back_is_as_long_as_the_wait(
    wait_s: float, retry_after_s: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = Slow(wait_s=wait_s)
    engine._free = slots = NeverFree()
    monkeypatch.setattr("pipeline.deadline.time", slots)
    with pytest.raises(EngineBusy) as caught:
        next(engine.reply(QUESTION))
    assert caught.value.retry_after_s == retry_after_s
    assert slots.now_s == pytest.approx(wait_s)


def test_a_deadline_ends_the_work_and_frees_the_slot() -> None:
    engine = Patient(timeout_s=0.05, wait_s=0)
    for _ in range(2):
        with pytest.raises(EngineTimeout):
            engine.transcribe(SOUND)


def test_a_reply_that_goes_on_too_long_is_ended_and_frees_the_slot(clock: Clock) -> None:
    engine = Slow(timeout_s=60, wait_s=0)
    for _ in range(2):
        deltas = engine.reply(QUESTION)
        assert next(deltas) == "mot "
        clock.sleep(60)
        with pytest.raises(EngineTimeout):
            list(deltas)


def test_a_reply_that_is_closed_frees_the_slot() -> None:
    engine = Slow(wait_s=0)
    for _ in range(2):
        deltas = engine.reply(QUESTION)
        next(deltas)
        deltas.close()


def test_a_reply_that_is_never_read_takes_no_slot() -> None:
    engine = Slow(wait_s=0)
    unread = engine.reply(QUESTION)
    assert next(engine.reply(QUESTION)) == "mot "
    unread.close()


def test_deadline(clock: Clock) -> None:
    deadline = Deadline(60)
    deadline.check()
    assert 0 < deadline.remaining_s <= 60
    clock.sleep(60)
    assert deadline.remaining_s == 0
    with pytest.raises(EngineTimeout):
        deadline.check()


# --- Work that never looks at its deadline ------------------------------------------------------


class Stuck:
    """Holds up whoever passes, whatever the time, until it is let go."""

    def __init__(self) -> None:
        self.begun, self.go_on = threading.Event(), threading.Event()

    def __call__(self) -> Exception:
        self.begun.set()
        self.go_on.wait(120)
        return RuntimeError("late")


class StuckStt(stt.Fake):
    def _transcribe(self, audio: Audio, wanted: Wanted, deadline: Deadline) -> Transcript:
        raise stuck()


class StuckLlm(llm.Fake):
    def _reply(
        self, messages: Sequence[Message], sampling: Sampling, deadline: Deadline
    ) -> Generator[str, None, None]:
        yield "Bonjour."
        raise stuck()


class StuckTts(tts.Fake):
    def _synthesize(self, sentence: str, voice: Voice, speed: float, deadline: Deadline) -> Audio:
        raise stuck()


def hear() -> tuple[Engine, Callable[[], object]]:
    engine = StuckStt()
    return engine, lambda: engine.transcribe(SOUND)


def write() -> tuple[Engine, Callable[[], object]]:
    engine = StuckLlm()

    def read() -> list[str]:
        deltas = (delta for delta in engine.reply(QUESTION))
        with ahead.ahead(deltas) as written:  # as turns do
            return list(written)

    return engine, read


def speak(*, eager: bool) -> tuple[Engine, Callable[[], object]]:
    engine = StuckTts()
    return engine, lambda: list(engine.synthesize("Oui.", eager=eager))


stuck = Stuck()


@pytest.mark.parametrize(
    "made", [hear, write, partial(speak, eager=False), partial(speak, eager=True)]
)
def test_an_engine_that_hangs_is_left_alone_and_says_so(
    made: Callable[[], tuple[Engine, Callable[[], object]]],
    monkeypatch: pytest.MonkeyPatch,
    clock: Clock,
) -> None:
    engine, call = made()
    stuck.begun.clear()
    stuck.go_on.clear()
    monkeypatch.setattr(ahead, "LOOK_S", 0.01)
    monkeypatch.setattr(deadline, "LOOK_S", 0.01)

    def pass_time() -> None:
        stuck.begun.wait(60)
        clock.sleep(60 + 2 * deadline.HANGS_S)

    later = threading.Thread(target=pass_time)
    later.start()
    with deadline.within(60), pytest.raises(EngineTimeout):
        call()
    later.join()
    assert engine.hangs
    assert engine.hanging == 1
    # Whoever comes now learns at once, rather than when it has waited for the slot.
    with pytest.raises(EngineUnavailable, match="hangs"):
        call()
    stuck.go_on.set()
    until(lambda: not engine.hangs)
    assert engine.hanging == 0
    with pytest.raises(EngineError, match="failed"):  # it works again, as far as it can
        call()


def test_an_engine_of_which_one_slot_hangs_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Patient(slots=2, timeout_s=0)
    monkeypatch.setattr(deadline, "HANGS_S", 0.0)
    with engine._slot():
        assert (engine.hanging, engine.hangs) == (1, False)
        with engine._slot():
            assert (engine.hanging, engine.hangs) == (2, True)
    assert (engine.hanging, engine.hangs) == (0, False)


def until(holds: Callable[[], bool]) -> None:
    give_up = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < give_up
        time.sleep(0.001)


# --- What goes wrong inside --------------------------------------------------------------------


def assert_says_nothing_private(error: PipelineError, cause: type[Exception]) -> None:
    assert type(error) is EngineError
    assert type(error.__cause__) is cause
    assert SECRET not in error.message
    assert "Fake" in error.message


@pytest.mark.parametrize("cause", [RuntimeError, KeyError, OSError, MemoryError])
def test_foreign_errors_become_ours_and_free_the_slot(cause: type[Exception]) -> None:
    hears, writes = stt.Fake(wait_s=0), llm.Fake(wait_s=0)
    speaks = tts.Fake(wait_s=0)
    calls: list[tuple[stt.Fake | llm.Fake | tts.Fake, Callable[[], object]]] = [
        (hears, lambda: hears.transcribe(SOUND)),
        (writes, lambda: list(writes.reply(QUESTION))),
        (speaks, lambda: list(speaks.synthesize("Oui."))),
    ]
    for engine, call in calls:
        engine.script.enqueue(cause(SECRET))
        with pytest.raises(EngineError) as caught:
            call()
        assert_says_nothing_private(caught.value, cause)
        assert call()


def test_our_own_errors_pass_as_they_are_and_free_the_slot() -> None:
    engine = stt.Fake(wait_s=0)
    for _ in range(2):
        engine.script.enqueue(NoSpeech())
        with pytest.raises(NoSpeech) as caught:
            engine.transcribe(SOUND)
        assert caught.value.__cause__ is None


def test_an_error_on_loading_is_ours_and_the_next_call_tries_again() -> None:
    engine = Unloadable()
    for _ in range(2):
        with pytest.raises(EngineError) as caught:
            engine.transcribe(SOUND)
        assert SECRET not in caught.value.message
        assert type(caught.value.__cause__) is RuntimeError
        assert not engine.loaded


def test_a_transcript_of_blanks_is_no_speech() -> None:
    engine = stt.Fake(text=" \n")
    with pytest.raises(NoSpeech):
        engine.transcribe(SOUND)


def test_a_voice_that_stays_mute_has_failed() -> None:
    with pytest.raises(EngineError, match="Mute"):
        list(Mute().synthesize("Oui."))


def test_speech_is_made_when_it_is_wanted() -> None:
    engine = tts.Fake()
    speeches = engine.synthesize("Un. Deux. Trois.")
    assert engine.spoken == []
    next(speeches)
    assert engine.spoken == ["Un."]


def test_engines_are_what_their_class_and_options_make_them() -> None:
    engine: Engine = stt.Fake()
    assert engine.identity == {"engine": "Fake"}
    assert not engine.outbound
    assert engine.missing() is None


# --- Weights -----------------------------------------------------------------------------------


@pytest.mark.parametrize("named", ["{}", "{}/model.bin"], ids=["folder", "file"])
def test_weights_of_the_users_own(tmp_path: Path, named: str) -> None:
    (tmp_path / "model.bin").write_bytes(b"weights")
    engine = Read(weights=named.format(tmp_path))
    assert engine.missing() is None
    assert engine.path == tmp_path / "model.bin"
    assert engine.identity == {
        "engine": "Read",
        "weights": named.format(tmp_path),
        "sha256": hashlib.sha256(b"weights").hexdigest(),
    }


def test_weights_that_are_not_where_they_should_be(tmp_path: Path) -> None:
    engine = Read(weights=f"{tmp_path}/absent.bin")
    assert "absent.bin" in (engine.missing() or "")
    with pytest.raises(EngineUnavailable, match=r"absent\.bin"):
        _ = engine.path


def test_weights_that_are_not_fetched_say_how_to_fetch_them(
    settings: Settings, tmp_path: Path
) -> None:
    settings.VOICEBOT_DATA_DIR = tmp_path / "nothing"
    engine = Read(weights="whisper-base")
    assert "fetch_weights whisper-base" in (engine.missing() or "")
    with pytest.raises(EngineUnavailable, match="fetch_weights whisper-base"):
        _ = engine.path


def test_weights_that_do_not_exist_list_those_that_do() -> None:
    missing = Read(weights="whisper-bass").missing() or ""
    assert "whisper-bass" in missing
    assert "whisper-base" in missing.replace("whisper-bass", "")
