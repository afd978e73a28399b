"""Good and bad clients, mixed, for long: nothing may gather.

What is looked at is the server's own process: children that read uploads live for milliseconds.
``MINUTES`` says how long; the first quarter, in which caches fill up, is not judged. Of the rest
the median resident memory of the last third is compared with that of the first.
"""

from __future__ import annotations

import os
import random
import socket
import statistics
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.client import HTTPException
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from bench.torture import faults
from bench.torture.kills import leftovers, question, sentence
from bench.torture.mutations import mutation
from bench.torture.playlists import playlists
from bench.torture.report import Report
from bench.torture.service import Answer, Service, form, serving
from tests.uploads import UPLOADS

MINUTES: Final = float(os.environ.get("MINUTES", "60"))
CLIENTS: Final = 4
REST_S: Final = 0.05  # of each client, after each request
EVERY_S: Final = 1.0  # a sample
SPARE: Final = 4  # descriptors more than at the beginning: of requests that are being answered
GROWTH: Final = 0.01

Client = Callable[[Service, random.Random], Answer | None]


@dataclass
class Sample:
    at_s: float
    memory_bytes: int
    descriptors: int
    threads: int


@dataclass
class Log:
    statuses: Counter[str] = field(default_factory=Counter)
    samples: list[Sample] = field(default_factory=list)


