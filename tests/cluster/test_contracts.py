"""An engine on the cluster does whatever one of this process does."""

from __future__ import annotations

from typing import Any

import pytest

from pipeline import ray
from pipeline.audio import Audio
from tests.engines.contract import (
    EngineContract,
    LanguageModelContract,
    SpeechToTextContract,
    TextToSpeechContract,
)
from tests.engines.test_fakes import TONE

Fakes = dict[str, dict[str, Any]]


class Distant(EngineContract):
    def test_constructor_reads_no_weights(self, fakes: Fakes) -> None:
        entry = fakes["stt"]["OPTIONS"]["engine"]
        assert not ray.SpeechToText(engine=entry).loaded


class TestSpeechToText(Distant, SpeechToTextContract):
    @pytest.fixture
    def engine(self, fakes: Fakes) -> ray.SpeechToText:
        return ray.SpeechToText(**fakes["stt"]["OPTIONS"])

    @pytest.fixture
    def utterance(self) -> Audio:
        return TONE


class TestLanguageModel(Distant, LanguageModelContract):
    @pytest.fixture
    def engine(self, fakes: Fakes) -> ray.LanguageModel:
        return ray.LanguageModel(**fakes["llm"]["OPTIONS"])


class TestTextToSpeech(Distant, TextToSpeechContract):
    @pytest.fixture
    def engine(self, fakes: Fakes) -> ray.TextToSpeech:
        return ray.TextToSpeech(**fakes["tts"]["OPTIONS"])
