"""Uploads are read in a process of their own: what it answers, how it dies, what it may not do."""

from __future__ import annotations

import io
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.audio import Audio, decode, to_wav
from pipeline.decoding import client, nursery
from pipeline.decoding.client import Decoder
from pipeline.decoding.nursery import FRAME
from pipeline.decoding.refusals import Reason
from pipeline.decoding.samples import chunks
from pipeline.errors import (
    AudioDecodeError,
    AudioTooLong,
    EngineBusy,
    EngineUnavailable,
    InputError,
)
from tests.conftest import ROOT
from tests.uploads import DURATION, UPLOADS, box, encode, sound_track, tone, wav_of

TOO_MUCH = "too much time or memory"

ORDER = nursery.ORDER.pack(60.0, client.MEMORY_BYTES, 1_000, 60.0)
"""For a child that waits for an upload."""

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")


def recording(duration: float = DURATION) -> bytes:
    return to_wav([Audio(tone(16_000, duration), 16_000)])


@pytest.fixture
def own() -> Iterator[Decoder]:
    """A decoder with a nursery that nobody else uses."""
    own = Decoder()
    yield own
    own.close()


def children(parent: int | None) -> list[int]:
    """Those of ``parent``, the dead that it has not heard of yet included."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent_id = stat.read_text().rpartition(")")[2].split()[1]
        except OSError:  # it has just ended
            continue
        if int(parent_id) == parent:
            found.append(int(stat.parent.name))
    return found


def eventually(condition: Callable[[], bool], within_s: float = 60.0) -> bool:
    give_up = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > give_up:
            return False
        time.sleep(0.01)
    return True


class TestAnswers:
    @pytest.mark.parametrize("name", UPLOADS)
    def test_the_child_hears_what_is_heard_here(self, name: str) -> None:
        upload = UPLOADS[name]()
        here = np.concatenate(list(chunks(upload, 2)))
        assert np.array_equal(decode(upload, max_duration=2).samples, here.clip(-1, 1))

    def test_every_recording(self, speech_dir: Path) -> None:
        suffixes = {".webm", ".ogg", ".m4a", ".mp3", ".flac", ".wav"}
        paths = [path for path in sorted(speech_dir.rglob("*")) if path.suffix in suffixes]
        assert paths
        for path in paths:
            audio = decode(path.read_bytes(), max_duration=60)
            assert 0.3 < audio.duration < 30, path
            assert np.abs(audio.samples).max() > 0.01, path

    def test_floats_beyond_one_are_clipped(self) -> None:
        data = encode("wav", "pcm_f32le", sample_rate=16_000, samples=8 * tone(16_000))
        assert np.abs(decode(data, max_duration=2).samples).max() == 1

    def test_not_a_number(self) -> None:
        samples = tone(16_000)
        samples[100] = np.nan
        with pytest.raises(AudioDecodeError, match="damaged"):
            decode(wav_of(samples.tobytes(), tag=3, bits=32), max_duration=2)

    @pytest.mark.parametrize(
        ("data", "said"),
        [
            (b"", "not a recording we can read"),
            (recording()[:-1], "cut short"),
            (wav_of(bytes(999), tag=0x7777, bits=8), "codec"),
            (wav_of(bytes(999), tag=1, bits=16, sample_rate=4_000), "1 channels at 4000 Hz"),
            (to_wav([]), "no sound"),
        ],
        ids=[Reason.UNKNOWN, Reason.TRUNCATED, Reason.CODEC, Reason.LAYOUT, Reason.NO_SOUND],
    )
    def test_refusals_cross_over(self, data: bytes, said: str) -> None:
        with pytest.raises(AudioDecodeError, match=said):
            decode(data, max_duration=2)

    def test_too_long_by_its_own_word(self) -> None:
        with pytest.raises(AudioTooLong) as caught:
            decode(recording(3), max_duration=1)
        assert (caught.value.duration, caught.value.limit) == (3, 1)

    def test_too_long_without_a_word(self) -> None:
        with pytest.raises(AudioTooLong) as caught:
            decode(UPLOADS["webm live"](), max_duration=0.5)
        assert "more than" in caught.value.message

    def test_a_file_is_read_from_its_beginning(self, tmp_path: Path) -> None:
        path = tmp_path / "recording"
        path.write_bytes(recording())
        with path.open("rb") as file:
            file.seek(10)
            assert decode(file, max_duration=2).duration == DURATION
        assert decode(io.BytesIO(recording()), max_duration=2).duration == DURATION

    def test_the_largest_upload_there_may_be(self) -> None:
        data = encode("wav", "pcm_f64le", sample_rate=48_000, channels=1, samples=tone(48_000, 60))
        assert len(data) > 23_000_000
        assert decode(data, max_duration=60).duration == 60

    def test_many_at_once(self) -> None:
        uploads = [(name, UPLOADS[name]()) for name in UPLOADS]
        alone = {name: decode(data, max_duration=2).samples for name, data in uploads}

        def same(named: tuple[str, bytes]) -> bool:
            name, data = named
            return np.array_equal(decode(data, max_duration=2).samples, alone[name])

        with ThreadPoolExecutor(2 * client.AT_ONCE) as pool:
            assert all(pool.map(same, uploads * 3))

    def test_no_place_is_free(self, monkeypatch: pytest.MonkeyPatch, own: Decoder) -> None:
        monkeypatch.setattr(client, "WAIT_S", 0.01)
        for _place in range(client.AT_ONCE):
            own._places.acquire()
        with pytest.raises(EngineBusy):
            own.decode(recording(), 2)
        own._places.release()
        assert len(own.decode(recording(), 2))


@linux_only
class TestDeaths:
    @pytest.fixture
    def hurried(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(client, "TIME_S", 0.05)
        monkeypatch.setattr(client, "TIME_PER_S", 0.0)

    def test_of_too_much_time(self, hurried: None, monkeypatch: pytest.MonkeyPatch) -> None:
        slow = encode("flac", "flac", sample_rate=96_000, samples=tone(96_000, 50), channels=6)
        with pytest.raises(AudioDecodeError, match=TOO_MUCH):
            decode(slow, max_duration=60)
        monkeypatch.undo()
        assert decode(recording(), max_duration=2).duration == DURATION

    def test_of_too_much_memory(self, monkeypatch: pytest.MonkeyPatch) -> None:
        large = recording(10) + bytes(10_000_000)
        monkeypatch.setattr(client, "MEMORY_BYTES", -len(large))  # nothing, not even for itself
        with pytest.raises(AudioDecodeError, match=TOO_MUCH):
            decode(large, max_duration=60)
        monkeypatch.undo()
        assert decode(large, max_duration=60).duration == 10

    def test_memory_ffmpeg_is_made_to_want(self) -> None:
        """An index of all samples, of 24 bytes each, and samples of a byte: 24 times the upload."""
        size = 20_000_000
        media = box(b"mdat", bytes(size))
        greedy = box(b"ftyp", b"M4A ", bytes(4)) + media + sound_track(size, ticks=2)
        with pytest.raises(AudioDecodeError):  # it reads on, as if there were no samples
            decode(greedy, max_duration=3_000)

    def test_by_somebody_elses_hand(self, own: Decoder) -> None:
        own.start()
        conversation = own._child(ORDER)
        with conversation:
            assert eventually(lambda: len(children(own.pid)) == 1)
            os.kill(children(own.pid)[0], signal.SIGKILL)
            assert conversation.recv(1) == b""
        assert len(own.decode(recording(), 2))

    def test_of_a_nursery(self, own: Decoder) -> None:
        own.start()
        first = own.pid
        assert first is not None
        os.kill(first, signal.SIGKILL)
        assert len(own.decode(recording(), 2))
        assert own.pid != first

    def test_of_a_nursery_takes_the_children(self, own: Decoder) -> None:
        with own._child(ORDER) as conversation:
            assert own.pid is not None
            os.kill(own.pid, signal.SIGKILL)
            assert conversation.recv(1) == b""

    def test_a_nursery_that_is_stopped_is_replaced(self, monkeypatch: pytest.MonkeyPatch) -> None:
        class Brisk(Decoder):
            """Waits a moment for a nursery it has, and for a new one as long as it takes."""

            def _started(self) -> client._Nursery:
                monkeypatch.setattr(client, "BIRTH_S", 0.2 if self._nursery else 60.0)
                return super()._started()

        own = Brisk()
        own.start()
        first = own.pid
        assert first is not None
        os.kill(first, signal.SIGSTOP)
        assert len(own.decode(recording(), 2))
        assert own.pid != first
        own.close()

    @pytest.mark.parametrize("program", ["/bin/false", "/nowhere/python"])
    def test_without_a_nursery_nothing_is_read(
        self, own: Decoder, monkeypatch: pytest.MonkeyPatch, program: str
    ) -> None:
        monkeypatch.setattr(sys, "executable", program)
        with pytest.raises(EngineUnavailable):
            own.decode(recording(), 2)
        monkeypatch.undo()
        assert len(own.decode(recording(), 2))

    @pytest.mark.parametrize("others", [False, True])
    def test_a_nursery_that_talks_nonsense_is_left(self, others: bool) -> None:
        """Unless another thread has left it already, and has a new one."""
        astray = Astray(others)
        with pytest.raises(EngineUnavailable):
            astray.decode(recording(), 2)
        assert [nursery.closed for nursery in astray.asked] == [not others] * 2
        assert (astray.asked[0] is astray.asked[1]) is False
        assert (astray._nursery is None) is not others

    def test_nothing_is_left_behind(self, own: Decoder) -> None:
        own.start()
        descriptors = _descriptors(os.getpid())
        theirs = _descriptors(own.pid)
        for upload in (recording(), recording()[:-1], b"", UPLOADS["webm"]()) * 3:
            with suppress(InputError):
                own.decode(upload, 2)
        assert _descriptors(os.getpid()) == descriptors
        assert _descriptors(own.pid) == theirs
        assert eventually(lambda: not children(own.pid))


def _descriptors(process: int | None) -> int:
    return len(list(Path(f"/proc/{process}/fd").iterdir()))


SERVER = """
import os, sys, time
from django.conf import settings; settings.configure()
from pipeline.decoding.client import decoder
from pipeline.decoding.nursery import ORDER
decoder.start()
conversation = decoder._child(ORDER.pack(60.0, 96_000_000, 1_000, 60.0))
print(decoder.pid, flush=True)
sys.stdin.readline()
{then}
"""


@linux_only
@pytest.mark.parametrize(
    ("then", "kill"),
    [
        ("time.sleep(60)", signal.SIGKILL),
        ("time.sleep(60)", signal.SIGTERM),
        ("sys.exit(0)", None),
        ("os._exit(3)", None),
    ],
)
def test_the_nursery_ends_with_the_server(then: str, kill: signal.Signals | None) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", SERVER.format(then=then)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        nursery_id = int(server.stdout.readline())
        # That of the start is done, but the nursery may not have looked yet.
        assert eventually(lambda: len(children(nursery_id)) == 1)
        [child_id] = children(nursery_id)
        server.stdin.write(b"\n")
        server.stdin.flush()
        if kill is not None:
            server.send_signal(kill)
        server.wait(timeout=60)
    assert eventually(lambda: _has_ended(nursery_id))
    assert eventually(lambda: _has_ended(child_id))


def _has_ended(process: int) -> bool:
    """It may wait for somebody to be told so, where process 1 does not care."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


