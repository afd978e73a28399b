"""Servers as on machines of their own: between them a cluster, a PostgreSQL and a bucket."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from django.db import connection

from bench.torture.service import Answer
from tests.api.conftest import tone
from tests.cluster import s3
from tests.conftest import ROOT
from tests.e2e.conftest import Server, serving

if TYPE_CHECKING:
    from ray.cluster_utils import Cluster

pytestmark = pytest.mark.skipif(
    "connection.vendor != 'postgresql'", reason="needs PostgreSQL: see `make test-cluster`"
)

DATABASE = "machines"
WORK_S = {"STT": 0.4, "LLM": 0, "TTS": 1.5}
LONG_S = 240.0
PIECES = 12  # that it is heard in


@pytest.fixture(scope="module")
def bucket() -> Iterator[str]:
    with s3.serving() as url:
        yield s3.address(url)


@pytest.fixture(scope="module")
def environment(cluster: Cluster, bucket: str) -> dict[str, str]:
    """What all machines have: the variables of `.env`."""
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
        f"VOICEBOT_{role}_OPTIONS": json.dumps({"work_s": work_s})
        for role, work_s in WORK_S.items()
    }
    replicas = {
        f"VOICEBOT_{role}_REPLICAS": json.dumps({"min": 2, "max": 2, "cpus": 0.1})
        for role in WORK_S
    }
    return {
        **kept,
        **backends,
        **options,
        **replicas,
        "DJANGO_SETTINGS_MODULE": "voicebot.settings",
        "VOICEBOT_ENV_FILE": os.devnull,
        "VOICEBOT_SPEECH_STORE": bucket,
        "VOICEBOT_SECRET_KEY": "the same for all",
        "VOICEBOT_DATABASE_URL": f"postgresql://{place['USER']}@/{DATABASE}?host={place['HOST']}",
        "VOICEBOT_RAY_ADDRESS": cluster.address,
        "VOICEBOT_MEMORY_S": "0",
        "VOICEBOT_MAX_WAIT_S": "100",
        "VOICEBOT_KEYS": "never",
    }


def manage(environment: dict[str, str], *arguments: str) -> str:
    command = [sys.executable, "manage.py", *arguments]
    with tempfile.TemporaryDirectory() as folder:
        variables = {**environment, "VOICEBOT_DATA_DIR": folder}
        done = subprocess.run(
            command, cwd=ROOT, env=variables, check=True, capture_output=True, text=True
        )
    return done.stdout


Machine = Callable[..., AbstractContextManager[Server]]


@pytest.fixture(scope="module")
def machine(environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Machine:
    """A server of that name, with a folder that it shares with none, and variables of its own."""
    manage(environment, "deploy_engines")

    def start(name: str, **own: str) -> AbstractContextManager[Server]:
        folder: Path = tmp_path_factory.mktemp(name)
        variables = {**environment, "VOICEBOT_DATA_DIR": str(folder), **own}
        return serving(variables, folder / "server.log")

    return start


@pytest.fixture(scope="module")
def machines(machine: Machine) -> Iterator[list[Server]]:
    with ExitStack() as running:
        yield [running.enter_context(machine(name)) for name in ("first", "second")]


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
    key = manage(environment, "make_key", "phone", "--per-minute", "3").strip()
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
        time.sleep(WORK_S["STT"] + WORK_S["TTS"] / 2)  # it speaks
        os.kill(first.process.pid, signal.SIGKILL)
        with pytest.raises(ConnectionError):
            lost.result()
        assert speech_state(second.ask(tone(0.5), speed="0.9")) == "miss"
    assert speech_state(second.ask(tone(0.5), speed="0.9")) == "hit"


def test_a_job_outlives_the_machine_that_took_it(machines: list[Server], machine: Machine) -> None:
    _first, second = machines
    with machine("third") as third:
        begun = json.loads(third.post("/api/jobs/", tone(LONG_S)).body)
        url = urlsplit(begun["url"]).path
        until(third, url, lambda job: 0 < job["heard"] < LONG_S / 2)
        os.kill(third.process.pid, signal.SIGKILL)
    job = until(second, url, lambda job: job["status"] not in ("waiting", "running"))
    assert (job["status"], job["progress"], job["heard"]) == ("done", 1.0, LONG_S)
    heard = json.loads(second.get(urlsplit(job["result_url"]).path).body)["segments"]
    assert len(heard) == PIECES  # none is lost, none is heard twice
    assert [piece["start"] for piece in heard] == sorted({piece["start"] for piece in heard})


def test_machines_may_share_a_folder_instead(machine: Machine, tmp_path: Path) -> None:
    start = partial(machine, VOICEBOT_SPEECH_STORE="", VOICEBOT_DATA_DIR=str(tmp_path))
    with start("one") as one, ThreadPoolExecutor(2) as pool:
        with start("other") as other:
            asked = [pool.submit(server.ask, tone(0.5), speed="1.1") for server in (one, other)]
            answers = [call.result() for call in asked]
            assert sorted(map(speech_state, answers)) == ["hit", "miss"]
            assert answers[0].body == answers[1].body
            lost = pool.submit(other.ask, tone(0.5), speed="1.2")
            time.sleep(WORK_S["STT"] + WORK_S["TTS"] / 2)  # it speaks
            os.kill(other.process.pid, signal.SIGKILL)
            with pytest.raises(ConnectionError):
                lost.result()
        lasting = pool.submit(one.ask, tone(0.5), speed="1.2")
        with start("another"):  # which sweeps, while that is being spoken and written
            assert speech_state(lasting.result()) == "miss"
        again = one.ask(tone(0.5), speed="1.2")
        assert speech_state(again) == "hit"
        assert again.body == lasting.result().body


def until(server: Server, url: str, is_so: Callable[[Any], bool]) -> Any:
    """What is told of the job, once it is so."""
    give_up = time.monotonic() + 90
    while not is_so(job := json.loads(server.get(url).body)):
        assert time.monotonic() < give_up, job
        time.sleep(0.1)
    return job
