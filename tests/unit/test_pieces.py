"""Where long sound is cut."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.audio import SAMPLE_RATE
from pipeline.stt.base import Stretches
from pipeline.stt.fake import Fake
from pipeline.stt.pieces import LONGEST_S, LOOK_S, MARGIN_S, Piece, look


def sound(duration: float = LOOK_S) -> NDArray[np.float32]:
    return np.full(round(duration * SAMPLE_RATE), 0.5, np.float32)


def looked(
    *stretches: tuple[float, float], duration: float = LOOK_S, last: bool = False
) -> tuple[tuple[float, float] | None, float]:
    """In seconds: the piece in which is spoken, and its end. ``stretches`` in which somebody
    speaks."""
    known = [(round(a * SAMPLE_RATE), round(b * SAMPLE_RATE)) for a, b in stretches]
    piece = look(sound(duration), lambda samples: known, last=last)
    assert 0 < piece.end <= round(duration * SAMPLE_RATE)
    if piece.speech is None:
        return None, piece.end / SAMPLE_RATE
    assert 0 <= piece.speech.start < piece.speech.stop <= piece.end
    assert piece.speech.stop - piece.speech.start <= LONGEST_S * SAMPLE_RATE
    return (piece.speech.start / SAMPLE_RATE, piece.speech.stop / SAMPLE_RATE), (
        piece.end / SAMPLE_RATE
    )


def test_the_last_pause_that_fits_is_where_it_is_cut() -> None:
    assert looked((0, 5), (6, 15), (16, 20), (21, 30)) == ((0, 20.2), 20.5)


def test_a_pause_that_is_too_early_will_do_where_there_is_no_other() -> None:
    assert looked((0, 3), (4, 30)) == ((0, 3.2), 3.5)


def test_silence_before_and_after_is_not_heard() -> None:
    assert looked((10, 12), duration=20, last=True) == ((9.8, 12.2), 20)
    assert looked((0.1, 2), (29, 30)) == ((0, 2.2), 15.5)
    assert looked((0.1, 2)) == ((0, 2.2), 16)


def test_speech_that_begins_late_is_looked_at_from_its_beginning() -> None:
    assert looked((20, 30)) == (None, 20 - MARGIN_S)
    assert looked((20, 29), last=True) == ((19.8, 29.2), LOOK_S)


def test_no_speech_at_all() -> None:
    assert looked() == (None, LOOK_S - MARGIN_S)
    assert looked(duration=3, last=True) == (None, 3)


def test_who_never_pauses_is_cut_where_it_is_quietest() -> None:
    samples = sound()
    quiet = round(22 * SAMPLE_RATE)
    samples[quiet : quiet + 320] = 0.01
    piece = look(samples, Fake().speech_in, last=False)
    assert piece.end == pytest.approx(quiet + 160, abs=320)
    assert piece.speech == slice(0, piece.end)


@pytest.mark.parametrize("duration", [0.3, 7.0, 24.0, 24.1, 61.0])
def test_whatever_it_is_all_of_it_is_heard_once(duration: float) -> None:
    rng = np.random.default_rng(0)

    def speech_in(samples: NDArray[np.float32]) -> Stretches:
        ends = sorted(rng.choice(len(samples), 6, replace=False))
        return [(int(a), int(b)) for a, b in zip(ends[::2], ends[1::2], strict=True)]

    samples, position = sound(duration), 0
    while position < len(samples):
        ahead = samples[position : position + round(LOOK_S * SAMPLE_RATE)]
        piece: Piece = look(ahead, speech_in, last=position + len(ahead) == len(samples))
        assert piece.end > 0
        assert piece.speech is None or piece.speech.stop <= piece.end
        position += piece.end
    assert position == len(samples)
