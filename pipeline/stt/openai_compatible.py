"""A speech to text behind OpenAI's API: ``POST /v1/audio/transcriptions``, or ``translations``.

speaches, vLLM, LocalAI … See ``pipeline.remote``. Silero VAD decides here whether anybody speaks,
as for every Whisper: what is no speech is not sent.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any, Literal

import numpy as np
from django.conf import settings
from django.conf.locale import LANG_INFO
from numpy.typing import NDArray

from pipeline.audio import SAMPLE_RATE, Audio, to_wav
from pipeline.base import Deadline
from pipeline.remote import Remote
from pipeline.stt.base import Wanted, Word
from pipeline.stt.listening import Gated, Heard

WHISPER = """
    af am ar as az ba be bg bn bo br bs ca cs cy da de el en es et eu fa fi fo fr gl gu ha haw he
    hi hr ht hu hy id is it ja jw ka kk km kn ko la lb ln lo lt lv mg mi mk ml mn mr ms mt my ne nl
    nn no oc pa pl ps pt ro ru sa sd si sk sl sn so sq sr su sv sw ta te tg th tk tl tr tt uk ur uz
    vi yi yo zh
""".split()  # noqa: SIM905 - a table reads better
"""The languages of Whisper, which nearly all of these servers run."""

# OpenAI answers with the English name, others with the code.
CODES = {info["name"].lower(): code for code, info in LANG_INFO.items() if "name" in info} | {
    "chinese": "zh"
}


class OpenAICompatible(Remote, Gated):
    """Sends the part of the utterance in which somebody speaks, as WAV."""

    packages = {**Remote.packages, **Gated.packages}

    def __init__(
        self,
        *,
        base_url: str,
        model: str,
        key: str = "",
        languages: Collection[str] = tuple(WHISPER),
        response_format: Literal["verbose_json", "json"] = "verbose_json",
        slots: int = 1,
        wait_s: float = 30.0,
        timeout_s: float = 120.0,
    ) -> None:
        """``response_format`` "json" is for models that give no segments, as ``gpt-4o-transcribe``.

        The transcript is then one segment, in the language asked for or else the default one, and
        such models neither translate nor tell the times of words.
        """
        super().__init__(
            base_url=base_url,
            model=model,
            key=key,
            slots=slots,
            wait_s=wait_s,
            timeout_s=timeout_s,
        )
        self._languages = tuple(languages)
        self._response_format = response_format

    @property
    def languages(self) -> Collection[str]:
        return self._languages

    @property
    def translates(self) -> bool:
        return self._response_format == "verbose_json"

    @property
    def times_words(self) -> bool:
        return self._response_format == "verbose_json"

    @property
    def identity(self) -> Mapping[str, str]:
        return {**super().identity, "response_format": self._response_format}

    def _load(self) -> None:
        Remote._load(self)
        Gated._load(self)

    def _warm_up(self) -> None:
        pass  # noise is not sent

    def _decode(
        self, samples: NDArray[np.float32], wanted: Wanted, deadline: Deadline
    ) -> tuple[Iterable[Heard], str]:
        utterance = Audio(samples, SAMPLE_RATE)
        form: dict[str, str | list[str]] = {
            "model": self._model,
            "response_format": self._response_format,
            "temperature": "0",
            **({"language": wanted.language} if wanted.language else {}),
            **({"prompt": wanted.prompt} if wanted.prompt else {}),
            **({"timestamp_granularities[]": ["segment", "word"]} if wanted.words else {}),
        }
        files = {"file": ("utterance.wav", to_wav([utterance]), "audio/wav")}
        path = "audio/translations" if wanted.task == "translate" else "audio/transcriptions"
        answer = self.read_object(self._ask(path, deadline, data=form, files=files))
        try:
            heard = list(_segments(answer, utterance.duration))
            named = str(answer.get("language") or wanted.language or settings.VOICEBOT_LANGUAGE)
        except (KeyError, TypeError, ValueError, AttributeError) as exc:
            raise self.not_understood() from exc
        return heard, CODES.get(named.lower(), named.lower())


def _segments(answer: dict[str, Any], duration: float) -> Iterator[Heard]:
    """The segments of ``answer``, or all of its text as one of ``duration`` seconds.

    What a server does not say about its doubts counts as no doubt.
    """
    segments = answer.get("segments") or [{"start": 0, "end": duration, "text": answer["text"]}]
    words = deque(
        Word(float(word["start"]), float(word["end"]), str(word["word"]))
        for word in answer.get("words") or ()
    )
    for place, segment in enumerate(segments, start=1):
        start, end = float(segment["start"]), float(segment["end"])
        said = []  # what was said before the next one begins
        while words and (words[0].start < end or place == len(segments)):
            said.append(words.popleft())
        yield Heard(
            start,
            end,
            str(segment["text"]).strip(),
            float(segment.get("no_speech_prob") or 0),
            float(segment.get("avg_logprob") or 0),
            float(segment.get("compression_ratio") or 0),
            tuple(said),
        )
