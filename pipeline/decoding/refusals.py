"""Why an upload gives no samples, in a form that crosses between processes."""

from __future__ import annotations

from enum import StrEnum

__all__ = ["Reason", "Refused"]


class Reason(StrEnum):
    UNKNOWN = "unknown"  # not a container we accept
    TRUNCATED = "truncated"  # it should go on
    DAMAGED = "damaged"
    NO_SOUND = "no sound"
    CODEC = "codec"  # not one we accept
    LAYOUT = "layout"  # values: channels, sample_rate in Hz
    TOO_LONG = "too long"  # values: duration in seconds
    NO_END = "no end"  # too long, and it never said so
    TOO_MUCH = "too much"  # time or memory


class Refused(Exception):
    """An upload cannot be used. ``values`` are numbers for the sentence that explains it."""

    def __init__(self, reason: Reason, **values: float) -> None:
        super().__init__(reason)
        self.reason, self.values = reason, values
