"""A spoken question in, a spoken answer out."""

from __future__ import annotations

import io
import re
import subprocess
import sys
from base64 import b64decode
from collections.abc import Callable
from pathlib import Path
from urllib.parse import unquote

import av
import jiwer
import numpy as np
import pytest

from bench.recordings import recordings, words
from pipeline.audio import Audio, from_wav, open_wav, to_wav
from pipeline.engines import Engines
from tests.conftest import ROOT
from tests.e2e.conftest import Server

pytestmark = pytest.mark.weights

RATE = 16_000


def questions(folder: Path) -> list[Path]:
    """Each of the twelve in WAV, and the copies in the other formats."""
    return sorted(path for path in (folder / "questions").iterdir() if path.suffix != ".json")


def test_every_question_in_every_format_is_answered_aloud(server: Server, speech_dir: Path) -> None:
    files = questions(speech_dir)
    assert {path.suffix for path in files} == {".wav", ".webm", ".ogg", ".m4a", ".mp3", ".flac"}
    heard = {}
    for path in files:
        answer = server.ask(path.read_bytes())
        assert answer.status == 200, (path.name, answer.body)
        assert answer.headers["content-type"] == "audio/wav"
        assert int(answer.headers["content-length"]) == len(answer.body)
        speech = from_wav(answer.body)  # which refuses a size that is not exact
        assert 0.4 < speech.duration < 30
        assert 0.05 < float(np.abs(speech.samples).max()) <= 1
        assert unquote(answer.headers["x-reply"])
        assert answer.headers["x-outbound"] == "stt=no, llm=no, tts=no"
        heard[path.name] = unquote(answer.headers["x-transcript"])

    known = recordings("questions")
    rate = jiwer.wer([words(r.text) for r in known], [words(heard[r.name]) for r in known])
    assert rate <= 0.21, f"word error rate {rate:.3f}"


def test_the_reply_is_understood_when_heard_again(
    server: Server, embedded: Engines, speech_dir: Path
) -> None:
    rates = []
    for question in recordings("questions"):
        answer = server.ask(to_wav([question.audio]))
        said = words(unquote(answer.headers["x-reply"]))
        again = embedded.stt.transcribe(from_wav(answer.body), language="fr")
        rates.append(jiwer.wer(said, words(again.text)))
    assert sum(rates) / len(rates) <= 0.25, rates


def test_telephone_recordings_are_transcribed(embedded: Engines, speech_dir: Path) -> None:
    known = recordings("fr")
    heard = [words(embedded.stt.transcribe(r.audio, language="fr").text) for r in known]
    rate = jiwer.wer([words(r.text) for r in known], heard)
    assert rate <= 0.18, f"word error rate {rate:.3f}"


def test_the_same_question_again_is_answered_from_memory(server: Server, speech_dir: Path) -> None:
    question = (speech_dir / "questions" / "q04.wav").read_bytes()
    first, second = server.ask(question), server.ask(question)
    assert second.headers["x-cache"] == "stt=hit, llm=hit, tts=hit"
    assert second.body == first.body


def test_the_same_turn_as_json(server: Server, speech_dir: Path) -> None:
    question = (speech_dir / "questions" / "q02.wav").read_bytes()
    spoken = server.ask(question)
    turn = server.ask(question, accept="application/json").json
    assert turn["transcript"]["text"] == unquote(spoken.headers["x-transcript"])
    assert turn["transcript"]["segments"]
    assert turn["engines"]["tts"]["engine"] == "Kokoro"
    assert server.get(turn["speech"]["url"]).body == spoken.body


def test_the_same_turn_as_it_is_spoken(server: Server, speech_dir: Path) -> None:
    question = (speech_dir / "questions" / "q02.wav").read_bytes()
    events = server.ask(question, accept="text/event-stream").body.decode()
    names = re.findall(r"^event: (\w+)$", events, re.MULTILINE)
    assert (names[0], names[-1]) == ("heard", "done")
    assert set(names[1:-1]) == {"reply", "speech"}
    pieces = [from_wav(b64decode(wav)) for wav in re.findall(r'"audio": "([^"]+)"', events)]
    streamed = server.ask(question, stream="true").body
    assert streamed == open_wav(24_000) + b"".join(piece.pcm16() for piece in pieces)


