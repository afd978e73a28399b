"""``kill -9`` under load, again and again: nothing damaged is served, nothing is left."""

from __future__ import annotations

import json
import os
import random
import shutil
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from http.client import HTTPException
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import numpy as np

from bench.torture.report import Report
from bench.torture.service import FAKES, Service
from files.atomic import digest
from pipeline.audio import Audio, from_wav, to_wav
from pipeline.tts.fake import CHARS_PER_S, RATE, Fake

KILLS: Final = int(os.environ.get("KILLS", "500"))
ASKERS: Final = 4
MOST_S: Final = 0.4  # from the first question to the end
SWEPT_S: Final = 30.0
SETTINGS: Final = {
    **FAKES,
    "VOICEBOT_KEEP_UTTERANCES_DAYS": "1",
    "VOICEBOT_KEEP_SPEECH_DAYS": "1",
    "VOICEBOT_CACHE_MAX_BYTES": "4000000",  # it is full soon, and what is old goes
    "VOICEBOT_MAX_WAIT_S": "60",  # nobody is refused
    "VOICEBOT_LOG_LEVEL": "WARNING",
}
WORDS: Final = ("un", "deux", "trois", "quatre", "cinq", "six", "sept", "huit", "neuf", "dix")


@dataclass
class Seen:
    """Of the answers to whoever asked, and of the disk in between."""

    kills: int = 0
    answers: Counter[int] = field(default_factory=Counter)
    wavs: int = 0  # served whole
    broken_off: int = 0  # by a kill, as the client can tell
    rows: int = 0  # whose files were compared
    orphans: int = 0  # files whose row was not written any more
    wrong: list[str] = field(default_factory=list)
    start_s: list[float] = field(default_factory=list)


def run(report: Report, folder: Path, seed: int) -> None:
    with TemporaryDirectory() as spool:
        service = Service(folder / "var", TMPDIR=spool, **SETTINGS)
        service.manage("migrate", "--verbosity", "0")
        seen = killed(service, KILLS, seed)
        report.figure("kills", seen.kills)
        report.figure("answers", dict(seen.answers))
        report.figure("broken off", seen.broken_off)
        report.figure("WAVs served whole", seen.wavs)
        report.figure("rows compared with their files", seen.rows)
        report.figure("files without a row", seen.orphans)
        report.figure("start, s", round(float(np.median(seen.start_s)), 2))
        report.figure("wrong", seen.wrong[:10])
        report.claim("nothing damaged is served, nothing is inconsistent", not seen.wrong)
        report.claim("whoever was not cut off was answered", set(seen.answers) == {200})
        report.claim("something was cut off", seen.broken_off > 0)


def killed(service: Service, times: int, seed: int) -> Seen:
    lots, seen = random.Random(seed), Seen()
    for _kill in range(times):
        started = time.monotonic()
        service.start()
        seen.start_s.append(time.monotonic() - started)
        seen.wrong += swept(service)
        seen.wrong += [f"{key} is not served" for key in gone(service, lots)]
        with asking(service, seen, seed=lots.randrange(2**32)):
            time.sleep(lots.uniform(0, MOST_S))
            service.kill()
        seen.kills += 1
        compare(service, seen)
    return seen


# --- whoever asks --------------------------------------------------------------------------


@contextmanager
def asking(service: Service, seen: Seen, seed: int) -> Iterator[None]:
    """Until the server is no more."""
    conversation = json.loads(service.post_json("/api/conversations/", {}).body)["id"]
    threads = [
        threading.Thread(target=_ask_on, args=[service, seen, conversation, f"{seed} {asker}"])
        for asker in range(ASKERS)
    ]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        for thread in threads:
            thread.join()


def _ask_on(service: Service, seen: Seen, conversation: str, seed: str) -> None:
    lots = random.Random(seed)
    said: list[str] = []
    while True:
        try:
            match lots.random():
                case draw if draw < 0.5:
                    again = said and lots.random() < 0.3
                    text = lots.choice(said) if again else sentence(lots)
                    said.append(text)
                    status, wrong = _speech(service, text)
                case draw if draw < 0.9:
                    status, wrong = _turn(service, question(lots, 0.5), conversation)
                case _:  # so large that it passes through the disk
                    status, wrong = _turn(service, question(lots, 10.0), "")
        except (OSError, HTTPException):
            seen.broken_off += 1
            return
        seen.answers[status] += 1
        seen.wavs += status == 200
        if wrong and status == 200:
            seen.wrong.append(wrong)


def sentence(lots: random.Random) -> str:
    return f"{' '.join(lots.choices(WORDS, k=8)).capitalize()}."


