"""Sound as the pipeline sees it: ``Audio``, how uploads become it and how it becomes WAV."""

from __future__ import annotations

import io
import struct
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import av
import numpy as np
from numpy.typing import NDArray

from pipeline.decoding.client import Upload, decoder
from pipeline.decoding.samples import SAMPLE_RATE, resampled

with warnings.catch_warnings():
    # It warns that it found no ffmpeg program. It needs none: it only ever sees our own PCM.
    warnings.simplefilter("ignore")
    from pydub import AudioSegment

__all__ = ["SAMPLE_RATE", "Audio", "decode", "from_wav", "open_wav", "to_wav"]

_PCM16_SCALE: Final = 32768
_WAV_HEADER: Final = struct.Struct("<4sI4s 4sIHHIIHH 4sI")  # RIFF, fmt and data
_WAV_OPEN: Final = 0xFFFFFFFF  # the size of what is not known yet


@dataclass(frozen=True, slots=True, eq=False)
class Audio:
    """Mono sound.

    ``samples``: float32, shape ``(n,)``, nominally in [-1, 1], finite.
    ``sample_rate``: in Hz.

    Raises ``ValueError`` for anything else.
    """

    samples: NDArray[np.float32]
    sample_rate: int

    def __post_init__(self) -> None:
        if self.samples.ndim != 1 or self.samples.dtype != np.float32:
            raise ValueError(
                f"samples must be float32 of shape (n,), "
                f"not {self.samples.dtype} of shape {self.samples.shape}"
            )
        if not np.isfinite(self.samples).all():
            raise ValueError("samples must be finite")
        if self.sample_rate <= 0:
            raise ValueError(f"sample_rate must be positive, not {self.sample_rate}")

    @property
    def duration(self) -> float:
        """In seconds."""
        return len(self.samples) / self.sample_rate

    def resampled(self, sample_rate: int) -> Audio:
        """The same sound at ``sample_rate`` Hz; itself when that is its rate already."""
        if sample_rate == self.sample_rate:
            return self
        if not len(self.samples):
            return Audio(self.samples, sample_rate)
        row = np.ascontiguousarray(self.samples[np.newaxis])
        frame = av.AudioFrame.from_ndarray(row, format="flt", layout="mono")
        frame.sample_rate = self.sample_rate
        # A sound of a sample or two may give none.
        pieces = [self.samples[:0], *resampled([frame], sample_rate)]
        return Audio(np.concatenate(pieces), sample_rate)

    def pcm16(self, *, big_endian: bool = False) -> bytes:
        """Signed 16-bit PCM, ``2 * n`` bytes, little-endian as in WAV unless told otherwise;
        samples beyond [-1, 1] are clipped."""
        scaled = np.rint(self.samples * _PCM16_SCALE)
        clipped = np.clip(scaled, -_PCM16_SCALE, _PCM16_SCALE - 1)
        return clipped.astype(">i2" if big_endian else "<i2").tobytes()

    @classmethod
    def from_pcm16(cls, data: bytes, sample_rate: int) -> Audio:
        """The inverse of ``pcm16``, exactly. Raises ``ValueError`` for half a sample."""
        samples = np.frombuffer(data, dtype="<i2").astype(np.float32) / np.float32(_PCM16_SCALE)
        return cls(samples, sample_rate)


def to_wav(chunks: Iterable[Audio]) -> bytes:
    """One WAV (PCM s16le, mono) of ``chunks`` end to end; of no samples when there are none.

    Raises ``ValueError`` when their sample rates differ.
    """
    chunks = list(chunks)
    sample_rates = {chunk.sample_rate for chunk in chunks} or {SAMPLE_RATE}
    if len(sample_rates) > 1:
        raise ValueError(f"chunks must share a sample rate, not {sorted(sample_rates)}")
    segment = AudioSegment(
        data=b"".join(chunk.pcm16() for chunk in chunks),
        sample_width=2,
        frame_rate=sample_rates.pop(),
        channels=1,
    )
    wav = io.BytesIO()
    segment.export(wav, format="wav")
    return wav.getvalue()


def open_wav(sample_rate: int) -> bytes:
    """The beginning of a WAV that is written while it is made; ``Audio.pcm16`` goes on with it.

    It says that it never ends: only for a stream, whose end is that of its connection.
    """
    return _WAV_HEADER.pack(*_wav_fields(sample_rate, _WAV_OPEN, _WAV_OPEN))


def from_wav(data: bytes) -> Audio:
    """Read what ``to_wav`` wrote. Raises ``ValueError`` for anything else, or when damaged."""
    if len(data) >= _WAV_HEADER.size:
        fields = _WAV_HEADER.unpack_from(data)
        sample_rate, size_bytes = fields[7], len(data) - _WAV_HEADER.size
        if fields == _wav_fields(sample_rate, len(data) - 8, size_bytes):
            return Audio.from_pcm16(data[_WAV_HEADER.size :], sample_rate)
    raise ValueError("not a WAV we wrote, or a damaged one")


def _wav_fields(sample_rate: int, riff_bytes: int, data_bytes: int) -> tuple[bytes | int, ...]:
    fmt = (16, 1, 1, sample_rate, 2 * sample_rate, 2, 16)
    return b"RIFF", riff_bytes, b"WAVE", b"fmt ", *fmt, b"data", data_bytes


def decode(upload: Upload, *, max_duration: float) -> Audio:
    """Decode an upload, which nobody vouches for, into mono at ``SAMPLE_RATE``.

    ``upload``: a whole file: WebM, Matroska, Ogg, MP4, ADTS AAC, MP3, FLAC or WAV. Its first audio
    stream is heard; video is ignored. ``max_duration``: in seconds; memory is bounded by it. It is
    read in a process of its own: see ``pipeline.decoding``.

    Raises ``AudioDecodeError`` when it is not such a file, is cut short, is damaged anywhere or
    takes too much to read; ``AudioTooLong`` beyond ``max_duration``: at once when the file says
    so itself, else as soon as that much has been decoded; ``EngineUnavailable`` and ``EngineBusy``
    when it is we who cannot read.
    """
    return Audio(decoder.decode(upload, max_duration), SAMPLE_RATE)
