"""What a server does beside serving: once when it starts, then every hour."""

from __future__ import annotations

import logging
import threading

from django.db import connections

from history import retention

logger = logging.getLogger(__name__)

EVERY_S = 3_600


def start() -> threading.Event:
    """Begin, in a thread of its own, which ends soon after the event that is returned is set."""
    stop = threading.Event()
    thread = threading.Thread(target=_run, args=[stop], name="housekeeping", daemon=True)
    thread.start()
    return stop


def _run(stop: threading.Event) -> None:
    while not stop.is_set():
        tidy()
        stop.wait(EVERY_S)


def tidy() -> None:
    """Whatever fails is in the log, and tried again the next time."""
    try:
        gone = retention.expire()
        for file in retention.orphans():
            file.unlink(missing_ok=True)
    except Exception:
        logger.exception("What is old cannot be removed.")
    else:
        logger.debug("Removed what is old: %s", gone)
    finally:
        connections.close_all()  # this thread's
