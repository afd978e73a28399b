"""Audio: arithmetic of samples, and WAV there and back."""

from __future__ import annotations

import io
import struct
import wave

import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.audio import SAMPLE_RATE, Audio, from_wav, open_wav, to_wav
from tests.uploads import assert_is_tone, tone


class TestAudio:
    def test_duration(self) -> None:
        assert Audio(tone(24_000, 0.5), 24_000).duration == 0.5

    @pytest.mark.parametrize(
        ("samples", "sample_rate"),
        [
            (np.zeros((2, 2), np.float32), 16_000),
            (np.zeros(2), 16_000),
            (np.array([0, np.nan], np.float32), 16_000),
            (np.array([0, np.inf], np.float32), 16_000),
            (np.zeros(2, np.float32), 0),
        ],
    )
    def test_rejects(self, samples: NDArray[np.float32], sample_rate: int) -> None:
        with pytest.raises(ValueError, match=r"samples|sample_rate"):
            Audio(samples, sample_rate)

    def test_every_pcm16_value_survives(self) -> None:
        data = np.arange(-32768, 32768).astype("<i2").tobytes()
        assert Audio.from_pcm16(data, 8_000).pcm16() == data

    def test_float_survives_once_quantised(self) -> None:
        first = Audio(tone(16_000), 16_000).pcm16()
        assert Audio.from_pcm16(first, 16_000).pcm16() == first

    def test_pcm16_clips_and_is_little_endian(self) -> None:
        loud = Audio(np.array([2, 1, -1, -2, 1 / 32768], np.float32), 16_000)
        assert loud.pcm16() == bytes.fromhex("ff7f ff7f 0080 0080 0100")
        assert loud.pcm16(big_endian=True) == bytes.fromhex("7fff 7fff 8000 8000 0001")

    def test_half_a_sample(self) -> None:
        with pytest.raises(ValueError, match="buffer size"):
            Audio.from_pcm16(b"\0\0\0", 16_000)

    @pytest.mark.parametrize("sample_rate", [8_000, 16_000, 22_050, 24_000, 44_100, 48_000])
    def test_resampled(self, sample_rate: int) -> None:
        audio = Audio(tone(sample_rate, 1.0), sample_rate).resampled(SAMPLE_RATE)
        assert len(audio.samples) == SAMPLE_RATE
        assert_is_tone(audio, duration=1.0)

    def test_resampling_does_not_alias(self) -> None:
        audio = Audio(tone(48_000, hz=10_000), 48_000).resampled(SAMPLE_RATE)
        assert np.abs(audio.samples[400:-400]).max() < 0.001

    def test_resampled_to_its_own_rate_is_itself(self) -> None:
        audio = Audio(tone(16_000), 16_000)
        assert audio.resampled(16_000) is audio

    def test_resampled_nothing(self) -> None:
        audio = Audio(np.empty(0, np.float32), 8_000).resampled(16_000)
        assert (len(audio.samples), audio.sample_rate) == (0, 16_000)

    def test_resampled_view(self) -> None:
        both = np.stack([tone(48_000), -tone(48_000)], axis=1)
        assert_is_tone(Audio(both[:, 0], 48_000).resampled(SAMPLE_RATE))


class TestWav:
    def test_joins_chunks_with_exact_sizes(self) -> None:
        chunks = [Audio(tone(24_000, 0.5), 24_000), Audio(tone(24_000, 0.25), 24_000)]
        data = to_wav(iter(chunks))
        with wave.open(io.BytesIO(data)) as wav:
            assert wav.getparams()[:4] == (1, 2, 24_000, 18_000)
            assert wav.readframes(18_000) == chunks[0].pcm16() + chunks[1].pcm16()
        assert struct.unpack("<I", data[4:8])[0] == len(data) - 8
        assert struct.unpack("<I", data[40:44])[0] == len(data) - 44

    def test_empty(self) -> None:
        audio = from_wav(to_wav([]))
        assert (len(audio.samples), audio.sample_rate) == (0, SAMPLE_RATE)

    def test_sample_rates_must_agree(self) -> None:
        with pytest.raises(ValueError, match=r"\[16000, 24000\]"):
            to_wav([Audio(tone(24_000), 24_000), Audio(tone(16_000), 16_000)])

    def test_an_open_one_differs_in_its_sizes_only(self) -> None:
        closed = bytearray(to_wav([Audio(np.empty(0, np.float32), 22_050)]))
        closed[4:8] = closed[40:44] = b"\xff" * 4
        assert open_wav(22_050) == closed

    def test_round_trip(self) -> None:
        audio = Audio(tone(24_000), 24_000)
        again = from_wav(to_wav([audio]))
        assert again.sample_rate == 24_000
        assert again.pcm16() == audio.pcm16()

    def test_any_damage_to_the_header_or_length_is_told(self) -> None:
        good = to_wav([Audio(tone(8_000, 0.01), 8_000)])
        for position in range(44):
            bad = bytearray(good)
            bad[position] ^= 0xFF
            with pytest.raises(ValueError, match=r"WAV|buffer size"):
                from_wav(bytes(bad))
        for bad_length in [*(good[:end] for end in range(len(good))), good + b"\0", good + b"\0\0"]:
            with pytest.raises(ValueError, match=r"WAV|buffer size"):
                from_wav(bad_length)
