"""How a server leaves when it is told to, by SIGTERM.

It says at once that it is not ready. Whoever sends it requests learns that a moment later, so for
``NOTICE_S`` it goes on as before. Then it is for the server that runs us: it closes its port,
finishes what it was asked and ends. Who is in a hurry says it twice.
"""

from __future__ import annotations

import signal
import threading
from types import FrameType
from typing import Final

from api import health
from api.limits import Application, Receive, Scope, Send

NOTICE_S: Final = 2.0


class GivesNotice:
    """ASGI middleware. Servers listen to signals once they have imported the application, hence
    this does with the first request."""

    def __init__(self, application: Application) -> None:
        self._application = application
        self._listens = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not self._listens:
            self._listens = True
            _listen()
        await self._application(scope, receive, send)


def _listen() -> None:
    if threading.current_thread() is not threading.main_thread():
        return
    end = signal.getsignal(signal.SIGTERM)
    if not callable(end):
        return

    def leave(number: int, frame: FrameType | None) -> None:
        if health.leaving.is_set():
            signal.setitimer(signal.ITIMER_REAL, 0)
            end(number, frame)
        else:
            health.leaving.set()
            # No thread: one cannot be started safely in the midst of whatever was interrupted.
            signal.setitimer(signal.ITIMER_REAL, NOTICE_S)

    signal.signal(signal.SIGALRM, lambda _number, frame: end(signal.SIGTERM, frame))
    signal.signal(signal.SIGTERM, leave)
