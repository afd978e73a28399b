"""What the service does when more is asked of it than it can do.

``python -m bench.overload [fakes] [embedded]`` writes ``bench/results/overload.json``. ``fakes``
wait as engines elsewhere would be waited for; ``embedded`` are the real ones. Of each:

- *alone*: one turn after the other, nobody else there;
- *peak*: the most turns a second that any number of patient clients get, where as many are let in
  as come (``VOICEBOT_MAX_WAIT_S`` is an hour);
- twice and ten times that offered, as ``make run`` serves, with and without 200 uploads that never
  end. Turns are asked for at random moments, one in each interval, whether or not others are
  answered; whoever is refused does not come again.
- *asking again*: whoever is refused asks once more when it is told to.

Every turn is new to the caches (``Cache-Control: no-store``).
"""

from __future__ import annotations

import bench.setup  # first: it sets Django up

# isort: split
import argparse
import asyncio
import json
import random
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median, quantiles
from typing import Any, Final

import httpx2

from api.limits import GRACE_S
from bench import results
from bench.recordings import recordings
from bench.torture.report import Report
from bench.torture.service import FAKES, Service, form, serving
from bench.torture.slow import uploading
from pipeline.audio import to_wav

Figures = dict[str, Any]

TAKES_S: Final = {"STT": 0.2, "LLM": 0.2, "TTS": 0.3}
ENGINES: Final[Mapping[str, Mapping[str, str]]] = {
    "fakes": {
        **FAKES,
        **{
            f"VOICEBOT_{role}_OPTIONS": json.dumps({"takes_s": seconds})
            for role, seconds in TAKES_S.items()
        },
    },
    "embedded": {"VOICEBOT_PROFILE": "embedded"},
}
PATIENT: Final = {"VOICEBOT_MAX_WAIT_S": "3600", "VOICEBOT_MAX_TURN_S": "7200"}
CLIENTS: Final = (1, 2, 3, 4)
HEALTH_EVERY_S: Final = 0.1
AGAIN: Final = 10
AT_ONCE: Final = 4
TORTURE_S: Final = 15.0


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    took_s: float
    code: str = ""
    retry_after_s: int = 0


class Client:
    """Asks the questions in turn, each as a new one."""

    def __init__(self, service: Service, seed: int) -> None:
        self.random = random.Random(seed)
        self._forms = [form(to_wav([q.audio]), "q.wav", {}) for q in recordings("questions")]
        limits = httpx2.Limits(max_connections=None, max_keepalive_connections=100)
        address = f"http://127.0.0.1:{service.port}"
        self._http = httpx2.AsyncClient(base_url=address, timeout=120, limits=limits)
        self._asked = 0

    async def ask(self) -> Answer:
        content_type, body = self._forms[self._asked % len(self._forms)]
        self._asked += 1
        headers = {"Content-Type": content_type, "Cache-Control": "no-store"}
        started = time.monotonic()
        response = await self._http.post("/api/voice/", content=body, headers=headers)
        took_s = time.monotonic() - started
        if response.status_code == 200:
            return Answer(200, took_s)
        told = response.json()
        return Answer(
            response.status_code, took_s, told["code"], int(response.headers.get("Retry-After", 0))
        )

    @asynccontextmanager
    async def probing(self) -> AsyncIterator[list[float]]:
        """How long each look at the health takes meanwhile, in seconds."""
        took_s: list[float] = []

        async def look() -> None:
            while True:
                for path in ("/api/health/live", "/api/health/ready"):
                    started = time.monotonic()
                    response = await self._http.get(path)
                    assert response.status_code == 200, response.text
                    took_s.append(time.monotonic() - started)
                    await asyncio.sleep(HEALTH_EVERY_S)

        looking = asyncio.create_task(look())
        try:
            yield took_s
        finally:
            looking.cancel()
            await asyncio.wait([looking])

    async def close(self) -> None:
        await self._http.aclose()


async def alone(client: Client, turns: int) -> Figures:
    for _warm_up in range(3):
        await client.ask()
    answers = [await client.ask() for _turn in range(turns)]
    assert {answer.status for answer in answers} == {200}, answers
    return {"turns": turns, **_times(answers)}


async def together(client: Client, clients: int, seconds: float) -> float:
    """Turns a second that so many ``clients`` get, each of which asks again at once."""
    started = time.monotonic()
    done = []

    async def keep_asking() -> None:
        while time.monotonic() < started + seconds:
            assert (await client.ask()).status == 200
            done.append(time.monotonic() - started)

    await asyncio.gather(*(keep_asking() for _client in range(clients)))
    return len(done) / max(done)


async def offered(client: Client, rate: float, seconds: float) -> Figures:
    """``rate`` turns a second are asked for, for so long."""
    async with client.probing() as health_s:
        started = time.monotonic()
        asked = []
        for number in range(round(rate * seconds)):
            at = started + (number + client.random.random()) / rate
            await asyncio.sleep(max(0.0, at - time.monotonic()))
            asked.append(asyncio.create_task(client.ask()))
        answers = await asyncio.gather(*asked)
        took_s = time.monotonic() - started
    accepted = [answer for answer in answers if answer.status == 200]
    refused = [answer for answer in answers if answer.status != 200]
    return {
        "offered_per_s": rate,
        "asked": len(answers),
        "statuses": dict(sorted(Counter(str(answer.status) for answer in answers).items())),
        "answered_per_s": len(accepted) / took_s,
        "accepted": _times(accepted),
        "refused_at_most_s": max((answer.took_s for answer in refused), default=0.0),
        "retry_after_s": sorted({answer.retry_after_s for answer in refused}),
        "health_at_most_s": max(health_s),
    }


