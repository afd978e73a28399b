"""A text to speech that has others to stand in when it fails."""

from __future__ import annotations

import logging
from collections.abc import Collection, Generator, Mapping, Sequence
from contextlib import closing
from copy import copy
from dataclasses import replace
from datetime import datetime
from functools import cached_property
from itertools import chain
from typing import cast

from pipeline.audio import Audio
from pipeline.base import Deadline, Engine
from pipeline.breaker import Resting
from pipeline.engines import build
from pipeline.errors import EngineError, InvalidEngineError
from pipeline.tts.base import Speech, TextToSpeech, Voice

logger = logging.getLogger(__name__)

WHERE = "ENGINES['tts']['OPTIONS']['engines']"

RATE = 24_000
"""Hz, whoever speaks: the sentences of a reply are one sound."""


class Fallback(TextToSpeech):
    """Speaks with the first of ``engines`` that can.

    Its voices are those of all of them, its default voices the first one's that has the language.
    When the engine of the voice asked for fails, the next one that speaks the language stands in
    with its own default voice, and stays to the end of the text. Falling back goes towards less
    outbound only: none but the first engine may be.
    """

    def __init__(self, *, engines: Sequence[Mapping[str, object]]) -> None:
        """``engines``: entries, as in ``ENGINES``, of two texts to speech or more, in order.

        :raises InvalidEngineError: there are fewer, or one after the first is outbound.
        """
        self.engines = [
            build(entry, TextToSpeech, where=f"{WHERE}[{place}]")
            for place, entry in enumerate(engines)
        ]
        if len(self.engines) < 2:
            raise InvalidEngineError(f"{WHERE}: falling back takes two engines.")
        if away := [engine.name for engine in self.engines[1:] if engine.outbound]:
            raise InvalidEngineError(
                f"{WHERE}: only the first may send data out, not {', '.join(away)}."
            )
        # A call takes a slot of the engine that speaks; there is none to take here.
        super().__init__()

    @property
    def name(self) -> str:
        return ", else ".join(engine.name for engine in self.engines)

    @property
    def bare(self) -> TextToSpeech:
        bare = copy(self)
        bare.engines = [cast("TextToSpeech", engine.bare) for engine in self.engines]
        return bare

    @property
    def workers(self) -> Sequence[Engine]:
        return [worker for engine in self.engines for worker in engine.workers]

    @property
    def outbound(self) -> bool:
        return self.engines[0].outbound

    @property
    def elsewhere(self) -> bool:
        return self.engines[0].elsewhere

    @property
    def at_once(self) -> int:
        return self.engines[0].at_once

    @property
    def hanging(self) -> int:
        return sum(engine.hanging for engine in self.engines)

    @property
    def hangs(self) -> bool:
        return all(engine.hangs for engine in self.engines)

    @property
    def identity(self) -> Mapping[str, str]:
        """Of each engine, by its place. ``Speech.engine`` says which of them spoke."""
        return {
            "engine": self.name,
            **{
                f"{place}.{key}": value
                for place, engine in enumerate(self.engines, start=1)
                for key, value in engine.identity.items()
            },
        }

    @cached_property
    def voices(self) -> Sequence[Voice]:
        """Where two engines have a voice of the same id, it is the former one's."""
        voices: dict[str, Voice] = {}
        for engine in self.engines:
            for voice in engine.voices:
                voices.setdefault(voice.id, voice)
        return tuple(voices.values())

    @property
    def default_voices(self) -> Mapping[str, str]:
        return {
            language: voice
            for engine in reversed(self.engines)
            for language, voice in engine.default_voices.items()
        }

    @property
    def needs(self) -> Collection[str]:
        return [weights for engine in self.engines for weights in engine.needs]

    def missing(self) -> str | None:
        """Of whichever: an engine that cannot stand in would be found out when it has to."""
        return next(filter(None, (engine.missing() for engine in self.engines)), None)

    def _load(self) -> None:
        for engine in self.engines:
            engine.load()

    def _warm_up(self) -> None:
        for engine in self.engines:
            engine.warm_up()

    def recall(self, key: str) -> Audio | None:
        return next(filter(None, (engine.recall(key) for engine in self.engines)), None)

    def forget(self, key: str, *, unused_since: datetime) -> None:
        for engine in self.engines:
            engine.forget(key, unused_since=unused_since)

    def _pronounced(self, text: str, language: str) -> str:
        return self.engines[0]._pronounced(text, language)

    def _speak(
        self, sentence: str, voice: Voice, speed: float, *, eager: bool = False
    ) -> Generator[Speech, None, None]:
        *others, last = self._willing(voice)
        left = False
        for engine in others:
            pieces = engine._speak(sentence, _own(engine, voice), speed, eager=eager)
            try:
                # Once a piece is heard it is too late for another voice.
                first = next(pieces)
            except EngineError as exc:
                # Only what was not even tried has surely sent nothing.
                resting = isinstance(exc, Resting)
                left = left or (engine.outbound and not resting)
                logger.warning(
                    "%s does not speak: %s", engine.name, exc, exc_info=None if resting else exc
                )
            else:
                break
        else:
            pieces = last._speak(sentence, _own(last, voice), speed, eager=eager)
            first = next(pieces)
        with closing(pieces):
            for speech in chain([first], pieces):
                audio = speech.audio.resampled(RATE)
                yield replace(speech, audio=audio, outbound=speech.outbound or left)

    def _willing(self, voice: Voice) -> Sequence[TextToSpeech]:
        """The engine of ``voice`` and those behind it that speak its language."""
        place = next(place for place, e in enumerate(self.engines) if voice in e.voices)
        owner, *behind = self.engines[place:]
        return [owner, *(e for e in behind if voice.language in e.default_voices)]

    def _synthesize(self, sentence: str, voice: Voice, speed: float, deadline: Deadline) -> Audio:
        [speech] = self._speak(sentence, voice, speed)
        return speech.audio


def _own(engine: TextToSpeech, voice: Voice) -> Voice:
    return voice if voice in engine.voices else engine.choose_voice(language=voice.language)
