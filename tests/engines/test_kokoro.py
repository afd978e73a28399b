"""Kokoro says it so that it is understood."""

from __future__ import annotations

import re
import time
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context

import jiwer
import numpy as np
import pytest
from numpy.typing import NDArray
from pytest_django import Settings

from pipeline import deadline
from pipeline.engines import Engines
from pipeline.errors import ClientGone
from pipeline.tts.base import TextToSpeech, whole
from pipeline.tts.kokoro import Kokoro
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


LONG = ["Il était une fois, au bord de la mer, un vieux pêcheur qui"] * 2


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

    @pytest.mark.parametrize("language", ["en", "zh"])
    def test_another_language_may_be_the_usual_one(self, settings: Settings, language: str) -> None:
        settings.VOICEBOT_LANGUAGE = language
        engine = Kokoro()
        engine.warm_up()
        assert engine.choose_voice().language == language

    def test_pauses_after_a_sentence(self, engine: TextToSpeech) -> None:
        """Sentences are played one right after the other."""
        audio = self.say(engine, SAID[0]).audio
        loud = np.flatnonzero(np.abs(audio.samples) > 0.01)
        assert 0.1 < audio.duration - loud[-1] / audio.sample_rate < 0.5

    def test_stops_in_the_midst_of_a_sentence(self, engine: TextToSpeech) -> None:
        with deadline.waited_for() as request, ThreadPoolExecutor(1) as pool:
            speaking = pool.submit(copy_context().run, self.say, engine, " ".join(LONG))
            while engine._free._value:
                time.sleep(0.001)
            request.leave()
            with pytest.raises(ClientGone):
                speaking.result(timeout=120)
        assert self.say(engine, "Oui.").audio.duration > 0

    def test_is_understood_in_pieces(self, engine: TextToSpeech, embedded: Engines) -> None:
        heard = []
        for text in SAID:
            *before, last = engine.synthesize(text, language="fr", eager=True)
            assert before
            assert (last.last, {piece.last for piece in before}) == (True, {False})
            [speech] = whole([*before, last])
            heard.append(embedded.stt.transcribe(speech.audio, language="fr").text)
        assert jiwer.wer([words(text) for text in SAID], [words(text) for text in heard]) <= MAX_WER

    def test_pieces_sound_as_loud_as_the_whole(self, engine: TextToSpeech) -> None:
        for text in SAID:
            at_once = self.say(engine, text).audio.samples
            pieces = engine.synthesize(text, language="fr", eager=True)
            played = np.concatenate([piece.audio.samples for piece in pieces])
            assert level_db(played) == pytest.approx(level_db(at_once), abs=2)


def level_db(samples: NDArray[np.float32]) -> float:
    return float(10 * np.log10(np.mean(samples**2)))
