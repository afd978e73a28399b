"""Sounds in which nobody speaks, by a seed: what rooms, machines and hands give a microphone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pipeline.audio import SAMPLE_RATE, Audio

Samples = NDArray[np.float64]
Chance = np.random.Generator

DURATIONS: Final = (1.0, 2.0, 3.0, 5.0, 8.0, 12.0)
"""In seconds."""

LEVELS: Final = (0.003, 0.02, 0.1, 0.5)
"""Of full scale, at the peak."""


def _time(size: int) -> Samples:
    return np.arange(size) / SAMPLE_RATE


def coloured(chance: Chance, size: int, slope: float) -> Samples:
    """Noise whose power falls by ``slope`` powers of the frequency: 0 white, 1 pink, 2 brown."""
    spectrum = np.fft.rfft(chance.normal(size=size))
    frequency = np.fft.rfftfreq(size, 1 / SAMPLE_RATE)
    frequency[0] = frequency[1]
    return np.fft.irfft(spectrum / frequency ** (slope / 2), size)


def band(chance: Chance, size: int, low_hz: float, high_hz: float) -> Samples:
    spectrum = np.fft.rfft(chance.normal(size=size))
    frequency = np.fft.rfftfreq(size, 1 / SAMPLE_RATE)
    spectrum[(frequency < low_hz) | (frequency > high_hz)] = 0
    return np.fft.irfft(spectrum, size)


def smooth(chance: Chance, size: int, hz: float) -> Samples:
    """A curve in [0, 1] that turns about ``hz`` times a second."""
    points = max(3, round(size / SAMPLE_RATE * hz) + 2)
    return np.interp(np.linspace(0, points - 1, size), np.arange(points), chance.random(points))


def strike(chance: Chance, size: int, sound: Callable[[int], Samples], every_s: float) -> Samples:
    """``sound``, which is given its size, about ``every_s`` seconds."""
    samples = np.zeros(size)
    at = int(chance.uniform(0, every_s) * SAMPLE_RATE)
    while at < size:
        one = sound(size - at)[: size - at]
        samples[at : at + len(one)] += one * chance.uniform(0.4, 1)
        at += int(chance.uniform(0.5, 1.5) * every_s * SAMPLE_RATE) + 1
    return samples


def fading(samples: Samples, half_s: float) -> Samples:
    return samples * 0.5 ** (_time(len(samples)) / half_s)


def silence(chance: Chance, size: int) -> Samples:
    return np.zeros(size)


def dither(chance: Chance, size: int) -> Samples:
    """The last bit of a quiet room, whatever the level."""
    return chance.integers(-2, 3, size) / 32_768


def white(chance: Chance, size: int) -> Samples:
    return coloured(chance, size, 0)


def pink(chance: Chance, size: int) -> Samples:
    return coloured(chance, size, 1)


def brown(chance: Chance, size: int) -> Samples:
    return coloured(chance, size, 2)


def wind(chance: Chance, size: int) -> Samples:
    return coloured(chance, size, 1.5) * smooth(chance, size, 1.5) ** 2


def hum(chance: Chance, size: int) -> Samples:
    """Of the mains, with its harmonics."""
    base = chance.choice((50.0, 60.0))
    return sum(
        (
            np.sin(2 * np.pi * base * k * _time(size) + chance.uniform(0, 7)) / k
            for k in range(1, 9)
        ),
        0.02 * chance.normal(size=size),
    )


def motor(chance: Chance, size: int) -> Samples:
    base = chance.uniform(60, 160) * (1 + 0.05 * smooth(chance, size, 0.7))
    phase = 2 * np.pi * np.cumsum(base) / SAMPLE_RATE
    return sum((np.sin(k * phase) / k for k in range(1, 12)), 0.3 * pink(chance, size))


def tone(chance: Chance, size: int) -> Samples:
    return np.sin(2 * np.pi * chance.uniform(80, 4_000) * _time(size))


def sweep(chance: Chance, size: int) -> Samples:
    low, high = sorted(chance.uniform(80, 6_000, 2))
    return np.sin(2 * np.pi * np.cumsum(np.geomspace(low, high, size)) / SAMPLE_RATE)


def dialling(chance: Chance, size: int) -> Samples:
    """Keys of a telephone (ITU-T Q.23)."""

    def key(left: int) -> Samples:
        time = _time(min(left, SAMPLE_RATE // 5))
        low = float(chance.choice((697, 770, 852, 941)))
        high = float(chance.choice((1209, 1336, 1477)))
        return np.sin(2 * np.pi * low * time) + np.sin(2 * np.pi * high * time)

    return strike(chance, size, key, 0.35)


def ringing(chance: Chance, size: int) -> Samples:
    time = _time(size)
    on = np.sin(2 * np.pi * chance.uniform(0.3, 2) * time) > 0
    return np.where(on, np.sin(2 * np.pi * 440 * time) * np.sin(2 * np.pi * 20 * time), 0.0)


def chords(chance: Chance, size: int) -> Samples:
    """Changing ones, with harmonics, as an organ's."""
    time = _time(size)
    each = chance.uniform(0.3, 1.0)
    roots = 110 * 2 ** (chance.integers(0, 24, int(size / SAMPLE_RATE / each) + 1) / 12)
    root = roots[(time / each).astype(int)]
    phases = [2 * np.pi * np.cumsum(root * step) / SAMPLE_RATE for step in (1, 1.26, 1.5)]
    return sum((np.sin(k * phase) / k**2 for phase in phases for k in (1, 2, 3)), np.zeros(size))


