"""What a conversation knows when its next turn is taken, and who takes it."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from math import ceil
from typing import Final

from django.db import OperationalError
from django.db.models import F

from history import files
from history.errors import ConversationBusy, ConversationNotFound
from history.models import Conversation
from pipeline import deadline
from pipeline.llm.base import Message

logger = logging.getLogger(__name__)

WAIT_S: Final = 30.0
"""As long as for a slot of an engine, which is what the other turn is most likely waiting for."""

MOST, STEP = 256, 64
"""Turns that are read: more than fit any context we have met. The first of them moves in steps, so
that the beginning of the prompt, which engines remember, stays the same from turn to turn."""


@contextmanager
def taking(conversation: Conversation) -> Iterator[int | None]:
    """The number of the next turn, which nobody else takes meanwhile.

    Where nothing can be written there is no number: the turn is answered, and not remembered.

    :raises ConversationBusy: another turn does not end.
    :raises ConversationNotFound: it was deleted while this turn waited.
    """
    with ExitStack() as alone:
        try:
            alone.enter_context(deadline.held(partial(files.lock, conversation.pk.hex), WAIT_S))
        except TimeoutError as exc:  # an OSError as well, hence first
            raise ConversationBusy(retry_after_s=ceil(WAIT_S)) from exc
        except OSError as exc:
            logger.warning("A conversation cannot be locked: %s", exc)
        try:
            taken: int | None = number(conversation)
        except OperationalError as exc:
            logger.warning("A turn of a conversation cannot be counted: %s", exc)
            taken = None
        yield taken


def number(conversation: Conversation) -> int:
    """Of a turn that begins; numbers are given once.

    :raises ConversationNotFound: it was deleted meanwhile.
    """
    row = Conversation.objects.filter(pk=conversation.pk)
    if not row.update(taken=F("taken") + 1):
        raise ConversationNotFound
    return int(row.values_list("taken", flat=True).get())


def messages(conversation: Conversation, before: int | None) -> list[Message]:
    """What was said before turn ``before``, oldest first; None: all. A turn that failed was not
    said."""
    turns = conversation.turns.asked().complete()
    said = (
        (turns if before is None else turns.filter(number__lt=before))
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
