"""What a server does beside serving: once when it starts, and again and again."""

from __future__ import annotations

import logging
import math
import threading
import time
from contextlib import closing, suppress
from itertools import chain

from django.db import DEFAULT_DB_ALIAS, Error, connections
from django.db.backends.base.base import BaseDatabaseWrapper

from cache import files as speech
from cache import retention as cache
from history import retention
from jobs import retention as jobs
from jobs import tasks

logger = logging.getLogger(__name__)

TIDY_EVERY_S = 3_600
RESUME_EVERY_S = 10
"""As long may a job rest whose process was lost."""


def start() -> threading.Event:
    """Begin, in a thread of its own, which ends soon after the event that is returned is set."""
    stop = threading.Event()
    thread = threading.Thread(target=_run, args=[stop], name="housekeeping", daemon=True)
    thread.start()
    return stop


def _run(stop: threading.Event) -> None:
    tidied = -math.inf
    with closing(connections.create_connection(DEFAULT_DB_ALIAS)) as standing:
        while not stop.is_set():
            stand_by(standing)
            resume()
            if time.monotonic() - tidied > TIDY_EVERY_S:
                tidy()
                tidied = time.monotonic()
            stop.wait(RESUME_EVERY_S)


def stand_by(connection: BaseDatabaseWrapper) -> None:
    """SQLite ends its journal with the last connection and makes it anew with the next one, which
    takes time with each request, and room on a disk that may be full. One stays, therefore."""
    if connection.vendor == "sqlite":
        with suppress(Error), connection.cursor() as cursor:
            cursor.execute("SELECT 1 FROM sqlite_schema")


def resume() -> None:
    """Go on with jobs that were left when a server ended, this one or another."""
    try:
        left = tasks.resume()
    except Exception:
        logger.exception("Jobs cannot be gone on with.")
    else:
        logger.debug("Going on with %d jobs.", left)
    finally:
        connections.close_all()  # this thread's


def count_up() -> None:
    """Let SQLite know what its indices hold, so that it takes the right one: in the admin, a list
    of a hundred thousand turns comes three times as soon. PostgreSQL sees to that by itself.

    https://www.sqlite.org/lang_analyze.html
    """
    connection = connections[DEFAULT_DB_ALIAS]
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA analysis_limit = 1000")  # rows of each index: milliseconds
            cursor.execute("ANALYZE")


def tidy() -> None:
    """Whatever fails is in the log, and tried again the next time."""
    try:
        gone = retention.expire()
        gone_jobs = jobs.expire()
        lost = [retention.orphans(), jobs.orphans(), cache.orphans(), speech.leftovers()]
        for file in chain.from_iterable(lost):
            file.unlink(missing_ok=True)
        if gone_jobs:
            retention.scrub()
        count_up()
    except Exception:
        logger.exception("What is old cannot be removed.")
    else:
        logger.debug("Removed what is old: %s, %d jobs", gone, gone_jobs)
    finally:
        connections.close_all()  # this thread's
