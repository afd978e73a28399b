"""A server refuses what cannot work, and opens its port while the engines load."""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator
from typing import cast

import pytest
from django.core.exceptions import ImproperlyConfigured
from pytest_django import Settings

from access.models import ApiKey
from pipeline.engines import engines
from pipeline.stt import fake
from voicebot.startup import WarmUp, start

FAKES = {role: {"BACKEND": f"pipeline.{role}.fake.Fake"} for role in ("stt", "llm", "tts")}


class LoadsLater(fake.Fake):
    def __init__(self) -> None:
        super().__init__()
        self.asked, self.come = threading.Event(), threading.Event()

    def _load(self) -> None:
        self.asked.set()
        assert self.come.wait(timeout=60)


class Unfetched(fake.Fake):
    def missing(self) -> str | None:
        return "no-such-weights are not here."


@pytest.fixture(autouse=True)
def fakes(settings: Settings) -> None:
    settings.ENGINES = FAKES


def warming_up() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "warm-up"]


@pytest.fixture(autouse=True)
def nothing_left_behind() -> Iterator[None]:
    yield
    assert warming_up() == []
    gc.unfreeze()


def test_the_engines_load_in_the_background(settings: Settings) -> None:
    settings.ENGINES = {**FAKES, "stt": {"BACKEND": f"{__name__}.LoadsLater"}}
    start()
    [thread] = warming_up()
    assert not engines.loaded
    frozen = [gc.get_freeze_count()]
    cast("LoadsLater", engines.stt).come.set()
    thread.join(timeout=60)
    frozen.append(gc.get_freeze_count())
    assert frozen[0] == 0 < frozen[1]  # what is loaded is there to stay
    assert engines.loaded


def test_who_leaves_waits_for_one_of_them_alone(settings: Settings) -> None:
    settings.ENGINES = {**FAKES, "stt": {"BACKEND": f"{__name__}.LoadsLater"}}
    start()
    [thread] = warming_up()
    stt = cast("LoadsLater", engines.stt)
    assert stt.asked.wait(timeout=60)
    cast("WarmUp", thread).leaving.set()
    stt.come.set()
    cast("WarmUp", thread).leave()
    assert not thread.is_alive()
    assert [engine.loaded for _role, engine in engines] == [True, False, False]


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"BACKEND": "no.such.Engine"}, "no.such.Engine"),
        ({"BACKEND": f"{__name__}.Unfetched"}, "no-such-weights are not here."),
    ],
    ids=["error", "warning"],
)
def test_refuses_what_cannot_work(settings: Settings, entry: dict[str, str], said: str) -> None:
    settings.ENGINES = {**FAKES, "stt": entry}
    with pytest.raises(ImproperlyConfigured) as caught:
        start()
    assert "ENGINES['stt']" in str(caught.value)
    assert said in str(caught.value)


@pytest.mark.django_db(transaction=True)
def test_refuses_to_serve_others_without_keys(settings: Settings) -> None:
    settings.VOICEBOT_KEYS = "always"
    with pytest.raises(ImproperlyConfigured, match="make_key"):
        start()
    ApiKey.objects.make("phone")
    start()
    for thread in warming_up():
        thread.join(timeout=60)


def test_says_all_that_is_wrong_at_once(settings: Settings) -> None:
    settings.ENGINES = {**FAKES, "llm": {}}
    settings.VOICEBOT_LANGUAGE = "de"
    with pytest.raises(ImproperlyConfigured) as caught:
        start()
    assert "ENGINES['llm']" in str(caught.value)
    assert "VOICEBOT_LANGUAGE" in str(caught.value)
