"""The three roles, asked on the cluster."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import closing
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.audio import Audio
from pipeline.base import Deadline
from pipeline.llm import base as llm
from pipeline.ray.client import Distant, Lost
from pipeline.stt import base as stt
from pipeline.tts import base as tts

Entry = Mapping[str, object]
Options = Mapping[str, Any]


class SpeechToText(Distant[stt.SpeechToText], stt.SpeechToText):
    """Listens on the cluster."""

    def __init__(self, *, engine: Entry, replicas: Options | None = None) -> None:
        super().__init__(engine=engine, replicas=replicas, contract=stt.SpeechToText)

    @property
    def languages(self) -> Collection[str]:
        languages: Collection[str] = self._told("languages")
        return languages

    @property
    def translates(self) -> bool:
        return bool(self._told("translates"))

    @property
    def times_words(self) -> bool:
        return bool(self._told("times_words"))

    def speech_in(self, samples: NDArray[np.float32]) -> stt.Stretches:
        self.load()
        stretches: stt.Stretches = self._asked("speech_in", samples)
        return stretches

    def _transcribe(self, audio: Audio, wanted: stt.Wanted, deadline: Deadline) -> stt.Transcript:
        transcript: stt.Transcript = self._result(deadline, audio, wanted)
        return transcript


class LanguageModel(Distant[llm.LanguageModel], llm.LanguageModel):
    """Replies on the cluster.

    A greedy reply whose replica dies in the middle is written again by another, from where it was.
    One that is left to chance would go on as another reply: it fails.
    """

    def __init__(self, *, engine: Entry, replicas: Options | None = None) -> None:
        super().__init__(engine=engine, replicas=replicas, contract=llm.LanguageModel)

    def _fits(self, messages: Sequence[llm.Message]) -> bool:
        return bool(self._asked("fits", tuple(messages)))

    def _reply(
        self, messages: Sequence[llm.Message], sampling: llm.Sampling, deadline: Deadline
    ) -> llm.Deltas:
        given = ""
        for attempt in self._attempts(deadline):
            with attempt, closing(self._ask(deadline, tuple(messages), sampling)) as deltas:
                written = ""
                while True:
                    try:
                        written += next(deltas)
                    except StopIteration as end:
                        usage: llm.Usage | None = end.value
                        break
                    except Lost as exc:
                        if given and sampling.temperature > 0:
                            raise self._failed() from exc
                        raise
                    if not (written.startswith(given) or given.startswith(written)):
                        raise self._failed()
                    if len(written) > len(given):
                        yield written[len(given) :]
                        given = written
                if written != given:
                    raise self._failed()
                return usage
        raise AssertionError("the last attempt returns or raises")


class TextToSpeech(Distant[tts.TextToSpeech], tts.TextToSpeech):
    """Speaks on the cluster."""

    def __init__(self, *, engine: Entry, replicas: Options | None = None) -> None:
        super().__init__(engine=engine, replicas=replicas, contract=tts.TextToSpeech)

    @property
    def voices(self) -> Sequence[tts.Voice]:
        voices: Sequence[tts.Voice] = self._told("voices")
        return voices

    @property
    def default_voices(self) -> Mapping[str, str]:
        voices: Mapping[str, str] = self._told("default_voices")
        return voices

    def _synthesize(
        self, sentence: str, voice: tts.Voice, speed: float, deadline: Deadline
    ) -> Audio:
        audio: Audio = self._result(deadline, sentence, voice, speed, False)
        return audio

    def _synthesize_pieces(
        self, sentence: str, voice: tts.Voice, speed: float, deadline: Deadline
    ) -> Iterator[tuple[Audio, bool]]:
        """Pieces that were heard when a replica dies are made again by another, and left out."""
        given = 0
        for attempt in self._attempts(deadline):
            with attempt, closing(self._ask(deadline, sentence, voice, speed, True)) as pieces:
                for number, piece in enumerate(pieces, 1):
                    if number > given:
                        given = number
                        yield piece
                return
        raise AssertionError("the last attempt returns or raises")
