"""Sets of engines that are compared: the same models on other runtimes.

Medium and 1b1 have random weights of full size (`bench.random_weights`), everything else is real.
Random weights would not all say the same, so each language model computes its tokens and says the
words of `REPLY` in their place, one a token: every contender has as much to speak.
"""

from __future__ import annotations

import bench.setup  # noqa: F401 - first: it sets Django up

# isort: split
import subprocess
import sys
from collections.abc import Generator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management import call_command

from bench.setup import WEIGHTS
from pipeline.base import Deadline
from pipeline.llm.base import Deltas, Message, Sampling
from pipeline.llm.llama_cpp import LlamaCpp
from pipeline.llm.transformers import Transformers
from pipeline.stt import faster_whisper

RANDOM = WEIGHTS.parent / "random"

REPLY = (
    "La capitale de l'Italie est Rome, une ville de près de trois millions d'habitants. "
    "On y visite le Colisée, le Forum et la fontaine de Trevi."
)


class SayingLlamaCpp(LlamaCpp):
    def _reply(
        self, messages: Sequence[Message], sampling: Sampling, deadline: Deadline
    ) -> Generator[str, None, None]:
        return _said(super()._reply(messages, sampling, deadline))


class SayingTransformers(Transformers):
    def _reply(
        self, messages: Sequence[Message], sampling: Sampling, deadline: Deadline
    ) -> Generator[str, None, None]:
        return _said(super()._reply(messages, sampling, deadline))


def _said(computed: Deltas) -> Generator[str, None, None]:
    with closing(computed):
        for word, _delta in zip(REPLY.split(), computed, strict=False):
            yield f" {word}"


class Padded(faster_whisper.FasterWhisper):
    """Every utterance filled up to 30 s, as it is done elsewhere."""

    least_s = faster_whisper.WHOLE_S


def _kokoro() -> dict[str, Any]:
    return {"BACKEND": "pipeline.tts.kokoro.Kokoro", "OPTIONS": {}}


def _bloomz(**options: Any) -> dict[str, Any]:
    return {
        "BACKEND": "bench.contenders.SayingTransformers",
        "OPTIONS": {"weights": str(RANDOM / "bloomz-1b1"), "prompt": "instruction", **options},
    }


def _whisper(backend: str, weights: str) -> dict[str, Any]:
    return {"BACKEND": backend, "OPTIONS": {"weights": str(RANDOM / weights)}}


GGUF = RANDOM / "bloomz-1b1-q4_k_m.gguf"

CONTENDERS: dict[str, dict[str, Any]] = {
    # The packages of the models' authors, float32.
    "reference": {
        "stt": _whisper("pipeline.stt.whisper.Whisper", "whisper-medium/medium.pt"),
        "llm": _bloomz(dtype="float32"),
        "tts": _kokoro(),
    },
    # What most servers of this kind run.
    "usual": {
        "stt": _whisper("bench.contenders.Padded", "faster-whisper-medium"),
        "llm": _bloomz(dtype="bfloat16"),
        "tts": _kokoro(),
    },
    "standard": {
        "stt": _whisper("pipeline.stt.faster_whisper.FasterWhisper", "faster-whisper-medium"),
        "llm": {
            "BACKEND": "bench.contenders.SayingLlamaCpp",
            "OPTIONS": {"weights": str(GGUF), "prompt": "instruction"},
        },
        "tts": _kokoro(),
    },
    "embedded": settings.ENGINES,
}


def prepare(name: str) -> None:
    """Make the random weights that a contender needs, where they are not there yet."""
    text = repr(CONTENDERS[name])
    missing = [
        kind
        for kind, file in (
            ("bloomz-1b1", "model.safetensors"),
            ("whisper-medium", "medium.pt"),
            ("faster-whisper-medium", "model.bin"),
        )
        if not (RANDOM / kind / file).exists()
        and (str(RANDOM / kind) in text or (kind == "bloomz-1b1" and str(GGUF) in text))
    ]
    if missing:
        # In a process of its own, which gives its memory back.
        command = [sys.executable, "-m", "bench.random_weights", str(RANDOM), *missing]
        subprocess.run(command, check=True, cwd=Path(__file__).parent.parent)
    if str(GGUF) in text and not GGUF.exists():
        call_command("convert_weights", str(RANDOM / "bloomz-1b1"), type="q4_k_m", output=GGUF)
