"""Whisper on CTranslate2 (https://github.com/SYSTRAN/faster-whisper).

Whisper was trained on 30 s: shorter sound is filled up with silence, whose encoding takes most of
the time of a short utterance. A window of ``MARGIN_S`` more than the sound, ``LEAST_S`` at least,
hears as well (``make eval`` compares). One that is too short makes Whisper loop; when it does so
all the same, or is unsure of what it heard, the 30 s are tried.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from django.conf import settings
from numpy.typing import NDArray

from pipeline.audio import SAMPLE_RATE
from pipeline.base import Deadline
from pipeline.stt.base import Wanted, Word
from pipeline.stt.listening import MAX_NO_SPEECH, Device, Gated, Heard, translating
from pipeline.together import Together
from pipeline.weighted import Weighted

if TYPE_CHECKING:
    from ctranslate2 import StorageView
    from faster_whisper import WhisperModel
    from faster_whisper.tokenizer import Tokenizer

FRAME_S = 0.01
WHOLE_S, LEAST_S, MARGIN_S = 30.0, 10.0, 5.0

SHORT_S = WHOLE_S - MARGIN_S
"""Longer sound is cut where nobody speaks, and the pieces are heard side by side."""

SURE_LOGPROB = -0.4
"""Of a token, on average. What is heard with less is heard again: 3 of 72 recordings, a third of
what the short window mishears more than the long one."""

SURE_LANGUAGE = 0.8
"""A language that is detected with less confidence is taken for the default one. Whisper base took
short French for Spanish, Italian or Russian with up to 0.75, and sentences of other languages for
what they were with 0.95 and more (72 recordings, 19 sentences of our voices)."""

PIECES = 4
"""Heard at a time: two cores gain nothing from more, and the deadline is looked at between."""

TOKENS_PER_S, TOKENS_MORE = 7, 8
"""Nobody speaks faster: what is longer is a loop."""

PROMPT_TOKENS = 223
"""The end of a prompt that Whisper is given; the rest of its 448 is for the text."""


class Window(NamedTuple):
    """What is to be heard at once."""

    features: NDArray[np.float32]  # of shape (mels, frames)
    duration: float  # of the sound in it, in seconds
    wanted: Wanted


class FasterWhisper(Weighted, Gated):
    """Any Whisper in CTranslate2's format: int8 on CPU, float16 on GPU, greedy.

    ``weights``: an id of the manifest, or a folder that holds ``model.bin`` and what was made
    with it. Segments are decoded as they are read: the deadline ends it between two of them.
    """

    main = "model.bin"
    least_s = LEAST_S

    def __init__(
        self,
        *,
        weights: str = "whisper-base",
        device: Device = "auto",
        slots: int = 1,
        wait_s: float = 30.0,
        timeout_s: float = 120.0,
    ) -> None:
        super().__init__(weights=weights, slots=slots, wait_s=wait_s, timeout_s=timeout_s)
        self._device = device
        self._together = Together(self._hear_all, most=slots)
        self._model: WhisperModel

    @property
    def languages(self) -> Collection[str]:
        languages: list[str] = self._model.supported_languages
        return languages

    @property
    def translates(self) -> bool:
        return self._model.model.is_multilingual and translating(self.weights)

    @property
    def times_words(self) -> bool:
        return True

    def _load(self) -> None:
        import ctranslate2
        from faster_whisper import WhisperModel

        super()._load()
        device = self._device
        if device == "auto":
            device = "cuda" if ctranslate2.get_cuda_device_count() else "cpu"
        self._model = WhisperModel(
            str(self.path.parent),
            device=device,
            compute_type="float16" if device == "cuda" else "int8",
            cpu_threads=settings.VOICEBOT_THREADS,
            num_workers=self.slots,
            local_files_only=True,
        )

    def _decode(
        self, samples: NDArray[np.float32], wanted: Wanted, deadline: Deadline
    ) -> tuple[Iterable[Heard], str]:
        duration = len(samples) / SAMPLE_RATE
        if duration > SHORT_S:
            return self._decode_long(samples, wanted)
        features = self._model.feature_extractor(samples)
        for window_s in (max(self.least_s, duration + MARGIN_S), WHOLE_S):
            heard, ended, spoken = self._hear(_filled(features, window_s), duration, wanted)
            sure = heard.avg_logprob >= SURE_LOGPROB
            if ended and sure and not heard.loops:
                break
            if heard.silent or heard.no_speech_prob > MAX_NO_SPEECH:
                break  # where nobody speaks, to listen again is to invent
            deadline.check()
        return [heard], spoken

    def _hear(
        self, window: NDArray[np.float32], duration: float, wanted: Wanted
    ) -> tuple[Heard, bool, str]:
        """What is heard in one window, whether it came to an end, and in what language.

        With several slots, windows of one length that are asked for at a time are heard together,
        which takes less than one after the other and hears the same.
        """
        asked = Window(window, duration, wanted)
        if self.slots == 1 or wanted.words:
            [told] = self._hear_all([asked])
            return told
        return self._together((window.shape, wanted.task, wanted.prompt), asked)

    def _hear_all(self, asked: Sequence[Window]) -> list[tuple[Heard, bool, str]]:
        encoded = self._model.encode(np.stack([one.features for one in asked]))
        known = all(one.wanted.language for one in asked)
        languages = [""] * len(asked) if known else self._languages(encoded, len(asked))
        spoken = [
            one.wanted.language or language for one, language in zip(asked, languages, strict=True)
        ]
        alike = [
            (one.duration, replace(one.wanted, language=language))
            for one, language in zip(asked, spoken, strict=True)
        ]
        told = (
            [self._decode_short(encoded, *alike[0])]
            if len(alike) == 1
            else self._decode_all(encoded, alike)
        )
        return [(*one, language) for one, language in zip(told, spoken, strict=True)]

    def _decode_short(
        self, encoded: StorageView, duration: float, wanted: Wanted
    ) -> tuple[Heard, bool]:
        """What is heard in one window, in a language that is known, and whether it came to an end.

        Without timestamps, which take tokens, hence time, and of which VAD knows as much.
        """
        [told] = self._decode_all(encoded, [(duration, wanted)])
        return told

    def _decode_all(
        self, encoded: StorageView, asked: Sequence[tuple[float, Wanted]]
    ) -> list[tuple[Heard, bool]]:
        """As ``_decode_short``, of each of the windows in ``encoded``: words, of a single one."""
        from faster_whisper.tokenizer import Tokenizer
        from faster_whisper.transcribe import get_compression_ratio

        whisper = self._model.model
        tokenizers, prompts, mosts = [], [], []
        for duration, wanted in asked:
            tokenizer = Tokenizer(
                self._model.hf_tokenizer, whisper.is_multilingual, wanted.task, wanted.language
            )
            prompt = [*tokenizer.sot_sequence, tokenizer.no_timestamps]
            if wanted.prompt:
                before = tokenizer.encode(f" {wanted.prompt}")[-PROMPT_TOKENS:]
                prompt = [tokenizer.sot_prev, *before, *prompt]
            tokenizers.append(tokenizer)
            prompts.append(prompt)
            mosts.append(int(TOKENS_PER_S * duration) + TOKENS_MORE)
        results = whisper.generate(
            encoded,
            prompts,
            beam_size=1,
            # CTranslate2 takes half of it for the prompt, or as much as that needs.
            max_length=max(2 * max(mosts), len(prompts[0]) + max(mosts)),
            return_scores=True,
            return_no_speech_prob=True,
        )
        told = []
        for (duration, wanted), tokenizer, most, result in zip(
            asked, tokenizers, mosts, results, strict=True
        ):
            written = result.sequences_ids[0]
            tokens = written[:most]  # beside a longer one it may have gone on
            text = tokenizer.decode(tokens)
            heard = Heard(
                0.0,
                duration,
                text,
                result.no_speech_prob,
                result.scores[0] * len(written) / (len(written) + 1),  # the end is a token as well
                get_compression_ratio(text),
                tuple(self._words(tokenizer, tokens, encoded, duration)) if wanted.words else (),
            )
            told.append((heard, len(written) < most))
        return told

    def _words(
        self, tokenizer: Tokenizer, tokens: Sequence[int], encoded: StorageView, duration: float
    ) -> Iterator[Word]:
        """Each is said where the decoder looks as it writes it:
        https://github.com/openai/whisper/blob/main/notebooks/Multilingual_ASR.ipynb"""
        frames = round(duration / FRAME_S)
        [aligned] = self._model.find_alignment(tokenizer, [tokens], encoded, frames)
        for word in aligned:
            yield Word(float(word["start"]), float(word["end"]), word["word"])

    def _decode_long(
        self, samples: NDArray[np.float32], wanted: Wanted
    ) -> tuple[Iterator[Heard], str]:
        from faster_whisper import BatchedInferencePipeline

        segments, info = BatchedInferencePipeline(self._model).transcribe(
            samples,
            language=wanted.language,
            task=wanted.task,
            initial_prompt=wanted.prompt or None,
            word_timestamps=wanted.words,
            beam_size=1,
            temperature=0.0,
            without_timestamps=False,
            batch_size=PIECES,
        )
        decoded = (
            Heard(
                s.start,
                s.end,
                s.text,
                s.no_speech_prob,
                s.avg_logprob,
                s.compression_ratio,
                tuple(Word(w.start, w.end, w.word) for w in s.words or ()),
            )
            for s in segments
        )
        return decoded, info.language

    def _languages(self, encoded: StorageView, count: int) -> list[str]:
        """Of each of the windows in ``encoded``."""
        if not self._model.model.is_multilingual:
            return ["en"] * count
        return [
            str(token).strip("<|>")
            if probability >= SURE_LANGUAGE
            else str(settings.VOICEBOT_LANGUAGE)
            for [(token, probability), *_others] in self._model.model.detect_language(encoded)
        ]


def _filled(features: NDArray[np.float32], window_s: float) -> NDArray[np.float32]:
    """``features``, of shape ``(mels, frames)``, followed by silence up to ``window_s``."""
    frames = round(window_s / FRAME_S / 2) * 2  # the encoder halves them
    silence = features.max() - 2  # Whisper hears no further down: 8 powers of ten, by 4
    filled = np.full((len(features), frames), silence, np.float32)
    filled[:, : features.shape[1]] = features[:, :frames]
    return filled
