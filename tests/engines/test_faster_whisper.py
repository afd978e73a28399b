"""FasterWhisper hears what is said, and nothing where nothing is said."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import jiwer
import numpy as np
import pytest
from ctranslate2 import StorageView

from bench.recordings import recordings, words
from pipeline.audio import SAMPLE_RATE, Audio
from pipeline.engines import Engines
from pipeline.stt.base import SpeechToText, Wanted
from pipeline.stt.faster_whisper import FasterWhisper, Window
from pipeline.stt.listening import Heard
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


class Counting(FasterWhisper):
    def __init__(self) -> None:
        super().__init__(slots=4)
        self.batches: list[int] = []

    def _hear_all(self, asked: Sequence[Window]) -> list[tuple[Heard, bool, str]]:
        self.batches.append(len(asked))
        return super()._hear_all(asked)


@pytest.mark.parametrize("language", ["fr", None])
@pytest.mark.usefixtures("speech_dir")
def test_together_they_hear_what_each_hears_alone(embedded: Engines, language: str | None) -> None:
    questions = [one.audio for one in recordings("questions") if one.audio.duration < 5][:6]
    engine = Counting()
    engine.load()
    with ThreadPoolExecutor(len(questions)) as pool:
        told = list(pool.map(lambda one: engine.transcribe(one, language=language), questions))
    assert max(engine.batches) > 1
    alone = [embedded.stt.transcribe(one, language=language) for one in questions]
    assert [(t.text, t.language) for t in told] == [(t.text, t.language) for t in alone]


class Looping(FasterWhisper):
    """Takes whatever it hears first for a loop."""

    def __init__(self) -> None:
        super().__init__()
        self.frames: list[int] = []

    def _decode_short(
        self, encoded: StorageView, duration: float, wanted: Wanted
    ) -> tuple[Heard, bool]:
        self.frames.append(encoded.shape[1])
        heard, ended = super()._decode_short(encoded, duration, wanted)
        return heard, ended and len(self.frames) > 1


@pytest.mark.usefixtures("speech_dir")
def test_a_loop_is_heard_again_in_30_s() -> None:
    engine = Looping()
    transcript = engine.transcribe(recordings("questions")[0].audio, language="fr")
    assert engine.frames == [500, 1500]  # of 20 ms
    assert transcript.text


@pytest.mark.usefixtures("speech_dir")
def test_hears_as_well_in_a_window_as_in_30_s(
    embedded: Engines, monkeypatch: pytest.MonkeyPatch
) -> None:
    sample = [*recordings("questions")[::3], *recordings("fr")[::6]]

    def error_rate() -> float:
        heard = (embedded.stt.transcribe(r.audio, language="fr").text for r in sample)
        return jiwer.wer([words(r.text) for r in sample], [words(text) for text in heard])

    windowed = error_rate()
    monkeypatch.setattr(FasterWhisper, "least_s", 30.0)
    assert windowed <= error_rate() + 0.05


@pytest.mark.usefixtures("speech_dir")
def test_long_speech_is_heard_in_pieces(embedded: Engines) -> None:
    said = recordings("fr")[:9]
    pause = SAMPLE_RATE // 2
    audio = Audio(np.concatenate([np.pad(r.audio.samples, (0, pause)) for r in said]), SAMPLE_RATE)
    assert audio.duration > 26
    transcript = embedded.stt.transcribe(audio, language="fr")
    assert jiwer.wer(words(" ".join(r.text for r in said)), words(transcript.text)) < 0.3
    times = [time for segment in transcript.segments for time in (segment.start, segment.end)]
    assert times == sorted(times)
    assert times[-1] == pytest.approx(audio.duration - 0.5, abs=1.0)


@pytest.mark.usefixtures("speech_dir")
def test_a_language_that_is_not_sure_is_the_default_one(embedded: Engines) -> None:
    [italie] = [r for r in recordings("questions") if r.name == "q02.wav"]  # Spanish, with 0.47
    assert embedded.stt.transcribe(italie.audio).language == "fr"
    pieces = [s.audio for s in embedded.tts.synthesize("What time is it?", language="en")]
    assert embedded.stt.transcribe(pieces[0]).language == "en"
