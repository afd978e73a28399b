"""An engine that is to go wrong at no call is like the one it wraps."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.audio import SAMPLE_RATE, Audio
from pipeline.engines import build
from pipeline.errors import InvalidEngineError
from pipeline.faults import Faults
from pipeline.llm import faulty as llm
from pipeline.stt import faulty as stt
from pipeline.stt.base import SpeechToText
from pipeline.tts import faulty as tts
from tests.engines.contract import (
    LanguageModelContract,
    SpeechToTextContract,
    TextToSpeechContract,
)


class TestFaultySpeechToText(SpeechToTextContract):
    @pytest.fixture
    def engine(self) -> stt.Faulty:
        return stt.Faulty(rate=0)

    @pytest.fixture
    def utterance(self) -> Audio:
        return Audio(np.sin(np.arange(SAMPLE_RATE) / 6).astype(np.float32), SAMPLE_RATE)


class TestFaultyLanguageModel(LanguageModelContract):
    @pytest.fixture
    def engine(self) -> llm.Faulty:
        return llm.Faulty(rate=0)


class TestFaultyTextToSpeech(TextToSpeechContract):
    @pytest.fixture
    def engine(self) -> tts.Faulty:
        return tts.Faulty(rate=0)


def test_lots_are_those_of_the_seed() -> None:
    def drawn(role: str, seed: int) -> list[str]:
        faults = Faults(role, ["is garbage"], rate=0.5, seed=seed, only=())
        return [faults.draw() for _call in range(200)]

    assert drawn("stt", 1) == drawn("stt", 1)
    assert drawn("stt", 1) != drawn("stt", 2)
    assert drawn("stt", 1) != drawn("llm", 1)
    assert 60 < drawn("stt", 1).count("") < 140
    assert "is garbage" in drawn("stt", 1)


@pytest.mark.parametrize(
    ("options", "said"),
    [({"rate": 1.5}, "rate must lie"), ({"only": ["explodes"]}, "no such faults: explodes")],
)
def test_what_cannot_be_drawn(options: dict[str, object], said: str) -> None:
    entry = {"BACKEND": "pipeline.stt.faulty.Faulty", "OPTIONS": options}
    with pytest.raises(InvalidEngineError, match=said):
        build(entry, SpeechToText, where="ENGINES['stt']")
