"""How long what was said is kept, and how it goes.

=================================  ==========================================================
``VOICEBOT_KEEP_TEXTS_DAYS``       transcripts and replies of conversations, and their titles
``VOICEBOT_KEEP_UTTERANCES_DAYS``  what the user said in them, as sound
``VOICEBOT_KEEP_SPEECH_DAYS``      a copy of the speech, besides what the speech cache has
``VOICEBOT_KEEP_TURNS_DAYS``       sizes, times, engines and errors of any turn
=================================  ==========================================================

What is tried again is as old as when it was first asked. A conversation goes when the last of what
was said in it does. What goes is gone from the disk as well: its files, and the speech that was
cached for it, unless another turn has the same sentence, it was spoken again since, or it is
pinned.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeVar

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Max, Model, QuerySet
from django.db.models.signals import post_delete, pre_delete
from django.dispatch import receiver
from django.utils import timezone

from files import atomic
from files.store import Place
from history import files
from history.models import Conversation, Sentence, Turn, title
from pipeline.engines import engines

BATCH = 500
"""Rows in one transaction: a turn that is being kept meanwhile waits for no more than that."""

M = TypeVar("M", bound=Model)


@dataclass(slots=True)
class Gone:
    """How many of each."""

    utterances: int = 0
    speeches: int = 0
    texts: int = 0  # turns whose transcript and reply are gone
    conversations: int = 0
    turns: int = 0


def expire() -> Gone:
    """Remove what is older than the settings say.

    :raises django.db.Error: some of it may be removed.
    """
    gone = Gone()
    gone.utterances = _expire_sounds("utterance", settings.VOICEBOT_KEEP_UTTERANCES_DAYS)
    gone.speeches = _expire_sounds("speech", settings.VOICEBOT_KEEP_SPEECH_DAYS)
    gone.texts = _expire_texts(settings.VOICEBOT_KEEP_TEXTS_DAYS)
    said_days = max(
        settings.VOICEBOT_KEEP_TEXTS_DAYS,
        settings.VOICEBOT_KEEP_UTTERANCES_DAYS,
        settings.VOICEBOT_KEEP_SPEECH_DAYS,
    )
    gone.conversations = _expire_conversations(said_days)
    gone.turns = _expire_turns(max(said_days, settings.VOICEBOT_KEEP_TURNS_DAYS))
    transaction.on_commit(scrub, robust=True)
    return gone


def _before(days: int) -> datetime:
    return timezone.now() - timedelta(days=days)


def _in_batches(rows: QuerySet[M], remove: Callable[[list[Any]], None]) -> int:
    """How many of ``rows`` there were; ``remove`` is given their primary keys, batch by batch, and
    takes them out of ``rows``."""
    count = 0
    while True:
        with transaction.atomic():
            if not (batch := list(rows.order_by().values_list("pk", flat=True)[:BATCH])):
                return count
            remove(batch)
            count += len(batch)


def _expire_sounds(kind: files.Kind, days: int) -> int:
    column = f"{kind}_bytes"

    def remove(batch: list[Any]) -> None:
        Turn.objects.filter(pk__in=batch).update(**{column: 0})
        transaction.on_commit(lambda: files.delete(batch, kind))

    old = Turn.objects.filter(said_at__lt=_before(days))
    return _in_batches(old.filter(**{f"{column}__gt": 0}), remove)


def _expire_texts(days: int) -> int:
    def remove(batch: list[Any]) -> None:
        forget_speech(batch)
        Sentence.objects.filter(turn__in=batch).update(text="", key="")
        Turn.objects.filter(pk__in=batch).update(transcript="", reply="")
        for conversation in Conversation.objects.filter(turns__in=batch).distinct():
            left = conversation.turns.asked().exclude(transcript="").order_by("number").first()
            conversation.title = title(left.transcript) if left else ""
            conversation.save(update_fields=["title"])

    old = Turn.objects.filter(said_at__lt=_before(days))
    return _in_batches(old.exclude(transcript="", reply=""), remove)


def _expire_conversations(days: int) -> int:
    """Their turns stay, as those of no conversation do."""

    def remove(batch: list[Any]) -> None:
        Turn.objects.filter(conversation__in=batch).update(conversation=None, number=None)
        Conversation.objects.filter(pk__in=batch).delete()

    return _in_batches(Conversation.objects.filter(last_used_at__lt=_before(days)), remove)


def _expire_turns(days: int) -> int:
    def remove(batch: list[Any]) -> None:
        Turn.objects.filter(pk__in=batch).delete()

    return _in_batches(Turn.objects.filter(said_at__lt=_before(days)), remove)


def forget_speech(turns: Collection[Any]) -> None:
    """Let the cache forget, once this transaction is committed, what was spoken in ``turns``."""
    spoken = (
        Sentence.objects.filter(turn__in=turns)
        .exclude(key="")
        .order_by()
        .values_list("key")
        .annotate(latest=Max("turn__created_at"))
    )
    latest = dict(spoken)

    def forget() -> None:
        kept = Sentence.objects.filter(key__in=latest).values_list("key", flat=True)
        for key in latest.keys() - set(kept):
            engines.tts.forget(key, unused_since=latest[key])

    if latest:
        # Whatever keeps the cache from forgetting keeps nobody from forgetting the rest.
        transaction.on_commit(forget, robust=True)


@receiver(pre_delete, sender=Turn)
def _forget_speech(instance: Turn, **_kwargs: Any) -> None:
    forget_speech([instance.pk])


@receiver(post_delete, sender=Turn)
@receiver(post_delete, sender=Conversation)
def _scrub(**_kwargs: Any) -> None:
    transaction.on_commit(scrub, robust=True)


def scrub() -> None:
    """Let the database give up what it has deleted: SQLite overwrites that in its file (see the
    settings), but keeps what was written last in its journal, where it can still be read."""
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def orphans() -> list[Place]:
    """Files of no turn that is kept, old enough not to wait for their row; what crashes left."""
    old = [stored for stored in files.stored() if atomic.is_stale(stored[0])]
    lost: list[Place] = []
    for first in range(0, len(old), BATCH):
        batch = old[first : first + BATCH]
        rows = Turn.objects.in_bulk({turn for _file, turn, _kind in batch})
        lost += [
            file
            for file, turn, kind in batch
            if turn not in rows or not getattr(rows[turn], f"{kind}_bytes")
        ]
    return [*lost, *files.leftovers()]
