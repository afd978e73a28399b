"""The index of the speech on disk: the row is an index, the file is the truth."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

from django.conf import settings
from django.db import models, transaction
from django.db.models import F, Sum, Window
from django.db.models.signals import post_delete
from django.dispatch import receiver
from django.utils import timezone
from django.utils.text import Truncator
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from cache import files
from pipeline.audio import Audio, from_wav
from pipeline.tts.base import Voice

KEPT_WHEN_FULL = 0.9
"""Share of the limit that stays when it is exceeded: making room once serves many writes."""


class CachedSpeechQuerySet(models.QuerySet["CachedSpeech"]):
    def wav(self, key: str) -> bytes | None:
        """The WAV kept under ``key``; None when there is none, or its file is gone or damaged."""
        sha256 = self.filter(key=key).values_list("sha256", flat=True).first()
        return None if sha256 is None else files.read(key, sha256)

    def audio(self, key: str) -> Audio | None:
        """As ``wav``, decoded."""
        wav = self.wav(key)
        try:
            return None if wav is None else from_wav(wav)
        except ValueError:  # intact, but of a format that is no longer written
            return None

    def used(self, key: str) -> None:
        """Count a hit."""
        with transaction.atomic():
            self.filter(key=key).update(hits=F("hits") + 1, last_used_at=timezone.now())

    def keep(
        self,
        key: str,
        wav: bytes,
        *,
        text: str,
        voice: Voice,
        speed: float,
        identity: Mapping[str, str],
        duration: float,
    ) -> None:
        """Keep ``wav``, of ``duration`` seconds, in the place of what ``key`` had; make room.

        :raises OSError, ValueError, django.db.Error: it could not be kept.
        """
        files.write(key, wav)
        try:
            with transaction.atomic():
                self.update_or_create(
                    key=key,
                    defaults={
                        "text": text,
                        "language": voice.language,
                        "voice": voice.id,
                        "engine": identity["engine"],
                        "identity": dict(identity),
                        "speed": speed,
                        "duration": duration,
                        "size_bytes": len(wav),
                        "sha256": files.digest(wav),
                        "last_used_at": timezone.now(),
                    },
                )
                self._make_room()
        except Exception:
            files.delete(key)  # without a row it would never count against the limit
            raise

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
    text = models.TextField(_("text"))
    language = models.CharField(_("language"), max_length=16)
    voice = models.CharField(_("voice"), max_length=100)
    engine = models.CharField(_("engine"), max_length=100)
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

    objects = CachedSpeechQuerySet.as_manager()

    class Meta:
        verbose_name = _("cached speech")
        verbose_name_plural = pgettext_lazy("plural", "cached speech")
        ordering = ["-last_used_at"]
        indexes = [
            # Holds all that making room asks for: the sum of the sizes, the order of use.
            models.Index(
                fields=["pinned", "last_used_at", "size_bytes"], name="cache_least_recently_used"
            ),
        ]

    def __str__(self) -> str:
        return Truncator(self.text).chars(60)


@receiver(post_delete, sender=CachedSpeech)
def _delete_file(instance: CachedSpeech, using: str, **_kwargs: Any) -> None:
    transaction.on_commit(lambda: files.delete(instance.key), using=using)
