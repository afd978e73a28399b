"""Whisper on CTranslate2 (https://github.com/SYSTRAN/faster-whisper)."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING

import numpy as np
from django.conf import settings
from numpy.typing import NDArray

from pipeline.base import Deadline
from pipeline.stt.listening import Device, Gated, Heard
from pipeline.weighted import Weighted

if TYPE_CHECKING:
    from faster_whisper import WhisperModel


class FasterWhisper(Weighted, Gated):
    """Any Whisper in CTranslate2's format: int8 on CPU, float16 on GPU, greedy.

    ``weights``: an id of the manifest, or a folder that holds ``model.bin`` and what was made
    with it. Segments are decoded as they are read: the deadline ends it between two of them.
    """

    main = "model.bin"

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
        self._slot_count = slots
        self._model: WhisperModel

    @property
    def languages(self) -> Collection[str]:
        languages: list[str] = self._model.supported_languages
        return languages

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
            num_workers=self._slot_count,
            local_files_only=True,
        )

    def _decode(
        self, samples: NDArray[np.float32], language: str | None, deadline: Deadline
    ) -> tuple[Iterable[Heard], str]:
        segments, info = self._model.transcribe(
            samples,
            language=language,
            beam_size=1,
            temperature=0.0,
            condition_on_previous_text=False,
        )
        decoded = (
            Heard(s.start, s.end, s.text, s.no_speech_prob, s.avg_logprob, s.compression_ratio)
            for s in segments
        )
        return decoded, info.language
