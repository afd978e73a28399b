"""What the API says in HTTP headers."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from urllib.parse import quote

MAX_TEXT_BYTES = 2_000
"""Of one encoded text; servers and proxies refuse some 8 KB of headers in all."""

ELLIPSIS = quote("…")

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


def request_id(given: str | None) -> str:
    """The client's own id when it is a fit one, else a new one."""
    if given is not None and _REQUEST_ID.fullmatch(given):
        return given
    return uuid.uuid4().hex


def encoded(text: str) -> str:
    """``text`` as percent-encoded UTF-8, which a header can hold whatever the text holds.

    Of a text too long for ``MAX_TEXT_BYTES``, the whole characters that fit and an ellipsis.
    """
    whole = quote(text, safe="", errors="replace")
    if len(whole) <= MAX_TEXT_BYTES:
        return whole
    room = MAX_TEXT_BYTES - len(ELLIPSIS)
    kept = ""
    for char in text:
        piece = quote(char, safe="", errors="replace")
        if len(kept) + len(piece) > room:
            break
        kept += piece
    return kept + ELLIPSIS


def server_timing(times: Mapping[str, float]) -> str:
    """``Server-Timing`` of ``times`` in seconds, which it gives in milliseconds.

    https://www.w3.org/TR/server-timing/
    """
    return ", ".join(
        f"{name.replace('_', '-')};dur={seconds * 1000:.1f}" for name, seconds in times.items()
    )


def per_stage(values: Mapping[str, str | bool]) -> str:
    """``stt=off, llm=off, tts=hit``; truth is yes or no."""
    words = {True: "yes", False: "no"}
    return ", ".join(
        f"{stage}={words[value] if isinstance(value, bool) else value}"
        for stage, value in values.items()
    )
