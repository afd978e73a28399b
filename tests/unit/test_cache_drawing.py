from __future__ import annotations

import re

import numpy as np
import pytest

from cache import drawing


def bars(drawn: str) -> list[tuple[float, float]]:
    """Where each bar of a waveform begins, and its height."""
    return [(float(y), float(h)) for y, h in re.findall(r"M[\d.]+ ([\d.]+)v([\d.]+)", drawn)]


def test_peaks_follow_the_sound() -> None:
    samples = np.concatenate([np.zeros(100), np.full(100, -0.5), np.full(100, 0.25)])
    outline = drawing.peaks(samples.astype(np.float32), bars=3)
    assert list(outline) == [0, 255, 128]


def test_silence_is_drawn_flat() -> None:
    outline = drawing.peaks(np.full(1000, 1e-6, np.float32))
    assert outline == bytes(drawing.BARS)
    assert {height for _y, height in bars(drawing.waveform(outline))} == {2.0}


@pytest.mark.parametrize("count", [0, 1, 63])
def test_a_sound_of_fewer_samples_than_bars(count: int) -> None:
    assert len(drawing.peaks(np.ones(count, np.float32))) == drawing.BARS


def test_bars_lie_in_the_drawing_about_its_middle() -> None:
    drawn = bars(drawing.waveform(bytes([0, 64, 255])))
    assert [y + height / 2 for y, height in drawn] == pytest.approx([16, 16, 16], abs=0.1)
    assert drawn[2] == (1, 30)


def test_a_sparkline_has_a_bar_a_count() -> None:
    heights = re.findall(r"v-([\d.]+)", drawing.sparkline([0, 1, 100, 50]))
    assert heights == ["0.5", "2", "30", "15"]
    assert re.findall(r"v-([\d.]+)", drawing.sparkline([0, 0])) == ["0.5", "0.5"]
