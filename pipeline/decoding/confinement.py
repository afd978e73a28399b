"""What the nursery and its children may not do, even when an upload has taken them over.

Two layers. ``confine`` is for good and for the nursery, whose children inherit it; how much of it
there is depends on the system, which is asked. ``limit`` is for each child, and all systems have
it: no file can be opened, since there is no number left for one; memory and processor time end.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys
import tempfile
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

__all__ = ["address_space_bytes", "confine", "limit"]

# Of <sys/prctl.h>, <sched.h> and <linux/landlock.h>.
_PR_SET_PDEATHSIG, _PR_SET_NO_NEW_PRIVS = 1, 38
_CLONE_NEWUSER, _CLONE_NEWNET = 0x10000000, 0x40000000
_CREATE_RULESET, _RESTRICT_SELF = 444, 446  # numbers of system calls, the same on every processor
_CAPABILITIES_V3 = 0x20080522
# What Landlock's first version can refuse, then what each later version added.
_FILES = {1: (1 << 13) - 1, 2: 1 << 13, 3: 1 << 14, 5: 1 << 15}
_TCP = {4: 0b11}  # bind, connect
_SCOPES = {6: 0b11}  # abstract sockets and signals of whoever is outside


def confine() -> Collection[str]:
    """For good: an empty folder, and no network, files or privileges where the system can.

    All that will ever be imported must have been. Returns what could be had: "network" (a namespace
    that has none), "files" (Landlock: none is opened, none executed), "tcp" and "signals" (Landlock
    of newer kernels: no connection, no signal to whoever is outside).
    """
    folder = tempfile.mkdtemp(prefix="voicebot-decoding-")
    os.chdir(folder)
    Path(folder).rmdir()  # we stay in it: nothing can be made there, and nobody has to clean up
    if sys.platform != "linux":
        return ()
    # When memory runs out, the kernel takes a child and not the server.
    Path("/proc/self/oom_score_adj").write_text("1000")
    libc = ctypes.CDLL(None, use_errno=True)
    got = []
    if libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNET) == 0:
        got.append("network")
    libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    got += _landlock(libc)
    # The namespace made us its root, which we need not be.
    header = (ctypes.c_uint32 * 2)(_CAPABILITIES_V3, 0)
    libc.capset(header, (ctypes.c_uint32 * 6)())
    return got


def _landlock(libc: ctypes.CDLL) -> Collection[str]:
    """https://docs.kernel.org/userspace-api/landlock.html: with no rule added, all is refused."""
    version = libc.syscall(_CREATE_RULESET, None, 0, 1)
    if version < 1:
        return ()
    handled = [
        sum(bits for since, bits in table.items() if since <= version)
        for table in (_FILES, _TCP, _SCOPES)
    ]
    attributes = (ctypes.c_uint64 * 3)(*handled)
    size_bytes = 8 * (3 - handled.count(0))  # older kernels know fewer fields
    ruleset = libc.syscall(_CREATE_RULESET, attributes, size_bytes, 0)
    if ruleset < 0:
        return ()
    done = libc.syscall(_RESTRICT_SELF, ruleset, 0) == 0
    os.close(ruleset)
    names = ("files", "tcp", "signals")
    return [name for name, bits in zip(names, handled, strict=True) if bits and done]


def address_space_bytes() -> int:
    """Of this process, libraries included; to be asked before ``confine`` takes files away."""
    with suppress(OSError):
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        return pages * resource.getpagesize()
    return 1 << 40  # where it cannot be told, memory is not limited


def limit(time_s: float, memory_bytes: int, descriptors: int) -> None:
    """For a child: what it takes to read one upload, and not a descriptor more than are open.

    ``memory_bytes``: of address space, in all. ``descriptors``: their number, which must be the
    highest one plus 1.
    """
    if sys.platform == "linux":
        # The nursery has one thread, hence it is the parent that is meant.
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    signal.setitimer(signal.ITIMER_REAL, time_s)  # should the nursery be unable to
    for name, most in (
        ("RLIMIT_AS", memory_bytes),
        ("RLIMIT_CPU", int(time_s) + 1),
        ("RLIMIT_FSIZE", 0),
        ("RLIMIT_CORE", 0),
        ("RLIMIT_NPROC", 0),
        ("RLIMIT_NOFILE", descriptors),
    ):
        try:
            resource.setrlimit(getattr(resource, name), (most, most))
        except (ValueError, OSError):  # macOS does not take all of them
            if sys.platform == "linux":
                raise
