"""FasterWhisper hears what is said, and nothing where nothing is said."""

from __future__ import annotations

import hashlib

import pytest

from pipeline.audio import Audio
from pipeline.engines import Engines
from pipeline.stt.base import SpeechToText
from pipeline.stt.faster_whisper import FasterWhisper
from tests.engines.gated import GatedContract
from tests.settings import WEIGHTS

pytestmark = pytest.mark.weights


class TestFasterWhisper(GatedContract):
    @pytest.fixture
    def engine(self, embedded: Engines) -> SpeechToText:
        return embedded.stt

    @pytest.fixture
    def hurried(self) -> SpeechToText:
        return FasterWhisper(timeout_s=0.001)

    def test_reads_a_folder_of_the_users_own(self, engine: SpeechToText, utterance: Audio) -> None:
        folder = WEIGHTS / "whisper-base"
        own = FasterWhisper(weights=str(folder))
        assert own.missing() is None
        assert own.transcribe(utterance) == engine.transcribe(utterance)
        digest = hashlib.sha256((folder / "model.bin").read_bytes()).hexdigest()
        assert own.identity == {**engine.identity, "weights": str(folder), "sha256": digest}
        assert engine.identity["sha256"] == digest
