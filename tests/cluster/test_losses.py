"""Turns under load while parts of the cluster die, and while its weights are replaced."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connections
from django.test import override_settings
from django.test.client import BOUNDARY, MULTIPART_CONTENT, encode_multipart
from pytest_django import Settings

from history.models import Turn
from pipeline.engines import ROLES, engines
from pipeline.ray.client import Distant
from tests.api.conftest import asgi_server, tone
from tests.api.http import send
from tests.cluster.running import NODE, distant

if TYPE_CHECKING:
    from ray._private.node import Node
    from ray.cluster_utils import Cluster

psutil = pytest.importorskip("psutil")

__all__ = ["asgi_server"]

Address = tuple[str, int]

WAIT_S = 15.0
DEADLINE_S = 3 * (WAIT_S + 120)
"""Of a turn: what its three engines may take."""
CLIENTS = 6
NAMED = {"engine_busy", "engine_timeout", "engine_failed", "engine_unavailable"}


def slow(weights: str) -> Mapping[str, dict[str, Any]]:
    """Three engines; ``weights`` is part of their entries, as it is of those that read some."""
    return {
        "stt": {
            "BACKEND": "tests.cluster.engines.Listens",
            "OPTIONS": {"work_s": 0.05, "wait_s": WAIT_S, "text": f"Bonjour {weights} !"},
        },
        "llm": {
            "BACKEND": "tests.cluster.engines.Writes",
            "OPTIONS": {"work_s": 0.03, "wait_s": WAIT_S},
        },
        "tts": {
            "BACKEND": "tests.cluster.engines.Speaks",
            "OPTIONS": {"work_s": 0.05, "wait_s": WAIT_S},
        },
    }


OLD = distant(slow("v1"), {"min": 2, "max": 2})
NEW = distant(slow("v2"))


@dataclass
class Load:
    """Clients that ask one question after another, and what became of each."""

    address: Address
    answers: dict[str, tuple[int, str, float]] = field(default_factory=dict)
    heard: Counter[str] = field(default_factory=Counter)

    @contextmanager
    def running(self) -> Iterator[None]:
        stop = threading.Event()
        with ThreadPoolExecutor(CLIENTS) as pool:
            clients = [pool.submit(self._ask_on, client, stop) for client in range(CLIENTS)]
            try:
                yield
            finally:
                stop.set()
            for client in clients:
                client.result()

    def wait_for(self, more: int) -> None:
        """Until so many more turns are answered with speech."""
        wanted = self.succeeded + more
        give_up = time.monotonic() + 90
        while self.succeeded < wanted:
            assert time.monotonic() < give_up, self.summary
            time.sleep(0.05)

    @property
    def succeeded(self) -> int:
        return sum(status == 200 for status, _code, _s in list(self.answers.values()))

    @property
    def summary(self) -> Counter[str]:
        return Counter(code or str(status) for status, code, _s in self.answers.values())

    def _ask_on(self, client: int, stop: threading.Event) -> None:
        question = SimpleUploadedFile("question.wav", tone(0.5))
        body = encode_multipart(BOUNDARY, {"audio": question})
        for number in range(10_000):
            if stop.is_set():
                return
            name = f"turn-{client}-{number}"
            headers = {"Content-Type": MULTIPART_CONTENT, "X-Request-Id": name}
            headers["Accept"] = "audio/wav" if client % 2 else "application/json"
            started = time.monotonic()
            response, said = send(self.address, "POST", "/api/voice/", body, headers, DEADLINE_S)
            elapsed_s = time.monotonic() - started
            code = "" if response.status == 200 else json.loads(said)["code"]
            self.answers[name] = (response.status, code, elapsed_s)
            if not client % 2 and response.status == 200:
                self.heard[json.loads(said)["transcript"]["text"]] += 1
            if response.status != 200:
                time.sleep(0.2)

    def check(self) -> None:
        """Each turn was answered once, in time, or failed by name, and history says so too."""
        rows = Turn.objects.values_list("request_id", "status", "code")
        assert sorted(rows) == sorted((n, s, code) for n, (s, code, _t) in self.answers.items())
        assert {code for _status, code, _s in self.answers.values() if code} <= NAMED
        assert max(elapsed_s for _status, _code, elapsed_s in self.answers.values()) < DEADLINE_S


@pytest.fixture
def load(asgi_server: Address) -> Load:
    # Each request has a thread of its own, whose connection ends with it.
    connections.settings["default"]["CONN_MAX_AGE"] = 0
    return Load(asgi_server)


@pytest.fixture(scope="module")
def nodes(cluster: Cluster) -> list[Node]:
    """Two besides the head. On the three run the slow engines, two replicas each."""
    from pipeline.ray import deploy

    added = [cluster.add_node(**NODE) for _two in range(2)]
    with override_settings(ENGINES=OLD):
        list(deploy.deploy(deploy.distant()))
    return added


@pytest.fixture(autouse=True)
def _old(nodes: list[Node], settings: Settings) -> None:
    settings.ENGINES = OLD


def replicas(role: str) -> list[Any]:
    engine = engines[role]
    assert isinstance(engine, Distant)
    return [
        process
        for process in psutil.process_iter(["cmdline"])
        if f"ServeReplica:{engine.application}" in " ".join(process.info["cmdline"] or ())
    ]


def inhabitants(node: Node) -> list[Any]:
    """The replicas that run on ``node``."""
    raylet = node.all_processes["raylet"][0].process.pid
    return [process for role in ROLES for process in replicas(role) if process.ppid() == raylet]


def test_no_turn_is_lost_with_a_replica_or_a_node(
    load: Load, nodes: list[Node], cluster: Cluster
) -> None:
    with load.running():
        load.wait_for(20)
        for role in ROLES:
            victim, *_others = replicas(role)
            victim.kill()
            load.wait_for(10)
        node = max(nodes, key=lambda node: len(inhabitants(node)))
        assert inhabitants(node)
        cluster.remove_node(node, allow_graceful=False)
        load.wait_for(40)
    load.check()
    assert load.summary["200"] >= 90


def test_weights_are_replaced_without_a_failed_turn(load: Load, settings: Settings) -> None:
    from pipeline.ray import deploy

    with load.running():
        load.wait_for(10)
        settings.ENGINES = NEW
        upgrade = deploy.distant()
        settings.ENGINES = OLD  # as the servers that run still have it
        list(deploy.deploy(upgrade))
        load.wait_for(10)
        settings.ENGINES = NEW  # as servers have it that are started now
        load.wait_for(10)
        time.sleep(1)  # those that began with the old ones end
        list(deploy.prune())
        load.wait_for(10)
    load.check()
    assert load.summary.keys() == {"200"}
    assert set(load.heard) == {"Bonjour v1 !", "Bonjour v2 !"}
