"""What a conversation knows when its next turn is taken, and who takes it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from math import ceil
from typing import Final

from django.db.models import F

from history import files
from history.errors import ConversationBusy, ConversationNotFound
from history.models import Conversation
from pipeline.llm.base import Message

WAIT_S: Final = 30.0
"""As long as for a slot of an engine, which is what the other turn is most likely waiting for."""

MOST, STEP = 256, 64
"""Turns that are read: more than fit any context we have met. The first of them moves in steps, so
that the beginning of the prompt, which engines remember, stays the same from turn to turn."""


@contextmanager
def taking(conversation: Conversation) -> Iterator[int]:
    """The number of the next turn, which nobody else takes meanwhile.

    :raises ConversationBusy: another turn does not end.
    :raises ConversationNotFound: it was deleted while this turn waited.
    """
    try:
        with files.lock(conversation.pk.hex, WAIT_S):
            yield number(conversation)
    except TimeoutError as exc:
        raise ConversationBusy(retry_after_s=ceil(WAIT_S)) from exc


def number(conversation: Conversation) -> int:
    """Of a turn that begins; numbers are given once.

    :raises ConversationNotFound: it was deleted meanwhile.
    """
    row = Conversation.objects.filter(pk=conversation.pk)
    if not row.update(taken=F("taken") + 1):
        raise ConversationNotFound
    return int(row.values_list("taken", flat=True).get())


def messages(conversation: Conversation, before: int) -> list[Message]:
    """What was said before turn ``before``, oldest first. A turn that failed was not said."""
    said = (
        conversation.turns.asked()
        .complete()
        .filter(number__lt=before)
        .exclude(transcript="")
        .exclude(reply="")
        .order_by("number")
        .values_list("transcript", "reply")
    )
    count = said.count()
    first = ceil(max(0, count - MOST) / STEP) * STEP
    return [
        message
        for transcript, reply in said[first:]
        for message in (Message("user", transcript), Message("assistant", reply))
    ]
