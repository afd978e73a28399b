"""What a server does beside serving: once when it starts, and again and again."""

from __future__ import annotations

import logging
import math
import threading
import time

from django.db import connections

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
    while not stop.is_set():
        resume()
        if time.monotonic() - tidied > TIDY_EVERY_S:
            tidy()
            tidied = time.monotonic()
        stop.wait(RESUME_EVERY_S)


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


def tidy() -> None:
    """Whatever fails is in the log, and tried again the next time."""
    try:
        gone = retention.expire()
        gone_jobs = jobs.expire()
        for file in [*retention.orphans(), *jobs.orphans()]:
            file.unlink(missing_ok=True)
        if gone_jobs:
            retention.scrub()
    except Exception:
        logger.exception("What is old cannot be removed.")
    else:
        logger.debug("Removed what is old: %s, %d jobs", gone, gone_jobs)
    finally:
        connections.close_all()  # this thread's
