"""What a call brings back, or does not: errors by name, deadlines, full queues, dead replicas."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from django.utils import translation

from pipeline import ray
from pipeline.errors import EngineBusy, EngineError, EngineTimeout, NoSpeech
from pipeline.llm.base import AS_EVER, Message, Sampling
from tests.settings import DATA_DIR
from tests.unit.test_ray import SILENCE

QUESTION = (Message("user", "Quelle heure est-il à Paris ?"),)
REPLY = "Vous avez dit : Quelle heure est-il à Paris ?"

if TYPE_CHECKING:
    from ray.cluster_utils import Cluster

Variants = Mapping[str, ray.LanguageModel]


# Each is a deployment of its own, and all are started at once.
VARIANTS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "plain": ({}, {"work_s": 0.2}),
    "short queue": ({"queue": 1}, {"work_s": 0.1}),
    "impatient": ({}, {"work_s": 0.5, "wait_s": 1.0}),
    "late": ({}, {"work_s": 0.4, "timeout_s": 1.0}),
    "mortal": ({}, {"work_s": 0.1, "dies_by": str(DATA_DIR / "mortal")}),
    "cursed": ({"min": 2, "max": 2}, {"work_s": 0.1, "dies_by": str(DATA_DIR / "cursed")}),
    "growing": ({"min": 1, "max": 2}, {"work_s": 0.3, "tells_process": True}),
    "twins": ({"min": 2, "max": 2}, {"work_s": 0.0, "tells_process": True}),
}


@pytest.fixture(scope="module")
def variants(cluster: Cluster) -> Iterator[Variants]:
    from ray import serve

    from pipeline.ray import deploy

    engines = {
        name: ray.LanguageModel(
            engine={"BACKEND": "tests.cluster.engines.Writes", "OPTIONS": options},
            replicas={"cpus": 0.1, **replicas},
        )
        for name, (replicas, options) in VARIANTS.items()
    }
    list(deploy.deploy(engines.values()))
    yield engines
    for engine in engines.values():
        serve.delete(engine.application, _blocking=False)


def written(engine: ray.LanguageModel, sampling: Sampling = AS_EVER) -> str:
    return "".join(engine.reply(QUESTION, sampling))


@pytest.mark.parametrize(("language", "said"), [("fr", "entendue"), ("en", "heard")])
def test_an_error_comes_back_as_itself(fakes: Any, language: str, said: str) -> None:
    engine = ray.SpeechToText(**fakes["stt"]["OPTIONS"])
    with translation.override(language), pytest.raises(NoSpeech) as caught:
        engine.transcribe(SILENCE)
    assert said in caught.value.message


def test_a_failure_keeps_its_cause_for_the_log(variants: Variants) -> None:
    with pytest.raises(EngineError, match="Writes failed") as caught:
        list(variants["plain"].reply([Message("user", "panne")]))
    assert str(caught.value.__cause__) == "OSError: no paper in the printer"


def test_a_full_queue_is_busy_at_once(variants: Variants) -> None:
    with ThreadPoolExecutor(6) as pool:
        calls = [pool.submit(written, variants["short queue"]) for _call in range(6)]
        errors = [error for call in calls if (error := call.exception())]
    assert errors
    assert all(isinstance(error, EngineBusy) for error in errors)


def test_whoever_waits_too_long_for_a_slot_is_told_so(variants: Variants) -> None:
    engine = variants["impatient"]
    first = engine.reply(QUESTION)
    next(first)
    with pytest.raises(EngineBusy) as caught:
        written(engine)
    assert caught.value.retry_after_s == 1
    first.close()
    assert written(engine) == REPLY


def test_the_deadline_is_kept_over_there(variants: Variants) -> None:
    engine = variants["late"]
    for _twice in range(2):  # the slot is free again
        reply = engine.reply(QUESTION)
        assert next(reply) == "Vous "
        with pytest.raises(EngineTimeout):
            list(reply)


def test_a_reply_that_is_closed_frees_its_slot(variants: Variants) -> None:
    engine = variants["plain"]
    reply = engine.reply(QUESTION)
    next(reply)
    reply.close()
    started = time.monotonic()
    next(engine.reply(QUESTION))
    assert time.monotonic() - started < 1.4  # that the first would still have taken


def test_a_reply_goes_on_when_its_replica_dies(variants: Variants) -> None:
    reply = variants["mortal"].reply(QUESTION)
    deltas = [next(reply)]
    order = DATA_DIR / "mortal"
    order.touch()
    deltas += reply
    assert "".join(deltas) == REPLY
    assert not order.exists()


def test_one_left_to_chance_fails(variants: Variants) -> None:
    reply = variants["mortal"].reply(QUESTION, Sampling(temperature=1))
    next(reply)
    (DATA_DIR / "mortal").touch()
    with pytest.raises(EngineError, match="Writes failed"):
        list(reply)


def test_a_call_that_kills_its_replicas_is_not_made_for_ever(variants: Variants) -> None:
    order = DATA_DIR / "cursed"
    order.touch()
    stop = threading.Event()

    def curse() -> None:
        while not stop.wait(0.01):
            order.touch()

    thread = threading.Thread(target=curse)
    thread.start()
    try:
        with pytest.raises(EngineError, match="Writes failed"):
            written(variants["cursed"])
    finally:
        stop.set()
        thread.join()


def test_calls_spread_over_replicas(variants: Variants) -> None:
    with ThreadPoolExecutor(4) as pool:
        calls = [pool.submit(written, variants["twins"]) for _call in range(40)]
        assert len({call.result() for call in calls}) == 2


def test_a_replica_comes_when_calls_wait(variants: Variants) -> None:
    told, until = set[str](), time.monotonic() + 90

    def ask() -> None:
        while len(told) < 2 and time.monotonic() < until:
            told.add(written(variants["growing"]))

    with ThreadPoolExecutor(4) as pool:
        for call in [pool.submit(ask) for _caller in range(4)]:
            call.result()
    assert len(told) == 2


class Told(Exception):
    """What would have been a warning."""


def test_what_a_replica_waits_for_is_told(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or whoever deploys would wait for ever, and not know why."""
    from ray import serve

    from pipeline.ray import deploy

    def warning(text: str, *values: object) -> None:
        raise Told(text % values)

    monkeypatch.setattr(deploy.logger, "warning", warning)
    engine = ray.LanguageModel(
        engine={"BACKEND": "tests.cluster.engines.Writes", "OPTIONS": {"work_s": 0.0}},
        replicas={"cpus": 100},
    )
    try:
        with pytest.raises(Told, match=r'Writes: .*"CPU": 100'):
            list(deploy.deploy([engine]))
    finally:
        serve.delete(engine.application, _blocking=False)