def question(lots: random.Random, duration: float) -> bytes:
    samples = np.full(int(16_000 * duration), lots.uniform(0.1, 0.9), np.float32)
    return to_wav([Audio(samples, 16_000)])


def _speech(service: Service, text: str) -> tuple[int, str]:
    body = {"model": "tts-1", "input": text, "response_format": "pcm", "voice": "grave"}
    answer = service.post_json("/v1/audio/speech", body)
    return answer.status, "" if answer.body == tone(text) else f"{text} sounds otherwise"


def tone(text: str) -> bytes:
    """PCM of ``text`` by the fake voice."""
    time_s = np.arange(int(RATE * len(text) / CHARS_PER_S)) / RATE
    samples = 0.3 * np.sin(2 * np.pi * Fake.pitches["grave"] * time_s)
    return Audio(samples.astype(np.float32), RATE).pcm16()


def _turn(service: Service, recording: bytes, conversation: str) -> tuple[int, str]:
    answer = service.ask(recording, accept="audio/wav", conversation=conversation)
    try:
        return answer.status, "" if from_wav(answer.body).samples.any() else "a silent answer"
    except ValueError:
        return answer.status, f"a damaged answer: {answer.status}, {answer.body[:80]!r}"


# --- what is on the disk -------------------------------------------------------------------


def swept(service: Service) -> list[str]:
    """What a start has not removed, soon after it."""
    give_up = time.monotonic() + SWEPT_S
    while (left := leftovers(service)) and time.monotonic() < give_up:
        time.sleep(0.02)
    return left


def leftovers(service: Service) -> list[str]:
    folders = [service.data_dir / name / ".tmp" for name in ("speech", "history", "jobs")]
    folders.append(Path(service.environment["TMPDIR"]))
    return [str(file) for folder in folders if folder.exists() for file in folder.iterdir()]


def compare(service: Service, seen: Seen) -> None:
    """The database that a killed server left, and the files it speaks of."""
    with database(service) as rows:
        [(found,)] = rows.execute("PRAGMA integrity_check").fetchall()
        if found != "ok":
            seen.wrong.append(found)
        keys = {}
        for key, sha256 in rows.execute("SELECT key, sha256 FROM cache_cachedspeech"):
            keys[key] = sha256
            file = speech_file(service, key)
            if not file.exists() or digest(file.read_bytes()) != sha256:
                seen.wrong.append(f"{file} is not what its row says")
        turns: dict[str, int] = {}
        for turn, *sizes in rows.execute(
            "SELECT id, utterance_bytes, speech_bytes FROM history_turn "
            "WHERE utterance_bytes OR speech_bytes"
        ):
            for kind, size_bytes in zip(("utterance", "speech"), sizes, strict=True):
                file = service.data_dir / "history" / turn[:2] / f"{turn}.{kind}.wav"
                turns[file.name] = size_bytes
                if size_bytes and (not file.exists() or file.stat().st_size != size_bytes):
                    seen.wrong.append(f"{file} is not what its row says")
        for number, count in rows.execute(
            "SELECT number, COUNT(*) FROM history_turn WHERE conversation_id IS NOT NULL "
            "GROUP BY conversation_id, number HAVING COUNT(*) > 1"
        ):
            seen.wrong.append(f"{count} turns {number} of a conversation")
    seen.rows += len(keys) + len(turns)
    stored = {file.stem for file in (service.data_dir / "speech").glob("??/*.wav")}
    sounds = {file.name for file in (service.data_dir / "history").glob("??/*.wav")}
    seen.orphans = len(stored - keys.keys()) + len(sounds - turns.keys())


@contextmanager
def database(service: Service) -> Iterator[sqlite3.Connection]:
    """A copy of it: to open it would already mend it."""
    with TemporaryDirectory() as folder:
        for file in service.data_dir.glob("db.sqlite3*"):
            if not file.name.endswith("-shm"):
                shutil.copy(file, folder)
        with closing(sqlite3.connect(Path(folder) / "db.sqlite3")) as rows:
            yield rows


def speech_file(service: Service, key: str) -> Path:
    return service.data_dir / "speech" / key[:2] / f"{key}.wav"


def gone(service: Service, lots: random.Random) -> list[Any]:
    """Of some that are kept, those that are not served."""
    with closing(sqlite3.connect(service.data_dir / "db.sqlite3")) as rows:
        kept = rows.execute("SELECT key, sha256 FROM cache_cachedspeech").fetchall()
    chosen = lots.sample(kept, min(3, len(kept)))
    answers = [(key, sha256, service.get(f"/api/speech/{key}.wav")) for key, sha256 in chosen]
    return [key for key, sha256, a in answers if a.status != 200 or digest(a.body) != sha256]
