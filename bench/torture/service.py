"""A server of one's own, as ``make run`` starts it, and what can be seen of it from outside."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
import uuid
import weakref
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parent.parent.parent
READY_S: Final = 120.0
STOPPED_S: Final = 30.0

FAKES: Final = {
    "VOICEBOT_STT_BACKEND": "pipeline.stt.fake.Fake",
    "VOICEBOT_LLM_BACKEND": "pipeline.llm.fake.Fake",
    "VOICEBOT_TTS_BACKEND": "pipeline.tts.fake.Fake",
}
"""Engines that need no weights: any sound is a question to them."""


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: Mapping[str, str]  # names in lower case
    body: bytes
    took_s: float

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        """Of the error; empty when there is none, or none that machines can read."""
        try:
            return str(self.json["code"])
        except (ValueError, KeyError, TypeError):
            return ""


class Service:
    """``data_dir`` is its own; ``options`` are variables of the environment."""

    def __init__(self, data_dir: Path, **options: str) -> None:
        self.data_dir = data_dir
        data_dir.mkdir(parents=True, exist_ok=True)
        self.log = data_dir / "server.log"
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("VOICEBOT_", "DJANGO_"))}
        self.environment = {
            **kept,
            "VOICEBOT_DATA_DIR": str(data_dir),
            "VOICEBOT_ENV_FILE": os.devnull,
            "DJANGO_SETTINGS_MODULE": "voicebot.settings",
            "UVICORN_TIMEOUT_GRACEFUL_SHUTDOWN": "25",
            **options,
        }
        # Nobody else is given the port as long as this one has it; who listens may have it too.
        held = socket.socket()
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.bind(("127.0.0.1", 0))
        self.port: int = held.getsockname()[1]
        weakref.finalize(self, held.close)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def process(self) -> subprocess.Popen[bytes]:
        assert self._process is not None, "it has not been started"
        return self._process

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def manage(self, *arguments: str) -> None:
        subprocess.run(
            [sys.executable, "manage.py", *arguments], cwd=ROOT, env=self.environment, check=True
        )

    def start(self, *, ready: bool = True) -> None:
        """``ready`` waits until it says that it is.

        :raises RuntimeError: it ends, or is not ready in time; with its log.
        """
        command = [sys.executable, "-m", "uvicorn", "voicebot.asgi:application"]
        command += ["--port", str(self.port), "--lifespan", "off", "--no-access-log"]
        with self.log.open("a") as output:
            self._process = subprocess.Popen(
                command, cwd=ROOT, env=self.environment, stdout=output, stderr=output
            )
        if ready:
            self.wait_until_ready()

    def wait_until_ready(self) -> None:
        give_up = time.monotonic() + READY_S
        while self.alive and time.monotonic() < give_up:
            with suppress(OSError, http.client.HTTPException):
                if self.get("/api/health/ready").status == 200:
                    return
            time.sleep(0.05)
        raise RuntimeError(f"The server is not ready:\n{self.log.read_text()[-5_000:]}")

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        """At once, but for what it was asked: see ``voicebot.leaving``."""
        if self._process is not None:
            try:
                self.process.terminate()
                time.sleep(0.05)
                self.process.terminate()
                self.process.wait(STOPPED_S)
            except subprocess.TimeoutExpired:
                self.kill()

    def get(self, path: str, *, timeout_s: float = 30.0, **headers: str) -> Answer:
        """``path`` may be a whole address of it."""
        return self._send("GET", path.removeprefix(self.url), None, headers, timeout_s)

    def ask(
        self,
        recording: bytes,
        *,
        filename: str = "question",
        accept: str = "*/*",
        timeout_s: float = 120.0,
        **fields: str,
    ) -> Answer:
        """``POST /api/voice/``. Raises ``OSError`` or ``HTTPException`` when there is no answer."""
        content_type, body = form(recording, filename, fields)
        headers = {"Content-Type": content_type, "Accept": accept, "Accept-Language": "en"}
        return self._send("POST", "/api/voice/", body, headers, timeout_s)

    def question(
        self, recording: bytes, *, accept: str = "*/*", **fields: str
    ) -> urllib.request.Request:
        """The same, to be opened by ``urllib``: for an answer that is read while it is made."""
        content_type, body = form(recording, "question", fields)
        headers = {"Content-Type": content_type, "Accept": accept, "Accept-Language": "en"}
        return urllib.request.Request(f"{self.url}/api/voice/", body, headers)

    def post(self, path: str, recording: bytes, *, timeout_s: float = 120.0) -> Answer:
        content_type, body = form(recording, "recording", {})
        return self._send("POST", path, body, {"Content-Type": content_type}, timeout_s)

    def post_json(self, path: str, body: Any, *, timeout_s: float = 60.0) -> Answer:
        headers = {"Content-Type": "application/json"}
        return self._send("POST", path, json.dumps(body).encode(), headers, timeout_s)

    def delete(self, path: str) -> Answer:
        return self._send("DELETE", path.removeprefix(self.url), None, {}, 30.0)

    def _send(
        self, method: str, path: str, body: bytes | None, headers: dict[str, str], timeout_s: float
    ) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout_s)
        with closing(connection):
            started = time.monotonic()
            with suppress(BrokenPipeError):  # it has answered before all was sent
                connection.request(method, path, body, headers)
            response = connection.getresponse()
            content = response.read()
            took_s = time.monotonic() - started
        names = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, names, content, took_s)

    @property
    def family(self) -> list[int]:
        """The server, and the processes it has started."""
        parents: dict[int, list[int]] = {}
        for stat in Path("/proc").glob("[0-9]*/stat"):
            with suppress(OSError):  # it has just ended
                parent = int(stat.read_text().rpartition(")")[2].split()[1])
                parents.setdefault(parent, []).append(int(stat.parent.name))
        family = [self.process.pid]
        for member in family:
            family += parents.get(member, [])
        return family

    @property
    def memory_bytes(self) -> int:
        """Resident memory of the family; what several share is counted once."""
        total_kb = 0
        for member in self.family:
            with suppress(OSError):
                rollup = Path(f"/proc/{member}/smaps_rollup").read_text()
                [line] = [line for line in rollup.splitlines() if line.startswith("Pss:")]
                total_kb += int(line.split()[1])
        return 1024 * total_kb

    @property
    def descriptors(self) -> int:
        """Open in the server itself."""
        return len(list(Path(f"/proc/{self.process.pid}/fd").iterdir()))


@contextmanager
def serving(data_dir: Path, **options: str) -> Iterator[Service]:
    """A server that is ready, on a database that is; it is stopped at the end."""
    service = Service(data_dir, **options)
    with started(service):
        yield service


@contextmanager
def started(service: Service) -> Iterator[None]:
    service.manage("migrate", "--verbosity", "0")
    try:
        service.start()
        yield
    finally:
        service.stop()


@contextmanager
def peak_memory(service: Service) -> Iterator[list[int]]:
    """A list of one number: the most the family has had so far, in bytes."""
    peak = [service.memory_bytes]
    done = threading.Event()

    def watch() -> None:
        while not done.wait(0.01):
            peak[0] = max(peak[0], service.memory_bytes)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield peak
    finally:
        done.set()
        thread.join()


def form(recording: bytes, filename: str, fields: Mapping[str, str]) -> tuple[str, bytes]:
    """Its content type and its bytes, as curl sends it."""
    boundary = uuid.uuid4().hex
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in fields.items()
    ]
    parts.append(
        f'--{boundary}\r\nContent-Disposition: form-data; name="audio"; filename="{filename}"'
        "\r\nContent-Type: application/octet-stream\r\n\r\n"
    )
    body = "".join(parts).encode() + recording + f"\r\n--{boundary}--\r\n".encode()
    return f"multipart/form-data; boundary={boundary}", body
