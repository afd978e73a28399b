"""Speech as players take it: WAV, MP3, Opus, FLAC, AAC or plain PCM, written while it is made.

Everything is mono at ``SAMPLE_RATE``. What a player needs to know comes first and nothing is
written twice, so each piece can be sent as soon as it is there; compressed formats keep back a
fraction of a second of it, for their next piece.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Final

import av
import numpy as np
from av.audio import AudioStream

from pipeline.audio import Audio, open_wav, to_wav

SAMPLE_RATE: Final = 24_000
"""In Hz; OpenAI's, whose clients take plain PCM for granted at this rate."""


class Encoder(ABC):
    """Of one speech, piece by piece."""

    def feed(self, audio: Audio) -> bytes:
        """What can be sent now that ``audio`` follows; empty when nothing can yet."""
        return self._feed(audio.resampled(SAMPLE_RATE))

    @abstractmethod
    def _feed(self, audio: Audio) -> bytes: ...

    def finish(self) -> bytes:
        """The rest, when nothing follows."""
        return b""


class _Pcm(Encoder):
    """16 bits, signed, little-endian, without a header."""

    def _feed(self, audio: Audio) -> bytes:
        return audio.pcm16()


class _Wav(Encoder):
    """The same after a header that leaves its length open."""

    def __init__(self) -> None:
        self._head = open_wav(SAMPLE_RATE)

    def _feed(self, audio: Audio) -> bytes:
        head, self._head = self._head, b""
        return head + audio.pcm16()


@dataclass(frozen=True, slots=True)
class _Codec:
    """How FFmpeg names it, and how it is to be written."""

    container: str
    codec: str
    bit_rate: int | None = None  # bits per second
    container_options: Mapping[str, str] = field(default_factory=dict)
    codec_options: Mapping[str, str] = field(default_factory=dict)


class _Sink:
    """What FFmpeg writes to: it can only go on, never back."""

    def __init__(self) -> None:
        self._written = bytearray()

    def write(self, data: bytes) -> int:
        self._written += data
        return len(data)

    def take(self) -> bytes:
        taken = bytes(self._written)
        self._written.clear()
        return taken


class _Compressed(Encoder):
    def __init__(self, codec: _Codec) -> None:
        self._sink = _Sink()
        options = {**codec.container_options, "flush_packets": "1"}
        self._container = av.open(self._sink, "w", format=codec.container, options=options)
        stream = self._container.add_stream(
            codec.codec, rate=SAMPLE_RATE, layout="mono", options=dict(codec.codec_options)
        )
        assert isinstance(stream, AudioStream)  # that is what these codecs make
        self._stream = stream
        if codec.bit_rate is not None:
            self._stream.bit_rate = codec.bit_rate
        self._samples = 0  # so far

    def _feed(self, audio: Audio) -> bytes:
        if len(audio.samples):
            row = np.ascontiguousarray(audio.samples[np.newaxis])
            frame = av.AudioFrame.from_ndarray(row, format="flt", layout="mono")
            frame.sample_rate = SAMPLE_RATE
            frame.pts, frame.time_base = self._samples, Fraction(1, SAMPLE_RATE)
            self._samples += len(audio.samples)
            self._container.mux(self._stream.encode(frame))
        return self._sink.take()

    def finish(self) -> bytes:
        self._container.mux(self._stream.encode(None))
        self._container.close()
        return self._sink.take()


_CODECS: Final[Mapping[str, _Codec]] = {
    # Neither tags nor an index: those are written in the end, at the beginning.
    "mp3": _Codec("mp3", "libmp3lame", 64_000, {"write_xing": "0", "id3v2_version": "0"}),
    # A page each 0.2 s, where the muxer would wait for a second of sound.
    "opus": _Codec("ogg", "libopus", 32_000, {"page_duration": "200000"}, {"application": "voip"}),
    "aac": _Codec("adts", "aac", 64_000),
    "flac": _Codec("flac", "flac", container_options={"metadata_header_padding": "0"}),
}
"""Bit rates are those above which a voice alone gains nothing that is heard."""

MEDIA_TYPES: Final[Mapping[str, str]] = {
    "mp3": "audio/mpeg",
    "opus": "audio/ogg",
    "aac": "audio/aac",
    "flac": "audio/flac",
    "wav": "audio/wav",
    "pcm": "audio/pcm",
}
"""Every format there is, by the name it is asked for."""


def encoder(name: str) -> Encoder:
    """A new one, of the format ``name``, which is one of ``MEDIA_TYPES``."""
    if name in _CODECS:
        return _Compressed(_CODECS[name])
    return {"wav": _Wav, "pcm": _Pcm}[name]()


def encoded(pieces: Iterable[Audio], name: str) -> Generator[bytes, None, None]:
    """``pieces`` end to end in the format ``name``, each as soon as it is there."""
    format = encoder(name)
    for piece in pieces:
        yield format.feed(piece)
    yield format.finish()


def whole(pieces: Sequence[Audio], name: str) -> bytes:
    """``pieces`` in the format ``name``, when all of them are there: a WAV knows its length."""
    if name == "wav":
        return to_wav(piece.resampled(SAMPLE_RATE) for piece in pieces)
    return b"".join(encoded(pieces, name))
