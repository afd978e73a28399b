"""What this process has in memory."""

from __future__ import annotations

import ctypes
import gc
import os
from contextlib import suppress
from pathlib import Path
from typing import Final

STATM = Path("/proc/self/statm")
"""https://man7.org/linux/man-pages/man5/proc_pid_statm.5.html"""

M_ARENA_MAX: Final = -8
"""https://man7.org/linux/man-pages/man3/mallopt.3.html"""

ARENAS: Final = 2


def keep_arenas_few() -> None:
    """Let threads share what they have freed, where there is glibc's ``malloc``.

    By itself it has eight arenas for each processor. Every request has threads of its own, and each
    arena keeps for itself the room of the largest recording that ever passed through it: a hundred
    megabytes in all, which take minutes to gather and look like a leak. To be called before there
    are threads.
    """
    with suppress(AttributeError):  # musl, macOS
        ctypes.CDLL(None).mallopt(M_ARENA_MAX, ARENAS)


def settle() -> None:
    """Take what is loaded to stay: the garbage collector does not look at it again.

    Else it does so every few seconds of a busy server, at half a million objects, while everybody
    waits for the better part of 100 ms: https://docs.python.org/3/library/gc.html#gc.freeze
    """
    gc.collect()
    gc.freeze()


def resident_bytes() -> int | None:
    """Now, weights that are mapped from files included; None where the system does not tell."""
    try:
        pages = int(STATM.read_text().split()[1])
    except OSError:
        return None
    return pages * os.sysconf("SC_PAGE_SIZE")
