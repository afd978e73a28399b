"""Recordings of jobs on disk, under the data directory, as long as the jobs are not finished::

    jobs/abcd….upload    as it came
    jobs/abcd….pcm       its sound, in the place of it: PCM at 16 kHz
    jobs/.tmp/           files being written
    jobs/.locks/         held while a job is being done

Named by the job's id; a file whose job is gone or finished is nobody's. Where sound is kept in a
bucket (see ``files.store``) the upload is there, too, for whoever goes on where a machine was lost.
"""

from __future__ import annotations

import logging
import shutil
import uuid
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import BinaryIO, Final, Literal

from django.conf import settings

from files import atomic, locks, store
from jobs.errors import DiskFull

logger = logging.getLogger(__name__)

Kind = Literal["upload", "pcm"]
KINDS: Final[tuple[Kind, ...]] = ("upload", "pcm")

LEFT_BYTES: Final = 200_000_000
"""Of the disk; it is wanted by turns, whose uploads pass through it."""


def root() -> Path:
    return Path(settings.VOICEBOT_DATA_DIR) / "jobs"


def path(job: uuid.UUID, kind: Kind) -> Path:
    return root() / f"{job.hex}.{kind}"


def _aside() -> Path:
    return root() / ".tmp"


@contextmanager
def writing(job: uuid.UUID, kind: Kind, *, size_bytes: int) -> Iterator[BinaryIO]:
    """A file of some ``size_bytes``, which is there when all of it is written.

    :raises DiskFull: nothing is left behind.
    """
    try:
        root().mkdir(parents=True, exist_ok=True)
        if shutil.disk_usage(root()).free < size_bytes + LEFT_BYTES:
            raise DiskFull
        with atomic.writing(path(job, kind), aside=_aside()) as file:
            yield file
    except OSError as exc:
        if exc.errno in atomic.UNWRITABLE:
            raise DiskFull from exc
        raise


def share(job: uuid.UUID) -> None:
    """Let other machines have the upload of ``job``. Where they cannot, this one alone does it."""
    shared = _shared(job)
    if shared is None:
        return
    try:
        with path(job, "upload").open("rb") as file:
            shared.write(file)
    except OSError as exc:
        logger.warning("A job would be lost with this machine: %s", exc)


def fetch(job: uuid.UUID) -> None:
    """Have the upload of ``job`` on this machine.

    :raises DiskFull: nothing is left behind.
    :raises OSError: it cannot be had.
    """
    shared = _shared(job)
    if path(job, "upload").exists() or shared is None:
        return
    with writing(job, "upload", size_bytes=shared.stat().st_size) as file:
        shared.read_into(file)


def _shared(job: uuid.UUID) -> store.Object | None:
    """In the bucket, where there is one."""
    where = store.place(path(job, "upload"))
    return where if isinstance(where, store.Object) else None


def delete(jobs: Iterable[uuid.UUID]) -> None:
    """What cannot be deleted now is nobody's, and goes with the next expiry."""
    for job in jobs:
        for file in [*(path(job, kind) for kind in KINDS), _shared(job)]:
            try:
                if file is not None:
                    file.unlink(missing_ok=True)
            except OSError as exc:
                logger.warning("A recording of a job cannot be deleted: %s", exc)


def stored() -> Iterator[tuple[store.Place, uuid.UUID]]:
    """Every file that has the name of one of a job."""
    for kind in KINDS:
        found: list[store.Place] = [*root().glob(f"*.{kind}")]
        if store.is_bucket() and kind == "upload":
            found += store.stored(root(), f"*.{kind}")
        for file in found:
            try:
                yield file, uuid.UUID(hex=file.stem)
            except ValueError:
                continue


def leftovers() -> Iterator[Path]:
    """Temporary files that a crash left."""
    return atomic.leftovers(_aside())


def here(job: uuid.UUID) -> bool:
    """Whether there is a recording of it on this machine, or in the bucket. Without one machines
    share a folder, or each has recordings of its own."""
    shared = _shared(job)
    return any(path(job, kind).exists() for kind in KINDS) or bool(shared and shared.exists())


def lock(job: uuid.UUID) -> AbstractContextManager[None]:
    """Held by whoever does ``job``: see ``files.locks``.

    :raises TimeoutError: on entering, at once.
    """
    return locks.held(_lock(job), 0)


def forget_lock(job: uuid.UUID) -> None:
    locks.forget(_lock(job))


def _lock(job: uuid.UUID) -> Path:
    return root() / ".locks" / f"{job.hex}.lock"
