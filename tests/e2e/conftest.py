"""The product as its users run it: a server in a process of its own, real weights, HTTP."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bench.torture.service import Service, started
from tests.settings import WEIGHTS

Server = Service


@pytest.fixture(scope="session")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What a fresh user has, but for the weights, which are there already."""
    if not WEIGHTS.is_dir():
        pytest.fail(f"no weights in {WEIGHTS}: run `make test`, or `manage.py fetch_weights`")
    data_dir = tmp_path_factory.mktemp("e2e")
    (data_dir / "weights").symlink_to(WEIGHTS)
    ours = {"VOICEBOT_DATA_DIR": str(data_dir), "VOICEBOT_ENV_FILE": os.devnull}
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("VOICEBOT_", "DJANGO_"))}
    return {**kept, **ours, "DJANGO_SETTINGS_MODULE": "voicebot.settings"}


@pytest.fixture(scope="session")
def server(
    environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    with serving(environment, tmp_path_factory.mktemp("log") / "server.log") as running:
        yield running


@contextmanager
def serving(environment: dict[str, str], log: Path) -> Iterator[Server]:
    """A server of its own, once it is ready."""
    server = Service(Path(environment["VOICEBOT_DATA_DIR"]), **environment)
    server.log = log
    with started(server):
        yield server
