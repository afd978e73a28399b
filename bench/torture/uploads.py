"""Nothing foreign is read, no bomb goes off, no damage takes the server down."""

from __future__ import annotations

import os
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from pathlib import Path
from typing import Final

from bench.torture.bombs import BOMBS
from bench.torture.mutations import mutation
from bench.torture.playlists import EXTENSIONS, listening, playlists
from bench.torture.report import Report
from bench.torture.service import FAKES, Answer, Service, peak_memory, serving
from tests.uploads import UPLOADS

MUTATIONS: Final = int(os.environ.get("MUTATIONS", "10000"))
AT_ONCE: Final = 4
BOMB_BYTES, BOMB_S, MUTATION_S = 300_000_000, 2.0, 5.0


def run(report: Report, folder: Path, seed: int) -> None:
    with serving(folder, **FAKES) as service:
        service.ask(UPLOADS["wav"]())  # whatever is loaded on first use
        foreign(report, service, folder)
        bombs(report, service)
        mutations(report, service, seed)


def foreign(report: Report, service: Service, folder: Path) -> None:
    target = folder / "target.wav"
    target.write_bytes(UPLOADS["wav"]())
    # What is relative is so to where the server runs, or to nothing.
    with listening() as listener:
        payloads = playlists(target, listener.url)
        answers = [
            service.ask(payload, filename=f"question.{extension}")
            for payload in payloads.values()
            for extension in EXTENSIONS
        ]
        connections = listener.connections
    heard = sum(answer.status < 400 for answer in answers)
    report.figure("payloads", len(payloads))
    report.figure("payloads_times_extensions", len(answers))
    report.figure("foreign_heard", heard)
    report.figure("connections", connections)
    report.claim("playlists and manifests open nothing", heard == connections == 0)
    report.claim("they are refused", all(400 <= answer.status < 500 for answer in answers))


def bombs(report: Report, service: Service) -> None:
    made = {name: make() for name, make in BOMBS.items()}
    idle_bytes = service.memory_bytes
    most_bytes, slowest_s, statuses = 0, 0.0, Counter[int]()
    with ThreadPoolExecutor(3) as pool:
        for name, bomb in made.items():
            with peak_memory(service) as peak:
                answers = list(pool.map(lambda bomb: service.ask(bomb, job="false"), [bomb] * 3))
            added_bytes, took_s = peak[0] - idle_bytes, max(answer.took_s for answer in answers)
            most_bytes, slowest_s = max(most_bytes, added_bytes), max(slowest_s, took_s)
            statuses.update(answer.status for answer in answers)
            report.figure(
                f"3 times {name}",
                {
                    "upload_bytes": len(bomb),
                    "added_mb": round(added_bytes / 1e6),
                    "slowest_s": round(took_s, 2),
                    "codes": sorted({answer.code for answer in answers}),
                },
            )
    report.figure("bombs_statuses", dict(statuses))
    report.figure("bombs_idle_mb", round(idle_bytes / 1e6))
    report.figure("bombs_added_mb", round(most_bytes / 1e6))
    report.figure("bombs_slowest_s", round(slowest_s, 2))
    report.claim("3 bombs at once take less than 300 MB", most_bytes < BOMB_BYTES)
    report.claim("they are refused within 2 s", slowest_s < BOMB_S)
    report.claim("they are refused", all(400 <= status < 500 for status in statuses))


def mutations(report: Report, service: Service, seed: int) -> None:
    pid = service.process.pid

    def ask(number: int) -> tuple[str, Answer]:
        name, data = mutation(seed, number)
        return name, service.ask(data)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        answers = list(pool.map(ask, range(MUTATIONS)))
    statuses = Counter(answer.status for _name, answer in answers)
    slowest = max(answers, key=lambda named: named[1].took_s)
    report.figure("mutations", MUTATIONS)
    report.figure("mutations_seed", seed)
    report.figure("mutations_statuses", dict(sorted(statuses.items())))
    report.figure("mutations_codes", dict(Counter(a.code for _name, a in answers if a.code)))
    report.figure("mutations_slowest_s", round(slowest[1].took_s, 2))
    report.claim("damaged recordings give no 5xx", not any(s >= 500 for s in statuses))
    report.claim("none takes over 5 s", slowest[1].took_s < MUTATION_S)
    survived = service.alive and service.process.pid == pid
    report.claim("the server lives on", survived and service.ask(UPLOADS["webm"]()).status == 200)
    unlike = set(chain.from_iterable([name] for name, a in answers if a.status == 200))
    report.claim("some damage does not matter, in every container", unlike == set(UPLOADS))
