"""Which request a line of the log is about, whatever thread writes it."""

from __future__ import annotations

import logging
from contextvars import ContextVar

NONE = "-"

request_id: ContextVar[str] = ContextVar("request_id", default=NONE)
"""Of the work in hand; it follows the work into the threads of ``pipeline.ahead`` and the API."""


class Identified(logging.Filter):
    """Lets every record through, and writes on it the id of the request it was made for."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.request_id = request_id.get()
        return True
