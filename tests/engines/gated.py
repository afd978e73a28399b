"""What every Whisper must do besides: hear nothing where nothing is said, and give up in time."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.audio import SAMPLE_RATE, Audio
from pipeline.engines import Engines
from pipeline.errors import EngineTimeout, NoSpeech
from pipeline.stt.base import SpeechToText
from tests.engines.contract import SpeechToTextContract

Sound = Callable[[], NDArray[np.float64]]

DURATION = 5  # seconds
TIME_S = np.arange(DURATION * SAMPLE_RATE) / SAMPLE_RATE
# C, A minor, F and G, as frequencies in Hz.
CHORDS = [(262, 330, 392), (220, 262, 330), (175, 220, 262), (196, 247, 294)]


def white_noise() -> NDArray[np.float64]:
    return np.random.default_rng(0).normal(size=TIME_S.size)


def pink_noise() -> NDArray[np.float64]:
    """Equal power per octave: amplitude falls as 1/√f."""
    spectrum = np.fft.rfft(white_noise())
    return np.fft.irfft(spectrum / np.sqrt(np.arange(1, spectrum.size + 1)), TIME_S.size)


def chords() -> NDArray[np.float64]:
    """A progression of struck chords with their overtones."""
    parts = []
    for time_s, chord in zip(np.array_split(TIME_S, len(CHORDS)), CHORDS, strict=True):
        overtones = np.arange(1, 5)[:, np.newaxis]
        tones = [np.sin(2 * np.pi * hz * overtones * time_s) / overtones for hz in chord]
        parts.append(np.exp(-2 * (time_s - time_s[0])) * np.concatenate(tones).sum(axis=0))
    return np.concatenate(parts)


def hum() -> NDArray[np.float64]:
    """Mains, with its odd harmonics."""
    first, third, fifth = (np.sin(2 * np.pi * 50 * n * TIME_S) / n for n in (1, 3, 5))
    return first + third + fifth


def at_peak(samples: NDArray[np.float64], peak: float) -> Audio:
    scaled = samples * (peak / np.abs(samples).max())
    return Audio(scaled.astype(np.float32), SAMPLE_RATE)


class GatedContract(SpeechToTextContract):
    @pytest.fixture
    def hurried(self) -> SpeechToText:
        """The engine, with a millisecond for an utterance."""
        raise NotImplementedError

    @pytest.fixture(scope="class")
    @classmethod
    def utterance(cls, embedded: Engines) -> Audio:
        [speech] = embedded.tts.synthesize("Quelle heure est-il à Paris ?", language="fr")
        return speech.audio.resampled(SAMPLE_RATE)

    @pytest.mark.parametrize("peak", [0.002, 0.05, 1.0])
    @pytest.mark.parametrize("sound", [white_noise, pink_noise, chords, hum])
    def test_what_is_not_speech(self, engine: SpeechToText, sound: Sound, peak: float) -> None:
        with pytest.raises(NoSpeech):
            engine.transcribe(at_peak(sound(), peak), language="fr")

    def test_times_count_from_the_beginning_of_the_utterance(
        self, engine: SpeechToText, utterance: Audio
    ) -> None:
        pause = np.zeros(3 * SAMPLE_RATE, np.float32)
        late = Audio(np.concatenate([pause, utterance.samples, pause]), SAMPLE_RATE)
        segments = engine.transcribe(late, language="fr").segments
        assert segments[0].start == pytest.approx(3, abs=1)  # as exact as Whisper is
        assert segments[-1].end == pytest.approx(3 + utterance.duration, abs=1)

    def test_gives_up_in_time(self, hurried: SpeechToText, utterance: Audio) -> None:
        with pytest.raises(EngineTimeout):
            hurried.transcribe(utterance, language="fr")
