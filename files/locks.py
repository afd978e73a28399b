"""One at a time: across threads and processes, and across machines that share a PostgreSQL.

Where the rows are in SQLite there is one machine, and files are locked. PostgreSQL has locks of its
own that need no table, advisory ones, which it frees by itself when whoever holds them is gone.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from django.conf import settings
from django.db import connection
from filelock import FileLock

if TYPE_CHECKING:
    from psycopg import Connection

POLL_S: Final = 0.05
ANSWER_S: Final = 5
"""For a database that does not say whether a lock is free."""


@contextmanager
def held(path: Path, timeout_s: float) -> Iterator[None]:
    """Alone under the name of ``path``, a file within the data directory.

    It may be left in another thread than the one that entered.

    :raises TimeoutError: another holds it all the while.
    :raises OSError: the file system, or the database, refuses.
    """
    if connection.vendor == "postgresql":
        with among_machines(str(path.relative_to(settings.VOICEBOT_DATA_DIR)), timeout_s):
            yield
    else:
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(path, timeout=timeout_s, thread_local=False):
            yield


def among_machines(name: str, timeout_s: float) -> AbstractContextManager[None]:
    """As ``held``, where machines share a PostgreSQL; nothing where there is one machine."""
    return _session().held(name, timeout_s) if connection.vendor == "postgresql" else nullcontext()


def forget(path: Path) -> None:
    """What had the name of ``path`` is gone: its lock need not stay on the disk."""
    with suppress(OSError):
        path.unlink(missing_ok=True)


@cache
def _session() -> Session:
    return Session()


class Session:
    """The one connection over which this process holds all of its locks.

    PostgreSQL tells sessions from each other; threads, which share this one, are told apart here.
    When the connection is lost so are the locks: whoever holds one goes on, no longer alone.
    """

    def __init__(self) -> None:
        self._connection: Connection[Any] | None = None
        self._held: set[int] = set()
        self._mutex = threading.Lock()

    @contextmanager
    def held(self, name: str, timeout_s: float) -> Iterator[None]:
        """As ``held``; names are those of all processes at the same database."""
        number = int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), signed=True)
        give_up = time.monotonic() + timeout_s
        while not self._taken(number):
            if time.monotonic() > give_up:
                raise TimeoutError(f"{name} is held by another")
            time.sleep(POLL_S)
        try:
            yield
        finally:
            self._free(number)

    def close(self) -> None:
        """Free all of them."""
        with self._mutex:
            if self._connection is not None:
                self._connection.close()
            self._connection = None

    def _taken(self, number: int) -> bool:
        with self._mutex:
            if number in self._held:
                return False
            if taken := self._ask("SELECT pg_try_advisory_lock(%s)", number):
                self._held.add(number)
            return taken

    def _free(self, number: int) -> None:
        with self._mutex:
            self._held.discard(number)
            if self._connection is not None and not self._connection.closed:
                self._ask("SELECT pg_advisory_unlock(%s)", number)

    def _ask(self, query: str, number: int) -> bool:
        """:raises OSError: the database cannot be asked; the next time it is tried anew."""
        import psycopg

        try:
            if self._connection is None or self._connection.closed:
                self._connection = _connect()
            row = self._connection.execute(query, [number]).fetchone()
        except psycopg.Error as exc:
            if self._connection is not None:
                self._connection.close()
            raise OSError(f"the database does not lock: {exc}") from exc
        assert row is not None  # of a SELECT without a table
        return bool(row[0])


def _connect() -> Connection[Any]:
    import psycopg

    parameters = connection.get_connection_params()
    for of_django in ("cursor_factory", "context"):
        parameters.pop(of_django, None)
    options = f"{parameters.pop('options', '')} -c statement_timeout={ANSWER_S * 1000}"
    return psycopg.connect(**parameters, options=options, autocommit=True, connect_timeout=ANSWER_S)
