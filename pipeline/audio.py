"""Sound as the pipeline sees it: ``Audio``, how uploads become it and how it becomes WAV."""

from __future__ import annotations

import io
import itertools
import struct
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

import av
import numpy as np
from av.audio import AudioStream
from av.container import InputContainer
from django.utils.translation import gettext as _
from numpy.typing import NDArray

from pipeline import containers
from pipeline.errors import AudioDecodeError, AudioTooLong

with warnings.catch_warnings():
    # It warns that it found no ffmpeg program. It needs none: it only ever sees our own PCM.
    warnings.simplefilter("ignore")
    from pydub import AudioSegment

__all__ = ["SAMPLE_RATE", "Audio", "decode", "from_wav", "open_wav", "to_wav"]

SAMPLE_RATE: Final = 16_000
"""What speech recognition hears, in Hz."""

_PCM16_SCALE: Final = 32768
_WAV_HEADER: Final = struct.Struct("<4sI4s 4sIHHIIHH 4sI")  # RIFF, fmt and data
_WAV_OPEN: Final = 0xFFFFFFFF  # the size of what is not known yet
_SAMPLE_RATES: Final = range(8_000, 384_001)  # Hz
_CHANNELS: Final = range(1, 9)
_DECLARED_MARGIN: Final = 1.0  # seconds: encoders pad, and containers round

# FFmpeg's names of the only decoders an upload may reach.
_DECODERS: Final = frozenset({
    "aac", "flac", "mp3float", "opus", "vorbis",
    "pcm_u8", "pcm_s16le", "pcm_s24le", "pcm_s32le", "pcm_f32le", "pcm_f64le",
    "pcm_alaw", "pcm_mulaw",
})  # fmt: skip


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
        pieces = [self.samples[:0], *_resample([frame], sample_rate)]
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


def decode(data: bytes, *, max_duration: float) -> Audio:
    """Decode an upload, which nobody vouches for, into mono at ``SAMPLE_RATE``.

    ``data``: a whole file: WebM, Matroska, Ogg, MP4, ADTS AAC, MP3, FLAC or WAV. Its first audio
    stream is heard; video is ignored. ``max_duration``: in seconds; memory is bounded by it.

    Raises ``AudioDecodeError`` when ``data`` is not such a file, is cut short or is damaged
    anywhere; ``AudioTooLong`` beyond ``max_duration``: at once when the file says so itself, else
    as soon as that much has been decoded.
    """
    data = containers.without_tags(data)
    container_format = containers.identify(data)
    try:
        samples = _decode(data, container_format, max_duration)
    # FFmpeg reports most damage as its own errors; PyAV adds ValueError for what it cannot
    # represent, such as a stream that changes its sample rate on the way.
    except (av.FFmpegError, ValueError) as error:
        raise AudioDecodeError(_("The recording is damaged and cannot be read.")) from error
    if not len(samples):
        raise AudioDecodeError(_("The recording holds no sound."))
    if not np.isfinite(samples).all():
        raise AudioDecodeError(_("The recording is damaged and cannot be read."))
    return Audio(np.clip(samples, -1, 1), SAMPLE_RATE)


def _decode(data: bytes, container_format: str, max_duration: float) -> NDArray[np.float32]:
    limit = round(max_duration * SAMPLE_RATE)
    chunks, length = [np.empty(0, np.float32)], 0
    with av.open(
        io.BytesIO(data),
        mode="r",
        format=container_format,
        # Nothing named inside may be opened; and FFmpeg decodes already while it probes.
        container_options={"protocol_whitelist": "", "codec_whitelist": ",".join(_DECODERS)},
        metadata_errors="replace",
    ) as container:
        if not container.streams.audio:
            raise AudioDecodeError(_("The recording holds no sound."))
        stream = container.streams.audio[0]
        declared = _declared_duration(container, stream)
        if declared > max_duration + _DECLARED_MARGIN:
            raise AudioTooLong(declared, max_duration)
        for chunk in _resample(_frames(container, stream), SAMPLE_RATE):
            length += len(chunk)
            if length > limit:
                raise AudioTooLong(max_duration, max_duration, at_least=True)
            chunks.append(chunk)
    return np.concatenate(chunks)


def _declared_duration(container: InputContainer, stream: AudioStream) -> float:
    """What the container says, in seconds; 0 when it does not."""
    if container.format.name in {"aac", "mp3"}:  # FFmpeg estimates it from the bit rate
        return 0.0
    if stream.duration is not None and stream.time_base is not None:
        return float(stream.duration * stream.time_base)
    return (container.duration or 0) / av.time_base


def _frames(container: InputContainer, stream: AudioStream) -> Iterator[av.AudioFrame]:
    """All frames of ``stream``, decoded. One damaged packet fails the whole recording.

    MP3 needs no exception: where its first frame refers to bits cut away before it, or its last
    one is incomplete, FFmpeg itself stays silent instead of failing.
    """
    context = stream.codec_context
    if context is None or context.name not in _DECODERS:
        raise AudioDecodeError(
            _("This codec is not accepted. Send Opus, Vorbis, AAC, MP3, FLAC or PCM audio.")
        )
    _check_layout(context.sample_rate, context.channels)
    length = 0
    for packet in container.demux(stream):
        for frame in packet.decode():
            # A frame has its own header, which need not say what the container says.
            _check_layout(frame.sample_rate, frame.layout.nb_channels)
            length += frame.samples
            yield frame
    if container.format.name == "flac" and length < (stream.duration or 0):
        raise AudioDecodeError(_("The recording is cut short or damaged. Send it again."))


def _check_layout(sample_rate: int, channels: int) -> None:
    if sample_rate not in _SAMPLE_RATES or channels not in _CHANNELS:
        raise AudioDecodeError(
            _("Audio of %(channels)d channels at %(sample_rate)d Hz is not accepted.")
            % {"channels": channels, "sample_rate": sample_rate}
        )


def _resample(frames: Iterable[av.AudioFrame], sample_rate: int) -> Iterator[NDArray[np.float32]]:
    """``frames``, all of one kind, as mono chunks of shape ``(n,)`` at ``sample_rate`` Hz.

    Raises ``ValueError`` when a frame differs in kind from the first.
    """
    # Without the option, mixing to floats adds channels up beyond 1.0.
    resampler = av.AudioResampler("flt", "mono", sample_rate, options={"rematrix_maxval": "1"})
    for frame in itertools.chain(frames, [None]):
        for resampled in resampler.resample(frame):
            yield resampled.to_ndarray()[0]
