"""A recorded question, played to the page's microphone, is understood and answered aloud."""

from __future__ import annotations

from pathlib import Path

import jiwer
import numpy as np
import pytest
from playwright.sync_api import expect

from bench.recordings import words
from pipeline.audio import SAMPLE_RATE, Audio, decode
from tests.browser.conftest import Opener, aloud, hold, turns, written
from tests.e2e.conftest import serving

QUESTION = "Quelle est la capitale de l'Italie ?"  # q02.wav

pytestmark = pytest.mark.weights


@pytest.fixture
def question(speech_dir: Path, tmp_path: Path) -> Path:
    """With a pause after it, as the microphone plays it over and over."""
    said = decode((speech_dir / "questions" / "q02.wav").read_bytes(), max_duration=9)
    pause = np.zeros(3 * SAMPLE_RATE, np.float32)
    return written(tmp_path / "question.wav", Audio(np.append(said.samples, pause), SAMPLE_RATE))


def test_a_spoken_question(
    environment: dict[str, str], question: Path, visit: Opener, tmp_path: Path
) -> None:
    with serving(environment, tmp_path / "server.log") as server:
        page = visit(server, microphone=question)
        hold(page, 2.2)
        turn = turns(page).last
        expect(turn).to_have_attribute("data-state", "done", timeout=60_000)
        expect(page.locator("body")).to_have_attribute("data-state", "idle", timeout=60_000)
        heard = turn.locator(".heard").inner_text()
        assert jiwer.wer(words(QUESTION), words(heard)) <= 0.3, heard
        reply = turn.locator(".text").inner_text()
        # 8 to 25 characters a second, pauses included, is how people speak.
        assert len(reply) / 25 < aloud(page).duration < len(reply) / 8 + 1
