"""Speech on disk, under the data directory, or in a bucket: see ``files.store``::

    speech/ab/abcd….wav     exactly what ``pipeline.audio.to_wav`` wrote
    speech/.tmp/            files being written
    speech/.locks/ab.lock   held while a key that begins with ab is being made

A file is there whole or not at all. Whether it is the right one is known by
the SHA-256 in its row.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

from django.conf import settings

from cache import keys
from files import atomic, locks, store

logger = logging.getLogger(__name__)


def root() -> Path:
    return Path(settings.VOICEBOT_DATA_DIR) / "speech"


def _aside() -> Path:
    return root() / ".tmp"


def path(key: str) -> Path:
    """Where ``key`` is kept on disk. Raises ``ValueError`` for what is no key."""
    if not keys.is_key(key):
        raise ValueError(f"not a key: {key[:80]!r}")
    return root() / key[:2] / f"{key}.wav"


def read(key: str, sha256: str) -> bytes | None:
    """The content of the file of ``key``; None when it is absent, unreadable or not ``sha256``."""
    try:
        data = store.place(path(key)).read_bytes()
    except FileNotFoundError:
        return None
    except OSError as exc:
        logger.warning("Cached speech cannot be read: %s", exc)
        return None
    if atomic.digest(data) != sha256:
        logger.warning("Cached speech is damaged, and will be made again: %s", path(key))
        return None
    return data


def write(key: str, data: bytes) -> None:
    """Put ``data`` in the place of ``key``, as ``store.write`` does.

    :raises OSError: it could not be written; nothing is left behind.
    """
    store.write(path(key), data, aside=_aside())


def delete(key: str) -> None:
    """Remove the file of ``key``. Failing is harmless: a file without a row is never served."""
    try:
        store.place(path(key)).unlink(missing_ok=True)
    except OSError as exc:
        logger.warning("Cached speech cannot be deleted: %s", exc)


def lock(key: str, timeout_s: float) -> AbstractContextManager[None]:
    """Held by one at a time: see ``files.locks``.

    Keys share 256 locks, so that they need no cleaning up.

    :raises OSError: on entering: they cannot be locked.
    :raises TimeoutError: on entering; it is an ``OSError``, too.
    """
    return locks.held(root() / ".locks" / f"{key[:2]}.lock", timeout_s)


def stored() -> Iterator[store.Place]:
    """Every file that has the place and the name of a key."""
    found = store.stored(root(), "??/*.wav")
    return (file for file in found if keys.is_key(file.stem))


def leftovers() -> Iterator[Path]:
    """Temporary files that a crash left."""
    return atomic.leftovers(_aside())


def sweep() -> None:
    """Remove what crashes left."""
    for file in leftovers():
        file.unlink(missing_ok=True)
