"""API keys as text: ``vb_``, eight characters that name the key, ``_`` and what is secret in it.

The secret has 256 random bits. What is kept of it is a plain SHA-256: a slow hash is for what
people choose, and would be paid for by every request.
"""

from __future__ import annotations

import re
import secrets
from hashlib import sha256
from typing import Final, NamedTuple

PREFIX_CHARS: Final = 8
SECRET_BYTES: Final = 32

_KEY: Final = re.compile(r"vb_([0-9a-f]{8})_[A-Za-z0-9_-]{43}")


class Token(NamedTuple):
    prefix: str  # names the key, and is no secret
    text: str  # the whole of it, to be told once


def make() -> Token:
    prefix = secrets.token_hex(PREFIX_CHARS // 2)
    return Token(prefix, f"vb_{prefix}_{secrets.token_urlsafe(SECRET_BYTES)}")


def prefix(text: str) -> str | None:
    """The name of the key that ``text`` is; None when it has not the form of one."""
    match = _KEY.fullmatch(text)
    return match[1] if match else None


def digest(text: str) -> str:
    """What is kept of a key, as hexadecimal digits."""
    return sha256(text.encode()).hexdigest()


def same(one: str, other: str) -> bool:
    """Whether two digests are equal, in a time that does not tell how far they are."""
    return secrets.compare_digest(one, other)


def hidden(text: str) -> str:
    """``text``, with every key in it cut short to what names it."""
    return _KEY.sub(r"vb_\1_…", text)
