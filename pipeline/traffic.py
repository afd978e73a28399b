"""How busy the engines of this process are: what can wait begins while nobody else wants them."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

QUIET_S: Final = 0.3
"""From one stage of a turn to the next is less: between two of them it is not quiet yet."""


class Traffic:
    """Counts the calls of engines, those that wait for a slot included."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._calls = 0
        self._ended = 0.0  # when the last one did

    @contextmanager
    def one_more(self) -> Iterator[None]:
        with self._changed:
            self._calls += 1
        try:
            yield
        finally:
            with self._changed:
                self._calls -= 1
                self._ended = time.monotonic()
                self._changed.notify_all()

    def wait_until_quiet(self, timeout_s: float) -> bool:
        """Whether there has been no call for ``QUIET_S`` within ``timeout_s``."""
        give_up = time.monotonic() + timeout_s
        with self._changed:
            while True:
                now = time.monotonic()
                quiet_in_s = math.inf if self._calls else self._ended + QUIET_S - now
                if quiet_in_s <= 0:
                    return True
                if now >= give_up:
                    return False
                self._changed.wait(min(quiet_in_s, give_up - now))


traffic = Traffic()
