"""What is believed of what a Whisper hears."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.audio import Audio
from pipeline.base import Deadline
from pipeline.errors import NoSpeech
from pipeline.stt import listening
from pipeline.stt.base import Wanted
from pipeline.stt.listening import Gated, Heard, repeats


def heard(text: str, *, no_speech: float = 0.01, logprob: float = -0.2, start: float = 0) -> Heard:
    return Heard(start, start + 1, text, no_speech, logprob, 1.0)


@pytest.mark.parametrize(
    ("text", "loops"),
    [
        ("POUPOUPOUPOUP", True),
        ("Hahahaha", True),
        ("Je suis là, je suis là. Je suis là, JE SUIS LÀ !", True),
        ("Sous-titres réalisés par la communauté d'Amara.org. " * 4, True),
        ("Bon. Il fait beau, il fait beau, il fait beau, il fait beau, non ?", True),
        ("Je suis là, je suis là, je suis là.", False),
        ("Non, non, non, non !", False),
        ("Mon numéro est le 06 06 06 06 06 06 06 06.", False),
        ("Le 00000000, soit 1 000 000 000 000 000 000 000 000.", False),
        ("Quelle heure est-il ?", False),
        ("", False),
    ],
)
def test_a_phrase_four_times_running(text: str, loops: bool) -> None:
    assert repeats(text) is loops
    assert heard(text).loops is loops


def test_a_long_loop_shows_by_its_compression() -> None:
    assert Heard(0, 1, "Oui.", 0, 0, compression_ratio=2.5).loops


@pytest.mark.parametrize(
    ("text", "no_speech", "logprob", "silent"),
    [
        ("...", 0.0, -0.1, True),
        (" ♪ ♪ ", 0.0, -0.1, True),
        ("Merci.", 0.7, -1.1, True),
        ("Merci.", 0.7, -0.9, False),
        ("Merci.", 0.3, -1.1, False),
        ("8", 0.0, -0.1, False),
    ],
)
def test_silence(text: str, no_speech: float, logprob: float, silent: bool) -> None:
    assert heard(text, no_speech=no_speech, logprob=logprob).silent is silent


class Scripted(Gated):
    """Hears what it is told to hear, wherever anything sounds."""

    languages = ("fr",)

    def __init__(self, *texts: str) -> None:
        super().__init__()
        self._texts = texts

    def _load(self) -> None:
        pass

    def _decode(
        self, samples: NDArray[np.float32], wanted: Wanted, deadline: Deadline
    ) -> tuple[Iterable[Heard], str]:
        return [heard(text, start=place) for place, text in enumerate(self._texts)], "fr"


@pytest.mark.parametrize(
    ("texts", "transcript"),
    [
        (["Bonjour.", "...", "Merci."], "Bonjour. Merci."),
        (["Bonjour.", "là là " * 4, "Merci."], "Bonjour. Merci."),
        (["Merci."] * 7, "Merci. Merci. Merci."),
        (["Oui.", "Oui.", "Non.", "Oui.", "Oui."], "Oui. Oui. Non. Oui. Oui."),
    ],
)
def test_transcripts(
    texts: Sequence[str], transcript: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listening, "spoken", lambda samples: slice(0, len(samples)))
    audio = Audio(np.ones(10 * 16_000, np.float32), 16_000)
    assert Scripted(*texts).transcribe(audio, language="fr").text == transcript


def test_nothing_that_is_believed_is_no_speech(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listening, "spoken", lambda samples: slice(0, len(samples)))
    with pytest.raises(NoSpeech):
        Scripted("...", "♪").transcribe(Audio(np.ones(16_000, np.float32), 16_000))
