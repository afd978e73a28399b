"""Long sound, cut into pieces that are heard one at a time.

A piece is at most ``LONGEST_S`` long and ends where nobody speaks, if there is such a place. The
next one begins where it ends: whoever knows that place can go on from there.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.decoding.samples import SAMPLE_RATE
from pipeline.stt.base import Stretches

LONGEST_S: Final = 24.0
"""The longest that all Whispers hear at once."""

SHORTEST_S: Final = 10.0
"""What is shorter than that is not worth a call of its own, if the speaker goes on."""

LOOK_S: Final = LONGEST_S + 6.0
"""How far is looked at a time."""

MARGIN_S: Final = 0.2
"""Left before and after speech: consonants are quieter than they seem."""

FRAME_S: Final = 0.02
SEARCH_S: Final = 4.0
"""Where nobody pauses, the quietest frame of the last seconds is where it is cut."""


class Piece(NamedTuple):
    """In samples of what was looked at."""

    speech: slice | None  # None: there is none
    end: int  # where to look next


def look(
    samples: NDArray[np.float32],
    speech_in: Callable[[NDArray[np.float32]], Stretches],
    *,
    last: bool,
) -> Piece:
    """The first piece of ``samples``, of shape ``(n,)`` at 16 kHz, up to ``LOOK_S`` long.

    ``last``: nothing comes after them.
    """
    longest, shortest, margin = (
        round(seconds * SAMPLE_RATE) for seconds in (LONGEST_S, SHORTEST_S, MARGIN_S)
    )
    length = len(samples)
    stretches = speech_in(samples)
    if not stretches:
        # A word that begins at the very end is not lost.
        return Piece(None, length if last else max(length - margin, 1))
    begin = max(0, stretches[0][0] - margin)
    if begin and not last and length - begin < longest:
        return Piece(None, begin)  # see all of it first
    limit = begin + longest
    pauses = [
        *((before, after) for (_, before), (after, _) in itertools.pairwise(stretches)),
        (stretches[-1][1], length),
    ]
    fitting = [pause for pause in pauses if pause[0] + margin <= limit]
    if not fitting:
        cut = _quietest(samples, limit)
        return Piece(slice(begin, cut), cut)
    before, after = ([pause for pause in fitting if pause[0] - begin >= shortest] or fitting)[-1]
    end = length if last and after == length else min((before + after) // 2, limit)
    return Piece(slice(begin, min(end, before + margin)), end)


def _quietest(samples: NDArray[np.float32], limit: int) -> int:
    """A place at or before ``limit``."""
    frame = round(FRAME_S * SAMPLE_RATE)
    limit = min(limit, len(samples))
    begin = max(0, limit - round(SEARCH_S * SAMPLE_RATE))
    frames = (limit - begin) // frame
    if frames < 2:
        return limit
    energies = (samples[begin : begin + frames * frame].reshape(frames, frame) ** 2).sum(axis=1)
    return begin + int(energies.argmin()) * frame + frame // 2