def melody(chance: Chance, size: int) -> Samples:
    """Plucked strings."""

    def pluck(left: int) -> Samples:
        time = _time(min(left, SAMPLE_RATE))
        hz = 220 * 2 ** (chance.choice((0, 2, 4, 5, 7, 9, 11, 12)) / 12)
        return fading(
            sum((np.sin(2 * np.pi * hz * k * time) / k for k in range(1, 7)), 0 * time), 0.15
        )

    return strike(chance, size, pluck, 0.3)


def drums(chance: Chance, size: int) -> Samples:
    def drum(left: int) -> Samples:
        length = min(left, SAMPLE_RATE // 3)
        if chance.random() < 0.5:
            return fading(chance.normal(size=length), 0.02)
        return fading(np.sin(2 * np.pi * 60 * _time(length)), 0.06)

    return strike(chance, size, drum, 0.25)


def typing(chance: Chance, size: int) -> Samples:
    def key(left: int) -> Samples:
        length = min(left, SAMPLE_RATE // 25)
        return fading(band(chance, length, 1_000, 6_000), 0.004)

    return strike(chance, size, key, 0.16) + 0.002 * chance.normal(size=size)


def knocks(chance: Chance, size: int) -> Samples:
    def knock(left: int) -> Samples:
        length = min(left, SAMPLE_RATE // 8)
        return fading(band(chance, length, 80, 900), 0.015)

    return strike(chance, size, knock, 0.4) + 0.003 * pink(chance, size)


def breaths(chance: Chance, size: int) -> Samples:
    """In and out through the mouth, near the microphone."""
    wave = np.sin(2 * np.pi * chance.uniform(0.25, 0.6) * _time(size) + chance.uniform(0, 7))
    near = band(chance, size, 300, chance.uniform(2_000, 5_000))
    breathing: Samples = near * np.maximum(wave, 0.0) ** 2 + 0.002 * chance.normal(size=size)
    return breathing


def rustling(chance: Chance, size: int) -> Samples:
    """Of cloth or paper at the microphone."""
    return band(chance, size, 500, 7_500) * smooth(chance, size, 12) ** 4


def crackle(chance: Chance, size: int) -> Samples:
    """Of a bad line."""
    clicks = (chance.random(size) < 12 / SAMPLE_RATE) * chance.normal(size=size)
    return clicks + 0.02 * white(chance, size)


def birds(chance: Chance, size: int) -> Samples:
    def chirp(left: int) -> Samples:
        length = min(left, int(chance.uniform(0.05, 0.2) * SAMPLE_RATE))
        hz = np.linspace(chance.uniform(2_000, 6_000), chance.uniform(2_000, 6_000), length)
        return np.sin(2 * np.pi * np.cumsum(hz) / SAMPLE_RATE) * np.hanning(length)

    return strike(chance, size, chirp, 0.3) + 0.01 * pink(chance, size)


KINDS: Final[tuple[Callable[[Chance, int], Samples], ...]] = (
    silence, dither, white, pink, brown, wind, hum, motor, tone, sweep, dialling, ringing, chords,
    melody, drums, typing, knocks, breaths, rustling, crackle, birds,
)  # fmt: skip


def clip(seed: int, number: int) -> tuple[str, Audio]:
    """The ``number``-th of a ``seed``, and its kind: each kind in turn."""
    kind = KINDS[number % len(KINDS)]
    chance = np.random.default_rng([seed, number])
    size = int(chance.choice(DURATIONS) * SAMPLE_RATE)
    samples = kind(chance, size)
    peak = float(np.abs(samples).max())
    if peak and kind is not dither:
        samples = samples / peak * chance.choice(LEVELS)
    return kind.__name__, Audio(samples.astype(np.float32), SAMPLE_RATE)
