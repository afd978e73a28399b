"""Whisper on CTranslate2 (https://github.com/SYSTRAN/faster-whisper), with Silero VAD.

Whisper invents text where nobody speaks. So Silero VAD decides first whether anybody does, only
what lies between the first and the last word is transcribed, and what Whisper itself doubts is
dropped: in the end there is a transcript of speech, or ``NoSpeech``.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from django.conf import settings
from numpy.typing import NDArray

from pipeline.audio import SAMPLE_RATE, Audio
from pipeline.base import Deadline
from pipeline.errors import NoSpeech
from pipeline.stt.base import Segment, SpeechToText, Transcript
from pipeline.weighted import Weighted

if TYPE_CHECKING:
    from faster_whisper import WhisperModel

SILENCE_PEAK = 1e-3
"""Of full scale (-60 dB): quieter than the noise of any microphone in use."""

MARGIN_S = 0.2
"""Kept before the first and after the last word: consonants are quieter than VAD expects."""

MAX_NO_SPEECH, MIN_LOGPROB = 0.6, -1.0
"""Whisper's own doubts, as its paper combines them (https://arxiv.org/abs/2212.04356, §4.5):
a segment that it takes for silence and is unsure of is dropped."""

MAX_COMPRESSION = 2.4
"""Text that compresses better than this repeats itself: a loop, not speech (same place)."""


class FasterWhisper(Weighted, SpeechToText):
    """Any Whisper in CTranslate2's format: int8 on CPU, float16 on GPU, greedy."""

    main = "model.bin"

    def __init__(
        self,
        *,
        weights: str = "whisper-base",
        device: Literal["auto", "cpu", "cuda"] = "auto",
        slots: int = 1,
        wait_s: float = 30.0,
        timeout_s: float = 120.0,
    ) -> None:
        super().__init__(weights=weights, slots=slots, wait_s=wait_s, timeout_s=timeout_s)
        self._device = device
        self._slot_count = slots
        self._model: WhisperModel

    @property
    def languages(self) -> Collection[str]:
        languages: list[str] = self._model.supported_languages
        return languages

    def _load(self) -> None:
        import ctranslate2
        from faster_whisper import WhisperModel
        from faster_whisper.vad import get_vad_model

        device = self._device
        if device == "auto":
            device = "cuda" if ctranslate2.get_cuda_device_count() else "cpu"
        self._model = WhisperModel(
            str(self.path.parent),
            device=device,
            compute_type="float16" if device == "cuda" else "int8",
            cpu_threads=settings.VOICEBOT_THREADS,
            num_workers=self._slot_count,
            local_files_only=True,
        )
        get_vad_model()

    def _warm_up(self) -> None:
        """One second of noise through the encoder and a few steps of the decoder."""
        noise = np.random.default_rng(0).normal(0, 0.01, SAMPLE_RATE).astype(np.float32)
        self._decode(noise, "fr")

    def _transcribe(self, audio: Audio, language: str | None, deadline: Deadline) -> Transcript:
        start, end = self._spoken(audio.samples)
        segments, heard_language = self._decode(audio.samples[start:end], language)
        offset = start / SAMPLE_RATE
        kept = []
        for segment in segments:
            deadline.check()
            doubted = segment.no_speech_prob > MAX_NO_SPEECH and segment.avg_logprob < MIN_LOGPROB
            if doubted or segment.compression_ratio > MAX_COMPRESSION:
                continue
            # Whisper may end a segment beyond the sound it was given, by up to a second.
            end = min(segment.end + offset, audio.duration)
            kept.append(Segment(min(segment.start + offset, end), end, segment.text.strip()))
        return Transcript(" ".join(s.text for s in kept), heard_language, tuple(kept))

    def _spoken(self, samples: NDArray[np.float32]) -> tuple[int, int]:
        """Where speech begins and ends, in samples.

        :raises NoSpeech: there is none.
        """
        from faster_whisper.vad import get_speech_timestamps

        if float(np.abs(samples).max()) < SILENCE_PEAK:
            raise NoSpeech
        stretches = get_speech_timestamps(samples)
        if not stretches:
            raise NoSpeech
        margin = int(MARGIN_S * SAMPLE_RATE)
        return max(0, stretches[0]["start"] - margin), stretches[-1]["end"] + margin

    def _decode(self, samples: NDArray[np.float32], language: str | None) -> tuple[Any, str]:
        """Whisper's segments, decoded as they are read, and the language."""
        segments, info = self._model.transcribe(
            samples,
            language=language,
            beam_size=1,
            temperature=0.0,
            # Each stretch stands alone: an error would be carried on otherwise.
            condition_on_previous_text=False,
        )
        return segments, info.language
