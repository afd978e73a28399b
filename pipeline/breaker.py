"""A circuit breaker: what fails again and again is left alone for a while."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from django.utils.translation import gettext as _

from pipeline.errors import EngineUnavailable

__all__ = ["Breaker", "Resting"]

logger = logging.getLogger(__name__)


class Resting(EngineUnavailable):
    """It was not even asked, as it has failed too often of late."""


class Breaker:
    """Counts the failures of something far away, for all threads.

    After ``failures`` in a row calls are refused for ``rest_s``. Then a single one is let through:
    when it succeeds so are all others, when it fails the rest begins anew.
    """

    def __init__(self, name: str, *, failures: int, rest_s: float) -> None:
        """``name``: of what is called, for people."""
        self._name = name
        self._failures = failures
        self._rest_s = rest_s
        self._failed = 0  # in a row
        self._rests_until = 0.0  # on the monotonic clock
        self._lock = threading.Lock()

    @property
    def open(self) -> bool:
        """A call would be refused."""
        return time.monotonic() < self._rests_until

    @contextmanager
    def guard(self) -> Iterator[None]:
        """Around one call; whatever it raises is a failure.

        :raises Resting: it is refused.
        """
        with self._lock:
            if self.open:
                text = _("%(name)s has failed too often and is left alone for a while.")
                raise Resting(text % {"name": self._name})
            if self._failed >= self._failures:
                self._rest()  # the others, until this one is known to succeed
        try:
            yield
        except Exception:
            with self._lock:
                self._failed += 1
                if self._failed >= self._failures:
                    self._rest()
                    logger.warning("%s is left alone for %.0f s.", self._name, self._rest_s)
            raise
        with self._lock:
            self._failed = 0
            self._rests_until = 0.0

    def _rest(self) -> None:
        self._rests_until = time.monotonic() + self._rest_s
