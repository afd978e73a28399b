"""Whose work is being done.

What comes from what somebody said is kept for its tenant and found by that tenant alone. The name
travels with the context of the work, as the language does: whoever answers a request sets it, and
threads that are begun on the way inherit it. Without one, as on the command line, it is empty.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

MAX_CHARS: Final = 64

_tenant: ContextVar[str] = ContextVar("tenant", default="")


def current() -> str:
    return _tenant.get()


def become(tenant: str) -> None:
    """Work for ``tenant`` until the innermost ``acting_for`` ends."""
    _tenant.set(tenant)


@contextmanager
def acting_for(tenant: str) -> Iterator[None]:
    token = _tenant.set(tenant)
    try:
        yield
    finally:
        _tenant.reset(token)
