"""The fakes are engines like any other."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.audio import SAMPLE_RATE, Audio
from pipeline.llm import fake as llm
from pipeline.llm.base import Message
from pipeline.scripted import KEPT, Calls
from pipeline.stt import fake as stt
from pipeline.tts import fake as tts
from tests.engines.contract import (
    LanguageModelContract,
    SpeechToTextContract,
    TextToSpeechContract,
)

TONE = Audio(np.sin(np.arange(SAMPLE_RATE) / 6).astype(np.float32), SAMPLE_RATE)


class TestFakeSpeechToText(SpeechToTextContract):
    @pytest.fixture
    def engine(self) -> stt.Fake:
        return stt.Fake()

    @pytest.fixture
    def utterance(self) -> Audio:
        return TONE

    def test_hears_what_it_is_told_to(self, engine: stt.Fake) -> None:
        engine.script.enqueue("Un.", "Deux.")
        heard = [engine.transcribe(TONE).text for _ in range(3)]
        assert heard == ["Un.", "Deux.", "Quelle heure est-il ?"]
        assert len(engine.heard) == 3


class TestFakeLanguageModel(LanguageModelContract):
    @pytest.fixture
    def engine(self) -> llm.Fake:
        return llm.Fake()

    def test_replies_what_it_is_told_to(self, engine: llm.Fake) -> None:
        engine.script.enqueue("Il est midi.")
        question = Message("user", "Quelle heure est-il ?")
        assert list(engine.reply([question])) == ["Il ", "est ", "midi."]
        assert engine.asked == [(question,)]

    def test_counts_replies_that_nobody_heard_out(self, engine: llm.Fake) -> None:
        for read in (1, 2):
            reply = engine.reply(self.question)
            for _ in range(read):
                next(reply)
            reply.close()
        assert engine.stopped == 2


class TestFakeTextToSpeech(TextToSpeechContract):
    @pytest.fixture
    def engine(self) -> tts.Fake:
        return tts.Fake()

    def test_speaks_what_it_is_told_to(self, engine: tts.Fake) -> None:
        engine.script.enqueue(TONE)
        assert self.say(engine, "Oui.").audio.samples is TONE.samples
        assert engine.spoken == ["Oui."]

    def test_voices_differ(self, engine: tts.Fake) -> None:
        low, high = (
            next(engine.synthesize("Oui.", voice=voice)).audio for voice in ("grave", "claire")
        )
        assert not np.array_equal(low.samples, high.samples)


def test_the_last_calls_are_kept_however_long_a_server_runs_on_fakes() -> None:
    calls: Calls[int] = Calls()
    for number in range(KEPT + 10):
        calls.append(number)
    assert calls == list(range(10, KEPT + 10))
