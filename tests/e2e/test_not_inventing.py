"""Whisper invents text where nobody speaks: it must not be heard. ``make torture`` tries more."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.recordings import recordings
from bench.torture.sounds import KINDS, clip
from pipeline.engines import Engines
from pipeline.errors import NoSpeech
from pipeline.stt.listening import repeats

pytestmark = pytest.mark.weights

CLIPS = 5 * len(KINDS)


def test_where_nobody_speaks(embedded: Engines) -> None:
    invented = []
    for number in range(CLIPS):
        kind, audio = clip(0, number)
        try:
            text = embedded.stt.transcribe(audio, language="fr").text
        except NoSpeech:
            continue
        assert not repeats(text)
        invented.append((kind, text))
    assert CLIPS > 100
    assert len(invented) <= 0.02 * CLIPS, invented


def test_where_somebody_does(embedded: Engines, speech_dir: Path) -> None:
    known = [recording for name in ("fr", "questions") for recording in recordings(name)]
    texts = [embedded.stt.transcribe(recording.audio, language="fr").text for recording in known]
    assert len(texts) == 72  # none was rejected
    assert not any(repeats(text) for text in texts)


def test_a_seed_decides_the_sound() -> None:
    assert (clip(5, 7)[1].samples == clip(5, 7)[1].samples).all()
    assert {clip(0, number)[0] for number in range(len(KINDS))} == {k.__name__ for k in KINDS}
