"""Whisper as OpenAI publishes it (https://github.com/openai/whisper), on PyTorch."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from django.conf import settings
from django.utils.translation import gettext as _
from numpy.typing import NDArray

from pipeline import weights as store
from pipeline.base import Deadline
from pipeline.errors import EngineUnavailable
from pipeline.stt.base import Wanted, Word
from pipeline.stt.listening import Device, Gated, Heard, translating
from pipeline.weighted import Weighted
from pipeline.weights.manifest import root
from pipeline.weights.sources import measure

if TYPE_CHECKING:
    from whisper.model import Whisper as Model

SIZES = {
    "tiny": "65147644a518d12f04e32d6f3b26facc3f8dd46e5390956a9424a650c0ce22b9",
    "tiny.en": "d3dd57d32accea0b295c96e26691aa14d8822fac7d9d27d5dc00b4ca2826dd03",
    "base": "ed3a0b6b1c0edf879ad9b11b1af5a0e6ab5db9205f891f668f8b0e6c6326e34e",
    "base.en": "25a8566e1d0c1e2231d1c762132cd20e0f96a85d16145c3a00adf5d1ac670ead",
    "small": "9ecf779972d90ba49c06d968637d720dd632c55bbf19d441fb42bf17a411e794",
    "small.en": "f953ad0fd29cacd07d5a9eda5624af0f6bcf2258be67c92b79389873d91e0872",
    "medium": "345ae4da62f9b3d59415adc60127b97c714f32e89e936602e85993674d08dcb1",
    "medium.en": "d7440d1dc186f76616474e0ff0b3b6b879abc9d1a4926b7adfa41db2d497ab4f",
    "large-v1": "e4b87e7e0bf463eb8e6956e646f1e277e901512310def2c24bf0e11bd3c28e9a",
    "large-v2": "81f7c96c852ee8fc832187b0132e569d6c3065a3252ed18e56effd0b6a73e524",
    "large-v3": "e5b1a55b89c1367dacf97e3e19bfd829a01529dbfdeefa8caeb59b3f1b81dadb",
    "large-v3-turbo": "aff26ae408abcba5fbf8813c21e62b0941638c5f6eebfb145be0c9839262a19a",
}
"""Size → sha256 of its checkpoint, as the package's own URLs state them. Known here too, so that
what is missing can be told without importing PyTorch."""

ALIASES = {"large": "large-v3", "turbo": "large-v3-turbo"}


class Whisper(Weighted, Gated):
    """The package as it is: float32 on CPU, float16 on GPU, greedy.

    ``weights``: a size, which the package fetches into ``openai-whisper/`` beside the other
    weights unless ``VOICEBOT_OFFLINE`` forbids it, or the path of a checkpoint (``.pt``).

    It has no ``slots``: the package keeps the state of a decoding on the modules that all calls
    share, so there is one at a time.
    """

    packages = {**Gated.packages, "whisper": "openai-whisper"}

    def __init__(
        self,
        *,
        weights: str = "medium",
        device: Device = "auto",
        wait_s: float = 30.0,
        timeout_s: float = 120.0,
    ) -> None:
        weights = ALIASES.get(weights, weights)
        if weights not in SIZES and not store.is_path(weights):
            known = ", ".join([*SIZES, *ALIASES])
            raise ValueError(f"weights must be the path of a .pt file or one of: {known}")
        super().__init__(weights=weights, wait_s=wait_s, timeout_s=timeout_s)
        self._device = device
        self._model: Model

    @property
    def path(self) -> Path:
        if self.weights not in SIZES:
            return super().path
        return root() / "openai-whisper" / f"{self.weights}.pt"

    @property
    def languages(self) -> Collection[str]:
        from whisper.tokenizer import LANGUAGES

        if not self._model.is_multilingual:
            return ["en"]
        return list(LANGUAGES)[: self._model.num_languages]

    @property
    def translates(self) -> bool:
        return self._model.is_multilingual and translating(self.weights)

    @property
    def times_words(self) -> bool:
        return True

    @property
    def needs(self) -> Collection[str]:
        return () if self.weights in SIZES else super().needs  # the package fetches them itself

    def missing(self) -> str | None:
        if missing := super().missing():
            return missing
        if self.weights in SIZES and settings.VOICEBOT_OFFLINE and not self.path.is_file():
            return _(
                "%(path)s is not here, and VOICEBOT_OFFLINE=1 forbids fetching it. Place it there "
                "by hand, from %(url)s, or set VOICEBOT_OFFLINE=0."
            ) % {"path": self.path, "url": self._url}
        return None

    def _load(self) -> None:
        import torch
        import whisper

        super()._load()
        # Of the whole process: PyTorch has one pool, and no engine asks for another size.
        torch.set_num_threads(settings.VOICEBOT_THREADS)
        device = self._device
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        if self.weights in SIZES:
            self._fetch_or_check()
        self._model = whisper.load_model(str(self.path), device)

    def _decode(
        self, samples: NDArray[np.float32], wanted: Wanted, deadline: Deadline
    ) -> tuple[Iterable[Heard], str]:
        def check(*_args: object) -> None:
            deadline.check()

        # The package can be stopped by nothing else: every token passes here.
        with self._model.decoder.register_forward_pre_hook(check):
            result = self._model.transcribe(
                samples,
                language=wanted.language,
                task=wanted.task,
                initial_prompt=wanted.prompt or None,
                word_timestamps=wanted.words,
                temperature=0.0,
                condition_on_previous_text=False,
                fp16=self._model.device.type == "cuda",
            )
        decoded = [
            Heard(
                segment["start"],
                segment["end"],
                segment["text"],
                segment["no_speech_prob"],
                segment["avg_logprob"],
                segment["compression_ratio"],
                tuple(
                    Word(float(w["start"]), float(w["end"]), w["word"])
                    for w in segment.get("words", ())
                ),
            )
            for segment in result["segments"]
        ]
        return decoded, result["language"]

    def _fetch_or_check(self) -> None:
        """Bring the checkpoint of a size, or make sure that it is the one the package means.

        :raises EngineUnavailable: it cannot be had, or another file is in its place.
        """
        import whisper

        values = {"path": self.path, "url": self._url}
        if settings.VOICEBOT_OFFLINE:
            if measure(self.path).sha256 != self._sha256:
                text = _("%(path)s is damaged, or is not what %(url)s brings: place it again.")
                raise EngineUnavailable(text % values)
            return
        try:
            # It keeps what is here if its sha256 is the one in the URL.
            whisper._download(whisper._MODELS[self.weights], str(self.path.parent), False)
        except (OSError, RuntimeError) as exc:
            text = _(
                "%(path)s could not be fetched: %(reason)s. "
                "It can be placed there by hand, from %(url)s."
            )
            raise EngineUnavailable(text % {**values, "reason": exc}) from exc

    @property
    def _url(self) -> str:
        return (
            "https://openaipublic.azureedge.net/main/whisper/models/"
            f"{SIZES[self.weights]}/{self.weights}.pt"
        )

    @cached_property
    def _sha256(self) -> str:
        return SIZES.get(self.weights) or super()._sha256
