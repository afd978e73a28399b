"""Small uploads that would be large sounds, or say that they are."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from typing import Final

import av
import numpy as np
from av.audio import AudioStream

SILENT_S: Final = 2 * 3_600


def silence(container_format: str, codec: str, *, rate: int = 8_000, **options: str) -> bytes:
    """Hours of it, encoded."""
    file = io.BytesIO()
    with av.open(file, "w", format=container_format, options=options) as container:
        stream = container.add_stream(codec, rate=rate, layout="mono")
        assert isinstance(stream, AudioStream)
        sample_format = {"flac": "s16", "wavpack": "s16p"}[codec]
        stream.codec_context.format = sample_format
        minute = np.zeros((1, 60 * rate), np.int16)
        for start in range(SILENT_S // 60):
            frame = av.AudioFrame.from_ndarray(minute, sample_format, "mono")
            frame.sample_rate, frame.pts = rate, start * minute.size
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return file.getvalue()


def opus(container_format: str, **options: str) -> bytes:
    """Hours of Opus: the same packet of 60 ms again and again, which is quicker than encoding."""
    file = io.BytesIO()
    with av.open(file, "w", format=container_format, options=options) as container:
        stream = container.add_stream(
            "libopus", rate=48_000, layout="mono", options={"frame_duration": "60", "dtx": "1"}
        )
        assert isinstance(stream, AudioStream)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 48_000), np.int16), "s16", "mono")
        frame.sample_rate, frame.pts = 48_000, 0
        *_first, silent = stream.encode(frame)
        content, each = bytes(silent), 2_880
        for number in range(SILENT_S * 48_000 // each):
            packet = av.Packet(content)
            packet.stream, packet.time_base = stream, stream.codec_context.time_base
            packet.pts = packet.dts = number * each
            packet.duration = each
            container.mux(packet)
    return file.getvalue()


def unspoken(flac: bytes) -> bytes:
    """``flac`` as live encoders write it: the number of its samples is zero."""
    return flac[:21] + bytes([flac[21] & 0xF0]) + bytes(4) + flac[26:]


def wav(
    content: bytes,
    *,
    said_bytes: int | None = None,
    tag: int = 1,
    channels: int = 1,
    rate: int = 16_000,
    bits: int = 16,
    block: int | None = None,
) -> bytes:
    """A WAV whose header says what it is told to say."""
    block = channels * bits // 8 if block is None else block
    fmt = struct.pack("<HHIIHH", tag, channels, rate, rate * block & 0xFFFFFFFF, block, bits)
    size = len(content) if said_bytes is None else said_bytes
    riff = (20 + 16 + size) & 0xFFFFFFFF
    head = struct.pack("<4sI4s4sI", b"RIFF", riff, b"WAVE", b"fmt ", 16) + fmt
    return head + struct.pack("<4sI", b"data", size) + content


BOMBS: Final[dict[str, Callable[[], bytes]]] = {
    "FLAC": lambda: silence("flac", "flac"),
    "FLAC that does not tell": lambda: unspoken(silence("flac", "flac")),
    "FLAC in live Matroska": lambda: silence("matroska", "flac", live="1"),
    "Opus": lambda: opus("ogg"),
    "Opus in live WebM": lambda: opus("webm", live="1"),
    "WavPack": lambda: silence("wv", "wavpack"),
    "WavPack in live Matroska": lambda: silence("matroska", "wavpack", live="1"),
    "WAV of 4 GB in 1 kB": lambda: wav(bytes(1_000), said_bytes=0xF0000000),
    "WAV without an end": lambda: wav(bytes(24_000_000), said_bytes=0xFFFFFFFF, rate=8_000),
    "WAV of a bit a sample": lambda: wav(bytes(24_000_000), bits=1, block=1, rate=8_000),
    "WAV of no block": lambda: wav(bytes(24_000_000), block=0),
    "WAV of 65535 channels": lambda: wav(bytes(24_000_000), channels=65_535, block=65_534),
    "WAV of 4 GHz": lambda: wav(bytes(24_000_000), rate=0xFFFFFFFF),
    "WAV of 8 bits at 8 kHz": lambda: wav(bytes(24_000_000), bits=8, rate=8_000),
    "WAV that says it is MP3": lambda: wav(bytes(24_000_000), tag=0x55),
}
