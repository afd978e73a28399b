"""What lies in an upload, as samples: PyAV with all that FFmpeg would do unasked turned off."""

from __future__ import annotations

import io
import itertools
from collections.abc import Iterable, Iterator
from typing import Final

import av
import numpy as np
from av.audio import AudioStream
from av.container import InputContainer
from numpy.typing import NDArray

from pipeline.decoding import containers
from pipeline.decoding.refusals import Reason, Refused

__all__ = ["SAMPLE_RATE", "chunks", "resampled"]

SAMPLE_RATE: Final = 16_000
"""What speech recognition hears, in Hz."""

_DECLARED_MARGIN: Final = 1.0  # seconds: encoders pad, and containers round

# FFmpeg's names of the only decoders an upload may reach.
_DECODERS: Final = frozenset({
    "aac", "flac", "mp3float", "opus", "vorbis",
    "pcm_u8", "pcm_s16le", "pcm_s24le", "pcm_s32le", "pcm_f32le", "pcm_f64le",
    "pcm_alaw", "pcm_mulaw",
})  # fmt: skip


def chunks(data: bytes, max_duration: float) -> Iterator[NDArray[np.float32]]:
    """The samples of ``data``, a whole file, as they are decoded: mono, at ``SAMPLE_RATE``.

    They may lie beyond [-1, 1], or be no number at all. Raises ``Refused``, after some chunks
    perhaps.
    """
    data = containers.without_tags(data)
    container_format = containers.identify(data)
    limit, length = round(max_duration * SAMPLE_RATE), 0
    try:
        for chunk in _decoded(data, container_format, max_duration):
            length += len(chunk)
            if length > limit:
                raise Refused(Reason.NO_END, duration=max_duration)
            yield chunk
    except MemoryError as error:
        raise Refused(Reason.TOO_MUCH) from error
    # FFmpeg reports most damage as its own errors; PyAV adds ValueError for what it cannot
    # represent, such as a stream that changes its sample rate on the way.
    except (av.FFmpegError, ValueError) as error:
        raise Refused(Reason.DAMAGED) from error
    if not length:
        raise Refused(Reason.NO_SOUND)


def _decoded(
    data: bytes, container_format: str, max_duration: float
) -> Iterator[NDArray[np.float32]]:
    with av.open(
        io.BytesIO(data),
        mode="r",
        format=container_format,
        # Nothing named inside may be opened; and FFmpeg decodes already while it probes.
        container_options={"protocol_whitelist": "", "codec_whitelist": ",".join(_DECODERS)},
        metadata_errors="replace",
    ) as container:
        if not container.streams.audio:
            raise Refused(Reason.NO_SOUND)
        stream = container.streams.audio[0]
        declared = _declared_duration(container, stream)
        if declared > max_duration + _DECLARED_MARGIN:
            raise Refused(Reason.TOO_LONG, duration=declared)
        yield from resampled(_frames(container, stream), SAMPLE_RATE)


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
        raise Refused(Reason.CODEC)
    containers.check_layout(context.sample_rate, context.channels)
    length = 0
    for packet in container.demux(stream):
        for frame in packet.decode():
            # A frame has its own header, which need not say what the container says.
            containers.check_layout(frame.sample_rate, frame.layout.nb_channels)
            length += frame.samples
            yield frame
    if container.format.name == "flac" and length < (stream.duration or 0):
        raise Refused(Reason.TRUNCATED)


def resampled(frames: Iterable[av.AudioFrame], sample_rate: int) -> Iterator[NDArray[np.float32]]:
    """``frames``, all of one kind, as mono chunks of shape ``(n,)`` at ``sample_rate`` Hz.

    Raises ``ValueError`` when a frame differs in kind from the first.
    """
    # Without the option, mixing to floats adds channels up beyond 1.0.
    resampler = av.AudioResampler("flt", "mono", sample_rate, options={"rematrix_maxval": "1"})
    for frame in itertools.chain(frames, [None]):
        for piece in resampler.resample(frame):
            yield piece.to_ndarray()[0]
