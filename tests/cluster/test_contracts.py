"""An engine on the cluster does whatever one of this process does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pytest_django import Settings

from pipeline import ray
from pipeline.audio import Audio
from pipeline.base import Engine
from tests.engines.contract import (
    EngineContract,
    LanguageModelContract,
    SpeechToTextContract,
    TextToSpeechContract,
)
from tests.engines.test_fakes import TONE

Fakes = dict[str, dict[str, Any]]


class Distant(EngineContract):
    def test_constructor_reads_no_weights(
        self, engine: Engine, settings: Settings, tmp_path: Path
    ) -> None:
        assert not engine.loaded


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