FORKED = """
import os
from django.conf import settings; settings.configure()
from pathlib import Path
from pipeline.audio import decode
from pipeline.decoding.client import decoder
upload = Path({path!r}).read_bytes()
decode(upload, max_duration=2)
first = decoder.pid
if os.fork() == 0:
    decode(upload, max_duration=2)
    os._exit(0 if decoder.pid != first else 1)
assert os.waitstatus_to_exitcode(os.wait()[1]) == 0
decode(upload, max_duration=2)
assert decoder.pid == first
"""


def test_a_forked_worker_has_a_nursery_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "recording.wav"
    path.write_bytes(recording())
    subprocess.run([sys.executable, "-c", FORKED.format(path=str(path))], cwd=ROOT, check=True)


class Overtaken(Decoder):
    """Its child says what it is made to say."""

    def __init__(self, words: bytes) -> None:
        super().__init__()
        self._words = words

    def _child(self, order: bytes) -> socket.socket:
        ours, theirs = socket.socketpair()

        def speak() -> None:
            with theirs, suppress(OSError):
                theirs.sendall(self._words)
                theirs.shutdown(socket.SHUT_WR)
                while theirs.recv(1 << 16):
                    pass

        threading.Thread(target=speak).start()
        return ours


class Babbling(client._Nursery):
    """No process: it answers by itself, and not as it should."""

    def __init__(self) -> None:
        self.closed = False

    def hand(self, conversation: socket.socket, order: bytes) -> None:
        conversation.sendall(FRAME.pack(b"?", 0))

    def close(self) -> None:
        self.closed = True