def test_english_is_answered_in_english(server: Server, embedded: Engines) -> None:
    asked = [
        s.audio for s in embedded.tts.synthesize("What is the capital of Italy?", language="en")
    ]
    turn = server.ask(to_wav(asked), accept="application/json", language="auto").json
    assert turn["language"] == "en"
    assert turn["speech"]["voice"] == "af_heart"
    assert "Rome" in turn["reply"]


def tone(duration: float) -> Audio:
    """A chord that changes twice a second, as music does."""
    time = np.arange(int(RATE * duration)) / RATE
    roots = 220 * 2 ** (np.array([0, 3, 7, 5])[(time * 2).astype(int) % 4] / 12)
    chord = sum(np.sin(2 * np.pi * np.cumsum(roots * step) / RATE) for step in (1, 1.25, 1.5))
    return Audio((0.2 * np.asarray(chord)).astype(np.float32), RATE)


def noise(duration: float) -> Audio:
    samples = np.random.default_rng(1).normal(0, 0.1, int(RATE * duration))
    return Audio(samples.astype(np.float32), RATE)


def silence(duration: float) -> Audio:
    return Audio(np.zeros(int(RATE * duration), np.float32), RATE)


@pytest.mark.parametrize("sound", [silence, noise, tone])
def test_where_nobody_speaks_nothing_is_invented(
    server: Server, sound: Callable[[float], Audio]
) -> None:
    answer = server.ask(to_wav([sound(4)]))
    assert (answer.status, answer.json["code"]) == (422, "no_speech")


def test_what_is_no_recording_is_refused(server: Server, speech_dir: Path) -> None:
    webm = (speech_dir / "questions" / "q01.webm").read_bytes()
    for body, code in (
        (b"Bonjour, je ne suis pas un enregistrement.", "audio_unreadable"),
        (webm[: len(webm) * 2 // 3], "audio_unreadable"),
        (b"", "audio_empty"),
        (to_wav([silence(40 * 60)])[:20_000_000], "audio_unreadable"),
    ):
        answer = server.ask(body, accept="audio/wav")
        assert answer.status in (400, 415)
        assert answer.json["code"] == code
    assert server.ask(webm).status == 200  # and the server goes on


def test_forty_minutes_are_too_long_for_a_turn(server: Server) -> None:
    flac = io.BytesIO()
    with av.open(flac, "w", format="flac") as container:
        stream = container.add_stream("flac", rate=8000, layout="mono")
        frame = av.AudioFrame.from_ndarray(
            np.zeros((1, 8000), np.int16), format="s16", layout="mono"
        )
        frame.sample_rate = 8000
        for _second in range(40 * 60):
            frame.pts = None
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    answer = server.ask(flac.getvalue(), job="false")
    assert (answer.status, answer.json["code"]) == (413, "audio_too_long")


def test_the_server_says_how_it_is(server: Server) -> None:
    assert server.get("/api/health/live").status == 200
    ready = server.get("/api/health/ready").json
    assert all(engine["loaded"] for engine in ready["engines"].values())
    voices = server.get("/api/voices/?language=fr").json
    assert [voice["id"] for voice in voices if voice["default"]] == ["ff_siwis"]
    assert server.get("/admin/login/").status == 200
    assert server.get("/static/admin/css/base.css").status == 200


BLOCKED = """
import sys
def block(event, args):
    if event in ("socket.connect", "socket.getaddrinfo"):
        host = args[1][0] if event == "socket.connect" and isinstance(args[1], tuple) else args[0]
        if host not in ("127.0.0.1", "::1", "localhost"):
            raise SystemExit(f"an outbound connection was tried: {args}")
sys.addaudithook(block)
sys.argv = ["manage.py", "talk", *sys.argv[1:]]
import manage
manage.main()
"""


def test_a_turn_opens_no_connection(
    environment: dict[str, str], server: Server, speech_dir: Path, tmp_path: Path
) -> None:
    """Anything but loopback ends the process; `server` has made the database."""
    written = tmp_path / "answer.wav"
    question = speech_dir / "questions" / "q02.wav"
    done = subprocess.run(
        [sys.executable, "-c", BLOCKED, str(question), "-o", str(written)],
        cwd=ROOT, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "Italie" in done.stdout
    assert from_wav(written.read_bytes()).duration > 0.4
