"""Processes that begin at the same moment."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence


def begin(processes: Sequence[subprocess.Popen[str]]) -> None:
    """Let them go on, each of which says ``ready`` and waits for a line, once all are."""
    for process in processes:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin
        process.stdin.write("\n")
        process.stdin.flush()
