"""Brings weights to this machine and checks them.

::

    VOICEBOT_DATA_DIR/weights/
    ├── whisper-base/            in place: complete and checked
    │   ├── model.bin …
    │   └── weights.json         written last: source, sizes and sha256 of the files beside it
    ├── whisper-base.tmp/        being made; swept by the next fetch if it was interrupted
    ├── .downloads/whisper-base/ archives already here, kept until the weights are in place
    └── .whisper-base.lock       one fetch at a time, across processes

A directory is replaced as a whole: an engine that has the old files open keeps them.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from errno import ENOSPC
from pathlib import Path

from django.utils.translation import gettext as _
from filelock import FileLock, Timeout

from pipeline.weights.manifest import MARKER, Weights, root
from pipeline.weights.sources import (
    Progress,
    Source,
    SourceError,
    WeightsError,
    WrongContentsError,
    check,
    measure,
    sync,
)


def verify(weights: Weights) -> None:
    """Read every file again.

    :raises EngineUnavailable: the weights are not here.
    :raises WeightsError: a file has changed since it was put in place.
    """
    for name, expected in weights.required().items():
        check(name, expected, measure(weights.directory / name))


def fetch(weights: Weights, progress: Progress, *, force: bool = False) -> None:
    """Bring weights that are not here, from the first source that can; ``force``: even if here.

    :raises WeightsError: no source can, or the disk will not take them. What was in place
        before still is; complete downloads are kept for the next try.
    """
    try:
        root().mkdir(parents=True, exist_ok=True)
        with _alone(weights, progress):
            if weights.present and not force:
                return
            _sweep(weights)
            _fetch_from_any(weights, progress)
    except OSError as exc:
        if exc.errno == ENOSPC:
            text = _("The disk is full: %(id)s needs more room in %(folder)s.")
            raise WeightsError(text % {"id": weights.id, "folder": root()}) from exc
        text = _("%(folder)s cannot be written: %(reason)s.")
        values = {"folder": exc.filename or root(), "reason": exc.strerror or exc}
        raise WeightsError(text % values) from exc


def _fetch_from_any(weights: Weights, progress: Progress) -> None:
    failures: list[str] = []
    for source in weights.sources:
        if failures:
            text = _("%(failure)s\nTrying another source, %(source)s.")
            progress.message(text % {"failure": failures[-1], "source": source.name})
        try:
            _fetch_from(source, weights, progress)
        except SourceError as exc:
            failures.append(str(exc))
        else:
            shutil.rmtree(_downloads(weights))
            return
    text = _("%(id)s could not be fetched. %(failures)s")
    raise WeightsError(text % {"id": weights.id, "failures": "\n".join(failures)})


def _fetch_from(source: Source, weights: Weights, progress: Progress) -> None:
    downloads = _downloads(weights) / source.name
    downloads.mkdir(parents=True, exist_ok=True)
    download_bytes = source.download_bytes(downloads)
    _check_room(weights, download_bytes + source.files_bytes)
    progress.started(weights.id, download_bytes)
    staging = _staging(weights)
    try:
        source.download(downloads, progress)
        staging.mkdir()
        files = source.place(downloads, staging)
        marker = {
            "source": source.name,
            "files": {name: contents._asdict() for name, contents in files.items()},
        }
        with (staging / MARKER).open("w", encoding="utf-8") as file:
            json.dump(marker, file, indent=2)
            sync(file)
        _swap_in(staging, weights)
    except WrongContentsError:
        shutil.rmtree(downloads)
        raise
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _swap_in(staging: Path, weights: Weights) -> None:
    former = _former(weights)
    if weights.directory.exists():
        weights.directory.rename(former)
    staging.rename(weights.directory)
    shutil.rmtree(former, ignore_errors=True)


def _check_room(weights: Weights, needed_bytes: int) -> None:
    free_bytes = shutil.disk_usage(root()).free
    if free_bytes < needed_bytes:
        text = _("%(id)s needs %(needed)d MB in %(folder)s, where %(free)d MB are free.")
        values = {"needed": needed_bytes // 10**6 + 1, "free": free_bytes // 10**6}
        raise WeightsError(text % {"id": weights.id, "folder": root(), **values})


@contextmanager
def _alone(weights: Weights, progress: Progress) -> Iterator[None]:
    lock = FileLock(root() / f".{weights.id}.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        text = _("%(id)s is being fetched by another process; waiting for it.")
        progress.message(text % {"id": weights.id})
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _sweep(weights: Weights) -> None:
    """Remove what an interrupted fetch left half made."""
    leftovers = [_staging(weights), _former(weights), *_downloads(weights).glob("*/*.tmp")]
    for leftover in leftovers:
        shutil.rmtree(leftover, ignore_errors=True)


def _downloads(weights: Weights) -> Path:
    return root() / ".downloads" / weights.id


def _staging(weights: Weights) -> Path:
    return root() / f"{weights.id}.tmp"


def _former(weights: Weights) -> Path:
    return root() / f"{weights.id}.old.tmp"
