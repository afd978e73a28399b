"""A disk that is full, or can only be read: answers as ever, nothing kept, until it recovers."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bench.torture.service import FAKES, Answer, Service, serving
from tests.api.conftest import tone

MOUNTED_BYTES = 130_000_000  # a server wants 100 MB to be free
LARGE = tone(16.0)  # it passes through the disk


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A small one."""
    place = tmp_path_factory.mktemp("disk")
    command = ["mount", "-t", "tmpfs", "-o", f"size={MOUNTED_BYTES}", "none", str(place)]
    try:
        subprocess.run(command, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("no disk of its own may be had: it takes root")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


@pytest.fixture(scope="module")
def service(disk: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    log = tmp_path_factory.mktemp("log") / "server.log"
    (disk / "var").mkdir()
    (disk / "var" / "server.log").symlink_to(log)
    with serving(disk / "var", TMPDIR=str(disk), **FAKES) as service:
        yield service


@contextmanager
def read_only(disk: Path) -> Iterator[None]:
    """For whatever is opened meanwhile."""
    subprocess.run(["mount", "--bind", str(disk), str(disk)], check=True)
    try:
        subprocess.run(["mount", "-o", "remount,bind,ro", str(disk)], check=True)
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)


def fill(disk: Path) -> Path:
    filler = disk / "filler"
    filler.touch()
    with pytest.raises(OSError, match="No space"):
        _write_on(filler)
    return filler


def _write_on(file: Path) -> None:
    with file.open("wb", buffering=0) as opened:
        while opened.write(bytes(4096)):
            pass


def ask(service: Service, speed: float, conversation: str = "") -> Answer:
    return service.ask(
        tone(0.3), accept="application/json", speed=str(speed), conversation=conversation
    )


def states(answer: Answer) -> tuple[int, str]:
    return answer.status, answer.json["cache"]["tts"]


def begin(service: Service) -> Answer:
    return service.post_json("/api/conversations/", {})


def test_full(disk: Path, service: Service) -> None:
    conversation = begin(service).json["id"]
    assert service.ask(LARGE).status == 200
    assert states(ask(service, 0.9, conversation=conversation)) == (200, "miss")
    filler = fill(disk)
    try:
        answer = ask(service, 1.1)
        assert states(answer) == (200, "off")
        assert answer.json["reply"]
        assert ask(service, 1.2, conversation=conversation).status == 200
        large = service.ask(LARGE)
        assert (large.status, large.code) == (507, "disk_full")
    finally:
        filler.unlink()
    assert [states(ask(service, 1.1)) for _turn in range(2)] == [(200, "miss"), (200, "hit")]
    assert ask(service, 1.2, conversation=conversation).status == 200
    assert service.ask(LARGE).status == 200


def test_read_only(disk: Path, service: Service) -> None:
    conversation = begin(service).json["id"]
    assert states(ask(service, 1.3, conversation=conversation)) == (200, "miss")
    with read_only(disk):
        assert states(ask(service, 1.4)) == (200, "off")
        refused = begin(service)
        assert (refused.status, refused.code) == (503, "database_unavailable")
        assert refused.headers["retry-after"]
        assert ask(service, 1.5, conversation=conversation).status in (200, 503)
        large = service.ask(LARGE)
        assert (large.status, large.code) == (507, "disk_full")
    assert [states(ask(service, 1.4)) for _turn in range(2)] == [(200, "miss"), (200, "hit")]
    assert ask(service, 1.5, conversation=conversation).status == 200
    assert begin(service).status == 201
    assert " 500 " not in service.log.read_text()
