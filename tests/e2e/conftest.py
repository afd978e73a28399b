"""The product as its users run it: a server in a process of its own, real weights, HTTP."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPResponse
from pathlib import Path
from typing import Any

import pytest

from bench.torture.service import form
from tests.conftest import ROOT
from tests.settings import WEIGHTS

READY_S = 120


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]  # names in lower case
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def _answer(status: int, response: HTTPResponse | urllib.error.HTTPError) -> Answer:
    headers = {name.lower(): value for name, value in response.headers.items()}
    return Answer(status, headers, response.read())


@dataclass(frozen=True)
class Server:
    url: str
    process: subprocess.Popen[bytes]

    def get(self, path: str, **headers: str) -> Answer:
        url = path if path.startswith("http") else self.url + path
        return self._send(urllib.request.Request(url, headers=headers))

    def ask(self, recording: bytes, *, accept: str = "*/*", **fields: str) -> Answer:
        return self._send(self.question(recording, accept=accept, **fields))

    def post(self, path: str, recording: bytes) -> Answer:
        content_type, body = form(recording, "recording", {})
        return self._send(
            urllib.request.Request(self.url + path, body, {"Content-Type": content_type})
        )

    def delete(self, path: str) -> Answer:
        url = path if path.startswith("http") else self.url + path
        return self._send(urllib.request.Request(url, method="DELETE"))

    def question(
        self, recording: bytes, *, accept: str = "*/*", **fields: str
    ) -> urllib.request.Request:
        """``POST /api/voice/`` as curl does it."""
        content_type, body = form(recording, "question", fields)
        headers = {"Accept": accept, "Accept-Language": "en", "Content-Type": content_type}
        return urllib.request.Request(self.url + "/api/voice/", body, headers)

    def _send(self, request: urllib.request.Request) -> Answer:
        try:
            with urllib.request.urlopen(request, timeout=120) as response:
                return _answer(response.status, response)
        except urllib.error.HTTPError as error:
            with error:
                return _answer(error.code, error)


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
    subprocess.run(
        [sys.executable, "manage.py", "migrate", "--verbosity", "0"],
        cwd=ROOT, env=environment, check=True,
    )  # fmt: skip
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "uvicorn", "voicebot.asgi:application", "--port", str(port)]
    with log.open("w") as output:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=output, stderr=output)
    running = Server(f"http://127.0.0.1:{port}", process)
    try:
        _wait_until_ready(running, process, log)
        yield running
    finally:
        process.terminate()
        process.wait(timeout=60)


def _wait_until_ready(server: Server, process: subprocess.Popen[bytes], log: Path) -> None:
    give_up = time.monotonic() + READY_S
    while time.monotonic() < give_up and process.poll() is None:
        try:
            if server.get("/api/health/ready").status == 200:
                return
        except OSError:  # the port is not open yet
            pass
        time.sleep(0.2)
    pytest.fail(f"the server did not become ready:\n{log.read_text()}")
