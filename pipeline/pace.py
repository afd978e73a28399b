"""How long the stages of a turn take here: the median of what the last ones took.

What was remembered took no engine, and teaches nothing.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import median
from typing import Final

KEPT: Final = 31
"""Values a median is of: some minutes of a busy server, and soon other ones when it changes."""

BESIDE_S: Final = 5.0
"""An utterance takes as long as if it lasted so much more: Whisper's window does, and each call
takes something."""


@dataclass(frozen=True, slots=True)
class Size:
    """Of what is asked for, as far as it is known; None is as usual."""

    sound_s: float | None = None  # of the utterance
    tokens: int | None = None  # of the reply, at most
    chars: int | None = None  # of what is spoken


class Median:
    """Of the last ``KEPT`` values; ``start`` as long as there is none."""

    def __init__(self, start: float) -> None:
        self._last: deque[float] = deque([start], KEPT)
        self._measured = False
        self._lock = threading.Lock()

    def add(self, value: float) -> None:
        with self._lock:
            if not self._measured:
                self._last.clear()
                self._measured = True
            self._last.append(value)

    @property
    def value(self) -> float:
        with self._lock:
            return median(self._last)


class Pace:
    """Learned from the calls of engines, whoever made them."""

    def __init__(self) -> None:
        # The embedded engines on two cores, until it is known better.
        self._hearing = Median(0.05)  # seconds, for one of sound
        self._writing = Median(0.015)  # for a token
        self._speaking = Median(0.015)  # for a character
        self._sound_s = Median(3.0)
        self._tokens = Median(30.0)
        self._chars = Median(80.0)
        self._overlap = Median(1.0)

    def heard(self, sound_s: float, took_s: float) -> None:
        self._hearing.add(took_s / (sound_s + BESIDE_S))
        self._sound_s.add(sound_s)

    def wrote(self, tokens: int, chars: int, took_s: float) -> None:
        """A whole reply, as long as it liked. ``tokens`` as an engine gives text."""
        self._writing.add(took_s / max(1, tokens))
        self._tokens.add(tokens)
        self._chars.add(chars)

    def spoke(self, chars: int, took_s: float) -> None:
        """A sentence."""
        self._speaking.add(took_s / max(1, chars))

    def took(self, turn_s: float, stages_s: float) -> None:
        """A turn, of which the stages took ``stages_s`` one by one: they overlap."""
        if stages_s > 0:  # else the clock is too coarse to tell
            self._overlap.add(min(1.0, turn_s / stages_s))

    @property
    def overlap(self) -> float:
        """What a turn takes of the time that its stages take one by one."""
        return self._overlap.value

    def predicted_s(self, size: Size) -> Mapping[str, float]:
        """Of each stage, in a turn that needs all of them."""
        sound_s = self._sound_s.value if size.sound_s is None else size.sound_s
        tokens, chars = self._tokens.value, self._chars.value
        if size.tokens is not None and size.tokens < tokens:
            tokens, chars = size.tokens, chars * size.tokens / tokens
        if size.chars is not None:
            chars = size.chars
        overlap = self.overlap
        return {
            "stt": overlap * self._hearing.value * (sound_s + BESIDE_S),
            "llm": overlap * self._writing.value * tokens,
            "tts": overlap * self._speaking.value * chars,
        }


pace = Pace()
