"""A text to speech that remembers what another one has spoken."""

from __future__ import annotations

import logging
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from copy import copy
from dataclasses import replace
from datetime import datetime
from functools import partial
from math import ceil

from django.conf import settings
from django.db import Error
from django.utils.translation import gettext as _

from cache import files
from cache.keys import normalised, speech_key
from cache.models import CachedSpeech
from cache.pronunciation import pronounced
from pipeline import deadline, tenants
from pipeline.audio import Audio, from_wav, to_wav
from pipeline.base import Deadline
from pipeline.engines import engines
from pipeline.errors import EngineBusy, InputError, UnsupportedLanguage
from pipeline.tts.base import Speech, TextToSpeech, Voice
from pipeline.tts.fallback import Fallback
from pipeline.waiting import waiting
from pipeline.wrapping import Wrapping

logger = logging.getLogger(__name__)

FAILURES = (OSError, ValueError, Error)
"""How files and rows fail; ``ValueError`` is for text that a database cannot hold."""


class CachedTextToSpeech(Wrapping[TextToSpeech], TextToSpeech):
    """Speaks with ``engine``, each sentence once for each tenant.

    A cache that fails (disk full, database locked) costs a warning and a synthesis, never the turn.
    """

    def __init__(self, *, engine: Mapping[str, object]) -> None:
        """``engine``: the entry, as in ``ENGINES``, of the text to speech to wrap."""
        super().__init__(engine=engine, contract=TextToSpeech)
        self._remembers = True

    @property
    def bare(self) -> TextToSpeech:
        """It speaks likewise, and neither looks nor keeps."""
        bare = copy(self)
        bare._remembers = False
        return bare

    @property
    def voices(self) -> Sequence[Voice]:
        return self.engine.voices

    @property
    def default_voices(self) -> Mapping[str, str]:
        return self.engine.default_voices

    @property
    def languages(self) -> Sequence[str]:
        return self.engine.languages

    def load(self) -> None:
        try:
            files.sweep()
        except OSError as exc:
            logger.warning("The speech cache cannot be swept: %s", exc)
        super().load()

    def _synthesize(self, sentence: str, voice: Voice, speed: float, deadline: Deadline) -> Audio:
        return self.engine._synthesize(sentence, voice, speed, deadline)

    def _synthesize_pieces(
        self, sentence: str, voice: Voice, speed: float, deadline: Deadline
    ) -> Iterator[tuple[Audio, bool]]:
        return self.engine._synthesize_pieces(sentence, voice, speed, deadline)

    def recall(self, key: str) -> Audio | None:
        try:
            return CachedSpeech.objects.audio(key)
        except FAILURES as exc:
            logger.warning("The speech cache fails: %s", exc)
            return None

    def forget(self, key: str, *, unused_since: datetime) -> None:
        """What is pinned stays."""
        CachedSpeech.objects.filter(key=key, pinned=False, last_used_at__lte=unused_since).delete()

    def _speak(
        self, sentence: str, voice: Voice, speed: float, *, eager: bool = False
    ) -> Generator[Speech, None, None]:
        if not (self._remembers and settings.VOICEBOT_CACHE_MAX_BYTES):
            yield from super()._speak(sentence, voice, speed, eager=eager)
            return
        # Texts of the same key must sound the same, so the engine is given what the key is made of.
        sentence = normalised(sentence)
        key = self._key(sentence, voice, speed)
        speech = self._recall(key, voice)
        if speech is None:
            # Not while others wait for it: they may be before it here.
            self.engine._await_turn()
            with self._alone(key):
                speech = self._recall(key, voice)  # it may have been made while this one waited
                if speech is None:
                    speech = yield from self._make(key, sentence, voice, speed, eager=eager)
        yield speech

    def keeps(self, sentence: str, voice: Voice, speed: float) -> bool:
        """Whether ``sentence``, speakable and short, would be recalled now."""
        key = self._key(normalised(sentence), voice, speed)
        return CachedSpeech.objects.wav(key) is not None

    def _key(self, sentence: str, voice: Voice, speed: float) -> str:
        return speech_key(
            sentence,
            voice=voice.id,
            language=voice.language,
            speed=speed,
            identity=self.identity,
            tenant=tenants.current(),
        )

    def _recall(self, key: str, voice: Voice) -> Speech | None:
        speech = None
        try:
            row = CachedSpeech.objects.find(key)
            if row is not None and (audio := row.audio()) is not None:
                # A correction by another voice is of this sentence; the next one is the voice's.
                speech = Speech(
                    row.said, audio, voice.id, self.name, outbound=False, cache="hit", key=key
                )
                CachedSpeech.objects.used(row)
        except FAILURES as exc:
            logger.warning("The speech cache fails: %s", exc)
        return speech

    @contextmanager
    def _alone(self, key: str) -> Iterator[None]:
        """Keep others from making the same speech; where files cannot be locked, let them."""
        with ExitStack() as stack:
            lock = partial(files.lock, key)
            try:
                try:
                    stack.enter_context(lock(0))
                except TimeoutError:
                    with waiting():
                        stack.enter_context(deadline.held(lock, self._wait_s))
            except TimeoutError as exc:  # an OSError as well, hence first
                raise EngineBusy(retry_after_s=max(1, ceil(self._wait_s))) from exc
            except OSError as exc:
                logger.warning("The speech cache cannot be locked: %s", exc)
            yield

    def _make(
        self, key: str, sentence: str, voice: Voice, speed: float, *, eager: bool
    ) -> Generator[Speech, None, Speech]:
        """Yields all pieces but the last, and returns that."""
        corrected = self._corrected(key, voice, speed)
        pieces = (
            super()._speak(sentence, voice, speed, eager=eager)
            if corrected is None
            else (speech for speech in [corrected])
        )
        made: list[Audio] = []
        with closing(pieces):
            for piece in pieces:
                # What a later hit will give, to the last bit.
                made.append(from_wav(to_wav([piece.audio])))
                speech = replace(piece, audio=made[-1])
                if not speech.last:
                    yield replace(speech, cache="miss")
        wav = to_wav(made)
        try:
            CachedSpeech.objects.keep(
                key,
                wav,
                text=sentence,
                voice=voice,
                speed=speed,
                identity=self.identity,
                tenant=tenants.current(),
            )
        except FAILURES as exc:
            logger.warning("Speech is not cached: %s", exc)
            return speech
        return replace(speech, cache="miss", key=key)

    def _corrected(self, key: str, voice: Voice, speed: float) -> Speech | None:
        """Speech of the correction of what ``key`` says, when there is one and its file is lost."""
        try:
            row = CachedSpeech.objects.find(key)
        except FAILURES as exc:
            logger.warning("The speech cache fails: %s", exc)
            return None
        if row is None or not row.corrected_text:
            return None
        known = {v.id: v for v in self.voices}
        audio = self.rehearse(row.corrected_text, known.get(row.corrected_voice, voice), speed)
        return Speech(row.said, audio, voice.id, engine=self.name, outbound=self.outbound)

    def _pronounced(self, text: str, language: str) -> str:
        try:
            return pronounced(text, language)
        except FAILURES as exc:
            logger.warning("The dictionary of pronunciation cannot be read: %s", exc)
            return text

    def rehearse(self, text: str, voice: Voice, speed: float) -> Audio:
        """Speech of all of ``text``, as it would be heard; nothing is kept.

        :raises PipelineError: as ``synthesize`` does, and ``InputError`` when there is nothing to
            say aloud.
        """
        return self.aloud(self._pronounced(text, voice.language), voice, speed)

    def aloud(self, text: str, voice: Voice, speed: float = 1.0) -> Audio:
        """As ``rehearse``, without the dictionary of pronunciation."""
        speeches = list(self.engine.synthesize(text, voice=voice.id, speed=speed))
        if not speeches:
            raise InputError(_("There is nothing to say aloud in this text."))
        return from_wav(to_wav(speech.audio for speech in speeches))

    def correct(self, row: CachedSpeech, text: str, voice: Voice) -> bool:
        """Say ``text`` by ``voice`` wherever ``row`` is asked for; empty: its own text again.

        False when the speech is gone.

        :raises PipelineError: it cannot be spoken now.
        :raises OSError, django.db.Error: it cannot be kept.
        """
        own = {v.id: v for v in self.voices}[row.voice]
        audio = (
            self.rehearse(text, voice, row.speed) if text else self.aloud(row.text, own, row.speed)
        )
        with self._alone(row.key):
            return CachedSpeech.objects.correct(
                row.key, to_wav([audio]), text=text, voice=voice.id if text else ""
            )


def speaker(row: CachedSpeech) -> CachedTextToSpeech | None:
    """The engine in use that is given ``row`` when it is asked for; None when none is."""
    return next((tts for tts in _in_use() if dict(tts.identity) == row.identity), None)


def speaker_of(language: str) -> CachedTextToSpeech:
    """The engine in use that speaks ``language`` when no voice is asked for.

    :raises UnsupportedLanguage: none does.
    """
    for tts in _in_use():
        if language in tts.default_voices:
            return tts
    raise UnsupportedLanguage(language, engines.tts.languages)


def _in_use() -> Iterator[CachedTextToSpeech]:
    tts = engines.tts
    several = tts.engines if isinstance(tts, Fallback) else [tts]
    return (engine for engine in several if isinstance(engine, CachedTextToSpeech))


def remembering(voice: Voice) -> CachedTextToSpeech | None:
    """The engine in use that ``voice`` belongs to; None when it keeps nothing."""
    if not settings.VOICEBOT_CACHE_MAX_BYTES:
        return None
    return next((tts for tts in _in_use() if voice in tts.voices), None)
