"""What is remembered: conversations, their turns, and the sentences that were spoken."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Mapping, Sequence
from typing import Any, Self

from django.core.exceptions import ValidationError
from django.db import models, transaction
from django.db.models import Sum
from django.db.models.signals import post_delete
from django.dispatch import receiver
from django.utils import timezone
from django.utils.text import Truncator
from django.utils.translation import gettext_lazy as _

from history import files
from history.errors import ConversationNotFound, TurnNotFound
from pipeline.tenants import MAX_CHARS
from pipeline.turn import Stage

logger = logging.getLogger(__name__)

TITLE_CHARS = 80
STAGES: tuple[Stage, ...] = ("stt", "llm", "tts")
FILTERS = ("tenant", "code", "language", "stt_engine", "llm_engine", "tts_engine")
"""What turns are looked for by, in their list."""


def title(said: str) -> str:
    """Of a conversation that begins with ``said``."""
    return Truncator(" ".join(said.split())).chars(TITLE_CHARS)


class ConversationQuerySet(models.QuerySet["Conversation"]):
    def of(self, tenant: str) -> Self:
        return self.filter(tenant=tenant)

    def find(self, pk: uuid.UUID | str, *, tenant: str) -> Conversation:
        """:raises ConversationNotFound: ``tenant`` has none of that id."""
        try:
            return self.of(tenant).get(pk=pk)
        except (Conversation.DoesNotExist, ValidationError):  # the latter: it is no id
            raise ConversationNotFound from None


class Conversation(models.Model):
    """Turns in order. Deleting it deletes them, with their files."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    tenant = models.CharField(_("tenant"), max_length=MAX_CHARS, blank=True)
    title = models.CharField(_("title"), max_length=TITLE_CHARS, blank=True)
    language = models.CharField(
        _("language"), max_length=16, blank=True, help_text=_("Of turns that name none.")
    )
    voice = models.CharField(
        _("voice"), max_length=100, blank=True, help_text=_("Of turns that name none.")
    )
    taken = models.PositiveIntegerField(
        _("turns"), default=0, help_text=_("That were begun, those deleted since included.")
    )
    created_at = models.DateTimeField(_("created"), default=timezone.now)
    last_used_at = models.DateTimeField(_("last used"), default=timezone.now, db_index=True)

    objects = ConversationQuerySet.as_manager()

    class Meta:
        verbose_name = _("conversation")
        verbose_name_plural = _("conversations")
        ordering = ["-last_used_at"]
        indexes = [
            models.Index(fields=["tenant", "-last_used_at"], name="history_of_a_tenant"),
        ]

    def __str__(self) -> str:
        return str(self.pk)[:8]  # the log of the admin keeps it for longer than what was said

    def used(self, said: str) -> None:
        """Its latest turn is now; ``said`` gives it its title, if it has none yet.

        :raises ConversationNotFound: it was deleted meanwhile.
        """
        row = Conversation.objects.filter(pk=self.pk)
        if not row.update(last_used_at=timezone.now()):
            raise ConversationNotFound
        if said:
            row.filter(title="").update(title=title(said))


