"""A clock that tests put forward: what is to be late is late at once, and nothing else ever is,
however slow the machine."""

from __future__ import annotations

import time


class Clock:
    """In the place of the module ``time``."""

    def __init__(self) -> None:
        self._ahead_s = 0.0

    def monotonic(self) -> float:
        return time.monotonic() + self._ahead_s

    def sleep(self, seconds: float) -> None:
        self._ahead_s += seconds
