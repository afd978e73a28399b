"""Two servers, as on two machines: one cluster, one PostgreSQL, one folder between them."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from django.db import connection

from tests.api.conftest import tone
from tests.conftest import ROOT
from tests.e2e.conftest import Answer, Server, serving

if TYPE_CHECKING:
    from ray.cluster_utils import Cluster

pytestmark = pytest.mark.skipif(
    "connection.vendor != 'postgresql'", reason="needs PostgreSQL: see `make test-cluster`"
)

DATABASE = "machines"
WORK_S = 1.5


@pytest.fixture(scope="module")
def environment(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What both machines have: the variables of `.env`."""
    import psycopg

    place = connection.settings_dict
    server = {"host": place["HOST"], "user": place["USER"], "dbname": "postgres"}
    with psycopg.connect(**server, autocommit=True) as session:
        session.execute(f"CREATE DATABASE {DATABASE}")
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("VOICEBOT_", "DJANGO_"))}
    backends = {
        f"VOICEBOT_{role}_BACKEND": f"tests.cluster.engines.{name}"
        for role, name in (("STT", "Listens"), ("LLM", "Writes"), ("TTS", "Speaks"))
    }
    options = {
        f"VOICEBOT_{role}_OPTIONS": json.dumps({"work_s": WORK_S if role == "TTS" else 0})
        for role in ("STT", "LLM", "TTS")
    }
    replicas = {
        f"VOICEBOT_{role}_REPLICAS": json.dumps({"min": 2, "max": 2, "cpus": 0.1})
        for role in ("STT", "LLM", "TTS")
    }
    return {
        **kept,
        **backends,
        **options,
        **replicas,
        "DJANGO_SETTINGS_MODULE": "voicebot.settings",
        "VOICEBOT_ENV_FILE": os.devnull,
        "VOICEBOT_DATA_DIR": str(tmp_path_factory.mktemp("shared")),
        "VOICEBOT_DATABASE_URL": f"postgresql://{place['USER']}@/{DATABASE}?host={place['HOST']}",
        "VOICEBOT_RAY_ADDRESS": cluster.address,
        "VOICEBOT_MEMORY_S": "0",
        "VOICEBOT_KEYS": "never",
    }


def manage(environment: dict[str, str], *arguments: str) -> str:
    command = [sys.executable, "manage.py", *arguments]
    done = subprocess.run(
        command, cwd=ROOT, env=environment, check=True, capture_output=True, text=True
    )
    return done.stdout


@pytest.fixture(scope="module")
def machines(
    environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[list[Server]]:
    logs: Path = tmp_path_factory.mktemp("logs")
    manage(environment, "deploy_engines")
    with ExitStack() as running:
        yield [
            running.enter_context(serving(environment, logs / f"{name}.log"))
            for name in ("first", "second")
        ]


def speech_state(answer: Answer) -> str:
    assert answer.status == 200, answer.body
    state: str
    [state] = re.findall(r"tts=(\w+)", answer.headers["x-cache"])
    return state


def test_a_sentence_is_spoken_once_for_all_machines(machines: list[Server]) -> None:
    with ThreadPoolExecutor(4) as pool:
        asked = [pool.submit(server.ask, tone(0.5)) for server in machines * 2]
        states = sorted(speech_state(call.result()) for call in asked)
    assert states == ["hit", "hit", "hit", "miss"]


def test_a_key_may_ask_so_often_in_all(machines: list[Server], environment: dict[str, str]) -> None:
    said = manage(environment, "make_key", "phone", "--per-minute", "3")
    [key] = re.findall(r"\bvb_\w+|\b[\w-]{32,}\b", said)
    statuses = [
        server.get("/api/voices/", Authorization=f"Bearer {key}").status
        for _time in range(3)
        for server in machines
    ]
    assert statuses == [200] * 3 + [429] * 3


def test_a_machine_that_dies_leaves_its_sentence_to_the_others(machines: list[Server]) -> None:
    first, second = machines
    with ThreadPoolExecutor(2) as pool:
        lost = pool.submit(first.ask, tone(0.5), speed="0.9")
        time.sleep(WORK_S / 2)  # it speaks
        os.kill(first.process.pid, signal.SIGKILL)
        with pytest.raises(ConnectionError):
            lost.result()
        assert speech_state(second.ask(tone(0.5), speed="0.9")) == "miss"
    assert speech_state(second.ask(tone(0.5), speed="0.9")) == "hit"
