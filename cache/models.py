"""The index of the speech on disk: the row is an index, the file is the truth."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Self

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models, transaction
from django.db.models import F, Sum, Window
from django.db.models.signals import post_delete
from django.dispatch import receiver
from django.utils import timezone
from django.utils.text import Truncator
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from cache import files, keys
from cache.drawing import peaks
from files import atomic
from pipeline.audio import Audio, from_wav
from pipeline.speakable import speakable
from pipeline.tenants import MAX_CHARS
from pipeline.tts.base import Voice

KEPT_WHEN_FULL = 0.9
"""Share of the limit that stays when it is exceeded: making room once serves many writes."""

DAYS_COUNTED = 90
"""Hits are told by the day that far back."""


class CachedSpeechQuerySet(models.QuerySet["CachedSpeech"]):
    def find(self, key: str) -> CachedSpeech | None:
        return self.filter(key=key).first()

    def wav(self, key: str) -> bytes | None:
        """The WAV kept under ``key``; None when there is none, or its file is gone or damaged."""
        row = self.find(key)
        return None if row is None else row.wav()

    def audio(self, key: str) -> Audio | None:
        """As ``wav``, decoded."""
        row = self.find(key)
        return None if row is None else row.audio()

    def used(self, row: CachedSpeech) -> None:
        """Count a hit."""
        now, today = timezone.now(), timezone.localdate()
        with transaction.atomic():
            if not self.filter(pk=row.pk).update(hits=F("hits") + 1, last_used_at=now):
                return  # purged meanwhile
            day, first = DailyHits.objects.get_or_create(speech=row, day=today)
            DailyHits.objects.filter(pk=day.pk).update(hits=F("hits") + 1)
            if first:
                DailyHits.objects.filter(speech=row).too_old().delete()

    def keep(
        self,
        key: str,
        wav: bytes,
        *,
        text: str,
        voice: Voice,
        speed: float,
        identity: Mapping[str, str],
        tenant: str,
    ) -> None:
        """Keep ``wav`` in the place of what ``key`` had; make room.

        :raises OSError, ValueError, django.db.Error: it could not be kept.
        """
        files.write(key, wav)
        try:
            with transaction.atomic():
                self.update_or_create(
                    key=key,
                    defaults={
                        "tenant": tenant,
                        "text": text,
                        "language": voice.language,
                        "voice": voice.id,
                        "engine": identity["engine"],
                        "identity": dict(identity),
                        "speed": speed,
                        **_of_file(wav),
                        "last_used_at": timezone.now(),
                    },
                )
                self._make_room()
        except Exception:
            files.delete(key)  # without a row it would never count against the limit
            raise

    def correct(self, key: str, wav: bytes, *, text: str, voice: str) -> bool:
        """Let ``wav``, that says ``text`` in the place of what ``key`` says, be what is heard.

        It is pinned. No ``text`` takes the correction back. False when there is no such speech.

        :raises OSError, django.db.Error: nothing has changed, or the next hit finds it damaged
            and makes it again.
        """
        if not self.filter(key=key).exists():
            return False
        files.write(key, wav)
        corrected = {"corrected_text": text, "corrected_voice": voice, "pinned": bool(text)}
        return bool(self.filter(key=key).update(**_of_file(wav), **corrected))

    def _make_room(self) -> None:
        limit_bytes = settings.VOICEBOT_CACHE_MAX_BYTES
        if self.total_bytes() > limit_bytes:
            self.beyond(int(limit_bytes * KEPT_WHEN_FULL)).delete()

    def total_bytes(self) -> int:
        total: int | None = self.aggregate(total=Sum("size_bytes"))["total"]
        return total or 0

    def beyond(self, limit_bytes: int) -> Self:
        """What has to go for the rest to fit: least recently used first, never what is pinned."""
        excess_bytes = self.total_bytes() - limit_bytes
        up_to_here = Window(Sum("size_bytes"), order_by=["last_used_at", "pk"])
        return (
            self.filter(pinned=False)
            .annotate(freed_before=up_to_here - F("size_bytes"))
            .filter(freed_before__lt=excess_bytes)
        )


class CachedSpeech(models.Model):
    """Speech of one sentence, kept under its key. Deleting it deletes its file."""

    key = models.CharField(_("key"), max_length=64, unique=True)
    tenant = models.CharField(
        _("tenant"),
        max_length=MAX_CHARS,
        blank=True,
        default="",
        db_index=True,
        help_text=_("Who alone hears it again. Empty: whoever asks without a key."),
    )
    text = models.TextField(_("text"))
    language = models.CharField(_("language"), max_length=16, db_index=True)
    voice = models.CharField(_("voice"), max_length=100, db_index=True)
    engine = models.CharField(_("engine"), max_length=100, db_index=True)
    identity = models.JSONField(_("identity"), help_text=_("What decides how the engine sounds."))
    speed = models.FloatField(_("speed"))
    duration = models.FloatField(_("duration"), help_text=_("In seconds."))
    size_bytes = models.PositiveBigIntegerField(_("size"))
    sha256 = models.CharField(_("SHA-256 of the file"), max_length=64)
    hits = models.PositiveIntegerField(_("hits"), default=0)
    created_at = models.DateTimeField(_("created"), default=timezone.now)
    last_used_at = models.DateTimeField(_("last used"), default=timezone.now)
    pinned = models.BooleanField(
        _("pinned"), default=False, help_text=_("Stays, however long it is not used.")
    )
    corrected_text = models.TextField(
        _("corrected text"), blank=True, help_text=_("Said in the place of the text.")
    )
    corrected_voice = models.CharField(_("voice of the correction"), max_length=100, blank=True)
    peaks = models.BinaryField(_("waveform"), default=bytes)  # see `drawing.peaks`

    objects = CachedSpeechQuerySet.as_manager()

    class Meta:
        verbose_name = _("cached speech")
        verbose_name_plural = pgettext_lazy("plural", "cached speech")
        ordering = ["-last_used_at"]
        indexes = [
            # Holds all that making room asks for: the sum of the sizes, the order of use.
            models.Index(
                fields=["last_used_at", "pinned", "size_bytes"], name="cache_order_of_use"
            ),
            # The same of all that the admin adds up.
            models.Index(fields=["size_bytes", "duration", "hits"], name="cache_totals"),
        ]
        permissions = [("listen_cachedspeech", "Can listen to cached speech")]

    def __str__(self) -> str:
        return Truncator(self.text).chars(60)

    @property
    def said(self) -> str:
        """What is heard."""
        return self.corrected_text or self.text

    def wav(self) -> bytes | None:
        """None when the file is gone or damaged."""
        return files.read(self.key, self.sha256)

    def audio(self) -> Audio | None:
        wav = self.wav()
        try:
            return None if wav is None else from_wav(wav)
        except ValueError:  # intact, but of a format that is no longer written
            return None


class DailyHitsQuerySet(models.QuerySet["DailyHits"]):
    def too_old(self) -> Self:
        return self.filter(day__lte=timezone.localdate() - timedelta(days=DAYS_COUNTED))


class DailyHits(models.Model):
    """How often a speech was found on one day."""

    speech = models.ForeignKey(CachedSpeech, models.CASCADE, related_name="daily_hits")
    day = models.DateField()
    hits = models.PositiveIntegerField(default=0)

    objects = DailyHitsQuerySet.as_manager()

    class Meta:
        verbose_name = _("hits of a day")
        verbose_name_plural = _("hits by day")
        constraints = [
            models.UniqueConstraint(fields=["speech", "day"], name="cache_one_count_a_day")
        ]

    def __str__(self) -> str:
        return f"{self.day}: {self.hits}"


class Pronunciation(models.Model):
    """An entry of the dictionary of pronunciation: see ``cache.pronunciation``."""

    word = models.CharField(_("word"), max_length=100, help_text=_("As it is written."))
    say = models.CharField(
        _("say"), max_length=200, help_text=_("As it would be written to be said right.")
    )
    language = models.CharField(_("language"), max_length=16, blank=True)
    whole_word = models.BooleanField(
        _("whole word"), default=True, help_text=_("Not inside a longer word.")
    )
    match_case = models.BooleanField(
        _("match case"), default=False, help_text=_("“US”, but not “us”.")
    )

    class Meta:
        verbose_name = _("pronunciation")
        verbose_name_plural = _("pronunciations")
        ordering = ["word", "language"]
        constraints = [
            models.UniqueConstraint(
                fields=["word", "language"],
                name="cache_one_way_to_say_it",
                violation_error_message=_("There is an entry for this word in this language."),
            )
        ]

    def __str__(self) -> str:
        return f"{self.word} → {self.say}"

    def clean(self) -> None:
        """:raises ValidationError: it could not be said."""
        self.word = keys.normalised(self.word)
        if not speakable(self.say, self.language or settings.VOICEBOT_LANGUAGE):
            raise ValidationError({"say": _("There is nothing to say aloud in this text.")})


def _of_file(wav: bytes) -> dict[str, Any]:
    """What the row tells of its file."""
    audio = from_wav(wav)
    return {
        "duration": audio.duration,
        "size_bytes": len(wav),
        "sha256": atomic.digest(wav),
        "peaks": peaks(audio.samples),
    }


@receiver(post_delete, sender=CachedSpeech)
def _delete_file(instance: CachedSpeech, using: str, **_kwargs: Any) -> None:
    transaction.on_commit(lambda: files.delete(instance.key), using=using)
