"""A turn tried again from one of its stages on, with the engines and settings of today.

What lies before that stage is taken as it was: the utterance is heard again, or the transcript is
replied to, or the reply is spoken. Nothing but speech comes from a cache: to try again is to see
what happens.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from typing import Any, Final

from django.utils.translation import gettext as _

from history import memory, sounds
from history.errors import NotKept
from history.models import Turn
from history.recording import Recording
from pipeline.audio import Audio, from_wav
from pipeline.engines import engines
from pipeline.stt.base import Transcript
from pipeline.turn import Event, Stage, events

REPEATED: Final = ("language", "voice", "speed", "eager")
"""Wishes of the first time that hold again, unless there are others now."""


def begin(
    recording: Recording,
    row: Turn,
    stage: Stage,
    *,
    wishes: Mapping[str, Any] | None = None,
    remembering: bool = True,
) -> Generator[Event, None, None]:
    """``row`` again from ``stage`` on, as ``recording`` keeps it.

    ``wishes``: those that differ now; ``remembering`` False keeps the speech in no cache, either.

    :raises NotKept: what ``stage`` begins with is not there any more.
    :raises PipelineError: see its tree; while iterating.
    """
    said, reply = _beginning(row, stage)
    repeated = {name: row.options[name] for name in REPEATED if name in row.options}
    wanted = {**repeated, **(wishes or {})}
    recording.begin(
        conversation=row.conversation, options=wanted, replay_of=row, replayed_from=stage
    )
    number = original(row).number
    history = memory.messages(row.conversation, number) if row.conversation and number else []
    chosen = engines.afresh if remembering else engines.bare
    if stage != "stt":
        wanted["language"] = None  # it was heard
    turn = events(said, chosen, history=history, reply=reply, times=recording.times, **wanted)
    return recording.watch(turn, utterance=said if isinstance(said, Audio) else None)


def possible(row: Turn) -> list[Stage]:
    """The stages that ``row`` can be tried again from."""
    begins: dict[Stage, object] = {
        "stt": row.utterance_bytes,
        "llm": row.transcript,
        "tts": row.transcript and row.reply,
    }
    return [stage for stage, there in begins.items() if there]


def original(row: Turn) -> Turn:
    """What somebody asked for; ``row`` may be a replay of a replay of it."""
    while row.replay_of is not None:
        row = row.replay_of
    return row


def _beginning(row: Turn, stage: Stage) -> tuple[Audio | Transcript, str | None]:
    if stage == "stt":
        wav = sounds.utterance(row)
        if wav is None:
            raise NotKept(_("What the user said is not kept: this turn can be heard no more."))
        return from_wav(wav), None
    if not row.transcript:
        raise NotKept(_("The transcript of this turn is not kept, or there was none."))
    if stage == "tts" and not row.reply:
        raise NotKept(_("The reply of this turn is not kept, or there was none."))
    return Transcript(row.transcript, row.language), row.reply if stage == "tts" else None
