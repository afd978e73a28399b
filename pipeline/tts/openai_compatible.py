"""A text to speech behind OpenAI's API: ``POST /v1/audio/speech``.

speaches, LocalAI, vLLM-Omni … See ``pipeline.remote``.
"""

from __future__ import annotations

import io
import wave
from collections.abc import Mapping, Sequence

import numpy as np

from pipeline.audio import Audio
from pipeline.base import Deadline
from pipeline.remote import Remote
from pipeline.tts.base import TextToSpeech, Voice

SAMPLE_BYTES = 2


class OpenAICompatible(Remote, TextToSpeech):
    """Speaks with the voices of the server that it is told of: the API cannot list them."""

    def __init__(
        self,
        *,
        base_url: str,
        model: str,
        voices: Mapping[str, str | Sequence[str]],
        key: str = "",
        slots: int = 1,
        wait_s: float = 30.0,
        timeout_s: float = 120.0,
    ) -> None:
        """``voices``: language (ISO 639-1) → the server's names of voices, the default one first.

        :raises ValueError: no voice, or one of two languages: a voice reads numbers in its own.
        """
        super().__init__(
            base_url=base_url,
            model=model,
            key=key,
            slots=slots,
            wait_s=wait_s,
            timeout_s=timeout_s,
        )
        self._voices = [
            Voice(name, language, name.replace("_", " ").capitalize())
            for language, names in voices.items()
            for name in ([names] if isinstance(names, str) else names)
        ]
        ids = {voice.id for voice in self._voices}
        if not ids or len(ids) < len(self._voices):
            raise ValueError("voices must name at least one voice, and each for one language only")

    @property
    def voices(self) -> Sequence[Voice]:
        return self._voices

    @property
    def default_voices(self) -> Mapping[str, str]:
        return {voice.language: voice.id for voice in reversed(self._voices)}

    def _warm_up(self) -> None:
        for _speech in self.synthesize("Ok."):
            break

    def _synthesize(self, sentence: str, voice: Voice, speed: float, deadline: Deadline) -> Audio:
        body = {
            "model": self._model,
            "input": sentence,
            "voice": voice.id,
            "response_format": "wav",
            "speed": speed,
        }
        data = self._ask("audio/speech", deadline, json=body)
        try:
            return _from_any_wav(data)
        except (wave.Error, EOFError, ValueError) as exc:
            raise self.not_understood() from exc


def _from_any_wav(data: bytes) -> Audio:
    """PCM of 16 bits at any rate, channels mixed; the header may not know its length yet.

    :raises ValueError, wave.Error, EOFError: not such a file.
    """
    with wave.open(io.BytesIO(data)) as file:
        if file.getsampwidth() != SAMPLE_BYTES:
            raise ValueError(f"samples of {file.getsampwidth()} bytes")
        channels, sample_rate = file.getnchannels(), file.getframerate()
        pcm = file.readframes(len(data))
    frames = np.frombuffer(pcm[: len(pcm) // (2 * channels) * 2 * channels], "<i2")
    mixed = frames.reshape(-1, channels).mean(axis=1, dtype=np.float32)
    return Audio(mixed / np.float32(32768), sample_rate)