async def asking_again(client: Client) -> Figures:
    """Some come at once; the last of them is refused, and comes back when it was told to."""
    let_in = refused = 0
    for _again in range(AGAIN):
        first = [asyncio.create_task(client.ask()) for _other in range(AT_ONCE)]
        await asyncio.sleep(0.1)
        answer = await client.ask()
        if answer.status != 200:
            refused += 1
            await asyncio.sleep(answer.retry_after_s)
            let_in += (await client.ask()).status == 200
        await asyncio.gather(*first)
    return {"refused": refused, "then_let_in": let_in}


def _told(what: str, figures: Any) -> Any:
    print(f"{what}: {figures}", file=sys.stderr, flush=True)
    return figures


def _times(answers: list[Answer]) -> dict[str, float]:
    times_s = [answer.took_s for answer in answers]
    if len(times_s) < 2:
        return {"median_s": median(times_s or [0.0]), "p95_s": max(times_s, default=0.0)}
    return {"median_s": median(times_s), "p95_s": quantiles(times_s, n=20, method="inclusive")[-1]}


@contextmanager
def always_uploading(service: Service) -> Iterator[None]:
    """New ones come before the others are sent away."""
    done = threading.Event()

    def renew() -> None:
        while not done.is_set():
            with uploading(service):
                done.wait(GRACE_S - 2)

    thread = threading.Thread(target=renew)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def measured(name: str, seconds: float, seed: int) -> Figures:
    def using(service: Service, work: Callable[[Client], Awaitable[Any]]) -> Any:
        async def use() -> Any:
            client = Client(service, seed)
            try:
                return await work(client)
            finally:
                await client.close()

        return asyncio.run(use())

    options = {"VOICEBOT_LOG_LEVEL": "WARNING", **ENGINES[name]}
    figures: Figures = {}
    with tempfile.TemporaryDirectory(prefix="voicebot-overload-") as folder:
        data = Path(folder)
        (data / "weights").symlink_to(bench.setup.WEIGHTS)
        with serving(data, **options, **PATIENT) as service:
            figures["alone"] = _told("alone", using(service, partial(alone, turns=20)))
            rates = {
                str(clients): using(service, partial(together, clients=clients, seconds=seconds))
                for clients in CLIENTS
            }
        peak = max(_told("peak", rates).values())
        figures["peak"] = {"per_s": peak, "clients_per_s": rates}
        with serving(data, **options) as service:
            using(service, partial(alone, turns=3))
            for times in (2, 10):
                load = partial(offered, rate=times * peak, seconds=seconds)
                figures[f"{times}x"] = _told(f"{times}x", using(service, load))
                with always_uploading(service):
                    among = f"{times}x_among_uploads"
                    figures[among] = _told(among, using(service, load))
            figures["asking_again"] = using(service, asking_again)
    for load in (figures[key] for key in figures if "x" in key):
        load["p95_over_alone"] = load["accepted"]["p95_s"] / figures["alone"]["p95_s"]
        load["goodput_of_peak"] = load["answered_per_s"] / peak
    return figures


def run(report: Report, folder: Path, seed: int) -> None:
    """As a part of ``bench.torture``: the fakes."""
    figures = measured("fakes", TORTURE_S, seed)
    report.figure("turns a second, at most", round(figures["peak"]["per_s"], 2))
    for name, load in figures.items():
        if "x" not in name:
            continue
        said = name.replace("_", " ")
        report.figure(f"{said}: statuses", load["statuses"])
        report.figure(f"{said}: p95 over that alone", round(load["p95_over_alone"], 2))
        report.figure(f"{said}: answered, of the peak", round(load["goodput_of_peak"], 2))
        report.figure(f"{said}: refused within, ms", round(1000 * load["refused_at_most_s"]))
        report.figure(f"{said}: health within, ms", round(1000 * load["health_at_most_s"]))
        report.claim(f"{said}: nothing but 200 and 503", set(load["statuses"]) <= {"200", "503"})
        report.claim(f"{said}: who is let in is served well", load["p95_over_alone"] <= 1.5)
        report.claim(f"{said}: as many are answered as can be", load["goodput_of_peak"] >= 0.9)
    again = figures["asking_again"]
    report.claim("who asks again when told to is let in", again["then_let_in"] == again["refused"])


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.overload")
    parser.add_argument("engines", nargs="*", metavar="ENGINES", help=f"of {', '.join(ENGINES)}")
    parser.add_argument("--seconds", type=float, default=30.0, help="of each load")
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    if unknown := set(asked.engines) - set(ENGINES):
        parser.error(f"no such engines: {', '.join(sorted(unknown))}")
    figures: Figures = {"processor": results.processor()}
    for name in asked.engines or ENGINES:
        figures[name] = measured(name, asked.seconds, asked.seed)
    results.write("overload", figures)


if __name__ == "__main__":
    main()