class TurnQuerySet(models.QuerySet["Turn"]):
    def asked(self) -> Self:
        """Those somebody asked for, without what was tried again since."""
        return self.filter(replay_of=None)

    def complete(self) -> Self:
        """Those that were answered."""
        return self.filter(code="")

    def kept_bytes(self) -> int:
        """Of their sounds on the disk."""
        sizes = self.aggregate(utterances=Sum("utterance_bytes"), speech=Sum("speech_bytes"))
        return sum(size or 0 for size in sizes.values())

    def keep(
        self, row: Turn, sentences: Sequence[Sentence], sounds: Mapping[files.Kind, bytes]
    ) -> None:
        """Keep ``row``, its sentences and its sounds, of which those that cannot be written are
        done without.

        :raises ConversationNotFound, TurnNotFound: it, or the turn that is tried again, was
            deleted meanwhile; nothing is kept.
        :raises ValueError, django.db.Error: nothing is kept.
        """
        for kind, wav in sounds.items():
            try:
                files.write(row.pk, kind, wav)
            except OSError as exc:
                logger.warning("The %s of a turn is not kept: %s", kind, exc)
            else:
                setattr(row, f"{kind}_bytes", len(wav))
        try:
            with transaction.atomic():
                if row.replay_of is not None:
                    if not self.filter(pk=row.replay_of.pk).exists():
                        raise TurnNotFound
                elif row.conversation is not None:
                    row.conversation.used(row.transcript)
                row.save(force_insert=True)
                Sentence.objects.bulk_create(sentences)
        except BaseException:
            files.delete([row.pk], *sounds)
            raise


