"""What a server does before it serves."""

from __future__ import annotations

import atexit
import logging
import os
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from django.core import checks
from django.core.exceptions import ImproperlyConfigured
from django.db import connections

from pipeline import memory
from pipeline.decoding.client import decoder
from pipeline.engines import engines

logger = logging.getLogger(__name__)

LOADED_S: Final = 10.0
"""Whoever leaves meanwhile waits no longer for an engine."""


def start() -> None:
    """Refuse a configuration that cannot work, then load the engines in the background.

    The port opens meanwhile: ``/api/health/ready`` tells when the engines are there, and a turn
    that arrives earlier waits for them.

    :raises ImproperlyConfigured: with the messages of the system checks.
    """
    # Weights that are not here are a warning to `migrate`, and the end of it for a server.
    # In a thread: the server's own may run an event loop, where the database must not be asked.
    with ThreadPoolExecutor(1) as aside:
        problems = aside.submit(_problems).result()
    if problems:
        raise ImproperlyConfigured("\n".join(str(problem) for problem in problems))
    warm_up = WarmUp()
    warm_up.start()
    atexit.register(warm_up.leave)


def _problems() -> list[checks.CheckMessage]:
    try:
        tags = ["pipeline", "access", "cache"]
        found = checks.run_checks(tags=tags, databases=["default"])
        return [message for message in found if message.level >= checks.WARNING]
    finally:
        connections.close_all()  # this thread's


class WarmUp(threading.Thread):
    """Loads the engines, one after another: they share the cores."""

    def __init__(self) -> None:
        super().__init__(name="warm-up", daemon=True)
        self.leaving = threading.Event()

    def run(self) -> None:
        try:
            decoder.start()
            for _role, engine in engines:
                if self.leaving.is_set():
                    return
                engine.warm_up()
        except Exception:
            # A server that can answer nobody must not look alive.
            logger.critical("The engines cannot be loaded; stopping.", exc_info=True)
            os.kill(os.getpid(), signal.SIGTERM)
        else:
            memory.settle()
            logger.info("Ready.")

    def leave(self) -> None:
        """Wait for the engine that is being loaded, and begin no other: a process that takes the
        interpreter away from under one ends in a crash."""
        self.leaving.set()
        self.join(LOADED_S)
