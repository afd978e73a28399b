"""A speech to text that remembers what another one has heard."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import astuple, replace

from cache import memory
from pipeline import metrics
from pipeline.audio import Audio
from pipeline.base import Deadline
from pipeline.stt.base import SpeechToText, Task, Transcript, Wanted
from pipeline.wrapping import Wrapping


class CachedSpeechToText(Wrapping[SpeechToText], SpeechToText):
    """Hears the same samples once. Where nobody speaks, nothing is remembered."""

    def __init__(self, *, engine: Mapping[str, object]) -> None:
        """``engine``: the entry, as in ``ENGINES``, of the speech to text to wrap."""
        super().__init__(engine=engine, contract=SpeechToText)
        self._entry = engine

    @property
    def bare(self) -> SpeechToText:
        return self.engine

    @property
    def languages(self) -> Collection[str]:
        return self.engine.languages

    @property
    def translates(self) -> bool:
        return self.engine.translates

    @property
    def times_words(self) -> bool:
        return self.engine.times_words

    def transcribe(
        self,
        audio: Audio,
        *,
        language: str | None = None,
        task: Task = "transcribe",
        prompt: str = "",
        words: bool = False,
    ) -> Transcript:
        wanted = Wanted(language, task, prompt.strip(), words)
        if not memory.on():
            return self._heard(audio, wanted)
        sound = [hashlib.sha256(audio.samples.tobytes()).hexdigest(), audio.sample_rate]
        key = memory.key("stt", self._entry, self.identity, [sound, astuple(wanted)])
        known: Transcript | None = memory.recall(key)
        if known is not None:
            metrics.CACHE.labels(self.role, "hit").inc()
            return replace(known, cache="hit")
        transcript = self._heard(audio, wanted)
        memory.keep(key, transcript)
        metrics.CACHE.labels(self.role, "miss").inc()
        return replace(transcript, cache="miss")

    def _heard(self, audio: Audio, wanted: Wanted) -> Transcript:
        return self.engine.transcribe(
            audio,
            language=wanted.language,
            task=wanted.task,
            prompt=wanted.prompt,
            words=wanted.words,
        )

    def _transcribe(self, audio: Audio, wanted: Wanted, deadline: Deadline) -> Transcript:
        return self.engine._transcribe(audio, wanted, deadline)
