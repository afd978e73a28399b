"""What this process has in memory, and keeps of it."""

from __future__ import annotations

import gc
import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline import memory
from tests.conftest import ROOT

THREADS = """
import ctypes, threading
from pipeline import memory
{first}
libc = ctypes.CDLL(None)
together = threading.Barrier(8)
def take():
    together.wait()
    libc.malloc(1000)
    together.wait()
threads = [threading.Thread(target=take) for _thread in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
libc.malloc_stats()
"""


def arenas(first: str) -> int:
    """That eight threads share, as glibc tells."""
    environment = {k: v for k, v in os.environ.items() if k != "MALLOC_ARENA_MAX"}
    ran = subprocess.run(
        [sys.executable, "-c", THREADS.format(first=first)],
        cwd=ROOT,
        env=environment,
        check=True,
        capture_output=True,
        text=True,
    )
    return ran.stderr.count("Arena ")


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another malloc")
def test_threads_share_arenas() -> None:
    assert arenas("") > memory.ARENAS  # as glibc would have it
    assert arenas("memory.keep_arenas_few()") == memory.ARENAS


def test_another_malloc_is_left_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ctypes.CDLL", lambda _name: object())
    memory.keep_arenas_few()


def test_what_is_loaded_is_not_looked_at_again() -> None:
    cycle: list[object] = []
    cycle.append(cycle)
    try:
        memory.settle()
        assert gc.get_freeze_count() > 10_000
        assert not any(one is cycle for one in gc.get_objects())
    finally:
        gc.unfreeze()
    assert any(one is cycle for one in gc.get_objects())


def test_a_system_that_does_not_tell(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert (memory.resident_bytes() or 0) > 10_000_000
    monkeypatch.setattr(memory, "STATM", tmp_path / "none")
    assert memory.resident_bytes() is None
