"""What a cluster is asked and tells, without a cluster."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Iterator
from typing import Any

import numpy as np
import pytest
from django.core.management import CommandError, call_command
from django.utils import translation
from pytest_django import Settings

from pipeline import errors, ray
from pipeline.audio import SAMPLE_RATE, Audio
from pipeline.base import Deadline
from pipeline.breaker import Resting
from pipeline.engines import build
from pipeline.errors import EngineBusy, EngineError, InvalidEngineError, PipelineError
from pipeline.llm.base import LanguageModel, Message, Sampling, Usage
from pipeline.logs import request_id
from pipeline.ray import deploy
from pipeline.ray.client import Lost, application
from pipeline.ray.replica import STUCK_S, Replica
from pipeline.ray.wire import Asked, Begun, Failed, Returned
from pipeline.stt.base import Wanted
from pipeline.tts.base import Voice
from pipeline.tts.fake import Fake as FakeTextToSpeech
from voicebot import profiles

FAKE = {"BACKEND": "pipeline.llm.fake.Fake", "OPTIONS": {"timeout_s": 5}}
ASKED = Asked(remaining_s=10, language="fr", request_id="r1")
QUESTION = (Message("user", "Quelle heure est-il ?"),)
SILENCE = Audio(np.zeros(SAMPLE_RATE, np.float32), SAMPLE_RATE)

ERRORS: list[PipelineError] = [
    errors.AudioDecodeError("unreadable"),
    errors.AudioTooLong(90, 60),
    errors.TextTooLong(9, 5),
    errors.NoSpeech(),
    errors.UnknownVoice("x", ["a", "b"]),
    errors.UnsupportedLanguage("xx", ["fr"]),
    errors.UnsupportedTask("no"),
    errors.EngineError("failed"),
    errors.EngineUnavailable("missing"),
    errors.EngineBusy(7),
    errors.EngineTimeout("late"),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_errors_travel_by_name_with_what_they_know(error: PipelineError) -> None:
    again = Failed.of(error).error()
    assert type(again) is type(error)
    assert (again.code, again.message, vars(again)) == (error.code, error.message, vars(error))


def test_an_error_outside_the_tree_arrives_as_the_one_it_extends() -> None:
    error = Resting("left alone")
    error.__cause__ = OSError("unplugged")
    again = Failed.of(error).error()
    assert type(again) is errors.EngineUnavailable
    assert str(again.__cause__) == "OSError: unplugged"


# --- a replica -------------------------------------------------------------------------------


def told(replica: Replica, asked: Asked, *arguments: Any) -> list[Any]:
    async def read() -> list[Any]:
        return [item async for item in replica.ask(asked, *arguments)]

    return asyncio.run(read())


def test_a_replica_tells_that_it_has_begun_then_piece_by_piece() -> None:
    begun, *deltas, returned = told(Replica("llm", FAKE), ASKED, QUESTION, Sampling(max_tokens=3))
    assert begun == Begun()
    assert deltas == ["Vous ", "avez ", "dit "]
    assert returned == Returned(Usage(4, 3, cut=True))


SPEAKS = {"BACKEND": "pipeline.tts.fake.Fake"}
GRAVE = Voice("grave", "fr", "Grave", "male")


def halved(
    engine: FakeTextToSpeech, sentence: str, voice: Voice, speed: float, deadline: Deadline
) -> Iterator[tuple[Audio, bool]]:
    audio = engine._synthesize(sentence, voice, speed, deadline)
    first, last = np.array_split(audio.samples, 2)
    yield Audio(first, audio.sample_rate), False
    yield Audio(last, audio.sample_rate), True


def test_a_replica_speaks_in_pieces_where_it_is_heard_meanwhile(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(FakeTextToSpeech, "_synthesize_pieces", halved)
    replica = Replica("tts", SPEAKS)
    _begun, *pieces, returned = told(replica, ASKED, "Bonjour.", GRAVE, 1.0, True)
    assert [last for _audio, last in pieces] == [False, True]
    assert returned == Returned(None)
    _begun, whole = told(replica, ASKED, "Bonjour.", GRAVE, 1.0, False)
    samples = np.concatenate([audio.samples for audio, _last in pieces])
    np.testing.assert_array_equal(samples, whole.value.samples)


def test_pieces_that_were_heard_are_not_heard_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """When a replica dies in the midst of a sentence another says the rest of it."""
    engine = ray.TextToSpeech(engine=SPEAKS)
    pieces = [(Audio(np.full(9, n, np.float32), 16_000), n == 2) for n in range(3)]
    asked: list[int] = []

    def ask(*_arguments: Any) -> Iterator[Any]:
        asked.append(len(asked))
        yield from pieces[:2]
        if len(asked) == 1:
            raise Lost("gone")
        yield pieces[2]

    monkeypatch.setattr(engine, "_ask", ask)
    heard = list(engine._synthesize_pieces("Bonjour.", GRAVE, 1.0, Deadline(10)))
    assert heard == pieces
    assert asked == [0, 1]


def test_a_replica_tells_what_needs_no_work() -> None:
    replica = Replica("llm", {**FAKE, "OPTIONS": {"context_tokens": 3}})
    long = (Message("user", "Quelle heure est-il donc ?"),)
    assert not asyncio.run(replica.tell("fits", long))
    assert asyncio.run(replica.tell("fits", (Message("user", "Oui ?"),)))


def test_a_replica_tells_errors_in_the_language_of_whoever_waits() -> None:
    replica = Replica("stt", {"BACKEND": "pipeline.stt.fake.Fake"})
    for language, message in (("fr", "entendue"), ("en", "heard")):
        asked = Asked(10, language, "r1")
        begun, failed = told(replica, asked, SILENCE, Wanted())
        assert (begun, failed.name) == (Begun(), "NoSpeech")
        assert message in failed.message
    with translation.override("en"):
        assert isinstance(failed.error(), errors.NoSpeech)


def test_work_that_nobody_waits_for_any_more_is_stopped() -> None:
    replica = Replica("llm", FAKE)

    async def leave() -> None:
        answer: AsyncGenerator[Any, None] = replica.ask(ASKED, QUESTION, Sampling())
        async for item in answer:
            if item != Begun():
                break
        await answer.aclose()

    asyncio.run(leave())
    told_again = told(replica, ASKED, QUESTION, Sampling())  # the slot is free
    assert isinstance(told_again[-1], Returned)


def test_the_deadline_of_whoever_waits_is_the_replicas() -> None:
    begun, failed = told(Replica("llm", FAKE), Asked(0, "fr", "r1"), QUESTION, Sampling())
    assert (begun, failed.name) == (Begun(), "EngineTimeout")


def test_a_replica_logs_under_the_request_it_works_for(caplog: pytest.LogCaptureFixture) -> None:
    seen: list[str] = []

    class Listening(Replica):
        def _worked(self, asked: Asked, arguments: Any) -> Iterator[Any]:  # type: ignore[override]
            for item in super()._worked(asked, arguments):
                seen.append(request_id.get())
                yield item

    told(Listening("llm", FAKE), ASKED, QUESTION, Sampling())
    assert set(seen) == {"r1"}


def test_a_replica_that_hangs_is_unhealthy() -> None:
    replica = Replica("llm", FAKE)
    replica.check_health()
    replica._begun[1] = time.monotonic() - 5 - STUCK_S - 1
    with pytest.raises(RuntimeError, match="stuck"):
        replica.check_health()


def test_a_replica_knows_what_its_engine_is() -> None:
    facts = Replica("tts", {"BACKEND": "pipeline.tts.fake.Fake"}).facts()
    assert facts.identity == {"engine": "Fake"}
    assert [voice.id for voice in facts.voices] == ["grave", "claire", "low"]
    assert facts.default_voices == {"fr": "grave", "en": "low"}


# --- the engines of Django -------------------------------------------------------------------


def distant(**options: Any) -> LanguageModel:
    entry = {"BACKEND": "pipeline.ray.LanguageModel", "OPTIONS": {"engine": FAKE, **options}}
    return build(entry, LanguageModel, where="ENGINES['llm']")


def test_replicas_are_as_they_are_asked_for_or_the_start_stops() -> None:
    engine = distant(replicas={"min": 2, "max": 4, "cpus": 2, "gpus": 0.5, "queue": 10})
    assert isinstance(engine, ray.LanguageModel)
    options = deploy.options(engine)
    assert options["autoscaling_config"]["max_replicas"] == 4
    assert options["ray_actor_options"]["num_gpus"] == 0.5
    assert options["ray_actor_options"]["runtime_env"]["env_vars"]["VOICEBOT_THREADS"] == "2"
    assert (options["max_ongoing_requests"], options["max_queued_requests"]) == (1, 10)
    for wrong in ({"min": 0}, {"min": 2}, {"cpus": -1}, {"queue": 0}, {"gpu": 1}):
        with pytest.raises(InvalidEngineError, match=r"ENGINES\['llm'\]"):
            distant(replicas=wrong)


def test_it_passes_for_the_engine_that_it_asks(settings: Settings) -> None:
    settings.VOICEBOT_RAY_ADDRESS = "127.0.0.2:1"
    engine = distant()
    assert (engine.name, engine.identity, engine.outbound) == ("Fake", {"engine": "Fake"}, False)
    assert not engine.needs
    settings.VOICEBOT_RAY_ADDRESS = "head.example.org:6379"
    assert engine.outbound
    settings.VOICEBOT_OWN_HOSTS = ["head.example.org"]
    assert not engine.outbound


def test_another_entry_is_another_application() -> None:
    name = application("llm", FAKE)
    assert deploy.OURS.fullmatch(name)
    assert application("llm", {**FAKE, "OPTIONS": {"timeout_s": 6}}) != name
    assert application("stt", FAKE) != name


@pytest.mark.parametrize("address", ["", "127.0.0.2:1", "nonsense"])
def test_a_cluster_that_is_not_there_is_told_at_once(settings: Settings, address: str) -> None:
    settings.VOICEBOT_RAY_ADDRESS = address
    engine = distant()
    assert engine.missing()
    with pytest.raises(errors.EngineUnavailable):
        engine.load()


# --- settings --------------------------------------------------------------------------------


@pytest.mark.parametrize("offline", [True, False])
@pytest.mark.parametrize("profile", profiles.PROFILES)
def test_what_computes_is_asked_on_the_cluster(profile: str, offline: bool) -> None:
    chosen = profiles.engines(profile, offline=offline, cluster=True)
    written = str(chosen)
    for here in ("pipeline.tts.edge.Edge", "pipeline.tts.kokoro.Kokoro"):
        assert f"'engine': {{'BACKEND': '{here}'" in written or here not in written
    stt = chosen["stt"]["OPTIONS"]["engine"]
    assert stt["BACKEND"] == "pipeline.ray.SpeechToText"
    assert stt["OPTIONS"]["engine"] == profiles.PROFILES[profile]["stt"]


def test_the_configuration_of_serve_names_what_the_settings_describe(settings: Settings) -> None:
    settings.VOICEBOT_RAY_ADDRESS = "127.0.0.2:1"
    settings.ENGINES = profiles.engines("standard", offline=False, cluster=True)
    names = [entry["name"] for entry in deploy.configuration()["applications"]]
    assert [name.partition("-")[0] for name in names] == ["stt", "llm", "tts"]
    with pytest.raises(ValueError, match=r"The settings describe stt-.*, not llm-0"):
        deploy.build({"application": "llm-0"})


def test_without_a_cluster_there_is_nothing_to_deploy() -> None:
    with pytest.raises(CommandError, match="No engine"):
        call_command("deploy_engines")


def test_busy_is_still_busy() -> None:
    assert isinstance(Failed.of(EngineBusy(3)).error(), EngineError)
