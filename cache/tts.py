"""A text to speech that remembers what another one has spoken."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from math import ceil

from django.conf import settings
from django.db import Error
from filelock import Timeout

from cache import files
from cache.keys import normalised, speech_key
from cache.models import CachedSpeech
from pipeline.audio import Audio, from_wav, to_wav
from pipeline.base import Deadline
from pipeline.engines import build
from pipeline.errors import EngineBusy
from pipeline.tts.base import Speech, TextToSpeech, Voice

logger = logging.getLogger(__name__)

FAILURES = (OSError, ValueError, Error)
"""How files and rows fail; ``ValueError`` is for text that a database cannot hold."""


class CachedTextToSpeech(TextToSpeech):
    """Speaks with ``engine``, each sentence once.

    It passes for the engine it wraps, whose name and identity are the provenance of the speech.
    A hit neither loads that engine nor takes a slot of it. A cache that fails (disk full, database
    locked) costs a warning and a synthesis, never the turn.
    """

    def __init__(self, *, engine: Mapping[str, object]) -> None:
        """``engine``: the entry, as in ``ENGINES``, of the text to speech to wrap."""
        where = "ENGINES['tts']['OPTIONS']['engine']"
        self.engine = build(engine, TextToSpeech, where=where)
        super().__init__(wait_s=self.engine._wait_s)

    @property
    def name(self) -> str:
        return self.engine.name

    @property
    def outbound(self) -> bool:
        return self.engine.outbound

    @property
    def identity(self) -> Mapping[str, str]:
        return self.engine.identity

    @property
    def voices(self) -> Sequence[Voice]:
        return self.engine.voices

    @property
    def default_voices(self) -> Mapping[str, str]:
        return self.engine.default_voices

    @property
    def languages(self) -> Sequence[str]:
        return self.engine.languages

    @property
    def loaded(self) -> bool:
        return self.engine.loaded

    @property
    def needs(self) -> Collection[str]:
        return self.engine.needs

    def missing(self) -> str | None:
        return self.engine.missing()

    def load(self) -> None:
        try:
            files.sweep()
        except OSError as exc:
            logger.warning("The speech cache cannot be swept: %s", exc)
        self._load()  # at once when it is loaded: the engine knows

    def _load(self) -> None:
        self.engine.load()

    def _warm_up(self) -> None:
        self.engine.warm_up()

    @contextmanager
    def _at_work(self) -> Iterator[Deadline]:
        with self.engine._at_work() as deadline:
            yield deadline

    def _synthesize(self, sentence: str, voice: Voice, speed: float, deadline: Deadline) -> Audio:
        return self.engine._synthesize(sentence, voice, speed, deadline)

    def _speak(self, sentence: str, voice: Voice, speed: float) -> Speech:
        if not settings.VOICEBOT_CACHE_MAX_BYTES:
            return super()._speak(sentence, voice, speed)
        # Texts of the same key must sound the same, so the engine is given what the key is made of.
        sentence = normalised(sentence)
        key = speech_key(
            sentence,
            voice=voice.id,
            language=voice.language,
            speed=speed,
            identity=self.identity,
        )
        audio = self._recall(key)
        if audio is None:
            with self._alone(key):
                audio = self._recall(key)  # it may have been made while this one waited
                if audio is None:
                    return self._make(key, sentence, voice, speed)
        return Speech(
            sentence, audio, voice.id, engine=self.name, outbound=False, cache="hit", key=key
        )

    def _recall(self, key: str) -> Audio | None:
        audio = None
        try:
            audio = CachedSpeech.objects.audio(key)
            if audio is not None:
                CachedSpeech.objects.used(key)
        except FAILURES as exc:
            logger.warning("The speech cache fails: %s", exc)
        return audio

    @contextmanager
    def _alone(self, key: str) -> Iterator[None]:
        """Keep others from making the same speech; where files cannot be locked, let them."""
        with ExitStack() as stack:
            try:
                stack.enter_context(files.lock(key, self._wait_s))
            except Timeout as exc:  # an OSError as well, hence first
                raise EngineBusy(retry_after_s=max(1, ceil(self._wait_s))) from exc
            except OSError as exc:
                logger.warning("The speech cache cannot be locked: %s", exc)
            yield

    def _make(self, key: str, sentence: str, voice: Voice, speed: float) -> Speech:
        speech = super()._speak(sentence, voice, speed)
        wav = to_wav([speech.audio])
        # What a later hit will give, to the last bit.
        speech = replace(speech, audio=from_wav(wav))
        try:
            CachedSpeech.objects.keep(
                key,
                wav,
                text=sentence,
                voice=voice,
                speed=speed,
                identity=self.identity,
                duration=speech.audio.duration,
            )
        except FAILURES as exc:
            logger.warning("Speech is not cached: %s", exc)
            return speech
        return replace(speech, cache="miss", key=key)
