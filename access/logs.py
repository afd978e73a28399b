"""The log never shows a key, whoever writes the line."""

from __future__ import annotations

import logging

from access import tokens


class Discreet(logging.StreamHandler):  # type: ignore[type-arg]  # not generic at run time
    """Writes lines, errors' traces included, in which keys are cut short to what names them."""

    def format(self, record: logging.LogRecord) -> str:
        return tokens.hidden(super().format(record))
