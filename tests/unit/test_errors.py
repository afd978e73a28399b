"""The tree of errors is the one its module draws, and each says what it knows."""

from __future__ import annotations

import re

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.utils import translation

from pipeline import errors
from pipeline.errors import (
    AudioTooLong,
    EngineBusy,
    InvalidEngineError,
    NoSpeech,
    PipelineError,
    TextTooLong,
    UnknownVoice,
    UnsupportedLanguage,
)

# Clients depend on these: they never change.
CODES = {
    "PipelineError": "pipeline_error",
    "InputError": "invalid_input",
    "AudioDecodeError": "audio_unreadable",
    "AudioTooLong": "audio_too_long",
    "TextTooLong": "text_too_long",
    "NoSpeech": "no_speech",
    "UnknownVoice": "unknown_voice",
    "UnsupportedLanguage": "unsupported_language",
    "UnsupportedTask": "unsupported_task",
    "ClientGone": "client_gone",
    "EngineError": "engine_failed",
    "EngineUnavailable": "engine_unavailable",
    "EngineBusy": "engine_busy",
    "EngineTimeout": "engine_timeout",
}


def drawn() -> dict[str, str | None]:
    """Class → parent, as the docstring draws them."""
    parents: dict[str, str | None] = {}
    branch: list[str] = []
    for indent, name in re.findall(r"^    ([│├└─ ]*)(\w+(?:Error|[A-Z]\w+))", errors.__doc__, re.M):
        depth = len(indent) // 4
        branch[depth:] = [name]
        parents[name] = branch[depth - 1] if depth else None
    return parents


def defined() -> dict[str, type[Exception]]:
    return {
        name: value
        for name, value in vars(errors).items()
        if isinstance(value, type) and value.__module__ == errors.__name__
    }


def test_the_drawing_shows_every_error_under_its_parent() -> None:
    classes = defined()
    assert drawn().keys() == classes.keys() == set(errors.__all__)
    for name, parent in drawn().items():
        if parent is not None:
            assert classes[name].__bases__ == (classes[parent],)
    assert issubclass(PipelineError, Exception)
    assert InvalidEngineError.__bases__ == (ImproperlyConfigured,)


def test_codes_never_change() -> None:
    codes = {
        name: error.code for name, error in defined().items() if issubclass(error, PipelineError)
    }
    assert codes == CODES
    assert len(set(codes.values())) == len(codes)


def test_input_errors_say_what_is_accepted() -> None:
    with translation.override("en"):
        too_long, far_too_long = AudioTooLong(75.4, 60), AudioTooLong(60, 60, at_least=True)
        text = TextTooLong(5_001, 5_000)
        voice = UnknownVoice("nobody", iter(["grave", "claire"]))
        language = UnsupportedLanguage("xx", ["en", "fr"])
        assert too_long.message == "The audio lasts 75 s; at most 60 s are accepted."
        assert far_too_long.message == "The audio lasts more than 60 s; at most 60 s are accepted."
        assert text.message == "The text has 5001 characters; at most 5000 are accepted."
        assert voice.message == "There is no voice “nobody”. The voices are: grave, claire."
        assert language.message == (
            "The language “xx” is not supported. The languages are: en, fr."
        )
        assert NoSpeech().message == "No speech was heard in the audio."
    assert (too_long.duration, too_long.limit) == (75.4, 60)
    assert (text.length, text.limit) == (5_001, 5_000)
    assert voice.valid == ("grave", "claire")
    assert language.valid == ("en", "fr")


@pytest.mark.parametrize("error", [UnknownVoice, UnsupportedLanguage])
def test_a_name_of_any_length_makes_no_long_message(
    error: type[UnknownVoice | UnsupportedLanguage],
) -> None:
    assert len(error("x" * 100_000, ["fr"]).message) < 200


def test_busy_says_when_to_come_back() -> None:
    with translation.override("en"):
        busy = EngineBusy(retry_after_s=12)
    assert busy.retry_after_s == 12
    assert busy.message == "The assistant is busy. Try again in 12 s."
