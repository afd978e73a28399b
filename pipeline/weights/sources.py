"""What a source of weights is, and what every kind of source needs."""

from __future__ import annotations

import hashlib
import os
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, NamedTuple, Protocol

from django.utils.translation import gettext as _

CHUNK_BYTES = 1 << 20
POLL_S = 0.2


class WeightsError(Exception):
    """Weights cannot be fetched or are not right. The message is for people, and translated."""


class SourceError(WeightsError):
    """One source cannot bring the weights; another may."""


class WrongContentsError(SourceError):
    """What a source brought is not what it should be: it must not be kept."""


class Progress(Protocol):
    """Who is told how a fetch goes on. ``advanced`` may be called from another thread."""

    def started(self, title: str, total_bytes: int) -> None: ...
    def advanced(self, size_bytes: int) -> None: ...
    def message(self, text: str) -> None: ...


class Contents(NamedTuple):
    """What a file holds."""

    size_bytes: int
    sha256: str


class Source(ABC):
    """One complete way to get a set of weights."""

    name: str

    @property
    @abstractmethod
    def files_bytes(self) -> int:
        """What its files take once in place."""

    @abstractmethod
    def describes(self, files: Mapping[str, Contents]) -> bool:
        """Whether files in place, as they were measured then, are those of this source."""

    @abstractmethod
    def download_bytes(self, downloads: Path) -> int:
        """What is still to download, given what ``downloads`` already holds."""

    @abstractmethod
    def download(self, downloads: Path, progress: Progress) -> None:
        """Bring what is missing into ``downloads``, which exists, and tell of every byte brought.

        :raises SourceError: it cannot be had from here.
        """

    @abstractmethod
    def place(self, downloads: Path, directory: Path) -> dict[str, Contents]:
        """Make the files from what was downloaded, in ``directory``, checked and on disk.

        :raises WrongContentsError: a file is not what it should be.
        """


def measure(path: Path) -> Contents:
    """Read the whole file for its size and sha256."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256")
        return Contents(file.tell(), digest.hexdigest())


def check(name: str, expected: Contents, got: Contents) -> None:
    """:raises WrongContentsError: naming the file, what was expected and what was found."""
    if got != expected:
        text = _(
            "%(file)s is not what it should be: expected sha256 %(expected)s "
            "(%(expected_bytes)d bytes), got %(got)s (%(got_bytes)d bytes)."
        )
        values = {"file": name, "expected": expected.sha256, "got": got.sha256}
        sizes = {"expected_bytes": expected.size_bytes, "got_bytes": got.size_bytes}
        raise WrongContentsError(text % {**values, **sizes})


def sync(file: IO[Any]) -> None:
    """What was written is on the disk when this returns."""
    file.flush()
    os.fsync(file.fileno())


@contextmanager
def growth(folder: Path, expected_bytes: int, progress: Progress) -> Iterator[None]:
    """Tell of a download by how much ``folder`` grows, for programs that tell nothing.

    It never tells of more than ``expected_bytes``, and of exactly that once the body is done.
    """
    start_bytes = _tree_bytes(folder)
    done = threading.Event()
    told_bytes = 0

    def tell(size_bytes: int) -> None:
        nonlocal told_bytes
        if size_bytes > told_bytes:
            progress.advanced(size_bytes - told_bytes)
            told_bytes = size_bytes

    def watch() -> None:
        while not done.wait(POLL_S):
            tell(min(_tree_bytes(folder) - start_bytes, expected_bytes))

    watcher = threading.Thread(target=watch, name="weights-progress", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        done.set()
        watcher.join()
    tell(expected_bytes)


def _tree_bytes(folder: Path) -> int:
    total = 0
    for parent, _folders, names in os.walk(folder):
        for name in names:
            try:
                total += (Path(parent) / name).stat().st_size
            except FileNotFoundError:
                continue  # a temporary file that has just been moved
    return total
