"""Sound of turns on disk, under the data directory, or in a bucket: see ``files.store``::

    history/ab/abcd….utterance.wav    what the user said, as it was heard
    history/ab/abcd….speech.wav       what was answered
    history/.tmp/                     files being written
    history/.locks/                   held while a turn of a conversation is taken

Named by the turn's id. The row says whether they are there; a file whose row is gone is nobody's.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Literal

from django.conf import settings

from files import atomic, locks, store

logger = logging.getLogger(__name__)

Kind = Literal["utterance", "speech"]
KINDS: tuple[Kind, ...] = ("utterance", "speech")


def root() -> Path:
    return Path(settings.VOICEBOT_DATA_DIR) / "history"


def path(turn: uuid.UUID, kind: Kind) -> Path:
    return root() / turn.hex[:2] / f"{turn.hex}.{kind}.wav"


def _aside() -> Path:
    return root() / ".tmp"


def write(turn: uuid.UUID, kind: Kind, wav: bytes) -> None:
    """:raises OSError: it could not be written; nothing is left behind."""
    store.write(path(turn, kind), wav, aside=_aside())


def read(turn: uuid.UUID, kind: Kind) -> bytes | None:
    """None when it is not there, or cannot be read."""
    try:
        return store.place(path(turn, kind)).read_bytes()
    except FileNotFoundError:
        return None
    except OSError as exc:
        logger.warning("A file of the history cannot be read: %s", exc)
        return None


def delete(turns: Iterable[uuid.UUID], *kinds: Kind) -> None:
    """What cannot be deleted now is without a row, and goes with the next expiry."""
    for turn in turns:
        for kind in kinds:
            try:
                store.place(path(turn, kind)).unlink(missing_ok=True)
            except OSError as exc:
                logger.warning("A file of the history cannot be deleted: %s", exc)


def stored() -> Iterator[tuple[store.Place, uuid.UUID, Kind]]:
    """Every file that has the name and the place of one of a turn."""
    for file in store.stored(root(), "??/*.wav"):
        name, _dot, kind = file.stem.partition(".")
        for known in KINDS:
            try:
                turn = uuid.UUID(hex=name)
            except ValueError:
                continue
            if kind == known and file == store.place(path(turn, known)):
                yield file, turn, known


def leftovers() -> Iterator[Path]:
    """Temporary files that a crash left."""
    return atomic.leftovers(_aside())


def lock(name: str, timeout_s: float) -> AbstractContextManager[None]:
    """Held by one at a time: see ``files.locks``.

    :raises TimeoutError: on entering.
    """
    return locks.held(_lock(name), timeout_s)


def forget_lock(name: str) -> None:
    locks.forget(_lock(name))


def _lock(name: str) -> Path:
    return root() / ".locks" / f"{name}.lock"