class Turn(models.Model):
    """One turn, or one that was tried again from a stage on.

    Outside a conversation it holds sizes, times and engines; texts and sounds within one alone.
    Deleting it deletes its files.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    conversation = models.ForeignKey(
        Conversation,
        models.CASCADE,
        verbose_name=_("conversation"),
        related_name="turns",
        null=True,
        blank=True,
    )
    number = models.PositiveIntegerField(
        _("number"), null=True, blank=True, help_text=_("In its conversation, from 1.")
    )
    replay_of = models.ForeignKey(
        "self",
        models.CASCADE,
        verbose_name=_("tries again"),
        related_name="replays",
        null=True,
        blank=True,
        db_index=False,  # `history_replays` is it
    )
    replayed_from = models.CharField(
        _("from stage"), max_length=3, blank=True, choices=[(stage, stage) for stage in STAGES]
    )
    tenant = models.CharField(_("tenant"), max_length=MAX_CHARS, blank=True)
    request_id = models.CharField(_("request"), max_length=64, db_index=True)
    created_at = models.DateTimeField(_("time"), default=timezone.now)
    said_at = models.DateTimeField(
        _("said"),
        default=timezone.now,
        db_index=True,
        help_text=_("When it was first asked, where it is tried again."),
    )
    status = models.PositiveSmallIntegerField(_("HTTP status"))
    code = models.CharField(_("error"), max_length=64, blank=True, help_text=_("Empty: none."))

    language = models.CharField(_("language"), max_length=16, blank=True)
    transcript = models.TextField(_("transcript"), blank=True)
    transcript_chars = models.PositiveIntegerField(_("characters heard"), default=0)
    reply = models.TextField(_("reply"), blank=True)
    reply_chars = models.PositiveIntegerField(_("characters written"), default=0)
    voice = models.CharField(_("voice"), max_length=100, blank=True)
    upload_bytes = models.PositiveBigIntegerField(_("upload"), default=0)
    utterance_s = models.FloatField(_("utterance"), null=True, help_text=_("In seconds."))
    utterance_bytes = models.PositiveBigIntegerField(
        _("kept utterance"), default=0, help_text=_("0: not kept.")
    )
    speech_s = models.FloatField(_("speech"), default=0, help_text=_("In seconds."))
    speech_bytes = models.PositiveBigIntegerField(
        _("kept speech"), default=0, help_text=_("0: only what the speech cache has.")
    )
    options = models.JSONField(_("asked for"), default=dict)

    # Where it came from. An engine's name is that in `engines`, or of those that spoke.
    engines = models.JSONField(_("engines"), default=dict)
    stt_engine = models.CharField(_("listened"), max_length=100, blank=True)
    llm_engine = models.CharField(_("replied"), max_length=100, blank=True)
    tts_engine = models.CharField(_("spoke"), max_length=100, blank=True)
    stt_cache = models.CharField(_("cache of transcripts"), max_length=4, default="off")
    llm_cache = models.CharField(_("cache of replies"), max_length=4, default="off")
    tts_cache = models.CharField(_("cache of speech"), max_length=4, default="off")
    stt_outbound = models.BooleanField(_("utterance left the machine"), default=False)
    llm_outbound = models.BooleanField(_("transcript left the machine"), default=False)
    tts_outbound = models.BooleanField(_("reply left the machine"), default=False)

    # In seconds from the end of the upload, as the answer told them.
    decode_s = models.FloatField(_("decoding"), default=0)
    wait_s = models.FloatField(_("waiting for others"), default=0)
    stt_s = models.FloatField(_("speech to text"), default=0)
    llm_s = models.FloatField(_("reply"), default=0)
    llm_first_s = models.FloatField(_("first of the reply"), null=True)
    tts_s = models.FloatField(_("text to speech"), default=0)
    first_audio_s = models.FloatField(_("time to first audio"), null=True)
    total_s = models.FloatField(_("in all"), default=0, db_index=True)

    objects = TurnQuerySet.as_manager()

    class Meta:
        verbose_name = _("turn")
        verbose_name_plural = _("turns")
        ordering = ["-created_at"]
        constraints = [
            models.UniqueConstraint(fields=["conversation", "number"], name="history_one_place"),
        ]
        indexes = [
            # All that figures are made of, without the texts: see `history.figures`.
            models.Index(
                fields=["created_at", "replay_of", "first_audio_s", "code", "tts_cache"],
                name="history_figures",
            ),
            models.Index(fields=["first_audio_s", "created_at", "replay_of"], name="history_heard"),
            # Without those that try nothing again, which SQLite would look for there.
            models.Index(
                fields=["replay_of"],
                condition=models.Q(replay_of__isnull=False),
                name="history_replays",
            ),
            models.Index(fields=["utterance_bytes", "speech_bytes"], name="history_kept_sounds"),
            # What lists are filtered by, in their order: none of it is sorted to be shown.
            models.Index(fields=["-created_at", "-id"], name="history_latest"),
            *(
                models.Index(fields=[field, "-created_at", "-id"], name=f"history_latest_{field}")
                for field in FILTERS
            ),
        ]
        permissions = [("listen_turn", _("Can listen to utterances and speech"))]

    def __str__(self) -> str:
        return self.request_id  # not what was said: see that of conversations


class Sentence(models.Model):
    """Speech of one sentence of a reply."""

    turn = models.ForeignKey(Turn, models.CASCADE, related_name="sentences")
    place = models.PositiveSmallIntegerField()  # from 0
    text = models.TextField(blank=True)  # as it was spoken
    key = models.CharField(max_length=64, blank=True, db_index=True)  # see `Speech.key`
    voice = models.CharField(max_length=100)
    engine = models.CharField(max_length=100)
    cache = models.CharField(max_length=4)
    outbound = models.BooleanField()
    duration = models.FloatField()  # seconds
    start_s = models.FloatField()  # of its making, from the end of the upload
    end_s = models.FloatField()

    class Meta:
        verbose_name = _("sentence")
        verbose_name_plural = _("sentences")
        ordering = ["place"]
        constraints = [
            models.UniqueConstraint(fields=["turn", "place"], name="history_sentence_place")
        ]

    def __str__(self) -> str:
        return f"{self.turn_id} {self.place}"


@receiver(post_delete, sender=Conversation)
def _forget_lock(instance: Conversation, using: str, **_kwargs: Any) -> None:
    name = instance.pk.hex
    transaction.on_commit(lambda: files.forget_lock(name), using=using)


@receiver(post_delete, sender=Turn)
def _delete_files(instance: Turn, using: str, **_kwargs: Any) -> None:
    kinds: list[files.Kind] = []
    if instance.utterance_bytes:
        kinds.append("utterance")
    if instance.speech_bytes:
        kinds.append("speech")
    if kinds:
        pk = instance.pk  # which it has no more when an outer transaction is committed
        transaction.on_commit(lambda: files.delete([pk], *kinds), using=using)
