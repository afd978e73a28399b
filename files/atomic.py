"""Files that are there whole or not at all, whatever crashes."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from files.store import Place

STALE_S = 600
"""Nobody takes that long to write a file and its row: an older leftover is a crash's."""

UNWRITABLE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS})
"""What is wrong with the disk, and not with whoever writes."""


def write(target: Path, data: bytes, *, aside: Path) -> None:
    """Put ``data`` in the place of ``target``: see ``writing``."""
    with writing(target, aside=aside) as file:
        file.write(data)


@contextmanager
def writing(target: Path, *, aside: Path) -> Iterator[BinaryIO]:
    """A file that takes the place of ``target`` in the end, whole or not at all, even if the power
    fails.

    ``aside``: the folder, in the same file system, where it is written before it has its name.

    :raises OSError: it could not be written; nothing is left behind.
    """
    for directory in (target.parent, aside):
        directory.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=aside)
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            with suppress(OSError):  # not every file system can; then its age must tell
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield file
            file.flush()
            os.fsync(file.fileno())
            temporary.replace(target)  # while it is held: see leftovers
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _sync(target.parent)


def _sync(directory: Path) -> None:
    """Make a renaming in ``directory`` outlive a power failure."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def digest(data: bytes) -> str:
    """SHA-256 in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def leftovers(aside: Path) -> Iterator[Path]:
    """What a crash left in ``aside``: who writes a file holds it, and the dead hold nothing."""
    return (file for file in aside.glob("*") if _is_abandoned(file))


def _is_abandoned(file: Path) -> bool:
    try:
        with file.open("rb") as opened:
            fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:  # it is held, it has its name by now, or there are no locks here
        return is_stale(file)
    return True


def is_stale(file: Place) -> bool:
    try:
        return file.stat().st_mtime < time.time() - STALE_S
    except FileNotFoundError:  # moved to its place meanwhile
        return False
