"""The system checks: what stops the start, and what only warns."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from django.core import checks
from django.core.checks import CheckMessage
from pytest_django import Settings

from pipeline.llm import fake as llm
from pipeline.tts import fake as tts

FAKES = {role: {"BACKEND": f"pipeline.{role}.fake.Fake"} for role in ("stt", "llm", "tts")}


class Faraway(llm.Fake):
    """Asks an outside service."""

    @property
    def outbound(self) -> bool:
        return True


class FarawayVoice(tts.Fake):
    @property
    def outbound(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def fakes(settings: Settings) -> None:
    settings.ENGINES = FAKES


def problems() -> list[CheckMessage]:
    return checks.run_checks(tags=["pipeline"])


def ids() -> list[str | None]:
    return [problem.id for problem in problems()]


def test_nothing_to_say_about_a_right_configuration() -> None:
    assert problems() == []


def test_every_wrong_entry_is_an_error(settings: Settings) -> None:
    settings.ENGINES = {
        "stt": {"BACKEND": "pipeline.stt.fake.Fake", "OPTIONS": {"txet": ""}},
        "llm": {"BACKEND": "pipeline.llm.Nothing"},
        "ttss": FAKES["tts"],
    }
    assert ids() == ["pipeline.E001"] * 4
    unknown, stt, llm, tts = (problem.msg for problem in problems())
    assert unknown == "ENGINES has unknown roles: ttss."
    assert "ENGINES['stt']" in stt
    assert "txet" in stt
    assert "ENGINES['llm']" in llm
    assert "pipeline.llm.Nothing" in llm
    assert tts == "ENGINES has no entry 'tts'."


@pytest.mark.parametrize("offline", [True, False])
@pytest.mark.parametrize(
    ("role", "entry", "outbound"),
    [
        ("llm", FAKES["llm"], False),
        ("llm", {"BACKEND": f"{__name__}.Faraway"}, True),
        ("tts", {"BACKEND": f"{__name__}.FarawayVoice"}, True),
        (
            "tts",
            {
                "BACKEND": "cache.tts.CachedTextToSpeech",
                "OPTIONS": {"engine": {"BACKEND": f"{__name__}.FarawayVoice"}},
            },
            True,
        ),
        (
            "tts",
            {
                "BACKEND": "pipeline.tts.fallback.Fallback",
                "OPTIONS": {
                    "engines": [
                        {
                            "BACKEND": "cache.tts.CachedTextToSpeech",
                            "OPTIONS": {"engine": {"BACKEND": f"{__name__}.FarawayVoice"}},
                        },
                        FAKES["tts"],
                    ]
                },
            },
            True,
        ),
    ],
    ids=["local", "faraway", "faraway voice", "behind the cache", "with a local fallback"],
)
def test_nothing_goes_out_while_offline(
    settings: Settings, role: str, entry: dict[str, object], outbound: bool, offline: bool
) -> None:
    settings.VOICEBOT_OFFLINE = offline
    settings.ENGINES = {**FAKES, role: entry}
    if outbound and offline:
        [problem] = problems()
        assert problem.id == "pipeline.E002"
        assert problem.level == checks.ERROR
        assert f"ENGINES[{role!r}]: Faraway" in problem.msg
        assert "VOICEBOT_OFFLINE=0" in str(problem.hint)
    else:
        assert problems() == []


def test_a_language_that_no_voice_speaks(settings: Settings) -> None:
    settings.VOICEBOT_LANGUAGE = "de"
    [problem] = problems()
    assert problem.id == "pipeline.E003"
    assert problem.level == checks.ERROR
    assert "VOICEBOT_LANGUAGE='de'" in problem.msg
    assert problem.hint == "Its languages are: en, fr."


def test_weights_that_are_not_here_are_a_warning(settings: Settings, tmp_path: Path) -> None:
    settings.VOICEBOT_DATA_DIR = tmp_path / "nothing"
    settings.ENGINES = {
        **FAKES,
        "stt": {"BACKEND": "pipeline.stt.faster_whisper.FasterWhisper"},
        "llm": {
            "BACKEND": "pipeline.llm.llama_cpp.LlamaCpp",
            "OPTIONS": {"weights": "no-such-weights"},
        },
        "tts": {
            "BACKEND": "cache.tts.CachedTextToSpeech",
            "OPTIONS": {"engine": {"BACKEND": "pipeline.tts.kokoro.Kokoro"}},
        },
    }
    assert ids() == ["pipeline.W001"] * 3
    assert {problem.level for problem in problems()} == {checks.WARNING}
    for problem, fetch in zip(
        problems(),
        ["fetch_weights whisper-base", "no-such-weights", "kokoro-82m-int8"],
        strict=True,
    ):
        assert fetch in problem.msg


@pytest.mark.parametrize(
    ("endpoint", "said"),
    [
        ("", None),
        ("http://127.0.0.1:4318", None),
        ("http://collector.example:4318", "traces would be sent to collector.example"),
        ("http://Traces.House.example", None),
        ("collector.example:4318", "a URL must begin with http:// or https://"),
        ("https://user:secret@collector.example", "must hold no user"),
    ],
)
def test_traces_stay_in_the_house(settings: Settings, endpoint: str, said: str | None) -> None:
    settings.TRACES_ENDPOINT = endpoint
    settings.VOICEBOT_OWN_HOSTS = ["traces.HOUSE.example"]
    assert ids() == ([] if said is None else ["pipeline.E005"])
    assert said is None or said in problems()[0].msg
    assert not any("secret" in problem.msg for problem in problems())


def test_traces_may_leave_when_they_are_allowed_to(settings: Settings) -> None:
    settings.TRACES_ENDPOINT = "http://collector.example:4318"
    settings.VOICEBOT_OFFLINE = False
    assert ids() == []


def test_traces_need_their_packages(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.TRACES_ENDPOINT = "http://127.0.0.1:4318"
    bare = [path for path in sys.path if "site-packages" not in path]
    monkeypatch.setattr(sys, "path", bare)
    [problem] = problems()
    assert problem.id == "pipeline.E004"
    assert "opentelemetry-instrumentation-django" in str(problem.hint)


def test_a_wait_that_leaves_no_time_for_the_turn(settings: Settings) -> None:
    settings.VOICEBOT_MAX_TURN_S = 60
    settings.VOICEBOT_MAX_WAIT_S = 59
    assert ids() == []
    settings.VOICEBOT_MAX_WAIT_S = 60
    assert ids() == ["pipeline.E006"]
