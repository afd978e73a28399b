"""What is known of a turn while it is taken, and kept of it at its end."""

from __future__ import annotations

import logging
import time
from collections.abc import Generator, Mapping
from contextlib import ExitStack, closing
from typing import Any

from django.conf import settings
from django.db import Error

from history import memory
from history.errors import ConversationNotFound, TurnNotFound
from history.files import Kind
from history.models import STAGES, Conversation, Sentence, Turn
from pipeline import provenance
from pipeline.audio import Audio, to_wav
from pipeline.engines import engines
from pipeline.stt.base import Transcript
from pipeline.tts.base import whole
from pipeline.turn import Done, Event, Heard, ReplyDelta, Spoken, Stage, Times, events
from pipeline.turn import Turn as Taken

logger = logging.getLogger(__name__)

OK = 200


class Recording:
    """Of one turn: ``begin`` it, ``take`` it, and ``keep`` it, however it ended.

    A turn that is not begun, as the request for it could not be understood, is not kept. Within a
    conversation what was said is kept, otherwise sizes, times and engines alone. What cannot be
    kept is in the log, and costs nobody the answer.
    """

    def __init__(self, request_id: str, tenant: str = "") -> None:
        self.request_id = request_id
        self.tenant = tenant
        self.upload_bytes = 0
        self.decoded_s = 0.0
        self.conversation: Conversation | None = None
        self.number: int | None = None  # in the conversation, from 1
        self.turn: Taken | None = None  # once it is complete
        self.row: Turn | None = None  # once it is kept
        self.replay_of: Turn | None = None
        self.replayed_from: Stage | None = None
        self._begun = False
        self._options: dict[str, Any] = {}
        self._utterance: Audio | None = None
        self._started = time.monotonic()
        self.times = Times()  # as far as the turn has come
        self._transcript = Transcript("", "")
        self._reply = ""
        self._spoken: list[Spoken] = []

    def begin(
        self,
        *,
        conversation: Conversation | None = None,
        upload_bytes: int = 0,
        options: Mapping[str, Any] | None = None,
        replay_of: Turn | None = None,
        replayed_from: Stage | None = None,
    ) -> None:
        """A turn was asked for, or another is to be tried again from a stage on. ``options``: what
        was wished, as JSON can hold it."""
        self._begun = True
        self.replay_of, self.replayed_from = replay_of, replayed_from
        self.conversation = conversation
        self.upload_bytes = upload_bytes
        self._options = dict(options or {})

    @property
    def _asked(self) -> bool:
        """By somebody who goes on with the conversation."""
        return self.replay_of is None

    def take(
        self, said: Audio | Transcript, *, remembering: bool = True, **wishes: Any
    ) -> Generator[Event, None, None]:
        """The turn, as ``pipeline.turn.events`` takes it. In a conversation it is the next one,
        and knows those before. ``remembering`` False neither uses nor fills the caches.

        :raises ConversationBusy, ConversationNotFound: see ``history.memory``.
        :raises PipelineError: see its tree.
        """
        utterance = said if isinstance(said, Audio) else None
        with ExitStack() as alone:
            if self.conversation is not None:
                self.number = alone.enter_context(memory.taking(self.conversation))
                wishes["history"] = memory.messages(self.conversation, before=self.number)
            chosen = engines if remembering else engines.bare
            turn = events(said, chosen, times=self.times, **wishes)
            yield from self.watch(turn, utterance=utterance)

    def watch(
        self, turn: Generator[Event, None, None], *, utterance: Audio | None = None
    ) -> Generator[Event, None, None]:
        """The events of ``turn``, seen, which fills in our ``times``. When it is complete it is
        kept before anyone is told."""
        self._utterance = utterance
        self._started = time.monotonic()
        with closing(turn):
            for event in turn:
                self._see(event)
                yield event

    def _see(self, event: Event) -> None:
        match event:
            case Heard():
                self._transcript = event.transcript
            case ReplyDelta():
                self._reply += event.text
            case Spoken():
                self._spoken.append(event)
            case Done():
                self.turn = event.turn
                self.keep(OK)

    def keep(self, status: int, code: str = "") -> None:
        """The turn was answered by HTTP ``status``, and ``code`` where it failed."""
        if not self._begun or (self.conversation is None and not settings.VOICEBOT_KEEP_TURNS_DAYS):
            return
        try:
            if self.row is not None:
                if code:  # it failed after all, in being told
                    Turn.objects.filter(pk=self.row.pk).update(status=status, code=code)
                return
            if self._asked and self.conversation is not None and self.number is None:
                # It failed before its turn.
                self.number = memory.number(self.conversation)
            self.row = self._kept(status, code)
        except (ConversationNotFound, TurnNotFound):
            logger.info("Turn %s is forgotten with its conversation.", self.request_id)
        except (OSError, ValueError, Error):  # ValueError: a text that a database cannot hold
            logger.exception("Turn %s is not remembered.", self.request_id)

    def _kept(self, status: int, code: str) -> Turn:
        taken = self.turn or self._broken_off()
        row = Turn(
            conversation=self.conversation,
            number=self.number,
            tenant=self.tenant,
            request_id=self.request_id,
            status=status,
            code=code,
            language=taken.transcript.language,
            transcript_chars=len(taken.transcript.text),
            reply_chars=len(taken.reply),
            voice=taken.speeches[0].voice if taken.speeches else "",
            upload_bytes=self.upload_bytes,
            utterance_s=None if self._utterance is None else self._utterance.duration,
            speech_s=taken.duration,
            options=self._options,
            **_provenance(taken),
            **_times(taken.times, self.decoded_s),
        )
        if self.replay_of is not None:
            self._repeat(row, self.replay_of)
        sounds: dict[Kind, bytes] = {}
        if self.conversation is not None:
            row.transcript, row.reply = taken.transcript.text, taken.reply
            sounds = self._sounds(taken)
        Turn.objects.keep(row, self._sentences(row), sounds)
        return row

    def _repeat(self, row: Turn, first: Turn) -> None:
        """``row`` tries ``first`` again: what lies before its stage came from where that did, and
        what was said is as old."""
        assert self.replayed_from is not None
        row.replay_of, row.replayed_from, row.said_at = first, self.replayed_from, first.said_at
        row.engines = dict(row.engines)
        for stage in STAGES[: STAGES.index(self.replayed_from)]:
            setattr(row, f"{stage}_engine", getattr(first, f"{stage}_engine"))
            setattr(row, f"{stage}_cache", "off")
            setattr(row, f"{stage}_outbound", False)
            row.engines[stage] = first.engines.get(stage, {})

    def _broken_off(self) -> Taken:
        """What there is of a turn that is not complete."""
        self.times.total = time.monotonic() - self._started
        speeches = tuple(whole(spoken.speech for spoken in self._spoken))
        return Taken(self._transcript, self._reply.strip(), speeches, self.times)

    def _sounds(self, taken: Taken) -> dict[Kind, bytes]:
        sounds: dict[Kind, bytes] = {}
        if settings.VOICEBOT_KEEP_UTTERANCES_DAYS and self._utterance is not None:
            sounds["utterance"] = to_wav([self._utterance])
        if settings.VOICEBOT_KEEP_SPEECH_DAYS and taken.speeches:
            sounds["speech"] = to_wav(taken.audio)
        return sounds

    def _sentences(self, row: Turn) -> list[Sentence]:
        said = self.conversation is not None
        return [
            Sentence(
                turn=row,
                place=place,
                text=spoken.speech.text if said else "",
                key=(spoken.speech.key or "") if said else "",
                voice=spoken.speech.voice,
                engine=spoken.speech.engine,
                cache=spoken.speech.cache,
                outbound=spoken.speech.outbound,
                duration=spoken.speech.audio.duration,
                start_s=spoken.start + self.decoded_s,
                end_s=spoken.end + self.decoded_s,
            )
            for place, spoken in enumerate(self._spoken)
        ]


def _provenance(taken: Taken) -> dict[str, Any]:
    identities = provenance.identities(engines)
    names = {role: identity["engine"] for role, identity in identities.items()}
    if taken.speeches:
        names["tts"] = ", ".join(provenance.speakers(taken))
    caches, outbound = provenance.caches(taken), provenance.outbound(taken, engines)
    return {
        "engines": identities,
        **{f"{role}_engine": name for role, name in names.items()},
        **{f"{stage}_cache": state for stage, state in caches.items()},
        **{f"{stage}_outbound": left for stage, left in outbound.items()},
    }


def _times(times: Times, decoded_s: float) -> dict[str, float | None]:
    """As columns; for whoever waits, decoding is part of it."""
    return {
        "decode_s": decoded_s,
        "wait_s": times.wait,
        "stt_s": times.stt,
        "llm_s": times.llm,
        "llm_first_s": times.llm_first or None,
        "tts_s": times.tts,
        "first_audio_s": times.first_audio + decoded_s if times.first_audio else None,
        "total_s": times.total + decoded_s,
    }
