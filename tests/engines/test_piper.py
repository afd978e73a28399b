"""Piper says it so that it is understood, the same way every time."""

from __future__ import annotations

import json
import re
from pathlib import Path

import jiwer
import numpy as np
import pytest
from pytest_django import Settings

from pipeline.engines import Engines
from pipeline.errors import EngineError, EngineUnavailable
from pipeline.tts.base import TextToSpeech
from pipeline.tts.piper import Piper
from pipeline.tts.steady_noise import with_steady_noise
from tests.engines.contract import TextToSpeechContract
from tests.settings import WEIGHTS

JOE = WEIGHTS / "piper-en-joe-medium" / "en_US-joe-medium.onnx"
MAX_WER = 0.1

SAID = [
    "The weather is very nice in the city this morning.",
    "Please remember to close the window before you leave the house.",
    "My sister bought a green bicycle for her little boy.",
    "We will take the first train to the mountains tomorrow.",
    "Thank you very much, and have a pleasant evening.",
]


def words(text: str) -> str:
    return " ".join(re.findall(r"\w+", text.lower()))


def add_voice(folder: Path, name: str, **config: object) -> Path:
    """Joe's weights as another voice, whose configuration differs from his by ``config``."""
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}.onnx"
    path.symlink_to(JOE)
    said = json.loads(JOE.with_name(f"{JOE.name}.json").read_text())
    path.with_name(f"{path.name}.json").write_text(json.dumps({**said, **config}))
    return path


@pytest.fixture(scope="module")
def piper(tmp_path_factory: pytest.TempPathFactory) -> Piper:
    """Joe, and Joe reading the phonemes of French: what a file of the user's own may hold."""
    if not JOE.is_file():
        pytest.fail("run `manage.py fetch_weights piper-en-joe-medium`")
    french = add_voice(
        tmp_path_factory.mktemp("voices"),
        "fr_FR-joe-medium",
        language={"code": "fr_FR"},
        espeak={"voice": "fr"},
    )
    return Piper(weights=[str(french), "piper-en-joe-medium"])


@pytest.mark.weights
class TestPiper(TextToSpeechContract):
    sample_rate = 22_050

    @pytest.fixture
    def engine(self, piper: Piper) -> TextToSpeech:
        return piper

    def test_is_understood(self, engine: TextToSpeech, embedded: Engines) -> None:
        heard = []
        for text in SAID:
            [speech] = engine.synthesize(text, language="en")
            heard.append(embedded.stt.transcribe(speech.audio, language="en").text)
        assert jiwer.wer([words(text) for text in SAID], [words(text) for text in heard]) <= MAX_WER

    def test_pauses_after_a_sentence(self, engine: TextToSpeech) -> None:
        [speech] = engine.synthesize(SAID[0], language="en")
        loud = np.flatnonzero(np.abs(speech.audio.samples) > 0.01)
        assert 0.1 < speech.audio.duration - loud[-1] / speech.audio.sample_rate < 0.5

    def test_shares_the_process_with_the_phonemes_of_kokoro(
        self, engine: TextToSpeech, embedded: Engines
    ) -> None:
        """Each brings an espeak-ng of its own, which keeps its state in globals."""

        def kokoro() -> bytes:
            [speech] = embedded.tts.synthesize("Bien sûr.", language="fr")
            return speech.audio.samples.tobytes()

        def joe() -> bytes:
            [speech] = engine.synthesize("Of course.", language="en")
            return speech.audio.samples.tobytes()

        first = [joe(), kokoro()]
        assert [joe(), kokoro()] == first

    def test_another_instance_says_the_same(self, engine: TextToSpeech) -> None:
        other = Piper(weights="piper-en-joe-medium")
        [once] = engine.synthesize("Good night.", language="en")
        [again] = other.synthesize("Good night.", language="en")
        assert np.array_equal(once.audio.samples, again.audio.samples)


@pytest.mark.weights
def test_voices_are_known_by_what_lies_beside_them(tmp_path: Path) -> None:
    two = {"anna": 0, "ben": 1}
    path = add_voice(
        tmp_path / "v", "mine", language={"code": "de_DE"}, num_speakers=2, speaker_id_map=two
    )
    engine = Piper(weights=[str(path), "piper-en-joe-medium"])
    assert [(voice.id, voice.language, voice.name) for voice in engine.voices] == [
        ("mine:anna", "de", "Anna"),
        ("mine:ben", "de", "Ben"),
        ("en_US-joe-medium", "en", "Joe"),
    ]
    assert engine.default_voices == {"de": "mine:anna", "en": "en_US-joe-medium"}
    assert not engine.loaded


@pytest.mark.weights
def test_the_configuration_is_part_of_what_it_is(tmp_path: Path) -> None:
    same, slow = (
        Piper(weights=str(add_voice(tmp_path / name, "voice", **config)))
        for name, config in [("a", {}), ("b", {"inference": {"length_scale": 2}})]
    )
    assert same.identity != slow.identity


@pytest.mark.weights
def test_voices_that_would_download_are_refused(tmp_path: Path) -> None:
    engine = Piper(weights=str(add_voice(tmp_path / "v", "zh_CN-x", phoneme_type="pinyin")))
    with pytest.raises(EngineUnavailable, match="zh_CN-x"):
        engine.load()


def test_voices_that_are_not_here(tmp_path: Path, settings: Settings) -> None:
    settings.VOICEBOT_DATA_DIR = tmp_path / "nothing here"
    engine = Piper()
    assert engine.default_voices == {"fr": "fr_FR-siwis-medium", "en": "en_US-joe-medium"}
    assert "fetch_weights piper-fr-siwis-medium" in (engine.missing() or "")
    with pytest.raises(EngineUnavailable, match="fetch_weights piper-fr-siwis-medium"):
        engine.load()

    alone = tmp_path / "fr_FR-alone-low.onnx"
    alone.touch()
    assert f"no file {alone}.json" in (Piper(weights=str(alone)).missing() or "")


CONFIG = {
    "num_symbols": 1,
    "num_speakers": 1,
    "audio": {"sample_rate": 16_000},
    "espeak": {"voice": "fr"},
    "phoneme_id_map": {},
}


def test_a_voice_that_is_damaged(tmp_path: Path) -> None:
    path = tmp_path / "fr_FR-damaged-low.onnx"
    path.write_bytes(b"\x3a\xff\x01 cut short")
    path.with_name(f"{path.name}.json").write_text(json.dumps(CONFIG))
    engine = Piper(weights=str(path))
    assert engine.missing() is None
    with pytest.raises(EngineError, match=r"^Piper "):
        engine.load()


@pytest.mark.parametrize("config", ["", "{", "[]", "{}"])
def test_a_configuration_that_is_none(tmp_path: Path, config: str) -> None:
    path = tmp_path / "fr_FR-strange-low.onnx"
    path.touch()
    path.with_name(f"{path.name}.json").write_text(config)
    engine = Piper(weights=str(path))
    assert engine.languages == ["fr"]
    assert "is not the configuration of a voice" in (engine.missing() or "")


@pytest.mark.parametrize("model", [b"\x3a\xff\x01 cut short", b"\x3a\xff", b"\x3b", b"\x08\x80"])
def test_steady_noise_of_what_is_no_graph(model: bytes) -> None:
    with pytest.raises(ValueError, match="not an ONNX model"):
        with_steady_noise(model)


def test_steady_noise_leaves_other_fields_alone() -> None:
    fields = b"\x08\x08\x12\x03abc\x19" + bytes(8) + b"\x25" + bytes(4)
    assert with_steady_noise(fields) == fields
