"""Recordings that tests make: a tone in every container, and how to tell it is still one."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.audio import AudioStream
from av.container import OutputContainer
from av.video import VideoStream
from numpy.typing import NDArray

from pipeline.audio import SAMPLE_RATE, Audio

TONE_HZ = 440
DURATION = 1.2  # seconds
LAYOUTS = {1: "mono", 2: "stereo", 6: "5.1"}


def tone(sample_rate: int, duration: float = DURATION, hz: float = TONE_HZ) -> NDArray[np.float32]:
    time = np.arange(round(sample_rate * duration)) / sample_rate
    return (0.5 * np.sin(2 * np.pi * hz * time)).astype(np.float32)


def dominant_hz(audio: Audio) -> float:
    spectrum = np.abs(np.fft.rfft(audio.samples * np.hanning(len(audio.samples))))
    return float(np.argmax(spectrum)) * audio.sample_rate / len(audio.samples)


def assert_is_tone(audio: Audio, duration: float = DURATION, hz: float = TONE_HZ) -> None:
    assert audio.sample_rate == SAMPLE_RATE
    assert audio.duration == pytest.approx(duration, abs=0.08)  # lossy codecs pad by a frame or two
    assert dominant_hz(audio) == pytest.approx(hz, abs=2)
    assert np.std(audio.samples[1600:-1600]) == pytest.approx(0.5 / 2**0.5, rel=0.1)


def encode(
    container_format: str,
    codec: str,
    *,
    sample_rate: int = 48_000,
    channels: int = 1,
    samples: NDArray[np.float32] | None = None,
    video: bool = False,
    **options: str,
) -> bytes:
    """``samples`` (by default the tone) on every channel, as a file of ``container_format``."""
    samples = tone(sample_rate) if samples is None else samples
    file = io.BytesIO()
    with av.open(file, "w", format=container_format, options=options) as container:
        picture = film(container) if video else None
        strict = {"strict": "-2"} if codec == "vorbis" else {}
        stream = container.add_stream(
            codec, rate=sample_rate, options=strict, layout=LAYOUTS[channels]
        )
        assert isinstance(stream, AudioStream)
        if picture is not None:
            container.start_encoding()
            container.mux(picture.encode(black()))
        for start in range(0, len(samples), 1024):
            planes = np.tile(samples[start : start + 1024], (channels, 1))
            frame = av.AudioFrame.from_ndarray(planes, "fltp", LAYOUTS[channels])
            frame.sample_rate, frame.pts = sample_rate, start
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return file.getvalue()


def film(container: OutputContainer) -> VideoStream:
    stream = container.add_stream("mpeg4", rate=25)
    assert isinstance(stream, VideoStream)
    stream.width = stream.height = 32
    stream.pix_fmt = "yuv420p"
    return stream


def black() -> av.VideoFrame:
    frame = av.VideoFrame(32, 32, "yuv420p")
    frame.pts, frame.time_base = 0, Fraction(1, 25)
    return frame


def wav_of(
    data: bytes, *, tag: int, bits: int, channels: int = 1, sample_rate: int = 16_000
) -> bytes:
    """A WAV written by hand; the ``fmt`` chunk has no extension."""
    block = channels * bits // 8
    fmt = struct.pack("<HHIIHH", tag, channels, sample_rate, sample_rate * block, block, bits)
    body = b"WAVEfmt " + struct.pack("<I", len(fmt)) + fmt + b"data" + struct.pack("<I", len(data))
    return b"RIFF" + struct.pack("<I", len(body) + len(data)) + body + data


def box(name: bytes, *contents: bytes) -> bytes:
    content = b"".join(contents)
    return struct.pack(">I4s", 8 + len(content), name) + content


def table(name: bytes, *numbers: int) -> bytes:
    """A box of version 0 and 32-bit numbers."""
    return box(name, struct.pack(f">I{len(numbers)}I", 0, *numbers))


# Every container, as its usual writers make it. Small, as the mutations below read them often.
UPLOADS: dict[str, Callable[[], bytes]] = {
    "webm": lambda: encode("webm", "libopus"),
    "webm live": lambda: encode("webm", "libopus", live="1"),
    "matroska": lambda: encode("matroska", "flac", sample_rate=16_000),
    "ogg opus": lambda: encode("ogg", "libopus"),
    "ogg vorbis": lambda: encode("ogg", "vorbis", channels=2, sample_rate=44_100),
    "m4a": lambda: encode("ipod", "aac"),
    "mp4 fragmented": lambda: encode(
        "mp4", "aac", movflags="empty_moov+default_base_moof+frag_keyframe", frag_duration="300000"
    ),
    "mp4 video": lambda: encode("mp4", "aac", video=True),
    "adts": lambda: encode("adts", "aac"),
    "mp3": lambda: encode("mp3", "libmp3lame"),
    "flac": lambda: encode("flac", "flac", sample_rate=16_000),
    "wav": lambda: encode("wav", "pcm_s16le", sample_rate=16_000),
}
ENDLESS = {"adts", "mp3"}  # a cut between two frames cannot be told


def sound_track(
    samples: int, *, sample_bytes: int = 1, ticks: int = 1, media: bytes = b""
) -> bytes:
    """The ``moov`` of a QuickTime file of PCM at 16 kHz.

    Its ``samples`` lie at byte 44 of the file, or of the one that ``media``, a ``dref``, names.
    When each lasts more than 1 of the ``ticks``, FFmpeg makes an index of them all.
    """
    kind = {1: b"raw ", 2: b"sowt"}[sample_bytes]
    sound = struct.pack(">6xH8xHHHHI", 1, 1, 8 * sample_bytes, 0, 0, SAMPLE_RATE << 16)
    sample_table = box(
        b"stbl",
        box(b"stsd", struct.pack(">II", 0, 1), box(kind, sound)),
        table(b"stts", 1, samples, ticks),
        table(b"stsc", 1, 1, samples, 1),
        table(b"stsz", sample_bytes, samples),
        table(b"stco", 1, 44),
    )
    content = box(
        b"mdia",
        table(b"mdhd", 0, 0, SAMPLE_RATE, samples, 0),
        box(b"hdlr", bytes(8), b"soun", bytes(13)),
        box(b"minf", box(b"dinf", media) if media else b"", sample_table),
    )
    track = box(b"trak", box(b"tkhd", b"\0\0\0\x07", struct.pack(">III64x", 0, 0, 1)), content)
    return box(b"moov", box(b"mvhd", struct.pack(">IIIII80x", 0, 0, 0, 1000, 1000)), track)


def mov_of_alias(target: Path) -> bytes:
    """A QuickTime file whose PCM lies in ``target``, named by an absolute path."""
    path = str(target).encode()
    alias = bytes(10) + b"\x01V" + bytes(26 + 12) + b"\x01f" + bytes(62 + 16)
    alias += struct.pack(">hh16x", -1, -1)
    alias += struct.pack(">hH", 2, len(path)) + path + bytes(len(path) % 2)
    alias += struct.pack(">hH", -1, 0)
    references = box(b"dref", struct.pack(">II", 0, 1), box(b"alis", bytes(4), alias))
    samples = round(DURATION * SAMPLE_RATE)
    track = sound_track(samples, sample_bytes=2, media=references)
    return box(b"ftyp", b"qt  ", bytes(4)) + track + box(b"mdat", bytes(2 * samples))
