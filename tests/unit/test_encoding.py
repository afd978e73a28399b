"""Every format is played by what did not write it, and each piece leaves at once."""

from __future__ import annotations

import io

import av
import numpy as np
import pytest

from pipeline.audio import Audio, decode, open_wav
from pipeline.encoding import MEDIA_TYPES, SAMPLE_RATE, encoded, encoder
from tests.uploads import dominant_hz, tone

PIECE_S = 1.5
HZ = 440
LATE_S = 0.35  # of sound that a decoder cannot give yet: a page of Ogg and a frame or two

every_format = pytest.mark.parametrize("name", MEDIA_TYPES)
every_file = pytest.mark.parametrize("name", [name for name in MEDIA_TYPES if name != "pcm"])


def piece(sample_rate: int = SAMPLE_RATE, duration: float = PIECE_S) -> Audio:
    return Audio(tone(sample_rate, duration, HZ), sample_rate)


def heard(data: bytes) -> Audio:
    """What FFmpeg plays of ``data``, complete or not."""
    with av.open(io.BytesIO(data), "r") as container:
        frames = [frame.to_ndarray() for frame in container.decode(audio=0)]
        sample_rate = container.streams.audio[0].rate
    samples = np.concatenate(frames, axis=1)[0].astype(np.float32)
    return Audio(samples / max(1, np.abs(samples).max()), sample_rate)


@every_file
def test_what_is_written_is_played(name: str) -> None:
    audio = heard(b"".join(encoded([piece(), piece()], name)))
    assert audio.duration == pytest.approx(2 * PIECE_S, abs=0.1)
    assert dominant_hz(audio) == pytest.approx(HZ, abs=2)


@every_file
def test_it_is_an_upload_we_read_ourselves(name: str) -> None:
    audio = decode(b"".join(encoded([piece()], name)), max_duration=60)
    assert audio.duration == pytest.approx(PIECE_S, abs=0.1)


def test_pcm_is_the_samples_alone() -> None:
    assert b"".join(encoded([piece(), piece()], "pcm")) == 2 * piece().pcm16()


def test_a_wav_leaves_its_length_open() -> None:
    wav = b"".join(encoded([piece(), piece()], "wav"))
    assert wav == open_wav(SAMPLE_RATE) + 2 * piece().pcm16()


@every_file
def test_each_piece_leaves_when_it_is_made(name: str) -> None:
    format = encoder(name)
    first = format.feed(piece())
    assert heard(first).duration > PIECE_S - LATE_S
    second = first + format.feed(piece())
    assert heard(second).duration > 2 * PIECE_S - LATE_S


@every_format
def test_engines_may_speak_at_any_rate(name: str) -> None:
    data = b"".join(encoded([piece(22_050), piece(44_100)], name))
    audio = Audio.from_pcm16(data, SAMPLE_RATE) if name == "pcm" else heard(data)
    assert audio.duration == pytest.approx(2 * PIECE_S, abs=0.1)
    assert dominant_hz(audio) == pytest.approx(HZ, abs=2)


@every_format
def test_no_sound_at_all_is_no_error(name: str) -> None:
    nothing = Audio(np.zeros(0, np.float32), SAMPLE_RATE)
    assert len(b"".join(encoded([nothing], name))) < 1_000
    assert len(b"".join(encoded([], name))) < 1_000
