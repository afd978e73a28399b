"""Engines that fail, hang and return garbage: each turn ends properly, or in a named error."""

from __future__ import annotations

import json
import os
import random
import sqlite3
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from http.client import HTTPException
from pathlib import Path
from typing import Final

from bench.torture.kills import question
from bench.torture.report import Report
from bench.torture.service import Answer, Service, serving
from pipeline.audio import from_wav

TURNS: Final = int(os.environ.get("TURNS", "2000"))
AT_ONCE: Final = 4
RATE: Final = 0.15
ACCEPTED: Final = ("application/json", "audio/wav", "text/event-stream", "audio/L16")
BROKEN_OFF: Final = "broken off"
"""Sound that is sent while it is made cannot tell why it ends."""
NAMED: Final = {"", "no_speech", "engine_failed", "engine_unavailable", "engine_timeout"}


def settings(rate: float, seed: int) -> dict[str, str]:
    """Faulty fakes of all three roles, which wait for each other but not for long."""
    chosen = {"VOICEBOT_MAX_WAIT_S": "60"}
    for role in ("stt", "llm", "tts"):
        fake = {"BACKEND": f"pipeline.{role}.fake.Fake", "OPTIONS": {"timeout_s": 0.2}}
        chosen[f"VOICEBOT_{role.upper()}_BACKEND"] = f"pipeline.{role}.faulty.Faulty"
        options = json.dumps({"engine": fake, "rate": rate, "seed": seed})
        chosen[f"VOICEBOT_{role.upper()}_OPTIONS"] = options
    return chosen


def run(report: Report, folder: Path, seed: int) -> None:
    with serving(folder, **settings(RATE, seed)) as service:
        with ThreadPoolExecutor(AT_ONCE) as pool:
            share = TURNS // AT_ONCE
            seeds = [seed * AT_ONCE + asker for asker in range(AT_ONCE)]
            asked = list(pool.map(lambda own: converse(service, own, share), seeds))
        codes = [code for _conversation, codes in asked for code in codes]
        log = service.log.read_text()
        drawn = Counter(
            line.split(" This call ")[1] for line in log.splitlines() if " This call " in line
        )
        unlike = [
            conversation
            for conversation, codes in asked
            if not alike(kept(service, conversation), codes)
        ]
        report.figure("turns", len(codes))
        report.figure("ended in", dict(Counter(code or "answer" for code in codes)))
        report.figure("faults drawn", drawn.total())
        report.figure("kinds of faults", len(drawn))
        report.figure("histories that are wrong", unlike)
        report.claim(
            "each ends in an answer or in a named error", set(codes) <= {*NAMED, BROKEN_OFF}
        )
        report.claim("nothing is answered that has no name", "internal_error" not in log)
        late = codes[share - share // 10 : share]
        report.claim("turns are answered to the end", late.count("") > len(late) / 3)
        report.claim("histories tell what was answered", not unlike)
        report.claim("the server lives on", service.get("/api/health/ready").status == 200)


def converse(service: Service, seed: int, turns: int) -> tuple[str, list[str]]:
    """A conversation, and how each of its turns ended."""
    lots = random.Random(seed)
    conversation = str(service.post_json("/api/conversations/", {}).json["id"])
    codes = []
    for _turn in range(turns):
        accept = lots.choice(ACCEPTED)
        try:
            answer = service.ask(
                question(lots, 0.3),
                accept=accept,
                speed=f"{lots.uniform(0.5, 2):.4f}",  # it is said anew
                conversation=conversation,
                cache=lots.choice(["on", "on", "on", "off"]),
            )
            codes.append(ended(answer, accept))
        except (HTTPException, ConnectionError):
            codes.append(BROKEN_OFF if accept == "audio/L16" else f"cut off: {accept}")
    return conversation, codes


def ended(answer: Answer, accept: str) -> str:
    """The code of the error, or what is wrong with the answer; empty: nothing is."""
    if answer.status != 200:
        return answer.code or f"{answer.status} without a name"
    match accept:
        case "application/json":
            return "" if answer.json["reply"] and answer.json["transcript"] else "an empty answer"
        case "audio/wav":
            return "" if from_wav(answer.body).samples.any() else "a silent answer"
        case "audio/L16":
            return "" if answer.body else "a silent answer"
    *_before, last = answer.body.decode().strip().split("\n\n")
    name, data = last.split("\n")
    if name == "event: error":
        return str(json.loads(data.removeprefix("data: "))["code"])
    return "" if name == "event: done" else f"ends with {name}"


def alike(kept: list[str], told: list[str]) -> bool:
    """What is remembered of turns, and was told of them; one that broke off did not tell why."""
    return len(kept) == len(told) and all(
        k == t or (t == BROKEN_OFF and k in NAMED - {""}) for k, t in zip(kept, told, strict=True)
    )


def kept(service: Service, conversation: str) -> list[str]:
    """How the turns of ``conversation`` ended, as it is remembered, in order."""
    with closing(sqlite3.connect(service.data_dir / "db.sqlite3")) as rows:
        found = rows.execute(
            "SELECT number, code, transcript, reply FROM history_turn "
            "WHERE conversation_id = ? ORDER BY number",
            [conversation.replace("-", "")],
        ).fetchall()
    if [number for number, *_rest in found] != list(range(1, len(found) + 1)):
        return ["numbers are missing"]
    return [code if code or (heard and reply) else "empty" for _n, code, heard, reply in found]
