"""The service as it is started, on data of its own, asked as a client asks it."""

from __future__ import annotations

import os
import re
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx2

from bench.setup import WEIGHTS
from bench.torture.service import Service


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
        chosen = {name: os.environ[name] for name in ("VOICEBOT_PROFILE", "VOICEBOT_LOG_LEVEL")}
        self._service = Service(Path(self._folder.name), **{**chosen, **settings})
        self._service.manage("migrate", "--verbosity", "0")
        self.client = httpx2.Client(base_url=f"http://127.0.0.1:{self._service.port}", timeout=300)

    def __enter__(self) -> Self:
        try:
            self._service.start()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop()

    def _stop(self) -> None:
        self.client.close()
        self._service.stop()
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
