"""How speech that is decoded from frames is made window by window, so that it is heard early.

The decoder (that of StyleTTS 2, https://arxiv.org/abs/2306.07691) normalises its layers over the
whole of what it is given: a window alone would sound lower, by 6 dB and more, than the same frames
in their sentence. Each is therefore decoded between some of the silence that the sentence begins
and ends with, which keeps its share about what it is in all of it, and between frames of its
neighbours, which convolutions look at. Windows meet where the voice is low, and blend there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float32]
Decode = Callable[[NDArray[np.intp]], Samples]
"""Speech of the frames of these numbers, as many samples for each."""

QUIET = -5.0
"""Nobody speaks in frames of less energy (log of it, as the decoder is given it)."""

LENGTH = 30
"""Frames of a window: what is heard of one lasts until the next is made, also where something else
is at work on the same cores."""

SILENCE = 7  # frames of it on either side of a window
NEIGHBOURS = 4  # frames of the windows before and behind
SEARCHED = 6  # frames around the end of a window in which it may end
LEAST = 16  # frames of the last window
BLENDED = 240  # samples in which a window goes over into the next


@dataclass(frozen=True, slots=True)
class Window:
    start: int  # of its first frame
    end: int  # behind its last frame


def span(energy: NDArray[np.float32]) -> Window | None:
    """Where a sentence is spoken whose frames have this ``energy``; None: not between silence."""
    spoken = np.flatnonzero(energy > QUIET)
    if spoken.size == 0:
        return None
    start, end = int(spoken[0]) - 2, int(spoken[-1]) + 1  # consonants are low
    if start < SILENCE or len(energy) - end < SILENCE:
        return None
    return Window(start, end)


def windows(said: Window, energy: NDArray[np.float32]) -> Sequence[Window]:
    """Those that what is ``said`` is made in."""
    start, end = said.start, said.end
    found = []
    while end - start >= LENGTH + SEARCHED + LEAST:
        around = start + LENGTH - SEARCHED
        cut = around + int(np.argmin(energy[around : start + LENGTH + SEARCHED]))
        found.append(Window(start, cut))
        start = cut
    return (*found, Window(start, end))


def decoded(found: Sequence[Window], frame: int, decode: Decode) -> Iterator[Samples]:
    """Speech of each window, ``frame`` samples for each of its frames; ``decode`` does the work."""
    first, last = found[0].start, found[-1].end
    before, behind = np.arange(first - SILENCE, first), np.arange(last, last + SILENCE)
    ramp = np.linspace(0, 1, BLENDED, dtype=np.float32)
    tail = np.zeros(0, np.float32)  # of the window before, as it sounds where this one begins
    for window in found:
        start = max(first, window.start - NEIGHBOURS)
        end = min(last, window.end + NEIGHBOURS)
        samples = decode(np.concatenate([before, np.arange(start, end), behind]))
        begin = (SILENCE + window.start - start) * frame
        stop = begin + (window.end - window.start) * frame
        spoken = samples[begin:stop].copy()
        if tail.size:
            spoken[:BLENDED] = ramp * spoken[:BLENDED] + (1 - ramp) * tail
        tail = samples[stop : stop + BLENDED]
        yield spoken
