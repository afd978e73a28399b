"""Piper on ONNX Runtime (https://github.com/OHF-Voice/piper1-gpl): small, fast, local voices.

A voice is two files, ``fr_FR-siwis-medium.onnx`` and ``fr_FR-siwis-medium.onnx.json``; there are
hundreds on https://huggingface.co/rhasspy/piper-voices. Its id is the name of its file, followed by
that of the speaker where it has several: ``fr_FR-upmc-medium:pierre``.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from django.conf import settings
from django.utils.translation import gettext as _

from pipeline import weights as store
from pipeline.audio import Audio
from pipeline.base import Deadline
from pipeline.errors import EngineUnavailable, PipelineError
from pipeline.tts.base import TextToSpeech, Voice
from pipeline.tts.steady_noise import with_steady_noise

if TYPE_CHECKING:
    from piper import PiperVoice

PAUSE_S = 0.15
"""Silence added after a sentence, to the little that Piper leaves itself."""

PHONEME_TYPES = {"espeak", "text"}
"""The others need packages of their own, and one of them downloads what it reads."""


@dataclass(frozen=True)
class VoiceFile:
    """One file of weights, with one voice or several: an id of the manifest, or a path."""

    weights: str

    @property
    def entry(self) -> store.Weights | None:
        own = store.is_path(self.weights) or self.weights.endswith(".onnx")
        return None if own else store.find(self.weights)

    @property
    def path(self) -> Path:
        """Where the file is, or will be."""
        if entry := self.entry:
            return entry.directory / entry.main
        return Path(self.weights).expanduser()

    @property
    def config_path(self) -> Path:
        return self.path.with_name(f"{self.path.name}.json")

    def require(self) -> None:
        """:raises EngineUnavailable: it is not here; the message says how to bring it."""
        if entry := self.entry:
            entry.required()
        for path in (self.path, self.config_path):
            if not path.is_file():
                raise EngineUnavailable(_("There is no file %(path)s.") % {"path": path})
        if not self.config():
            text = _("%(path)s is not the configuration of a voice.")
            raise EngineUnavailable(text % {"path": self.config_path})

    @property
    def sha256(self) -> str:
        """Of both files: the configuration shapes the sound as the weights do."""
        self.require()
        digests = []
        for path in (self.path, self.config_path):
            with path.open("rb") as file:
                digests.append(hashlib.file_digest(file, "sha256").digest())
        return hashlib.sha256(b"".join(digests)).hexdigest()

    def config(self) -> dict[str, Any]:
        """What the file beside it says; nothing while it is not here, or not right."""
        try:
            config = json.loads(self.config_path.read_text("utf-8"))
        except (OSError, ValueError):
            return {}
        return config if isinstance(config, dict) else {}

    def voices(self) -> dict[str, tuple[Voice, int]]:
        """Id → voice and number of the speaker.

        A file that is yet to be fetched is known by its name.
        """
        config, stem = self.config(), self.path.stem
        place, _dash, rest = stem.partition("-")
        language = config.get("language", {}).get("code", place).partition("_")[0].lower()
        speakers = config.get("speaker_id_map", {}) if config.get("num_speakers", 1) > 1 else {}
        if not speakers:
            name = (rest.partition("-")[0] or stem).replace("_", " ").capitalize()
            return {stem: (Voice(stem, language, name), 0)}
        return {
            f"{stem}:{speaker}": (Voice(f"{stem}:{speaker}", language, speaker.capitalize()), index)
            for speaker, index in speakers.items()
        }


class Piper(TextToSpeech):
    """Speaks with the voices it is given; the first of a language is that language's default."""

    packages = {"piper": "piper-tts"}

    def __init__(
        self,
        *,
        weights: str | Sequence[str] = ("piper-fr-siwis-medium", "piper-en-joe-medium"),
        slots: int = 1,
        wait_s: float = 30.0,
        timeout_s: float = 120.0,
    ) -> None:
        """``weights``: ids of the manifest, or paths of ``.onnx`` files with their ``.json``."""
        super().__init__(slots=slots, wait_s=wait_s, timeout_s=timeout_s)
        self._files = [
            VoiceFile(name) for name in ([weights] if isinstance(weights, str) else weights)
        ]
        if not self._files:
            raise ValueError("weights must name at least one voice")
        self._loaded_voices: dict[str, tuple[PiperVoice, int]] = {}

    @property
    def voices(self) -> Sequence[Voice]:
        return [voice for file in self._files for voice, _speaker in file.voices().values()]

    @property
    def default_voices(self) -> Mapping[str, str]:
        return {voice.language: voice.id for voice in reversed(self.voices)}

    @property
    def needs(self) -> Collection[str]:
        return [file.weights for file in self._files if file.entry]

    @property
    def identity(self) -> Mapping[str, str]:
        return {**super().identity, **self._contents}

    @cached_property
    def _contents(self) -> Mapping[str, str]:
        return {file.path.stem: file.sha256 for file in self._files}

    def missing(self) -> str | None:
        if missing := super().missing():
            return missing
        try:
            for file in self._files:
                file.require()
        except (PipelineError, store.WeightsError) as exc:
            return str(exc)
        return None

    def _load(self) -> None:
        for file in self._files:
            voice = _read(file)
            self._loaded_voices |= {
                voice_id: (voice, speaker) for voice_id, (_v, speaker) in file.voices().items()
            }

    def _warm_up(self) -> None:
        for voice in self.default_voices.values():
            self._synthesize("Ok.", self.choose_voice(voice), 1.0, Deadline(self._timeout_s))

    def _synthesize(self, sentence: str, voice: Voice, speed: float, deadline: Deadline) -> Audio:
        from piper import SynthesisConfig

        speaking, speaker = self._loaded_voices[voice.id]
        config = SynthesisConfig(
            speaker_id=speaker, length_scale=speaking.config.length_scale / speed
        )
        chunks = [chunk.audio_float_array for chunk in speaking.synthesize(sentence, config)]
        sample_rate = speaking.config.sample_rate
        if not chunks:
            raise ValueError(f"no phonemes for a sentence of {len(sentence)} characters")
        pause = np.zeros(int(PAUSE_S * sample_rate), np.float32)
        return Audio(np.concatenate([*chunks, pause]), sample_rate)


def _read(file: VoiceFile) -> PiperVoice:
    import onnxruntime
    from piper import PiperConfig, PiperVoice

    config = PiperConfig.from_dict(file.config())
    if config.phoneme_type.value not in PHONEME_TYPES:
        text = _("%(voice)s is a kind of voice that is not supported.")
        raise EngineUnavailable(text % {"voice": file.path.stem})
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = settings.VOICEBOT_THREADS
    # Threads that wait by spinning take the cores from the stages that work meanwhile.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = onnxruntime.InferenceSession(
        with_steady_noise(file.path.read_bytes()), options, providers=["CPUExecutionProvider"]
    )
    return PiperVoice(session=session, config=config)