class Astray(Decoder):
    """Its nurseries talk nonsense."""

    def __init__(self, others: bool) -> None:
        super().__init__()
        self.asked: list[Babbling] = []
        self._others = others

    def _started(self) -> Babbling:
        self.asked.append(Babbling())
        self._nursery = Babbling() if self._others else self.asked[-1]
        return self.asked[-1]


def framed(kind: bytes, content: bytes = b"") -> bytes:
    return FRAME.pack(kind, len(content)) + content


def told(reason: object, values: object) -> bytes:
    return framed(nursery.REFUSED, json.dumps({"reason": reason, "values": values}).encode())


END = framed(nursery.END)
SECOND = framed(nursery.SAMPLES, bytes(4 * 16_000))


@pytest.mark.parametrize(
    "words",
    [
        b"",
        b"s",
        END,
        SECOND,
        SECOND * 3 + END,
        SECOND + framed(nursery.SAMPLES) + END,
        FRAME.pack(nursery.SAMPLES, 0xFFFFFFFF),
        FRAME.pack(nursery.REFUSED, 0xFFFFFFFF),
        framed(nursery.SAMPLES, bytes(3)) + END,
        framed(nursery.SAMPLES, bytes(8))[:-1],
        framed(b"?"),
        framed(nursery.READY),
        framed(nursery.REFUSED, b"\xff"),
        framed(nursery.REFUSED, b"[]"),
        framed(nursery.REFUSED, b"{}"),
        framed(nursery.REFUSED, b"[" * 999),
        told("hello", {}),
        told(Reason.LAYOUT, {}),
        told(Reason.LAYOUT, {"channels": float("inf"), "sample_rate": 1}),
        told(Reason.LAYOUT, {"channels": "%s", "sample_rate": None}),
        told(Reason.TOO_LONG, {"duration": "long"}),
        told(Reason.TOO_LONG, ["duration"]),
        told(Reason.DAMAGED, {"reason": 1}),
    ],
)
def test_a_child_that_talks_nonsense(words: bytes) -> None:
    with pytest.raises(AudioDecodeError, match=TOO_MUCH):
        Overtaken(words).decode(b"upload", 2)


