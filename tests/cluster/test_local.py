"""``make cluster``, as a user types it, and a command that then asks it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import wave
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.torture.service import FAKES
from tests.conftest import ROOT

ADDRESS = "127.0.0.3:6391"  # none of the cluster that other tests share
READY = f"VOICEBOT_RAY_ADDRESS={ADDRESS} make run"
"""What is told in the end: the next command."""
READY_S = 180.0
PYTHON = f"{sys.executable} manage.py"


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    ours = ("VOICEBOT_", "DJANGO_", "RAY_", "PYTEST_")
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith(ours)},
        **FAKES,
        "DJANGO_SETTINGS_MODULE": "voicebot.settings",
        "VOICEBOT_ENV_FILE": os.devnull,
        "VOICEBOT_DATA_DIR": str(tmp_path),
        "VOICEBOT_RAY_ADDRESS": ADDRESS,
        "PYTHONUNBUFFERED": "1",
    }


@pytest.fixture
def told(environment: dict[str, str]) -> Iterator[str]:
    """By the command, until its cluster is ready or it gives up."""
    # What it installs is here already, elsewhere.
    command = ["make", "--old-file=.venv/ray", "cluster", f"MANAGE={PYTHON}"]
    lines = []
    with subprocess.Popen(
        command,
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as running:
        assert running.stdout is not None
        watch = threading.Timer(READY_S, os.killpg, (running.pid, signal.SIGKILL))
        watch.start()
        for line in running.stdout:
            lines.append(line)
            if READY in line:
                break
        watch.cancel()
        try:
            yield "".join(lines)
        finally:
            if running.poll() is None:
                os.killpg(running.pid, signal.SIGINT)
            running.stdout.read()


def test_a_cluster_of_this_machine(told: str, environment: dict[str, str], tmp_path: Path) -> None:
    """Its engines are to have more processors than there may be."""
    assert READY in told
    speech = tmp_path / "speech.wav"
    for arguments in (["migrate"], ["speak", "Bonjour !", "-o", str(speech)]):
        command = [*PYTHON.split(), *arguments]
        subprocess.run(command, cwd=ROOT, env=environment, check=True)
    with wave.open(str(speech)) as file:
        assert file.getnframes() > 0
