"""Long recordings, heard by real weights in a server that is killed meanwhile."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jiwer
import numpy as np
import pytest
import srt
import webvtt

from bench.recordings import recordings, words
from pipeline.audio import Audio, from_wav, to_wav
from tests.e2e.conftest import Server, serving

pytestmark = pytest.mark.weights

PATIENCE_S = 600
FAKES = {
    f"VOICEBOT_{role}_BACKEND": f"pipeline.{role.lower()}.fake.Fake" for role in ("LLM", "TTS")
}
"""Nothing but the engine that listens is wanted here."""

TIMES = 2
"""Each question is asked: several pieces, so that there is something left to do."""


@pytest.fixture(scope="module")
def lesson(speech_dir: Path) -> tuple[bytes, str]:
    """The questions, one after the other with a pause between: a WAV, and what is said."""
    known = recordings("questions") * TIMES
    pause = np.zeros(8_000, np.float32)
    samples = [part for question in known for part in (question.audio.samples, pause)]
    return to_wav([Audio(np.concatenate(samples), 16_000)]), " ".join(q.text for q in known)


@pytest.fixture
def house(environment: dict[str, str], data_dir: Path) -> dict[str, str]:
    """The environment of a server with data of its own, where ten seconds are too long."""
    own = {"VOICEBOT_DATA_DIR": str(data_dir), "VOICEBOT_MAX_UTTERANCE_S": "10"}
    return {**environment, **FAKES, **own}


def until(server: Server, url: str, *statuses: str, past: float = 0.0) -> Any:
    """The job, once it has one of ``statuses`` and more than ``past`` of it was heard."""
    give_up = time.monotonic() + PATIENCE_S
    while time.monotonic() < give_up:
        job = server.get(f"/api/jobs/{url.split('/')[-2]}/").json
        if job["status"] in statuses and job["progress"] > past:
            return job
        time.sleep(0.05)
    pytest.fail(f"the job is still {job}")


def events(body: bytes) -> Iterator[tuple[str, Any]]:
    for event in body.decode().strip().split("\n\n"):
        fields = dict(line.split(": ", 1) for line in event.splitlines())
        yield fields["event"], json.loads(fields["data"])


def children(pid: int) -> set[str]:
    """Of a process, on Linux; elsewhere none is known."""
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    return {child for task in tasks for child in task.read_text().split()}


def alive(pid: str) -> bool:
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and stat.read_text().rpartition(") ")[2][0] != "Z"


def seconds(time: str) -> float:
    """Of ``HH:MM:SS.mmm``."""
    hours, minutes, rest = time.split(":")
    return round(3600 * int(hours) + 60 * int(minutes) + float(rest), 3)


def recordings_in(data_dir: Path) -> list[Path]:
    return list((data_dir / "jobs").glob("[!.]*"))


def test_a_job_outlives_its_server(
    house: dict[str, str], lesson: tuple[bytes, str], data_dir: Path
) -> None:
    sound, said = lesson
    with serving(house, data_dir / "first.log") as server:
        answer = server.ask(sound, language="fr")
        assert answer.status == 202
        job = until(server, answer.headers["location"], "running", past=0.1)
        assert job["progress"] < 0.9
        heard_s = job["heard"]
        family = children(server.process.pid)
        server.process.kill()
        server.process.wait()
    give_up = time.monotonic() + 60
    while left := {child for child in family if alive(child)}:
        assert time.monotonic() < give_up, left
        time.sleep(0.05)

    with serving(house, data_dir / "second.log") as server:
        now = until(server, job["url"], "waiting", "running", "done")
        assert now["heard"] >= heard_s  # what was heard is not heard again
        where = f"/api/jobs/{job['id']}"
        told = list(events(server.get(f"{where}/events").body))  # until it ends
        done = until(server, job["url"], "done")
        assert told[-1] == ("done", done)
        result = server.get(f"{where}/result").json
        subtitles = [
            server.get(f"{where}/result?format={name}").body.decode() for name in ("srt", "vtt")
        ]
        short = to_wav([Audio(from_wav(sound).samples[: 12 * 16_000], 16_000)])
        gone, next_one = (server.ask(part).headers["location"] for part in (sound, short))
        until(server, gone, "running", past=0.05)
        assert server.delete(gone).status == 204
        assert server.get(gone).status == 404
        until(server, next_one, "done")  # it need not wait for the other
    assert [segment for name, segment in told if name == "segment"] == result["segments"]
    rate = jiwer.wer(words(said), words(result["text"]))
    assert rate <= 0.21, f"word error rate {rate:.3f}"
    assert recordings_in(data_dir) == []

    cues = list(srt.parse(subtitles[0], ignore_errors=False))
    captions = webvtt.from_string(subtitles[1]).captions
    assert len(cues) == len(captions) == len(result["segments"])
    for segment, cue, caption in zip(result["segments"], cues, captions, strict=True):
        told_s = cue.start.total_seconds(), cue.end.total_seconds()
        assert told_s == pytest.approx((segment["start"], segment["end"]), abs=0.01)
        assert (seconds(caption.start), seconds(caption.end)) == told_s
        assert 0 <= told_s[0] < told_s[1] <= result["duration"] + 0.01
        assert " ".join(cue.content.split()) == " ".join(caption.text.split()) == segment["text"]
