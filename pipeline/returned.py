"""What engines return is looked at before anybody relies on it.

What is wrong is raised as ``TypeError`` or ``ValueError`` where the engine works, and becomes an
``EngineError`` there.
"""

from __future__ import annotations

from math import isfinite
from typing import Any, TypeVar

T = TypeVar("T")


def instance(value: Any, cls: type[T]) -> T:
    if not isinstance(value, cls):
        raise TypeError(f"{cls.__name__} was to be returned, not {type(value).__name__}")
    return value


def text(value: Any) -> str:
    """Such as UTF-8, hence JSON and databases, can hold: no half of a character."""
    instance(value, str).encode()
    return str(value)


def times(*values: Any) -> None:
    """In seconds."""
    if not all(isfinite(value) for value in values):
        raise ValueError(f"times were to be returned, not {values}")
