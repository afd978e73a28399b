"""The package openai-whisper, on a checkpoint made from the embedded weights."""

from __future__ import annotations

from pathlib import Path

import jiwer
import pytest
import torch
import whisper
from pytest_django import Settings
from whisper.model import ModelDimensions

from bench.recordings import Recording, recordings, words
from pipeline.engines import Engines
from pipeline.errors import EngineUnavailable
from pipeline.stt.base import SpeechToText
from pipeline.stt.whisper import ALIASES, SIZES, Whisper
from pipeline.weights.sources import measure
from tests.engines.gated import GatedContract
from tests.engines.openai_checkpoint import convert
from tests.settings import WEIGHTS


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("openai") / "base.pt"
    convert(WEIGHTS / "whisper-base" / "model.bin", path)
    return path


@pytest.fixture(scope="module")
def base(checkpoint: Path) -> Whisper:
    return Whisper(weights=str(checkpoint))


@pytest.mark.weights
class TestWhisper(GatedContract):
    @pytest.fixture
    def engine(self, base: Whisper) -> SpeechToText:
        return base

    @pytest.fixture
    def hurried(self, checkpoint: Path) -> SpeechToText:
        return Whisper(weights=str(checkpoint), timeout_s=0.001)

    def test_hears_as_well_as_faster_whisper(
        self, engine: SpeechToText, embedded: Engines, speech_dir: Path
    ) -> None:
        sample = recordings("fr")[::4]

        def error_rate(engine: SpeechToText) -> float:
            def heard(recording: Recording) -> str:
                return words(engine.transcribe(recording.audio, language="fr").text)

            return jiwer.wer([words(r.text) for r in sample], [heard(r) for r in sample])

        assert error_rate(engine) <= error_rate(embedded.stt) + 0.03


def test_sizes_are_those_of_the_package() -> None:
    for name in [*SIZES, *ALIASES]:
        *_, sha256, file = whisper._MODELS[name].split("/")
        size = ALIASES.get(name, name)
        assert (f"{size}.pt", SIZES[size]) == (file, sha256)
        assert Whisper(weights=name).identity == {
            "engine": "Whisper",
            "weights": size,
            "sha256": sha256,
        }
    assert {*SIZES, *ALIASES} == set(whisper.available_models())


@pytest.mark.weights
def test_a_size_is_fetched_by_the_package_and_kept(
    checkpoint: Path, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf = tmp_path / measure(checkpoint).sha256  # as in its URLs
    shelf.mkdir()
    (shelf / "base.pt").symlink_to(checkpoint)
    monkeypatch.setitem(whisper._MODELS, "base", (shelf / "base.pt").as_uri())
    settings.VOICEBOT_OFFLINE = False
    settings.VOICEBOT_DATA_DIR = tmp_path / "data"
    engine = Whisper(weights="base")
    assert engine.missing() is None
    engine.load()
    assert engine.path == tmp_path / "data" / "weights" / "openai-whisper" / "base.pt"
    assert measure(engine.path) == measure(checkpoint)


def test_a_size_that_cannot_be_fetched_can_be_placed_by_hand(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = whisper._MODELS["tiny"]
    monkeypatch.setitem(whisper._MODELS, "tiny", (tmp_path / "nowhere" / "tiny.pt").as_uri())
    settings.VOICEBOT_OFFLINE = False
    settings.VOICEBOT_DATA_DIR = tmp_path / "data"
    with pytest.raises(EngineUnavailable) as caught:
        Whisper(weights="tiny").load()
    assert str(tmp_path / "data" / "weights" / "openai-whisper" / "tiny.pt") in str(caught.value)
    assert url in str(caught.value)


def test_offline_it_names_the_file_to_place_by_hand_and_where(data_dir: Path) -> None:
    engine = Whisper(weights="turbo")
    assert not engine.needs  # of the manifest: the package fetches them
    missing = engine.missing() or ""
    assert str(data_dir / "weights" / "openai-whisper" / "large-v3-turbo.pt") in missing
    assert whisper._MODELS["turbo"] in missing
    with pytest.raises(EngineUnavailable, match="VOICEBOT_OFFLINE=1"):
        engine.load()


def test_offline_a_file_that_is_not_the_packages_own_is_refused(
    settings: Settings, tmp_path: Path
) -> None:
    settings.VOICEBOT_DATA_DIR = tmp_path / "data"
    engine = Whisper(weights="tiny")
    engine.path.parent.mkdir(parents=True)
    engine.path.write_bytes(b"not it")
    assert engine.missing() is None
    with pytest.raises(EngineUnavailable, match=r"tiny\.pt is damaged"):
        engine.load()


def test_a_size_that_does_not_exist_lists_those_that_do() -> None:
    with pytest.raises(ValueError, match=r"one of: tiny, .*turbo"):
        Whisper(weights="gigantic")


@pytest.mark.parametrize(
    ("n_vocab", "count", "last"), [(51864, 1, "en"), (51865, 99, "su"), (51866, 100, "yue")]
)
def test_understands_the_languages_of_its_weights(
    n_vocab: int, count: int, last: str, tmp_path: Path
) -> None:
    """English only, multilingual, and with Cantonese."""
    dims = ModelDimensions(80, 1500, 8, 1, 1, n_vocab, 448, 8, 1, 1)
    path = tmp_path / "random.pt"
    state = whisper.model.Whisper(dims).state_dict()
    torch.save({"dims": vars(dims), "model_state_dict": state}, path)
    engine = Whisper(weights=str(path))
    engine.load()
    assert len(engine.languages) == count
    assert list(engine.languages)[-1] == last