def test_what_is_no_number_is_not_believed() -> None:
    samples: NDArray[np.float32] = np.full(16_000, np.inf, np.float32)
    with pytest.raises(AudioDecodeError, match="damaged"):
        Overtaken(framed(nursery.SAMPLES, samples.tobytes()) + END).decode(b"upload", 2)


@linux_only
class TestConfinement:
    def test_no_django_and_no_engine(self) -> None:
        code = (
            "import sys, pipeline.decoding.nursery; "
            "print([m for m in ('django', 'pydub', 'ctranslate2') if m in sys.modules])"
        )
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True
        )
        assert done.stdout == "[]\n"

    def test_what_the_nursery_holds(self, own: Decoder, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("VOICEBOT_SECRET_KEY", "do-not-tell")
        monkeypatch.setenv("LD_LIBRARY_PATH", "/where/libraries/are")
        own.start()
        place = Path(f"/proc/{own.pid}")
        assert sorted((place / "environ").read_bytes().split(b"\0")) == [
            *(b"", b"LD_LIBRARY_PATH=/where/libraries/are", b"OPENBLAS_NUM_THREADS=1")
        ]
        assert str((place / "cwd").readlink()).endswith(" (deleted)")
        assert (place / "oom_score_adj").read_text() == "1000\n"
        assert len(list((place / "task").iterdir())) == 1
        kinds = [str(link.readlink()).partition(":")[0] for link in (place / "fd").iterdir()]
        assert sum(kind == "socket" for kind in kinds) == 1
        assert len(kinds) == 4

    def test_what_a_child_holds(self, own: Decoder) -> None:
        with own._child(ORDER):
            [child] = children(own.pid)
            place = Path(f"/proc/{child}")
            links = {link.name: str(link.readlink()) for link in (place / "fd").iterdir()}
            limits = (place / "limits").read_text()
        assert links.pop("3").startswith("socket:")
        assert links == dict.fromkeys("012", "/dev/null")
        for line in (
            r"Max open files\s+4\s+4\s",
            r"Max file size\s+0\s+0\s",
            r"Max processes\s+0\s+0\s",
            r"Max core file size\s+0\s+0\s",
            r"Max cpu time\s+61\s+61\s",
        ):
            assert re.search(line, limits), line

    def test_limits(self) -> None:
        assert _confined("limit") == {
            "file": "EMFILE",
            "socket": "EMFILE",
            "write": "EFBIG",
            "little memory": "done",
            "much memory": "MemoryError",
        }

    def test_processor_time(self) -> None:
        burnt = subprocess.run([*CONFINED, "burn"], cwd=ROOT, check=False, timeout=120)
        assert burnt.returncode in (-signal.SIGXCPU, -signal.SIGKILL)

    def test_confinement(self) -> None:
        """Of what the system has: on Linux since 6.12 all of it, unless it forbids namespaces."""
        with socket.create_server(("127.0.0.1", 0)) as server:
            outcomes = _confined("confine", str(server.getsockname()[1]))
        had = outcomes.pop("had")
        assert set(had) <= {"network", "files", "tcp", "signals"}
        assert outcomes["write"] in ("ENOENT", "EACCES")
        if "files" in had:
            for name in ("read", "list", "write_elsewhere", "execute"):
                assert outcomes[name] == "EACCES", name
        if "tcp" in had or "network" in had:
            assert outcomes["connect"] in ("EACCES", "ENETUNREACH")
        if "network" in had:
            assert outcomes["datagram"] == "ENETUNREACH"
        if "signals" in had:
            assert outcomes["signal"] == "EPERM"

    def test_the_children_are_confined_so(self, own: Decoder) -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            outcomes = _confined("confine", str(server.getsockname()[1]))
        own.start()
        assert list(own.confined) == outcomes["had"]


CONFINED = [sys.executable, "-m", "tests.processes.confined"]


def _confined(*arguments: str) -> dict[str, Any]:
    done = subprocess.run([*CONFINED, *arguments], cwd=ROOT, check=True, stdout=subprocess.PIPE)
    outcomes: dict[str, Any] = json.loads(done.stdout)
    return outcomes
