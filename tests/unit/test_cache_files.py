"""Files are there whole or not at all."""

import fcntl
import resource
import subprocess
import sys
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
    assert "damaged" in caplog.text


def test_what_is_absent_is_not_worth_a_word(caplog: pytest.LogCaptureFixture) -> None:
    assert files.read(KEY, atomic.digest(b"speech")) is None
    assert not caplog.records


def test_what_cannot_be_read_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    files.path(KEY).mkdir(parents=True)
    assert files.read(KEY, atomic.digest(b"speech")) is None
    assert "cannot be read" in caplog.text


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


def test_deleting() -> None:
    files.write(KEY, b"speech")
    files.delete(KEY)
    files.delete(KEY)
    assert list(files.stored()) == []


def test_deleting_may_fail(caplog: pytest.LogCaptureFixture) -> None:
    (files.path(KEY) / "not empty").mkdir(parents=True)
    files.delete(KEY)
    assert "cannot be deleted" in caplog.text


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


def test_sweeping_nothing() -> None:
    files.sweep()
    assert not files.root().exists()


def test_a_file_that_is_gone_is_not_stale() -> None:
    assert not atomic.is_stale(files.root() / ".tmp" / "moved to its place")
