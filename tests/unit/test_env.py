"""The environment: read with its types, refused by its names."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured

from voicebot import env, profiles

NAME = "VOICEBOT_TESTED"
EMBEDDED = profiles.PROFILES["embedded"]


# --- Types -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("variables", "language"),
    [
        ({}, ""),
        ({"LANG": "C.UTF-8"}, "c"),
        ({"LANG": "en_US.UTF-8"}, "en"),
        ({"LANG": "en"}, "en"),
        ({"LANG": "en_US.UTF-8", "LC_MESSAGES": "fr_FR.UTF-8"}, "fr"),
        ({"LANG": "fr_FR.UTF-8", "LC_MESSAGES": "de_DE@euro", "LC_ALL": "en_GB"}, "en"),
        ({"LANG": "en_US.UTF-8", "LC_ALL": ""}, "en"),
    ],
)
def test_the_language_of_the_terminal(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], language: str
) -> None:
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert env.language() == language


@pytest.mark.parametrize("value", [None, "", "  "])
def test_what_is_not_set_has_its_default(
    monkeypatch: pytest.MonkeyPatch, value: str | None
) -> None:
    if value is not None:
        monkeypatch.setenv(NAME, value)
    assert env.text(NAME, "fr") == "fr"
    assert env.flag(NAME, default=True) is True
    assert env.flag(NAME, default=False) is False
    assert env.integer(NAME, 7, minimum=0) == 7
    assert env.choice(NAME, "a", ["a", "b"]) == "a"
    assert env.names(NAME, "a, b") == ["a", "b"]
    assert env.mapping(NAME) == {}


@pytest.mark.parametrize(
    ("read", "value", "expected"),
    [
        (lambda: env.text(NAME), " fr ", "fr"),
        (lambda: env.flag(NAME, default=False), "1", True),
        (lambda: env.flag(NAME, default=False), " Yes ", True),
        (lambda: env.flag(NAME, default=True), "OFF", False),
        (lambda: env.flag(NAME, default=True), "0", False),
        (lambda: env.integer(NAME, 7, minimum=0), " 42 ", 42),
        (lambda: env.integer(NAME, 7, minimum=0), "0", 0),
        (lambda: env.integer(NAME, 7, minimum=0), "1_000", 1_000),
        (lambda: env.choice(NAME, "a", ["a", "b"]), "b", "b"),
        (lambda: env.names(NAME, ""), "a.example, b.example,", ["a.example", "b.example"]),
        (lambda: env.names(NAME, ""), ",", []),
        (lambda: env.mapping(NAME), '{"slots": 2}', {"slots": 2}),
    ],
)
def test_reads(
    monkeypatch: pytest.MonkeyPatch, read: Callable[[], object], value: str, expected: object
) -> None:
    monkeypatch.setenv(NAME, value)
    assert read() == expected


@pytest.mark.parametrize(
    ("read", "value", "said"),
    [
        (lambda: env.flag(NAME, default=True), "maybe", "='maybe' is neither 1 nor 0."),
        (lambda: env.integer(NAME, 7, minimum=0), "7.5", "='7.5' is not a whole number."),
        (lambda: env.integer(NAME, 7, minimum=1), "0", "=0 is below 1."),
        (lambda: env.choice(NAME, "a", {"b", "a"}), "c", "='c' is not one of a, b."),
        (lambda: env.mapping(NAME), "{slots: 2}", " is not JSON: "),
        (lambda: env.mapping(NAME), "[2]", " is not a JSON object."),
    ],
)
def test_refuses_by_name(
    monkeypatch: pytest.MonkeyPatch, read: Callable[[], object], value: str, said: str
) -> None:
    monkeypatch.setenv(NAME, value)
    with pytest.raises(ImproperlyConfigured) as caught:
        read()
    assert str(caught.value).startswith(f"{NAME}{said}")


# --- Profiles ----------------------------------------------------------------------------------


def inside(role: str) -> dict[str, Any]:
    """The engine of `embedded` behind its cache."""
    engine: dict[str, Any] = profiles.engines("embedded", offline=True)[role]["OPTIONS"]["engine"]
    return engine


def test_a_profile_as_it_is() -> None:
    chosen = profiles.engines("embedded", offline=True)
    assert chosen == {
        role: {"BACKEND": profiles.REMEMBERING[role], "OPTIONS": {"engine": entry}}
        for role, entry in EMBEDDED.items()
    }


def test_options_are_merged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VOICEBOT_STT_OPTIONS", '{"slots": 2}')
    monkeypatch.setenv("VOICEBOT_TTS_OPTIONS", '{"weights": "/mine"}')
    assert inside("stt")["OPTIONS"] == {"weights": "whisper-base", "slots": 2}
    assert inside("tts")["OPTIONS"] == {"weights": "/mine"}
    assert inside("llm") == EMBEDDED["llm"]
    assert EMBEDDED["tts"]["OPTIONS"] == {"weights": "kokoro-82m-int8"}


def test_another_engine_has_options_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VOICEBOT_LLM_BACKEND", "pipeline.llm.fake.Fake")
    assert inside("llm") == {"BACKEND": "pipeline.llm.fake.Fake", "OPTIONS": {}}
    monkeypatch.setenv("VOICEBOT_LLM_OPTIONS", '{"slots": 4}')
    assert inside("llm")["OPTIONS"] == {"slots": 4}


# --- the URL of a database ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        (
            "postgresql://bot:p%40ss@db.example.org:5433/voice?sslmode=verify-full",
            ("voice", "bot", "p@ss", "db.example.org", 5433, {"sslmode": "verify-full"}),
        ),
        ("postgres:///voice?host=/run/postgresql", ("voice", "", "", "/run/postgresql", "", {})),
    ],
)
def test_a_database_is_a_url(
    monkeypatch: pytest.MonkeyPatch, url: str, expected: tuple[object, ...]
) -> None:
    monkeypatch.setenv("NAME", url)
    entry = env.database("NAME")
    assert entry is not None
    names = ("NAME", "USER", "PASSWORD", "HOST", "PORT", "OPTIONS")
    assert tuple(entry[name] for name in names) == expected
    assert entry["ENGINE"] == "django.db.backends.postgresql"


@pytest.mark.parametrize(
    "url",
    [
        "secret",
        "mysql://bot:secret@host/voice",
        "postgresql://bot:secret@host/",
        "postgresql://h:secret/x",
        "postgresql://h/x?secret",
    ],
)
def test_what_is_no_database_stops_the_start_and_is_not_shown(
    monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.setenv("NAME", url)
    with pytest.raises(ImproperlyConfigured, match="NAME is not") as caught:
        env.database("NAME")
    assert "secret" not in str(caught.value)


def test_no_database_named_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NAME", "")
    assert env.database("NAME") is None


# --- the URL of a bucket -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("s3://speech", {"bucket_name": "speech", "location": ""}),
        (
            "s3://speech/at%20home/?endpoint_url=https://minio.home:9000&region_name=eu-west-3",
            {
                "bucket_name": "speech",
                "location": "at home",
                "endpoint_url": "https://minio.home:9000",
                "region_name": "eu-west-3",
            },
        ),
        ("", None),
    ],
)
def test_a_bucket_is_a_url(
    monkeypatch: pytest.MonkeyPatch, url: str, expected: dict[str, str] | None
) -> None:
    monkeypatch.setenv("NAME", url)
    assert env.bucket("NAME") == expected


@pytest.mark.parametrize(
    "url",
    [
        "speech",
        "https://bucket/speech",
        "s3:///speech",
        "s3://key:secret@bucket",
        "s3://bucket?secret",
        "s3://bucket?acl=public-read",
        "s3://bucket#secret",
    ],
)
def test_what_is_no_bucket_stops_the_start_and_is_not_shown(
    monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.setenv("NAME", url)
    with pytest.raises(ImproperlyConfigured, match=r"NAME (is not|has acl)") as caught:
        env.bucket("NAME")
    assert "secret" not in str(caught.value)
