"""Speech is made window by window."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.tts.windows import (
    BLENDED,
    LEAST,
    LENGTH,
    NEIGHBOURS,
    SEARCHED,
    SILENCE,
    Window,
    decoded,
    span,
    windows,
)

FRAME = 600
SPOKEN, SILENT = 5.0, -9.7


def sentence(spoken: int, *, before: int = 14, behind: int = 14) -> NDArray[np.float32]:
    """Energy of the frames of one that is as loud throughout."""
    parts = [(before, SILENT), (spoken, SPOKEN), (behind, SILENT)]
    return np.concatenate([np.full(n, energy, np.float32) for n, energy in parts])


def cut(energy: NDArray[np.float32]) -> Sequence[Window]:
    said = span(energy)
    assert said is not None
    return windows(said, energy)


def test_windows_leave_nothing_out() -> None:
    found = cut(sentence(200))
    lengths = [window.end - window.start for window in found]
    assert (found[0].start, found[-1].end) == (12, 214)
    assert all(one.end == next_.start for one, next_ in pairwise(found))
    assert all(LEAST <= length <= LENGTH + SEARCHED + LEAST for length in lengths)


def test_a_short_sentence_is_one_window() -> None:
    assert cut(sentence(20)) == (Window(12, 34),)


def test_windows_meet_where_the_voice_is_low() -> None:
    energy = sentence(100)
    energy[40] = 0.0
    assert cut(energy)[0] == Window(12, 40)


@pytest.mark.parametrize(
    "energy",
    [
        pytest.param(np.full(60, SILENT, np.float32), id="nobody speaks"),
        pytest.param(sentence(60, before=3), id="no silence before"),
        pytest.param(sentence(60, behind=3), id="no silence behind"),
    ],
)
def test_without_silence_there_are_no_windows(energy: NDArray[np.float32]) -> None:
    assert span(energy) is None


def test_windows_sound_as_the_whole_does() -> None:
    """With a decoder that looks at no other frame."""

    def decode(frames: NDArray[np.intp]) -> NDArray[np.float32]:
        return np.repeat(frames, FRAME).astype(np.float32)

    found = cut(sentence(150))
    pieces = list(decoded(found, FRAME, decode))
    assert [len(piece) for piece in pieces] == [(w.end - w.start) * FRAME for w in found]
    np.testing.assert_allclose(np.concatenate(pieces), decode(np.arange(12, 164)), rtol=1e-6)


def test_each_is_decoded_between_silence_and_its_neighbours() -> None:
    asked: list[NDArray[np.intp]] = []

    def decode(frames: NDArray[np.intp]) -> NDArray[np.float32]:
        asked.append(frames)
        return np.zeros(len(frames) * FRAME, np.float32)

    found = cut(sentence(150))
    list(decoded(found, FRAME, decode))
    silence = [*range(12 - SILENCE, 12), *range(164, 164 + SILENCE)]
    for window, frames in zip(found, asked, strict=True):
        inside = range(max(12, window.start - NEIGHBOURS), min(164, window.end + NEIGHBOURS))
        assert sorted(frames) == sorted([*silence, *inside])


def test_a_window_goes_over_into_the_next() -> None:
    """However different they come out."""
    levels = iter([0.0, 1.0])

    def decode(frames: NDArray[np.intp]) -> NDArray[np.float32]:
        return np.full(len(frames) * FRAME, next(levels), np.float32)

    _first, second = decoded(cut(sentence(60)), FRAME, decode)
    assert second[0] == 0.0
    assert np.abs(np.diff(second)).max() < 2 / BLENDED
    assert second[BLENDED] == 1.0


def test_windows_are_decoded_when_they_are_asked_for() -> None:
    decodings = 0

    def decode(frames: NDArray[np.intp]) -> NDArray[np.float32]:
        nonlocal decodings
        decodings += 1
        return np.zeros(len(frames) * FRAME, np.float32)

    pieces = decoded(cut(sentence(150)), FRAME, decode)
    assert decodings == 0
    next(pieces)
    assert decodings == 1
