"""The dictionary of pronunciation, heard: Kokoro speaks, Whisper listens."""

from __future__ import annotations

import pytest

from cache.models import CachedSpeech, Pronunciation
from cache.tts import CachedTextToSpeech
from pipeline.engines import Engines
from pipeline.tts.base import TextToSpeech
from tests.unit.cached import say
from voicebot.profiles import KOKORO

pytestmark = [pytest.mark.weights, pytest.mark.django_db(transaction=True)]

TEXT = "Le CHU est fermé pendant les travaux."


@pytest.fixture
def tts(embedded: Engines) -> TextToSpeech:
    cached = CachedTextToSpeech(engine=KOKORO)
    cached.engine = embedded.tts  # is loaded
    return cached


def test_the_word_is_heard_as_it_is_told(tts: TextToSpeech, embedded: Engines) -> None:
    def heard() -> str:
        return embedded.stt.transcribe(say(tts, TEXT).audio, language="fr").text.lower()

    before = heard()
    entry = Pronunciation.objects.create(
        word="chu", say="centre hospitalier universitaire", language="fr"
    )
    after = heard()
    assert "hospitalier" not in before
    assert "centre hospitalier universitaire" in after
    assert before.split()[-3:] == after.split()[-3:]  # the rest is said as it was
    entry.delete()
    assert heard() == before


def test_a_correction_is_heard(tts: CachedTextToSpeech, embedded: Engines) -> None:
    row = CachedSpeech.objects.get(key=say(tts, TEXT).key)
    tts.correct(row, "La bibliothèque est ouverte le dimanche.", tts.choose_voice("ff_siwis"))
    found = say(tts, TEXT)
    assert found.cache == "hit"
    heard = embedded.stt.transcribe(found.audio, language="fr").text.lower()
    assert "bibliothèque" in heard
    assert "dimanche" in heard