def run(report: Report, folder: Path, seed: int) -> None:
    chosen = faults.settings(rate=0.03, seed=seed) | {
        "VOICEBOT_KEEP_UTTERANCES_DAYS": "1",
        "VOICEBOT_CACHE_MAX_BYTES": "20000000",
        "VOICEBOT_LOG_LEVEL": "ERROR",
    }
    with TemporaryDirectory() as spool, serving(folder / "var", TMPDIR=spool, **chosen) as service:
        log = Log()
        with asking(service, log, seed):
            watch(service, log, 60 * MINUTES)
        time.sleep(3)
        judged = log.samples[len(log.samples) // 4 :]
        third = len(judged) // 3
        first, last = judged[:third], judged[-third:]
        before, after = (statistics.median(s.memory_bytes for s in part) for part in (first, last))
        report.figure("minutes", MINUTES)
        report.figure("requests", log.statuses.total())
        report.figure("answers", dict(sorted(log.statuses.items())))
        report.figure("memory, MB", [round(before / 1e6, 1), round(after / 1e6, 1)])
        report.figure("memory by tenths of the time, MB", curve(log.samples))
        report.figure("growth, %", round(100 * (after / before - 1), 2))
        report.figure("descriptors", [most(first, "descriptors"), most(last, "descriptors")])
        report.figure("threads", [most(first, "threads"), most(last, "threads")])
        report.figure("files left", len(leftovers(service)))
        report.claim("memory is flat within 1 %", after <= before * (1 + GROWTH))
        gathered = most(last, "descriptors") - most(first, "descriptors")
        report.claim("no descriptors gather", gathered <= SPARE)
        report.claim("no temporary files gather", not leftovers(service))
        report.claim("nothing is answered by 500", log.statuses["500"] == 0)
        report.claim("the server is ready", service.get("/api/health/ready").status == 200)


def watch(service: Service, log: Log, duration: float) -> None:
    """A sample now and then, for ``duration`` seconds."""
    started = time.monotonic()
    while (at_s := time.monotonic() - started) < duration and service.alive:
        status = Path(f"/proc/{service.process.pid}/status").read_text()
        told = dict(line.split(":", 1) for line in status.splitlines())
        memory_bytes = 1024 * int(told["VmRSS"].split()[0])
        log.samples.append(Sample(at_s, memory_bytes, service.descriptors, int(told["Threads"])))
        time.sleep(EVERY_S)


def curve(samples: list[Sample]) -> list[float]:
    tenth = max(1, len(samples) // 10)
    parts = [samples[first : first + tenth] for first in range(0, len(samples), tenth)]
    return [round(statistics.median(s.memory_bytes for s in part) / 1e6, 1) for part in parts]


def most(samples: list[Sample], what: str) -> int:
    """The median: a request that is being answered takes some."""
    return int(statistics.median(getattr(sample, what) for sample in samples))


# --- clients -------------------------------------------------------------------------------


@contextmanager
def asking(service: Service, log: Log, seed: int) -> Iterator[None]:
    done = threading.Event()
    threads = [
        threading.Thread(target=_ask_on, args=[service, log, random.Random(f"{seed} {n}"), done])
        for n in range(CLIENTS)
    ]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        done.set()
        for thread in threads:
            thread.join()


def _ask_on(service: Service, log: Log, lots: random.Random, done: threading.Event) -> None:
    while not done.wait(REST_S):
        client = lots.choice(GOOD if lots.random() < 0.5 else BAD)
        try:
            answer = client(service, lots)
        except (OSError, HTTPException):
            log.statuses["broken off"] += 1
        else:
            log.statuses["left" if answer is None else str(answer.status)] += 1


def a_turn(service: Service, lots: random.Random) -> Answer:
    return service.ask(
        question(lots, lots.uniform(0.2, 2)),
        accept=lots.choice(faults.ACCEPTED),
        speed=f"{lots.uniform(0.5, 2):.2f}",
    )


def a_conversation(service: Service, lots: random.Random) -> Answer:
    begun = service.post_json("/api/conversations/", {})
    for _turn in range(3):
        service.ask(question(lots, 0.3), conversation=begun.json["id"])
    return service.delete(f"/api/conversations/{begun.json['id']}/")


def a_large_upload(service: Service, lots: random.Random) -> Answer:
    return service.ask(question(lots, 12.0), accept="application/json")


def speech(service: Service, lots: random.Random) -> Answer:
    formats = ("mp3", "opus", "flac", "wav", "pcm")
    asked = {"model": "tts-1", "input": sentence(lots), "response_format": lots.choice(formats)}
    return service.post_json("/v1/audio/speech", asked)


def a_look(service: Service, lots: random.Random) -> Answer:
    return service.get(lots.choice(["/api/voices/", "/api/health/ready", "/", "/metrics"]))


def damaged(service: Service, lots: random.Random) -> Answer:
    return service.ask(mutation(lots.randrange(10**6), 1)[1])


def a_playlist(service: Service, lots: random.Random) -> Answer:
    payloads = playlists(service.data_dir / "none.wav", "http://127.0.0.1:9/")
    return service.ask(lots.choice(list(payloads.values())))


def silence(service: Service, lots: random.Random) -> Answer:
    return service.ask(UPLOADS["wav"]()[:44] + bytes(16_000))


def nonsense(service: Service, lots: random.Random) -> Answer:
    path = lots.choice(["/api/conversations/", "/v1/chat/completions", "/api/nothing", "/v1/x"])
    return service.post_json(path, lots.choice([[], {"messages": 1}, "x", {"input": "y" * 9_999}]))


def somebody_elses(service: Service, lots: random.Random) -> Answer:
    return service.ask(question(lots, 0.2), conversation=f"{lots.randrange(10**9)}")


def leaves_while_sending(service: Service, lots: random.Random) -> None:
    with suppress(OSError), _begun(service, question(lots, 8.0), cut=lots.uniform(0.1, 0.9)):
        time.sleep(lots.uniform(0, 0.05))


def leaves_while_hearing(service: Service, lots: random.Random) -> None:
    with suppress(OSError), _begun(service, question(lots, 0.5), cut=1.0) as connection:
        connection.settimeout(10)
        connection.recv(lots.randrange(1, 5_000))


GOOD: Final[list[Client]] = [a_turn, a_turn, a_conversation, a_large_upload, speech, a_look]
BAD: Final[list[Client]] = [
    *(damaged, a_playlist, silence, nonsense, somebody_elses),
    *(leaves_while_sending, leaves_while_hearing),
]


@contextmanager
def _begun(service: Service, recording: bytes, cut: float) -> Iterator[socket.socket]:
    """A connection over which a streamed turn was asked for, as far as ``cut`` of its body."""
    content_type, body = form(recording, "question", {"stream": "true"})
    head = (
        f"POST /api/voice/ HTTP/1.1\r\nHost: localhost\r\nContent-Type: {content_type}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", service.port), timeout=10) as connection:
        connection.sendall(head.encode() + body[: int(cut * len(body))])
        yield connection
