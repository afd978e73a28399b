"""What every engine of a role must do, as one suite per role.

An engine is tested by a class that names its suite and gives it the engine::

    @pytest.mark.weights
    class TestKokoro(TextToSpeechContract):
        @pytest.fixture
        def engine(self, embedded: Engines) -> TextToSpeech:
            return embedded.tts
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import numpy as np
import pytest
from pytest_django import Settings

from pipeline import prompts
from pipeline.audio import SAMPLE_RATE, Audio
from pipeline.base import Engine
from pipeline.errors import (
    EngineUnavailable,
    InputError,
    NoSpeech,
    TextTooLong,
    UnknownVoice,
    UnsupportedLanguage,
    UnsupportedTask,
)
from pipeline.llm.base import MAX_MESSAGES_CHARS, LanguageModel, Message, Sampling, Usage
from pipeline.stt.base import SpeechToText, Transcript
from pipeline.tts.base import MAX_TEXT_CHARS, Speech, TextToSpeech, whole

T = TypeVar("T")

# What a voice is given to say, in its language.
SENTENCES = {
    "de": "Guten Morgen, wie geht es Ihnen?",
    "en": "Good morning, how are you today?",
    "es": "Buenos días, ¿cómo está usted hoy?",
    "fr": "Bonjour, comment allez-vous ce matin ?",
    "hi": "नमस्ते, आप आज कैसे हैं?",
    "it": "Buongiorno, come sta oggi?",
    "ja": "おはようございます、お元気ですか。",
    "pt": "Bom dia, como vai você hoje?",
    "zh": "早上好，你今天怎么样？",
}


def at_once(*calls: Callable[[], T]) -> list[T]:
    """What ``calls`` return, each made by a thread of its own."""
    with ThreadPoolExecutor(len(calls)) as pool:
        return [future.result() for future in [pool.submit(call) for call in calls]]


class EngineContract:
    outbound = False
    """An engine that sends anything out declares it, and its test says so here."""

    def test_constructor_reads_no_weights(
        self, engine: Engine, settings: Settings, tmp_path: Path
    ) -> None:
        settings.VOICEBOT_DATA_DIR = tmp_path / "nothing here"
        assert not type(engine)().loaded

    def test_warms_up(self, engine: Engine) -> None:
        engine.warm_up()
        assert engine.loaded
        assert engine.missing() is None

    def test_says_what_it_is(self, engine: Engine) -> None:
        identity = engine.identity
        assert engine.name
        assert all(key and value for key, value in identity.items())
        assert all(isinstance(value, str) for value in identity.values())
        assert identity["engine"] == engine.name
        assert engine.identity == identity

    def test_keeps_what_it_is_given_unless_declared(self, engine: Engine) -> None:
        assert engine.outbound is self.outbound


class SpeechToTextContract(EngineContract):
    @pytest.fixture
    def engine(self) -> SpeechToText:
        raise NotImplementedError

    @pytest.fixture
    def utterance(self) -> Audio:
        """Something said in French."""
        raise NotImplementedError

    @pytest.fixture
    def transcript(self, engine: SpeechToText, utterance: Audio) -> Transcript:
        return engine.transcribe(utterance, language="fr")

    def test_writes_down_what_is_said(self, transcript: Transcript, utterance: Audio) -> None:
        assert transcript.text == transcript.text.strip() != ""
        assert transcript.language == "fr"
        assert transcript.text == " ".join(segment.text for segment in transcript.segments)

    def test_segments_are_in_order_and_inside_the_utterance(
        self, transcript: Transcript, utterance: Audio
    ) -> None:
        times = [time for segment in transcript.segments for time in (segment.start, segment.end)]
        assert times == sorted(times)
        assert times[0] >= 0
        assert times[-1] <= utterance.duration

    def test_detects_the_language(self, engine: SpeechToText, utterance: Audio) -> None:
        assert engine.transcribe(utterance).language == "fr"

    @pytest.mark.parametrize("sample_rate", [8_000, 48_000])
    def test_hears_at_any_sample_rate(
        self, engine: SpeechToText, utterance: Audio, sample_rate: int
    ) -> None:
        transcript = engine.transcribe(utterance.resampled(sample_rate), language="fr")
        assert transcript.text
        # Resampled back, it may last a sample longer.
        assert transcript.segments[-1].end <= utterance.duration + 2 / SAMPLE_RATE

    def test_hears_the_same_from_two_threads(
        self, engine: SpeechToText, utterance: Audio, transcript: Transcript
    ) -> None:
        def transcribe() -> Transcript:
            return engine.transcribe(utterance, language="fr")

        assert at_once(transcribe, transcribe) == [transcript, transcript]

    @pytest.mark.parametrize("sample_rate", [8_000, SAMPLE_RATE, 48_000])
    @pytest.mark.parametrize("length", [0, 1, 100, 8_000])
    def test_silence_is_no_speech(
        self, engine: SpeechToText, length: int, sample_rate: int
    ) -> None:
        with pytest.raises(NoSpeech):
            engine.transcribe(Audio(np.zeros(length, np.float32), sample_rate))

    def test_lists_the_languages_it_understands(
        self, engine: SpeechToText, utterance: Audio
    ) -> None:
        with pytest.raises(UnsupportedLanguage) as caught:
            engine.transcribe(utterance, language="xx")
        assert set(caught.value.valid) == set(engine.languages)
        assert "fr" in caught.value.valid

    def test_tells_when_each_word_is_said_or_that_it_cannot(
        self, engine: SpeechToText, utterance: Audio, transcript: Transcript
    ) -> None:
        assert transcript.words == ()
        if not engine.times_words:
            with pytest.raises(UnsupportedTask):
                engine.transcribe(utterance, language="fr", words=True)
            return
        timed = engine.transcribe(utterance, language="fr", words=True)
        assert (timed.text, timed.language) == (transcript.text, transcript.language)
        assert " ".join(word.text for word in timed.words) == timed.text
        for word in timed.words:
            assert any(char.isalnum() for char in word.text)
            assert 0 <= word.start <= word.end <= utterance.duration
        starts = [word.start for word in timed.words]
        assert starts == sorted(starts)

    def test_translates_or_says_that_it_cannot(
        self, engine: SpeechToText, utterance: Audio
    ) -> None:
        if not engine.translates:
            with pytest.raises(UnsupportedTask):
                engine.transcribe(utterance, language="fr", task="translate")
            return
        translation = engine.transcribe(utterance, language="fr", task="translate")
        assert translation.language == "en"
        assert translation.text == " ".join(segment.text for segment in translation.segments)

    def test_takes_a_prompt(self, engine: SpeechToText, utterance: Audio) -> None:
        said = " ".join(
            f"{question} {answer}" for question, answer in prompts.PROMPTS["fr"].examples
        )
        for prompt in ("Il est question de l'heure à Paris.", said * 4):  # more than is read
            assert engine.transcribe(utterance, language="fr", prompt=prompt).text


def spoken_before(turns: int) -> list[Message]:
    """A long conversation."""
    return [
        message
        for number in range(turns)
        for message in (
            Message("user", f"Et que fait {number} ?"),
            Message("assistant", f"Cela fait, je crois, {number}."),
        )
    ]


class LanguageModelContract(EngineContract):
    question = prompts.messages("Quelle est la capitale de la France ?", "fr")

    @pytest.fixture
    def engine(self) -> LanguageModel:
        raise NotImplementedError

    def test_replies_in_pieces_of_text(self, engine: LanguageModel) -> None:
        deltas = list(engine.reply(self.question))
        assert all(isinstance(delta, str) and delta for delta in deltas)
        assert "".join(deltas).strip()

    def test_replies_the_same_to_the_same(self, engine: LanguageModel) -> None:
        first, second = ("".join(engine.reply(self.question)) for _ in range(2))
        assert first == second

    def test_counts_what_a_reply_takes(self, engine: LanguageModel) -> None:
        text, usage = self.written(engine, Sampling())
        assert usage is not None
        assert len(text.split()) // 2 <= usage.reply_tokens <= len(text) + 1
        asked = " ".join(message.text for message in self.question)
        assert len(asked.split()) // 2 <= usage.prompt_tokens <= 2 * len(asked)
        longer = [*self.question[:-1], Message("user", f"{asked} {asked}")]
        _text, more = self.written(engine, Sampling(max_tokens=1), longer)
        assert more is not None
        assert more.prompt_tokens > usage.prompt_tokens

    def test_a_reply_ends_at_the_most_tokens_it_may_have(self, engine: LanguageModel) -> None:
        whole, _usage = self.written(engine, Sampling())
        part, usage = self.written(engine, Sampling(max_tokens=2))
        assert whole.startswith(part)
        assert len(part) < len(whole)
        assert usage is not None
        assert (usage.reply_tokens, usage.cut) == (2, True)

    def test_a_reply_ends_before_the_text_it_is_to_stop_at(self, engine: LanguageModel) -> None:
        whole = "".join(engine.reply(self.question))
        middle = len(whole) // 2
        stop = whole[middle : middle + 4]
        before, usage = self.written(engine, Sampling(stop=("no such text", stop)))
        assert before == whole[: whole.index(stop)]
        assert usage is None or not usage.cut

    def test_tells_what_its_context_has_room_for(self, engine: LanguageModel) -> None:
        assert engine.fits(self.question)
        history = spoken_before(600)
        assert not engine.fits([*history, *self.question])
        asked = prompts.fitting(engine, "Quelle est la capitale de la France ?", "fr", history)
        assert len(self.question) < len(asked) < len(history)
        assert engine.fits(asked)

    def test_replies_by_chance_where_that_is_wanted(self, engine: LanguageModel) -> None:
        text, _usage = self.written(engine, Sampling(temperature=1.5, top_p=0.9, max_tokens=8))
        assert text.strip()
        assert "".join(engine.reply(self.question)) == "".join(engine.reply(self.question))

    def written(
        self,
        engine: LanguageModel,
        sampling: Sampling,
        messages: Sequence[Message] = question,
    ) -> tuple[str, Usage | None]:
        """The reply, and what the engine says it took."""
        usage: list[Usage | None] = []

        def reply() -> Iterator[str]:
            usage.append((yield from engine.reply(messages, sampling)))

        return "".join(reply()), usage[0]

    def test_replies_after_a_closed_reply(self, engine: LanguageModel) -> None:
        whole = "".join(engine.reply(self.question))
        reply = engine.reply(self.question)
        assert whole.startswith(next(reply))
        reply.close()
        assert "".join(engine.reply(self.question)) == whole

    def test_replies_to_two_threads(self, engine: LanguageModel) -> None:
        other = prompts.messages("Bonsoir !", "fr")

        def reply(messages: tuple[Message, ...]) -> Callable[[], str]:
            return lambda: "".join(engine.reply(messages))

        alone = [reply(self.question)(), reply(other)()]
        assert at_once(reply(self.question), reply(other)) == alone

    def test_takes_what_was_said_before(self, engine: LanguageModel) -> None:
        history = [Message("user", "Je m'appelle Alice."), Message("assistant", "Enchanté, Alice.")]
        asked = prompts.messages("Comment est-ce que je m'appelle ?", "fr", history)
        assert "".join(engine.reply(asked)).strip()

    def test_takes_a_question_alone(self, engine: LanguageModel) -> None:
        assert "".join(engine.reply([Message("user", "Bonjour !")])).strip()

    @pytest.mark.parametrize(
        "messages",
        [[], [Message("system", "Réponds.")], [*question, Message("assistant", "Paris.")]],
        ids=["none", "no question", "answered"],
    )
    def test_the_last_message_is_the_users(
        self, engine: LanguageModel, messages: list[Message]
    ) -> None:
        with pytest.raises(ValueError, match="last message"):
            engine.reply(messages)

    def test_refuses_too_long_a_conversation_at_the_call(self, engine: LanguageModel) -> None:
        half = Message("user", "a" * (MAX_MESSAGES_CHARS // 2))
        with pytest.raises(TextTooLong) as caught:
            engine.reply([half, half, Message("user", "?")])
        assert (caught.value.length, caught.value.limit) == (
            MAX_MESSAGES_CHARS + 1,
            MAX_MESSAGES_CHARS,
        )


class TextToSpeechContract(EngineContract):
    sample_rate = 24_000  # Hz

    @pytest.fixture
    def engine(self) -> TextToSpeech:
        raise NotImplementedError

    def say(self, engine: TextToSpeech, text: str, *, speed: float = 1.0) -> Speech:
        """The speech of a single French sentence."""
        [speech] = engine.synthesize(text, language="fr", speed=speed)
        return speech

    def assert_sounds(self, audio: Audio) -> None:
        assert audio.sample_rate == self.sample_rate
        assert 0.05 < np.abs(audio.samples).max() <= 1
        assert np.sqrt(np.mean(audio.samples**2)) > 0.01  # not one click in silence

    def test_speaks_sentence_by_sentence(self, engine: TextToSpeech) -> None:
        speeches = list(engine.synthesize("Bonjour. Il fait beau. À demain.", language="fr"))
        assert [speech.text for speech in speeches] == ["Bonjour.", "Il fait beau.", "À demain."]
        assert {speech.voice for speech in speeches} == {engine.default_voices["fr"]}
        for speech in speeches:
            self.assert_sounds(speech.audio)

    def test_is_heard_before_all_of_it_is_made(self, engine: TextToSpeech) -> None:
        said = "La capitale de l'Équateur est Quito, une ville des Andes. Elle est très haute."
        speeches = list(engine.synthesize(said, language="fr"))
        pieces = list(engine.synthesize(said, language="fr", eager=True))
        assert {piece.audio.sample_rate for piece in pieces} == {self.sample_rate}
        assert [speech.text for speech in whole(pieces)] == [speech.text for speech in speeches]
        for at_once, joined in zip(speeches, whole(pieces), strict=True):
            self.assert_sounds(joined.audio)
            assert joined.audio.duration == pytest.approx(at_once.audio.duration, rel=0.1)

    def test_speaks_at_a_human_pace(self, engine: TextToSpeech) -> None:
        speech = self.say(engine, "Le train de nuit pour Marseille part à vingt heures.")
        assert 5 < len(speech.text) / speech.audio.duration < 30

    def test_speed(self, engine: TextToSpeech) -> None:
        slow, normal, fast = (
            self.say(engine, SENTENCES["fr"], speed=speed).audio.duration
            for speed in (0.8, 1.0, 1.5)
        )
        assert fast < normal < slow

    def test_speaks_every_language_it_has_a_voice_for(
        self, engine: TextToSpeech, subtests: pytest.Subtests
    ) -> None:
        for language, voice in engine.default_voices.items():
            with subtests.test(language):
                try:
                    [speech] = engine.synthesize(SENTENCES[language], language=language)
                except EngineUnavailable as exc:
                    pytest.skip(str(exc))  # it names the package to install
                assert speech.voice == voice
                self.assert_sounds(speech.audio)

    def test_speaks_the_same_again_and_from_two_threads(self, engine: TextToSpeech) -> None:
        def speak(text: str) -> Callable[[], bytes]:
            return lambda: self.say(engine, text).audio.samples.tobytes()

        yes, no = speak("Oui, bien sûr."), speak("Non, merci.")
        assert at_once(yes, no) == [yes(), no()]

    def test_default_voices_speak_their_language(self, engine: TextToSpeech) -> None:
        ids = [voice.id for voice in engine.voices]
        assert len(set(ids)) == len(ids)
        assert set(engine.languages) == {voice.language for voice in engine.voices}
        for language, voice_id in engine.default_voices.items():
            voice = engine.choose_voice(language=language)
            assert (voice.id, voice.language) == (voice_id, language)

    def test_any_voice_can_be_chosen_in_its_own_language_only(self, engine: TextToSpeech) -> None:
        for voice in engine.voices:
            assert engine.choose_voice(voice.id) == voice
            for language in engine.languages:
                if language == voice.language:
                    assert engine.choose_voice(voice.id, language) == voice
                else:
                    with pytest.raises(UnknownVoice) as caught:
                        engine.choose_voice(voice.id, language)
                    assert set(caught.value.valid) == {
                        other.id for other in engine.voices if other.language == language
                    }

    def test_refuses_at_the_call_what_it_cannot_speak_with(self, engine: TextToSpeech) -> None:
        with pytest.raises(UnknownVoice) as unknown:
            engine.synthesize("Bonjour.", voice="nobody")
        assert set(unknown.value.valid) == {voice.id for voice in engine.voices}
        with pytest.raises(UnsupportedLanguage) as unsupported:
            engine.synthesize("Bonjour.", language="xx")
        assert set(unsupported.value.valid) == set(engine.languages)
        for speed in (-1.0, 0.0, 0.4, 2.1, float("nan"), float("inf")):
            with pytest.raises(InputError):
                engine.synthesize("Bonjour.", speed=speed)
        with pytest.raises(TextTooLong) as too_long:
            engine.synthesize("a" * (MAX_TEXT_CHARS + 1))
        assert (too_long.value.length, too_long.value.limit) == (MAX_TEXT_CHARS + 1, MAX_TEXT_CHARS)

    @pytest.mark.parametrize("text", ["", " \n ", "😀", "…", "« !? »"])
    def test_nothing_to_say_is_no_speech(self, engine: TextToSpeech, text: str) -> None:
        assert list(engine.synthesize(text, language="fr")) == []
