"""What is read from uploads, good and bad.

In this process, where it can be measured; ``test_decoding`` holds the child to the same.
"""

from __future__ import annotations

import io
import random
import struct
import tracemalloc
from pathlib import Path

import av
import numpy as np
import pytest
from av.audio import AudioStream

from pipeline.audio import SAMPLE_RATE, Audio, to_wav
from pipeline.decoding.client import error
from pipeline.decoding.refusals import Refused
from pipeline.decoding.samples import chunks
from pipeline.errors import AudioDecodeError, AudioTooLong, InputError
from tests.uploads import (
    DURATION,
    ENDLESS,
    LAYOUTS,
    TONE_HZ,
    UPLOADS,
    assert_is_tone,
    black,
    box,
    dominant_hz,
    encode,
    film,
    mov_of_alias,
    table,
    tone,
    wav_of,
)


def decode(data: bytes, *, max_duration: float) -> Audio:
    try:
        samples = np.concatenate(list(chunks(data, max_duration)))
    except Refused as refused:
        raise error(refused, max_duration) from refused
    return Audio(samples, SAMPLE_RATE)


@pytest.fixture(scope="module")
def uploads() -> dict[str, bytes]:
    return {name: make() for name, make in UPLOADS.items()}


class TestDecode:
    @pytest.mark.parametrize("name", UPLOADS)
    def test_containers(self, uploads: dict[str, bytes], name: str) -> None:
        assert_is_tone(decode(uploads[name], max_duration=2))

    @pytest.mark.parametrize("channels", LAYOUTS)
    @pytest.mark.parametrize("sample_rate", [8_000, 22_050, 44_100, 96_000])
    @pytest.mark.parametrize("codec", ["pcm_s16le", "flac"])
    def test_rates_and_channels(self, codec: str, sample_rate: int, channels: int) -> None:
        container_format = "wav" if codec == "pcm_s16le" else "flac"
        data = encode(container_format, codec, sample_rate=sample_rate, channels=channels)
        assert_is_tone(decode(data, max_duration=2))

    @pytest.mark.parametrize(
        "codec",
        ["pcm_u8", "pcm_s24le", "pcm_s32le", "pcm_f32le", "pcm_f64le", "pcm_alaw", "pcm_mulaw"],
    )
    @pytest.mark.parametrize("channels", [1, 6])  # with six FFmpeg writes WAVE_FORMAT_EXTENSIBLE
    def test_wav_encodings(self, codec: str, channels: int) -> None:
        data = encode("wav", codec, sample_rate=16_000, channels=channels)
        assert_is_tone(decode(data, max_duration=2))

    @pytest.mark.parametrize("channels", range(1, 9))
    def test_channels_without_a_layout_mix_without_overload(self, channels: int) -> None:
        pcm = np.repeat((1.8 * 32767 * tone(16_000)).astype("<i2"), channels).tobytes()
        data = wav_of(pcm, tag=1, bits=16, channels=channels)
        assert np.abs(decode(data, max_duration=2).samples).max() == pytest.approx(0.9, abs=0.01)

    def test_mp3_with_large_cover_art(self, uploads: dict[str, bytes]) -> None:
        size = 3_000_000
        synchsafe = bytes(size >> shift & 0x7F for shift in (21, 14, 7, 0))
        cover = b"ID3\x04\0\0" + synchsafe + random.Random(0).randbytes(size)
        footer = b"ID3\x04\0\x10" + bytes(4) + bytes(10)
        assert_is_tone(decode(cover + footer + uploads["mp3"], max_duration=2))

    def test_mp3_that_starts_in_the_middle(self, uploads: dict[str, bytes]) -> None:
        mp3 = uploads["mp3"]
        bare = mp3[mp3.index(mp3[45:47], 3_000) :]
        audio = decode(bare, max_duration=2)
        assert 0.5 < audio.duration < DURATION
        assert dominant_hz(audio) == pytest.approx(TONE_HZ, abs=2)

    @pytest.mark.parametrize("size", [0, 0xFFFFFFFF, 0x7FFFFFFF, 0x7FFFFFD3])
    def test_wav_from_a_pipe(self, size: int) -> None:
        data = bytearray(to_wav([Audio(tone(16_000), 16_000)]))
        data[40:44] = struct.pack("<I", size)
        assert_is_tone(decode(bytes(data), max_duration=2))

    @pytest.mark.parametrize("name", UPLOADS)
    def test_cut_short(self, uploads: dict[str, bytes], name: str) -> None:
        data = uploads[name]
        for end in {*range(1, len(data), len(data) // 150), *range(len(data) - 12, len(data))}:
            try:
                audio = decode(data[:end], max_duration=2)
            except AudioDecodeError:
                continue
            assert name in ENDLESS, f"{end} of {len(data)} bytes pass for {audio.duration} s"

    def test_ogg_recorder_stopped_between_pages(self, uploads: dict[str, bytes]) -> None:
        data = uploads["ogg opus"]
        assert 0.5 < decode(data[: data.rindex(b"OggS")], max_duration=2).duration < DURATION

    def test_webm_recorder_stopped_between_blocks(self, uploads: dict[str, bytes]) -> None:
        data = bytearray(uploads["webm live"])
        cluster = data.index(b"\x1f\x43\xb6\x75") + 4
        assert data[cluster] & 0xC0 == 0x40  # a size of two bytes
        data[cluster : cluster + 2] = b"\x7f\xff"  # unknown, as browsers leave it
        assert_is_tone(decode(bytes(data), max_duration=2))
        ends = [end for end in range(len(data) * 2 // 3, len(data)) if _decodes(bytes(data[:end]))]
        assert 5 < len(ends) < 60  # about one for each block of 20 ms
        assert 0.5 < decode(bytes(data[: ends[0]]), max_duration=2).duration < DURATION

    def test_moof_without_its_media(self, uploads: dict[str, bytes]) -> None:
        data = uploads["mp4 fragmented"]
        end = data.rindex(b"mdat") - 4
        with pytest.raises(AudioDecodeError):
            decode(data[:end], max_duration=2)

    def test_large_mp4_boxes(self, uploads: dict[str, bytes]) -> None:
        large = struct.pack(">I4sQ", 1, b"free", 24) + bytes(8)
        open_ended = struct.pack(">I4s", 0, b"free") + bytes(100)
        assert_is_tone(decode(uploads["m4a"] + large + open_ended, max_duration=2))

    def test_flac_that_lacks_frames(self, uploads: dict[str, bytes]) -> None:
        data = bytearray(uploads["flac"])
        (header,) = struct.unpack(">Q", data[18:26])  # its low 36 bits are the number of samples
        assert header & (1 << 36) - 1 == len(tone(16_000))
        data[18:26] = struct.pack(">Q", header + 1)
        with pytest.raises(AudioDecodeError, match="cut short"):
            decode(bytes(data), max_duration=2)

    def test_damaged_packet(self) -> None:
        data = bytearray(encode("matroska", "flac", sample_rate=16_000))
        middle = data.index(b"\xff\xf8", len(data) // 2)
        data[middle : middle + 2] = b"\0\0"
        with pytest.raises(AudioDecodeError, match="damaged"):
            decode(bytes(data), max_duration=2)

    @pytest.mark.parametrize(
        ("sample_rate", "channels"), [(4_000, 1), (7_999, 1), (400_000, 1), (16_000, 9)]
    )
    def test_layouts_out_of_bounds(self, sample_rate: int, channels: int) -> None:
        data = wav_of(bytes(9 * 1600), tag=1, bits=16, channels=channels, sample_rate=sample_rate)
        with pytest.raises(AudioDecodeError, match=str(sample_rate)):
            decode(data, max_duration=2)

    def test_sample_rate_that_changes(self) -> None:
        first, second = (encode("ogg", "flac", sample_rate=rate) for rate in (48_000, 44_100))
        with pytest.raises(AudioDecodeError):
            decode(first + second, max_duration=9)

    @pytest.mark.parametrize(
        "data",
        [
            pytest.param(encode("matroska", "ac3"), id="ac3"),
            pytest.param(encode("wav", "adpcm_ms", sample_rate=16_000), id="adpcm"),
            pytest.param(wav_of(bytes(999), tag=0x7777, bits=8), id="unknown"),
        ],
    )
    def test_other_codecs(self, data: bytes) -> None:
        with pytest.raises(AudioDecodeError, match="codec"):
            decode(data, max_duration=2)

    def test_video_only(self) -> None:
        file = io.BytesIO()
        with av.open(file, "w", format="matroska") as container:
            stream = film(container)
            container.start_encoding()
            container.mux(stream.encode(black()))
            container.mux(stream.encode(None))
        with pytest.raises(AudioDecodeError, match="no sound"):
            decode(file.getvalue(), max_duration=2)

    @pytest.mark.parametrize(
        "data",
        [
            pytest.param(to_wav([]), id="wav"),
            pytest.param(b"RIFF\x04\0\0\0WAVE", id="wav without chunks"),
            pytest.param(b"\x1aE\xdf\xa3", id="ebml magic"),
            pytest.param(b"\x1aE\xdf\xa3\x80", id="ebml header"),
            pytest.param(b"\x1aE\xdf\xa3\0\0\0", id="ebml size of nine bytes"),
            pytest.param(b"\x1aE\xdf\xa3\x80" + b"\xec\x80" * 250_001, id="too many elements"),
            pytest.param(box(b"ftyp", b"isom"), id="ftyp"),
            pytest.param(box(b"ftyp", b"isom") + b"\0\0\0\7moov", id="impossible box"),
            pytest.param(b"fLaC", id="flac"),
            pytest.param(b"OggS", id="ogg"),
            pytest.param(b"ID3\x04\0\0\0\0\0\0", id="id3"),
            pytest.param(b"ID3", id="half an id3"),
            pytest.param(b"\xff\xfb", id="mp3"),
            pytest.param(b"\xff\xf1" + bytes(20), id="adts frame of no length"),
        ],
    )
    def test_headers_only(self, data: bytes) -> None:
        with pytest.raises(AudioDecodeError):
            decode(data, max_duration=2)

    @pytest.mark.parametrize(
        "data",
        [
            b"",
            b"hello",
            "écoute".encode("utf-16"),  # its byte order mark looks like MPEG audio, layer I
            b'{"audio": null}',
            b"<!doctype html><title>404</title>",
            b"%PDF-1.7\n",
            b"PK\x03\x04" + bytes(30),
            b"\x89PNG\r\n\x1a\n" + bytes(30),
            b"\xff\xd8\xff\xe0" + bytes(30),
            b"GIF89a" + bytes(30),
            b"RIFF\x04\0\0\0WEBPVP8 ",
            b"MThd" + bytes(30),
        ],
    )
    def test_other_files(self, data: bytes) -> None:
        with pytest.raises(AudioDecodeError, match="WebM"):
            decode(data, max_duration=2)

    @pytest.mark.parametrize("name", UPLOADS)
    def test_mutations_raise_nothing_but_input_errors(
        self, uploads: dict[str, bytes], name: str
    ) -> None:
        chance = random.Random(name)
        outcomes = set()
        for _round in range(40):
            data = bytearray(uploads[name])
            for _byte in range(chance.choice((1, 3, 30))):
                # Headers are where structure is: half of the damage goes there.
                span = chance.choice((min(600, len(data)), len(data)))
                data[chance.randrange(span)] = chance.randrange(256)
            outcomes.add(_decodes(bytes(data)))
        assert False in outcomes  # some of it mattered


def _decodes(data: bytes) -> bool:
    try:
        audio = decode(data, max_duration=2)
    except InputError:
        return False
    return bool(np.isfinite(audio.samples).all()) and audio.duration <= 2


class TestLimits:
    @pytest.mark.parametrize("sample_rate", [8_000, 11_025, 16_000, 44_100, 96_000])
    def test_exactly_the_limit(self, sample_rate: int) -> None:
        data = to_wav([Audio(tone(sample_rate, 1.0), sample_rate)])
        assert decode(data, max_duration=1).duration == 1

    def test_a_declared_duration_is_told(self) -> None:
        with pytest.raises(AudioTooLong) as caught:
            decode(to_wav([Audio(tone(16_000, 3.0), 16_000)]), max_duration=1)
        assert (caught.value.duration, caught.value.limit) == (3, 1)
        assert "more than" not in caught.value.message

    @pytest.mark.parametrize("name", ["webm", "webm live", "m4a", "adts", "mp3", "wav", "ogg opus"])
    def test_samples_are_counted(self, uploads: dict[str, bytes], name: str) -> None:
        with pytest.raises(AudioTooLong) as caught:
            decode(uploads[name], max_duration=0.5)
        assert (caught.value.duration, caught.value.limit) == (0.5, 0.5)
        assert "more than" in caught.value.message

    def test_memory_that_runs_out(
        self, uploads: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def full(*args: object, **kwargs: object) -> None:
            raise MemoryError

        monkeypatch.setattr(av, "open", full)
        with pytest.raises(AudioDecodeError, match="too much time or memory"):
            decode(uploads["wav"], max_duration=2)

    def test_an_hour_of_silence(self) -> None:
        """A small file: once it says how long it is, once it does not."""
        file = io.BytesIO()
        with av.open(file, "w", format="flac") as container:
            stream = container.add_stream("flac", rate=8_000, layout="mono")
            assert isinstance(stream, AudioStream)
            minute = np.zeros((1, 8_000 * 60), np.int16)
            for start in range(60):
                frame = av.AudioFrame.from_ndarray(minute, "s16", "mono")
                frame.sample_rate, frame.pts = 8_000, start * minute.size
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
        flac = bytearray(file.getvalue())
        assert len(flac) < 1_000_000
        with pytest.raises(AudioTooLong) as caught:
            decode(bytes(flac), max_duration=60)
        assert caught.value.duration == 3600

        flac[21] &= 0xF0  # the low 36 bits are the number of samples; live encoders leave zero
        flac[22:26] = bytes(4)
        tracemalloc.start()
        with pytest.raises(AudioTooLong) as caught:
            decode(bytes(flac), max_duration=60)
        peak_bytes = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert caught.value.duration == 60
        assert peak_bytes < 2 * len(flac) + 2 * 4 * 60 * SAMPLE_RATE

    @pytest.mark.parametrize(
        "tables",
        [
            pytest.param(table(b"stsz", 1, 40_000_000), id="stsz"),
            pytest.param(table(b"stz2", 8, 40_000_000), id="stz2"),
            pytest.param(table(b"trun", 40_000_000), id="trun"),
            pytest.param(table(b"stsz", 1, 100) + table(b"elst", 100), id="edits"),
            pytest.param(box(b"cmov", bytes(16)), id="compressed"),
        ],
    )
    def test_mp4_that_announces_more_than_it_holds(
        self, uploads: dict[str, bytes], tables: bytes
    ) -> None:
        data = box(b"ftyp", b"isom") + box(b"moov", box(b"udta", tables))
        with pytest.raises(AudioDecodeError, match="damaged"):
            decode(data, max_duration=2)


class TestNothingElseIsOpened:
    """Each of these names ``secret``, a valid recording: opening it would make decoding succeed."""

    @pytest.fixture
    def secret(self, tmp_path: Path) -> Path:
        path = tmp_path / "secret.wav"
        path.write_bytes(to_wav([Audio(tone(16_000), 16_000)]))
        return path

    @pytest.mark.parametrize(
        "playlist",
        [
            "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{}\n#EXT-X-ENDLIST\n",
            "ffconcat version 1.0\nfile '{}'\n",
            "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio 9 RTP/AVP 0\n",
            '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011"><Period>'
            "<AdaptationSet><Representation><BaseURL>{}</BaseURL></Representation>"
            "</AdaptationSet></Period></MPD>",
            "[playlist]\nFile1={}\n",
        ],
    )
    @pytest.mark.parametrize("relative", [False, True])
    def test_playlists(
        self, secret: Path, monkeypatch: pytest.MonkeyPatch, playlist: str, relative: bool
    ) -> None:
        monkeypatch.chdir(secret.parent)
        text = playlist.format(secret.name if relative else secret)
        with pytest.raises(AudioDecodeError):
            decode(text.encode(), max_duration=2)
        (secret.parent / "named.wav").write_text(text)
        with pytest.raises(AudioDecodeError):
            decode((secret.parent / "named.wav").read_bytes(), max_duration=2)

    def test_quicktime_alias(self, secret: Path) -> None:
        data = mov_of_alias(secret)
        permissive = {"enable_drefs": "1", "use_absolute_path": "1"}
        with av.open(io.BytesIO(data), "r", "mov", options=permissive) as container:
            opened = next(container.decode(audio=0))
        assert opened.to_ndarray().any()  # FFmpeg can be made to: the file is a real threat
        with pytest.raises(AudioDecodeError, match="no sound"):
            decode(data, max_duration=2)


def test_no_descriptor_is_left_open(uploads: dict[str, bytes]) -> None:
    descriptors = Path("/proc/self/fd")
    if not descriptors.is_dir():
        pytest.skip("needs /proc")
    before = len(list(descriptors.iterdir()))
    for data in uploads.values():
        _decodes(data)
        _decodes(data[: len(data) // 2])
    assert len(list(descriptors.iterdir())) == before
