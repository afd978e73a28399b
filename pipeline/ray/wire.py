"""What travels between who asks and a replica.

Errors travel as values: an exception that Ray carries comes out as one of Ray's own.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from pipeline import errors
from pipeline.errors import PipelineError
from pipeline.tts.base import Voice

MAX_CAUSE_CHARS = 300


@dataclass(frozen=True, slots=True)
class Asked:
    """A call: what its work has to know of whoever waits for it."""

    remaining_s: float  # until its deadline
    language: str | None  # that its errors speak
    request_id: str


@dataclass(frozen=True, slots=True)
class Begun:
    """The call has a slot: its wait is over. The first thing a replica tells."""


@dataclass(frozen=True, slots=True)
class Returned:
    """The call has succeeded."""

    value: Any


@dataclass(frozen=True, slots=True)
class Failed:
    """The call has ended in an error of ``pipeline.errors``."""

    name: str
    message: str
    facts: Mapping[str, Any] = field(default_factory=dict)  # as the languages there are
    cause: str = ""  # for the log

    @classmethod
    def of(cls, error: PipelineError) -> Self:
        """A class that is not of the tree travels as the one of the tree that it extends."""
        name = next(c.__name__ for c in type(error).__mro__ if c.__name__ in errors.__all__)
        cause = error.__cause__
        told = f"{type(cause).__name__}: {cause}"[:MAX_CAUSE_CHARS] if cause else ""
        return cls(name, error.message, dict(vars(error)), told)

    def error(self) -> PipelineError:
        """The same error again, with the message it had."""
        kind: type[PipelineError] = getattr(errors, self.name)
        error = kind.__new__(kind, self.message)
        vars(error).update(self.facts)
        if self.cause:
            error.__cause__ = RuntimeError(self.cause)
        return error


@dataclass(frozen=True, slots=True)
class Facts:
    """What an engine knows of itself once it is loaded."""

    identity: Mapping[str, str]
    # Those of its role alone:
    languages: Collection[str] = ()
    translates: bool = False
    times_words: bool = False
    voices: Sequence[Voice] = ()
    default_voices: Mapping[str, str] = field(default_factory=dict)
