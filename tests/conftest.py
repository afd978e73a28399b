"""What all tests share."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from django.core.cache import caches
from django.db import connection
from django.test import TransactionTestCase
from pytest_django import DjangoDbBlocker, Settings

from pipeline import deadline
from pipeline.admission import admission
from pipeline.engines import Engines, engines
from tests.clock import Clock
from tests.settings import DATA_DIR, WEIGHTS
from voicebot.profiles import PROFILES

ROOT = Path(__file__).resolve().parent.parent
MIGRATED = DATA_DIR / "migrated.sqlite3"
SPEECH = Path(os.environ.get("VOICEBOT_TEST_SPEECH", ROOT.parent / "shared" / "speech"))


def pytest_unconfigure() -> None:
    shutil.rmtree(DATA_DIR, ignore_errors=True)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """`make test-cluster` runs some tests on PostgreSQL."""
    for item in items:
        if "migrated" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.django_db)  # or there may be no database to copy
        if connection.vendor != "sqlite" and item.get_closest_marker("sqlite"):
            item.add_marker(pytest.mark.skip(reason="the database is another"))


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """What a test did in transactions of its own is undone by putting back all pages of the file.

    Django would empty each table, then fill those of permissions and groups anew, which takes ten
    times as long.
    """
    if connection.vendor != "sqlite":
        yield
        return
    with (
        closing(sqlite3.connect(":memory:")) as pristine,
        closing(sqlite3.connect(MIGRATED)) as file,
        pytest.MonkeyPatch.context() as patch,
    ):
        with django_db_blocker.unblock():
            connection.ensure_connection()
            connection.connection.backup(pristine)
        pristine.backup(file)

        def undo(_case: TransactionTestCase) -> None:
            connection.ensure_connection()
            pristine.backup(connection.connection)

        patch.setattr(TransactionTestCase, "_fixture_teardown", undo)
        yield


@pytest.fixture(scope="session")
def migrated(django_db_setup: None) -> Path:
    """A database of SQLite as `migrate` leaves it: to copy, which is quicker than to make one."""
    return MIGRATED


@pytest.fixture(scope="session", autouse=True)
def no_power_cut() -> Iterator[None]:
    """Nothing waits for the disk: what is killed in the middle of writing is tested as a process
    of its own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _descriptor: None)
        yield


@pytest.fixture(autouse=True)
def data_dir(settings: Settings, tmp_path: Path) -> Iterator[Path]:
    """Each test starts with empty caches, engines of its own and the weights there are."""
    (tmp_path / "weights").symlink_to(WEIGHTS)
    settings.VOICEBOT_DATA_DIR = tmp_path
    caches["requests"].clear()
    engines.reset()
    admission.reset()  # an answer that nobody read to its end may still have its place
    yield tmp_path
    engines.reset()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """That of deadlines."""
    clock = Clock()
    monkeypatch.setattr(deadline, "time", clock)
    return clock


@pytest.fixture(scope="session")
def speech_dir() -> Path:
    """The recordings tests listen to; they are not part of the product."""
    if not SPEECH.is_dir():
        pytest.skip(f"no test recordings in {SPEECH}: set VOICEBOT_TEST_SPEECH")
    return SPEECH


@pytest.fixture(scope="session")
def embedded() -> Engines:
    """The real engines of the embedded profile, loaded once for all tests."""
    if not WEIGHTS.is_dir():
        pytest.fail(f"no weights in {WEIGHTS}: run `make test`, or `manage.py fetch_weights`")
    return Engines(PROFILES["embedded"])
