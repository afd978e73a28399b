"""What this process has in memory."""

from __future__ import annotations

import os
from pathlib import Path

STATM = Path("/proc/self/statm")
"""https://man7.org/linux/man-pages/man5/proc_pid_statm.5.html"""


def resident_bytes() -> int | None:
    """Now, weights that are mapped from files included; None where the system does not tell."""
    try:
        pages = int(STATM.read_text().split()[1])
    except OSError:
        return None
    return pages * os.sysconf("SC_PAGE_SIZE")
