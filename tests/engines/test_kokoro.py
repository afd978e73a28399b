"""Kokoro says it so that it is understood."""

from __future__ import annotations

import re

import jiwer
import numpy as np
import pytest

from pipeline.engines import Engines
from pipeline.tts.base import TextToSpeech
from tests.engines.contract import TextToSpeechContract

MAX_WER = 0.25

# Without figures or names, which can be written in several ways.
SAID = [
    "Bonjour, que puis-je faire pour vous aujourd'hui ?",
    "Le ciel est bleu et il fait très beau ce matin.",
    "La capitale de la France est une belle ville.",
    "Il faut prendre le train pour aller à la montagne.",
    "Les enfants jouent dans le jardin avec leur chien.",
    "Merci beaucoup, et passez une bonne soirée.",
]


def words(text: str) -> str:
    return " ".join(re.findall(r"\w+", text.lower()))


@pytest.mark.weights
class TestKokoro(TextToSpeechContract):
    @pytest.fixture
    def engine(self, embedded: Engines) -> TextToSpeech:
        return embedded.tts

    def test_is_understood(self, engine: TextToSpeech, embedded: Engines) -> None:
        speeches = [self.say(engine, text) for text in SAID]
        heard = [embedded.stt.transcribe(speech.audio, language="fr").text for speech in speeches]
        assert jiwer.wer([words(text) for text in SAID], [words(text) for text in heard]) <= MAX_WER

    def test_pauses_after_a_sentence(self, engine: TextToSpeech) -> None:
        """Sentences are played one right after the other."""
        audio = self.say(engine, SAID[0]).audio
        loud = np.flatnonzero(np.abs(audio.samples) > 0.01)
        assert 0.1 < audio.duration - loud[-1] / audio.sample_rate < 0.5
