"""What an upload really is, told from its bytes, and whether all of it arrived.

FFmpeg guesses the container and trusts it, which is wrong twice for bytes from outside. A guess
may land on a playlist, which reads other files; so the container is named here, from magic bytes,
and forced. And FFmpeg says nothing when most containers stop in the middle; so their outermost
structure is walked here first: an upload cut short must not pass for a shorter utterance.

No samples are read here and nothing is allocated in proportion to what a header claims.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from pipeline.decoding.refusals import Reason, Refused

__all__ = ["check_layout", "identify", "without_tags"]

_SAMPLE_RATES: Final = range(8_000, 384_001)  # Hz
_CHANNELS: Final = range(1, 9)

# The shortest element of these containers is two bytes, so a few megabytes could make millions of
# steps. This many are more than an hour of any real recording.
_MAX_ELEMENTS: Final = 250_000

_ID3_HEADER_BYTES: Final = 10
_ID3_FOOTER: Final = 0x10

_EBML_SEGMENT: Final = 0x18538067
_EBML_CLUSTER: Final = 0x1F43B675

# WAV written to a pipe cannot know its size; writers leave zero or about the largest number there.
_WAV_OPEN_SIZE: Final = 0x7FFF0000

# Boxes whose header announces table entries without storing them, and where that number stands
# after the name: a 600-byte file can make FFmpeg allocate gigabytes. FFmpeg finds them at many
# depths, so the names are searched rather than walked to.
_MP4_SAMPLES: Final = re.compile(rb"(?:stsz.{8}|stz2.{8}|trun.{4})(.{4})", re.DOTALL)
_MP4_EDITS: Final = re.compile(rb"elst.{4}(.{4})", re.DOTALL)


def without_tags(data: bytes) -> bytes:
    """``data`` after its leading ID3v2 tags: titles and cover art, megabytes of them at times."""
    start = 0
    while data.startswith(b"ID3", start) and len(data) >= start + _ID3_HEADER_BYTES:
        size_bytes = 0
        for byte in data[start + 6 : start + _ID3_HEADER_BYTES]:
            size_bytes = size_bytes << 7 | byte & 0x7F
        footer = _ID3_HEADER_BYTES if data[start + 5] & _ID3_FOOTER else 0
        start += _ID3_HEADER_BYTES + size_bytes + footer
    return data[start:]


def identify(data: bytes) -> str:
    """FFmpeg's name of the demuxer for ``data``, a whole file in memory, without ID3v2 tags.

    Raises ``Refused`` when ``data`` is none of the accepted containers, or is one cut
    short. Two cuts cannot be told: MP3 has no end, and a live WebM or Ogg that stops exactly
    between two of its elements looks like a recorder that was stopped. A FLAC cut short shows
    only when its samples are counted.
    """
    if data.startswith(b"\x1aE\xdf\xa3"):
        _walk(data, _ebml_element_end)
        return "matroska"
    if data.startswith(b"OggS"):
        _walk(data, _ogg_page_end)
        return "ogg"
    if data[4:8] == b"ftyp":
        _check_mp4(data)
        return "mov"
    if data.startswith(b"RIFF") and data[8:12] == b"WAVE":
        _check_wav(data)
        return "wav"
    if data.startswith(b"fLaC"):
        return "flac"
    sync = int.from_bytes(data[:2], "big")
    if sync & 0xFFF6 == 0xFFF0:  # 12 bits of sync, layer 0
        _walk(data, _adts_frame_end)
        return "aac"
    if sync & 0xFFE6 == 0xFFE2 and sync & 0x18 != 0x08:  # 11 bits, layer III, a version that exists
        return "mp3"
    raise Refused(Reason.UNKNOWN)


def _walk(data: bytes, element_end: Callable[[bytes, int], int]) -> None:
    """Step from element to element: the last must end where ``data`` ends."""
    position = 0
    for _element in range(_MAX_ELEMENTS):
        try:
            position = element_end(data, position)
        except IndexError:  # cut inside an element's header
            raise Refused(Reason.TRUNCATED) from None
        if position >= len(data):
            break
    if position != len(data):
        raise Refused(Reason.TRUNCATED)


def _ebml_element_end(data: bytes, start: int) -> int:
    """Matroska and WebM (RFC 8794): an identifier, a size, both of variable length, a content.

    Segments and clusters are entered instead of skipped; live recorders do not know their size.
    """
    id_bytes = 9 - data[start].bit_length()
    size_at = start + id_bytes
    size_bytes = 9 - data[size_at].bit_length()
    content = size_at + size_bytes
    if max(id_bytes, size_bytes) > 8 or content > len(data):
        raise Refused(Reason.TRUNCATED)
    unknown = (1 << 7 * size_bytes) - 1
    size = int.from_bytes(data[size_at:content], "big") & unknown
    if int.from_bytes(data[start:size_at], "big") not in (_EBML_SEGMENT, _EBML_CLUSTER):
        return content + size
    if size != unknown and content + size > len(data):
        raise Refused(Reason.TRUNCATED)
    return content


def _ogg_page_end(data: bytes, start: int) -> int:
    """Ogg (RFC 3533): 26 bytes of header, the number of segments, their lengths, their contents."""
    if not data.startswith(b"OggS", start):
        raise Refused(Reason.TRUNCATED)
    content = start + 27 + data[start + 26]
    return content + sum(data[start + 27 : content])


def _adts_frame_end(data: bytes, start: int) -> int:
    """AAC in ADTS (ISO 13818-7): a header with 13 bits of frame length, header included."""
    size = (data[start + 3] & 0x03) << 11 | data[start + 4] << 3 | data[start + 5] >> 5
    if data[start] != 0xFF or data[start + 1] & 0xF6 != 0xF0 or size < 7:
        raise Refused(Reason.TRUNCATED)
    return start + size


def _mp4_box_end(data: bytes, start: int) -> int:
    """MP4 (ISO 14496-12): a size of 4 bytes, or of 8 when it reads 1; 0 means to the end."""
    size = int.from_bytes(data[start : start + 4], "big")
    if size == 0:
        return len(data)
    header_bytes = 8
    if size == 1:
        header_bytes = 16
        size = int.from_bytes(data[start + 8 : start + 16], "big")
    if size < header_bytes:
        raise Refused(Reason.TRUNCATED)
    return start + size


def _check_mp4(data: bytes) -> None:
    tables: list[bytes] = []  # every outermost box but the media itself
    name = b""

    def box_end(data: bytes, start: int) -> int:
        nonlocal name
        name, end = data[start + 4 : start + 8], _mp4_box_end(data, start)
        if name != b"mdat":
            tables.append(data[start:end])
        return end

    _walk(data, box_end)
    if name == b"moof":  # describes media that should follow
        raise Refused(Reason.TRUNCATED)
    headers = b"".join(tables)
    samples = sum(int.from_bytes(count, "big") for count in _MP4_SAMPLES.findall(headers))
    edits = sum(int.from_bytes(count, "big") for count in _MP4_EDITS.findall(headers))
    # A sample takes a byte at least, and FFmpeg may index it once per edit. "cmov" is a header
    # compressed with zlib, obsolete for twenty years, in which all this could hide.
    if samples * max(edits, 1) > len(data) or b"cmov" in headers:
        raise Refused(Reason.TRUNCATED)


def check_layout(sample_rate: int, channels: int) -> None:
    """Raises ``Refused`` for what no recording of speech has. ``sample_rate`` in Hz."""
    if sample_rate not in _SAMPLE_RATES or channels not in _CHANNELS:
        raise Refused(Reason.LAYOUT, sample_rate=sample_rate, channels=channels)


def _check_wav(data: bytes) -> None:
    """WAV: chunks of a name, a size and a content, padded to an even length.

    FFmpeg allocates for as many channels as are said, hence they are looked at before it does.
    """
    start = 12
    while start + 8 <= len(data):
        size = int.from_bytes(data[start + 4 : start + 8], "little")
        if data[start : start + 4] == b"fmt ":
            channels = int.from_bytes(data[start + 10 : start + 12], "little")
            check_layout(int.from_bytes(data[start + 12 : start + 16], "little"), channels)
        if data[start : start + 4] == b"data":
            if start + 8 + size > len(data) and size < _WAV_OPEN_SIZE:
                break
            return
        start += 8 + size + size % 2
    raise Refused(Reason.TRUNCATED)
