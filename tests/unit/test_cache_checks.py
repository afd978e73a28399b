"""A store of speech that leaves the house, or cannot be used, is told at the start."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.checks import CheckMessage, run_checks
from pytest_django import Settings

from files import store


def problems(**kwargs: Any) -> list[CheckMessage]:
    return run_checks(tags=["cache"], **kwargs)


def keep_in(settings: Settings, endpoint: str | None) -> None:
    options = {"bucket_name": "speech", **({"endpoint_url": endpoint} if endpoint else {})}
    bucket = {"BACKEND": "storages.backends.s3.S3Storage", "OPTIONS": options}
    settings.STORAGES = {**settings.STORAGES, store.ALIAS: bucket}


@pytest.fixture(autouse=True)
def tried(monkeypatch: pytest.MonkeyPatch) -> list[Exception]:
    """What goes wrong with the store when it is tried out; nothing where this is empty."""
    wrong: list[Exception] = []

    def try_out() -> None:
        if wrong:
            raise wrong[0]

    monkeypatch.setattr(store, "try_out", try_out)
    return wrong


def test_a_folder_is_no_problem(tried: list[Exception]) -> None:
    tried.append(OSError("never asked"))
    assert problems(databases=["default"]) == []


@pytest.mark.parametrize("endpoint", ["http://192.0.2.7:9000", None])
def test_speech_stays_in_the_house(settings: Settings, endpoint: str | None) -> None:
    keep_in(settings, endpoint)
    [problem] = problems()
    assert problem.id == "cache.E001"
    assert ("192.0.2.7" if endpoint else "amazonaws.com") in problem.msg
    settings.VOICEBOT_OFFLINE = False
    assert problems() == []


def test_a_host_of_ones_own_is_in_the_house(settings: Settings) -> None:
    keep_in(settings, "http://192.0.2.7:9000")
    settings.VOICEBOT_OWN_HOSTS = ["192.0.2.7"]
    assert problems(databases=["default"]) == []


def test_what_is_no_address(settings: Settings) -> None:
    keep_in(settings, "nonsense")
    assert [problem.id for problem in problems()] == ["cache.E001"]


@pytest.mark.parametrize("wrong", [OSError("no such bucket"), ValueError("no such bucket")])
def test_one_that_fails_is_told_where_it_may_be_asked(
    settings: Settings, tried: list[Exception], wrong: Exception
) -> None:
    keep_in(settings, "http://127.0.0.1:9000")
    tried.append(wrong)
    assert problems() == []
    [problem] = problems(databases=["default"])
    assert problem.id == "cache.W001"
    assert "no such bucket" in problem.msg
