"""Kokoro-82M on ONNX Runtime (https://github.com/thewh1teagle/kokoro-onnx): 54 voices, local.

Weights and voices: https://huggingface.co/hexgrad/Kokoro-82M. A voice's id says what it is: the
language, the gender, the name (``ff_siwis``: French, female, Siwis).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np
from django.conf import settings

from pipeline.audio import Audio
from pipeline.base import Deadline
from pipeline.tts import phonemes
from pipeline.tts.base import TextToSpeech, Voice
from pipeline.tts.halves import Halves
from pipeline.tts.windows import decoded, span, windows
from pipeline.weighted import Weighted

if TYPE_CHECKING:
    import kokoro_onnx

# First letter of a voice's id → language of the voice, and of its phonemes.
LANGUAGES = {
    "a": ("en", "en-us"),
    "b": ("en", "en-gb"),
    "e": ("es", "es"),
    "f": ("fr", "fr"),
    "h": ("hi", "hi"),
    "i": ("it", "it"),
    "j": ("ja", "ja"),
    "p": ("pt", "pt"),
    "z": ("zh", "zh"),
}
GENDERS: dict[str, Literal["female", "male"]] = {"f": "female", "m": "male"}

IDS = """
    af_alloy af_aoede af_bella af_heart af_jessica af_kore af_nicole af_nova af_river af_sarah
    af_sky am_adam am_echo am_eric am_fenrir am_liam am_michael am_onyx am_puck am_santa
    bf_alice bf_emma bf_isabella bf_lily bm_daniel bm_fable bm_george bm_lewis
    ef_dora em_alex em_santa ff_siwis hf_alpha hf_beta hm_omega hm_psi if_sara im_nicola
    jf_alpha jf_gongitsune jf_nezumi jf_tebukuro jm_kumo pf_dora pm_alex pm_santa
    zf_xiaobei zf_xiaoni zf_xiaoxiao zf_xiaoyi zm_yunjian zm_yunxi zm_yunxia zm_yunyang
""".split()  # noqa: SIM905 - a table reads better

FRAME = 600  # samples, 25 ms


def _voice(voice_id: str) -> Voice:
    language, _variety = LANGUAGES[voice_id[0]]
    return Voice(voice_id, language, voice_id[3:].capitalize(), GENDERS[voice_id[1]])


def _variety(voice: Voice) -> str:
    """Of the voice's language, as ``phonemes`` knows them."""
    _language, variety = LANGUAGES[voice.id[0]]
    return variety


class Kokoro(Weighted, TextToSpeech):
    """Speaks every language its voices do; the default voices are those its authors rate best."""

    main = "kokoro.onnx"
    packages = {"kokoro_onnx": "kokoro-onnx", "onnxruntime": "onnxruntime", "onnx": "onnx"}
    voices: Sequence[Voice] = tuple(map(_voice, IDS))
    default_voices: Mapping[str, str] = {
        "fr": "ff_siwis",
        "en": "af_heart",
        "es": "ef_dora",
        "hi": "hf_alpha",
        "it": "if_sara",
        "ja": "jf_alpha",
        "pt": "pf_dora",
        "zh": "zf_xiaobei",
    }

    def __init__(
        self,
        *,
        weights: str = "kokoro-82m-int8",
        slots: int = 1,
        wait_s: float = 30.0,
        timeout_s: float = 120.0,
    ) -> None:
        super().__init__(weights=weights, slots=slots, wait_s=wait_s, timeout_s=timeout_s)
        self._kokoro: kokoro_onnx.Kokoro
        self._halves: Halves

    def _load(self) -> None:
        import kokoro_onnx
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = settings.VOICEBOT_THREADS
        # Threads that wait by spinning take the cores from the stages that work meanwhile.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._halves = Halves(self.path, options)
        voices = str(self.path.with_name("voices.npz"))
        self._kokoro = kokoro_onnx.Kokoro.from_session(self._halves, voices)
        phonemes.load(_variety(self.choose_voice()))

    def _warm_up(self) -> None:
        voice = self.choose_voice()
        self._synthesize("Oui.", voice, 1.0, Deadline(self._timeout_s))

    def _synthesize(self, sentence: str, voice: Voice, speed: float, deadline: Deadline) -> Audio:
        [(audio, _last)] = self._sounded(sentence, voice, speed, in_pieces=False)
        return audio

    def _synthesize_pieces(
        self, sentence: str, voice: Voice, speed: float, deadline: Deadline
    ) -> Iterator[tuple[Audio, bool]]:
        for piece in self._sounded(sentence, voice, speed, in_pieces=True):
            yield piece
            deadline.check()

    def _sounded(
        self, sentence: str, voice: Voice, speed: float, *, in_pieces: bool
    ) -> Iterator[tuple[Audio, bool]]:
        from kokoro_onnx.config import MAX_PHONEME_LENGTH, SAMPLE_RATE

        spoken = self._phonemes(sentence, voice)
        said = None
        if len(spoken) <= MAX_PHONEME_LENGTH:
            tokens = self._kokoro.tokenizer.tokenize(spoken)
            styles = self._kokoro.get_voice_style(voice.id)
            manner = self._halves.encode(
                {
                    "tokens": np.array([[0, *tokens, 0]], np.int64),
                    "style": styles[min(len(tokens), len(styles)) - 1],
                    "speed": np.array([speed], np.float32),
                }
            )
            said = span(manner.energy)
        if said is None:  # too long for once, or not between silence
            samples, _rate = self._kokoro.create(spoken, voice.id, speed=speed, is_phonemes=True)
            yield Audio(samples, SAMPLE_RATE), True
            return
        found = windows(said, manner.energy) if in_pieces else (said,)
        pieces = decoded(found, FRAME, lambda frames: self._halves.decode(manner.of(frames)))
        for number, samples in enumerate(pieces, 1):
            yield Audio(samples, SAMPLE_RATE), number == len(found)

    def _phonemes(self, sentence: str, voice: Voice) -> str:
        vocabulary = self._kokoro.tokenizer.vocab
        spoken = phonemes.phonemize(sentence, _variety(voice), vocabulary=vocabulary)
        if not spoken:
            raise ValueError(f"no phonemes for a sentence of {len(sentence)} characters")
        return spoken
