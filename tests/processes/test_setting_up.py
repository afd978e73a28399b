"""What ``make`` does before anything is installed."""

from __future__ import annotations

import os
import pty
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT
from voicebot.packages import progress

PIP = """\
Collecting numpy==2.4.6 (from -r requirements.txt (line 30))
  Downloading https://files.example/numpy-2.4.6-cp311-cp311-manylinux_2_27_x86_64.whl (16.9 MB)
Collecting av==18.1.0
  Using cached av-18.1.0-cp311-abi3-manylinux_2_28_x86_64.whl (40.1 MB)
Installing collected packages: numpy, av, click
Successfully installed av-18.1.0
"""


def test_what_pip_says_becomes_a_line_that_moves() -> None:
    assert list(progress(PIP.splitlines(keepends=True))) == [
        "  1: numpy (16.9 MB)",
        "  2: av (40.1 MB)",
        "  unpacking 3 packages",
    ]


def packages(*arguments: str, **options: object) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "voicebot.packages", "--no-index", *arguments]
    return subprocess.run(command, cwd=ROOT, check=False, **options)  # type: ignore[call-overload, no-any-return]


@pytest.mark.parametrize("at_terminal", [True, False])
def test_pips_errors_go_through(at_terminal: bool) -> None:
    ours, theirs = pty.openpty()
    output = theirs if at_terminal else subprocess.PIPE
    done = packages("no-such-package==0", stdout=output, stderr=subprocess.PIPE)
    os.close(theirs)
    os.close(ours)
    assert done.returncode == 1
    assert b"no-such-package==0" in done.stderr


def test_a_virtual_environment_is_whole_or_not_there(tmp_path: Path) -> None:
    """Debian's Python leaves half of one where its package for them is missing."""
    shutil.copy(ROOT / "Makefile", tmp_path)
    python = tmp_path / "python"
    python.write_text(
        '#!/bin/sh\n[ "$2" = venv ] || exit 0\n'
        "mkdir -p .venv/bin && touch .venv/bin/python; echo ensurepip is not available; exit 1\n"
    )
    python.chmod(0o755)
    done = subprocess.run(
        ["make", ".venv/bin/python", f"PYTHON={python}"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode != 0
    assert "ensurepip is not available" in done.stdout
    assert not (tmp_path / ".venv").exists()


def test_nothing_is_done_for_a_server_that_will_not_have_its_port(tmp_path: Path) -> None:
    shutil.copy(ROOT / "Makefile", tmp_path)
    python = tmp_path / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text('#!/bin/sh\necho "$@"; [ "$2" != check_port ]\n')
    python.chmod(0o755)
    for path in ("requirements.txt", "requirements-embedded.txt", ".venv/embedded"):
        (tmp_path / path).touch()
    # Within `make test` it would take itself for a part of that.
    alone = {name: text for name, text in os.environ.items() if "MAKE" not in name}
    done = subprocess.run(
        ["make", "run", "PORT=8001", "VOICEBOT_PROFILE=embedded"],
        cwd=tmp_path, env=alone, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode != 0
    assert done.stdout.splitlines() == ["manage.py check_port 8001"]
