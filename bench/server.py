"""The service as it is started, on data of its own, asked as a client asks it."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx2

from bench.setup import WEIGHTS

START_S = 120


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    took_s: float  # until its last byte
    first_s: float  # until the first byte of its body
    times_s: Mapping[str, float]  # of each stage, as the server tells them
    body: bytes


class Server:
    """``settings`` are variables of the environment on top of the embedded profile."""

    def __init__(self, **settings: str) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="voicebot-bench-")
        (Path(self._folder.name) / "weights").symlink_to(WEIGHTS)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = str(free.getsockname()[1])
        environment = {**os.environ, "VOICEBOT_DATA_DIR": self._folder.name, **settings}
        manage = [sys.executable, "manage.py", "migrate", "--verbosity", "0"]
        root = Path(__file__).resolve().parent.parent
        subprocess.run(manage, check=True, cwd=root, env=environment)
        serve = [sys.executable, "-m", "uvicorn", "voicebot.asgi:application", "--port", port]
        serve += ["--lifespan", "off", "--no-access-log", "--log-level", "warning"]
        self._process = subprocess.Popen(serve, cwd=root, env=environment)
        self.client = httpx2.Client(base_url=f"http://127.0.0.1:{port}", timeout=300)

    def __enter__(self) -> Self:
        gives_up = time.monotonic() + START_S
        while not self._ready():
            if self._process.poll() is not None or time.monotonic() > gives_up:
                self._stop()
                raise SystemExit("The service does not start.")
            time.sleep(0.2)
        return self

    def _ready(self) -> bool:
        try:
            return self.client.get("/api/health/ready").is_success
        except httpx2.TransportError:
            return False

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop()

    def _stop(self) -> None:
        self.client.close()
        self._process.terminate()
        self._process.wait(60)
        self._folder.cleanup()

    def ask(self, recording: bytes, **fields: str) -> Answer:
        """A question at ``/api/voice/``."""
        started = time.monotonic()
        with self.client.stream(
            "POST", "/api/voice/", files={"audio": recording}, data=fields
        ) as response:
            pieces = response.iter_raw()
            body = next(pieces, b"")
            first_s = time.monotonic() - started
            body += b"".join(pieces)
        told = re.findall(r"([\w-]+);dur=([\d.]+)", response.headers.get("Server-Timing", ""))
        times_s = {name: float(ms) / 1000 for name, ms in told}
        took_s = time.monotonic() - started
        return Answer(response.status_code, took_s, first_s, times_s, body)
