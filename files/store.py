"""Where sound is kept: in files of the data directory or, where machines share none, in a bucket.

A bucket of an S3-compatible store (``VOICEBOT_SPEECH_STORE``) holds objects of the names that the
files would have below the data directory: ``speech/ab/abcd….wav``. An object is there whole or not
at all, as a file of ``files.atomic`` is, and comes as it was sent: S3 compares checksums.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, NamedTuple, TypeAlias

from django.conf import settings
from django.core.files.base import ContentFile, File
from django.core.files.storage import storages

from files import atomic

ALIAS = "speech"
"""In the ``STORAGES`` setting."""

GONE = {"404", "NoSuchKey", "NotFound"}


class Stat(NamedTuple):
    """What is looked at of an ``os.stat_result``."""

    st_size: int  # bytes
    st_mtime: float


@dataclass(frozen=True)
class Object:
    """Is used as a ``Path`` is; what fails is an ``OSError`` likewise."""

    name: str  # below the folder of the bucket
    _listed: Stat | None = field(default=None, compare=False)

    @property
    def stem(self) -> str:
        return PurePosixPath(self.name).stem

    def exists(self) -> bool:
        try:
            self._asked()
        except FileNotFoundError:
            return False
        return True

    def stat(self) -> Stat:
        return self._listed or self._asked()

    def read_bytes(self) -> bytes:
        with _failures(self.name):
            data: bytes = self._object.get()["Body"].read()
        return data

    def write(self, content: bytes | BinaryIO) -> None:
        file = ContentFile(content) if isinstance(content, bytes) else File(content)
        with _failures(self.name):
            storages[ALIAS].save(self.name, file)

    def read_into(self, file: BinaryIO) -> None:
        with _failures(self.name):
            self._object.download_fileobj(file)

    def unlink(self, missing_ok: bool = True) -> None:
        """One that is missing is no failure: the store does not tell."""
        with _failures(self.name):
            self._object.delete()

    def _asked(self) -> Stat:
        with _failures(self.name):
            return _stat(self._object)

    @property
    def _object(self) -> Any:
        bucket: Any = storages[ALIAS]
        # Of the one connection that all threads share; their own would take 50 ms each to make.
        return bucket.bucket.Object(bucket._normalize_name(self.name))


Place: TypeAlias = Path | Object


def is_bucket() -> bool:
    return ALIAS in settings.STORAGES


def place(path: Path) -> Place:
    """Where what would be at ``path``, within the data directory, is."""
    return Object(_name(path)) if is_bucket() else path


def write(path: Path, data: bytes, *, aside: Path) -> None:
    """Put ``data`` in the place of ``path``, whole or not at all.

    :raises OSError: it could not be written; nothing is left behind.
    """
    if is_bucket():
        Object(_name(path)).write(data)
    else:
        atomic.write(path, data, aside=aside)


def stored(root: Path, pattern: str) -> Iterator[Place]:
    """All that is below ``root``, with a path there as ``pattern`` has it.

    :raises OSError: it cannot be listed.
    """
    if not is_bucket():
        yield from root.glob(pattern)
        return
    bucket: Any = storages[ALIAS]
    folder = bucket._normalize_name(_name(root)).rstrip("/") + "/"
    above = len(folder) - len(_name(root)) - 1
    with _failures(folder):
        for found in bucket.bucket.objects.filter(Prefix=folder):
            path = PurePosixPath(found.key[len(folder) :])
            if path.match(pattern) and len(path.parts) == len(PurePosixPath(pattern).parts):
                yield Object(found.key[above:], _stat(found))


def try_out() -> None:
    """Write, read and delete an object.

    :raises OSError: that does not work.
    """
    probe = Object("probe")
    probe.write(b"probe")
    if probe.read_bytes() != b"probe":
        raise OSError("it gives back something else than it was given")
    probe.unlink()


def _name(path: Path) -> str:
    return path.relative_to(settings.VOICEBOT_DATA_DIR).as_posix()


def _stat(known: Any) -> Stat:
    """Of an object, which is asked, or of what a listing tells."""
    size = getattr(known, "size", None)
    return Stat(known.content_length if size is None else size, known.last_modified.timestamp())


@contextmanager
def _failures(name: str) -> Iterator[None]:
    """What goes wrong between here and the store, as it would with files."""
    from boto3.exceptions import Boto3Error
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except ClientError as exc:
        if exc.response.get("Error", {}).get("Code") in GONE:
            raise FileNotFoundError(f"{name} is not in the store") from exc
        raise OSError(f"the store refuses {name}: {exc}") from exc
    except (BotoCoreError, Boto3Error) as exc:
        raise OSError(f"the store fails at {name}: {exc}") from exc
