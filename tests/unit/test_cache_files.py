"""Files are there whole or not at all."""

import fcntl
import os
import re
import resource
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cache import files
from files import atomic
from tests.conftest import ROOT
from tests.unit.cached import make_old

KEY = "ab" + "0" * 62


def temporaries() -> list[Path]:
    return list((files.root() / ".tmp").iterdir())


def test_what_is_written_is_read() -> None:
    files.write(KEY, b"speech")
    assert files.path(KEY) == files.root() / "ab" / f"{KEY}.wav"
    assert files.read(KEY, atomic.digest(b"speech")) == b"speech"
    assert temporaries() == []


@pytest.mark.parametrize("content", [b"", b"speec", b"Speech", b"speech "])
def test_what_was_altered_is_not(content: bytes, caplog: pytest.LogCaptureFixture) -> None:
    files.write(KEY, b"speech")
    files.path(KEY).write_bytes(content)
    assert files.read(KEY, atomic.digest(b"speech")) is None
    assert caplog.messages == [
        f"Cached speech is damaged, and will be made again: {files.path(KEY)}"
    ]


def test_what_is_absent_is_not_worth_a_word(caplog: pytest.LogCaptureFixture) -> None:
    assert files.read(KEY, atomic.digest(b"speech")) is None
    assert not caplog.records


def test_what_cannot_be_read_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    files.path(KEY).mkdir(parents=True)
    assert files.read(KEY, atomic.digest(b"speech")) is None
    [said] = caplog.messages
    assert re.fullmatch(r"Cached speech cannot be read: .*Is a directory.*", said)


def test_writing_again_replaces() -> None:
    files.write(KEY, b"one")
    files.write(KEY, b"two")
    assert files.path(KEY).read_bytes() == b"two"


def test_a_write_that_fails_leaves_what_was_there() -> None:
    files.write(KEY, b"one")
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, limit[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            files.write(KEY, b"two" * 200_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert files.path(KEY).read_bytes() == b"one"
    assert temporaries() == []


@pytest.mark.parametrize("key", ["", "../../etc/passwd", "ab", "AB" + "0" * 62])
def test_only_a_key_has_a_path(key: str) -> None:
    with pytest.raises(ValueError, match="not a key"):
        files.path(key)


def test_of_what_is_no_key_not_all_is_told() -> None:
    with pytest.raises(ValueError, match=f"^not a key: '{'x' * 80}'$"):
        files.path("x" * 999)


def test_deleting(caplog: pytest.LogCaptureFixture) -> None:
    files.write(KEY, b"speech")
    files.delete(KEY)
    files.delete(KEY)
    assert list(files.stored()) == []
    assert not caplog.records


def test_deleting_may_fail(caplog: pytest.LogCaptureFixture) -> None:
    (files.path(KEY) / "not empty").mkdir(parents=True)
    files.delete(KEY)
    [said] = caplog.messages
    assert re.fullmatch(r"Cached speech cannot be deleted: .*Is a directory.*", said)


def test_stored_are_those_named_by_a_key() -> None:
    files.write(KEY, b"speech")
    (files.root() / "ab" / "notes.wav").touch()
    (files.root() / "secret.wav").touch()
    assert list(files.stored()) == [files.path(KEY)]


def test_sweeping_removes_what_crashes_left_alone() -> None:
    files.write(KEY, b"speech")
    old, young, held = (files.root() / ".tmp" / name for name in ("old", "young", "held"))
    for file in (old, young, held):
        file.touch()
    make_old(old)
    make_old(files.path(KEY))
    with held.open("rb") as writing:
        fcntl.flock(writing, fcntl.LOCK_EX)
        files.sweep()
    assert temporaries() == [held]
    files.sweep()
    assert temporaries() == []
    assert list(files.stored()) == [files.path(KEY)]


WRITER = """
import os, pathlib, signal, sys
from files import atomic
os.fsync = lambda descriptor: (print("written", flush=True), signal.pause())
folder = pathlib.Path(sys.argv[1])
atomic.write(folder / "ab" / "speech.wav", b"speech", aside=folder / ".tmp")
"""


def test_what_a_killed_writer_leaves_is_swept_at_once() -> None:
    folder = files.root()
    command = [sys.executable, "-c", WRITER, str(folder)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"written\n"
        files.sweep()
        assert len(temporaries()) == 1  # it may still go on
        writer.kill()
    files.sweep()
    assert temporaries() == []
    assert list(files.stored()) == []


def test_two_may_sweep_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    files.write(KEY, b"speech")
    (files.root() / ".tmp" / "left").touch()
    unlink = Path.unlink

    def after_another(file: Path, missing_ok: bool = False) -> None:
        unlink(file)
        unlink(file, missing_ok)

    monkeypatch.setattr(Path, "unlink", after_another)
    files.sweep()
    assert temporaries() == []


@pytest.mark.sqlite  # whose locks are files
def test_keys_that_begin_alike_share_a_lock_beside_them() -> None:
    with files.lock(KEY, timeout_s=1):
        assert [file.name for file in (files.root() / ".locks").iterdir()] == ["ab.lock"]
        with pytest.raises(TimeoutError), files.lock("ab" + "1" * 62, timeout_s=0):
            pass
        with files.lock("ac" + "0" * 62, timeout_s=0):
            pass


def test_sweeping_nothing() -> None:
    files.sweep()
    assert not files.root().exists()


def test_a_file_that_is_gone_is_not_stale() -> None:
    assert not atomic.is_stale(files.root() / ".tmp" / "moved to its place")


def test_how_long_a_write_may_take(monkeypatch: pytest.MonkeyPatch) -> None:
    file = files.root() / "young"
    files.root().mkdir()
    file.touch()
    now = 1_000_000_000.0
    monkeypatch.setattr(time, "time", lambda: now)
    for age_s, stale in ((atomic.STALE_S - 1, False), (atomic.STALE_S, False), (601, True)):
        os.utime(file, (now - age_s, now - age_s))
        assert atomic.is_stale(file) is stale
