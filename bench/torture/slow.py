"""Uploads that never end: others must not notice, and nothing must be left of them."""

from __future__ import annotations

import selectors
import socket
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Final

from api.limits import GRACE_S
from bench.torture.report import Report
from bench.torture.service import FAKES, Service, serving
from tests.uploads import UPLOADS

UPLOADERS: Final = 200
EVERY_S: Final = 1.0  # each sends a byte
QUESTIONS: Final = 30
HEAD: Final = (
    "POST /api/voice/ HTTP/1.1\r\nHost: localhost\r\n"
    "Content-Type: multipart/form-data; boundary=b\r\nContent-Length: 1000000\r\n\r\n--b\r\n"
)


class Uploaders:
    """So many connections, each of which sends a byte now and then; what they are answered."""

    def __init__(self, port: int, count: int) -> None:
        self.answers: list[bytes] = []
        self._open = [socket.create_connection(("127.0.0.1", port)) for _upload in range(count)]
        for upload in self._open:
            upload.sendall(HEAD.encode())
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._send, daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        return len(self._open)

    def close(self) -> None:
        self._stop.set()
        self._thread.join()
        for upload in self._open:
            upload.close()

    def _send(self) -> None:
        with selectors.DefaultSelector() as answered:
            for upload in self._open:
                answered.register(upload, selectors.EVENT_READ)
            while self._open and not self._stop.wait(EVERY_S):
                for key, _events in answered.select(0):
                    done = key.fileobj
                    assert isinstance(done, socket.socket)
                    with suppress(OSError):
                        self.answers.append(done.recv(65_536))
                    answered.unregister(done)
                    self._open.remove(done)
                    done.close()
                for upload in self._open:
                    with suppress(OSError):
                        upload.sendall(b"x")


@contextmanager
def uploading(service: Service, count: int = UPLOADERS) -> Iterator[Uploaders]:
    uploaders = Uploaders(service.port, count)
    try:
        yield uploaders
    finally:
        uploaders.close()


def run(report: Report, folder: Path, seed: int) -> None:
    with ExitStack() as stack:
        spool = stack.enter_context(tempfile.TemporaryDirectory())
        service = stack.enter_context(serving(folder / "var", TMPDIR=spool, **FAKES))
        service.ask(UPLOADS["wav"]())
        idle = service.descriptors
        before_s = asked(service)
        memory = service.memory_bytes
        with uploading(service) as uploaders:
            time.sleep(2 * EVERY_S)
            held = service.descriptors - idle
            during_s = asked(service)
            grown = service.memory_bytes - memory
            report.figure("uploads at once", uploaders.waiting)
            report.figure("descriptors they hold", held)
            give_up = time.monotonic() + 2 * GRACE_S
            while uploaders.waiting and time.monotonic() < give_up:
                time.sleep(EVERY_S)
            answers = list(uploaders.answers)
        time.sleep(EVERY_S)
        report.figure("turn alone, ms", round(1000 * before_s, 1))
        report.figure("turn among them, ms", round(1000 * during_s, 1))
        report.figure("memory they take, MB", round(grown / 1e6, 1))
        report.claim("turns go on as before", during_s < 2 * before_s + 0.05)
        late = [a for a in answers if a.startswith(b"HTTP/1.1 408 ")]
        report.claim(f"each is answered 408 after {GRACE_S:.0f} s", len(late) == UPLOADERS)
        report.claim("no descriptor is left", service.descriptors <= idle + 1)
        report.claim("no file is left", not list(Path(spool).glob("tmp*")))
        report.claim("the server answers", service.ask(UPLOADS["wav"]()).status == 200)


def asked(service: Service) -> float:
    """Median time of a turn, in seconds."""
    return statistics.median(service.ask(UPLOADS["wav"]()).took_s for _turn in range(QUESTIONS))
