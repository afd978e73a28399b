"""Jobs, and what was heard in them so far."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final, Self

from django.conf import settings
from django.db import models, transaction
from django.db.models import F
from django.db.models.functions import Coalesce
from django.db.models.signals import post_delete
from django.dispatch import receiver
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from jobs import files
from pipeline.stt import base
from pipeline.tenants import MAX_CHARS

MAX_ATTEMPTS: Final = 3
"""A job that ends the process it runs in is not begun for ever."""


class Cancelled(Exception):
    """The job is not wanted any more."""


class Status(models.TextChoices):
    WAITING = "waiting", _("waiting")
    RUNNING = "running", _("running")
    DONE = "done", _("done")
    FAILED = "failed", _("failed")
    CANCELLED = "cancelled", _("cancelled")


UNFINISHED: Final = (Status.WAITING, Status.RUNNING)


class JobQuerySet(models.QuerySet["Job"]):
    def of(self, tenant: str) -> Self:
        return self.filter(tenant=tenant)

    def unfinished(self) -> Self:
        return self.filter(status__in=UNFINISHED)

    def finish(self, status: Status, *, code: str = "", detail: str = "") -> int:
        """Those that are unfinished are now what ``status`` says; their recordings go. How many."""
        jobs = list(self.unfinished().values_list("pk", flat=True))
        count = (
            Job.objects.filter(pk__in=jobs)
            .unfinished()
            .update(status=status, code=code, detail=detail, finished_at=timezone.now())
        )
        transaction.on_commit(lambda: files.delete(jobs))
        return count


class Job(models.Model):
    """A recording that is too long to be waited for, and its transcript. Deleting it cancels it,
    and deletes all that was heard."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    tenant = models.CharField(_("tenant"), max_length=MAX_CHARS, blank=True)
    request_id = models.CharField(_("request"), max_length=64)
    status = models.CharField(
        _("status"), max_length=10, choices=Status.choices, default=Status.WAITING, db_index=True
    )
    created_at = models.DateTimeField(_("created"), default=timezone.now)
    started_at = models.DateTimeField(_("started"), null=True)
    finished_at = models.DateTimeField(_("finished"), null=True)
    attempts = models.PositiveSmallIntegerField(
        _("attempts"), default=0, help_text=_("How often it was begun.")
    )
    code = models.CharField(_("error"), max_length=64, blank=True, help_text=_("Empty: none."))
    detail = models.TextField(_("what went wrong"), blank=True)

    language = models.CharField(
        _("language"), max_length=16, blank=True, help_text=_("Empty: to be detected.")
    )
    task = models.CharField(_("task"), max_length=10, default="transcribe")
    prompt = models.TextField(_("prompt"), blank=True)

    locale = models.CharField(max_length=16)  # of `detail`

    upload_bytes = models.PositiveBigIntegerField(_("upload"), default=0)
    duration = models.FloatField(
        _("duration"), null=True, help_text=_("In seconds; known once it is read.")
    )
    done_s = models.FloatField(_("heard so far"), default=0, help_text=_("In seconds."))
    heard_language = models.CharField(_("language heard"), max_length=16, blank=True)

    objects = JobQuerySet.as_manager()

    class Meta:
        verbose_name = _("job")
        verbose_name_plural = _("jobs")
        ordering = ["-created_at"]
        indexes = [models.Index(fields=["tenant", "-created_at"], name="jobs_of_a_tenant")]

    def __str__(self) -> str:
        return str(self.pk)[:8]

    @property
    def finished(self) -> bool:
        return self.status not in UNFINISHED

    @property
    def progress(self) -> float:
        """From 0 to 1."""
        if self.status == Status.DONE:
            return 1.0
        return min(1.0, self.done_s / self.duration) if self.duration else 0.0

    @property
    def expires_at(self) -> datetime | None:
        """When it goes; None as long as it is not finished."""
        if self.finished_at is None:
            return None
        return self.finished_at + timedelta(days=settings.VOICEBOT_KEEP_JOBS_DAYS)

    @property
    def transcript(self) -> base.Transcript:
        segments = tuple(
            base.Segment(row.start, row.end, row.text) for row in self.segments.order_by("place")
        )
        text = " ".join(segment.text for segment in segments)
        return base.Transcript(text, self.heard_language, segments)

    def begin(self) -> bool:
        """Whether it may be done now; false where it was begun too often."""
        begun = (
            Job.objects.filter(pk=self.pk, attempts__lt=MAX_ATTEMPTS)
            .unfinished()
            .update(
                status=Status.RUNNING,
                attempts=F("attempts") + 1,
                started_at=Coalesce("started_at", timezone.now()),
            )
        )
        self.refresh_from_db()
        return bool(begun)

    def read(self, duration: float) -> None:
        """Its recording was read: it lasts ``duration`` seconds.

        :raises Cancelled:
        """
        self._advance(duration=duration)

    def heard(self, done_s: float, segments: Sequence[base.Segment], language: str) -> None:
        """So far, ``segments`` in addition to those before.

        :raises Cancelled: none of it is kept.
        """
        with transaction.atomic():
            # Work that comes this far did not end its process.
            self._advance(done_s=done_s, heard_language=language, attempts=0)
            place = self.segments.count()
            Segment.objects.bulk_create(
                Segment(job=self, place=number, start=s.start, end=s.end, text=s.text)
                for number, s in enumerate(segments, start=place)
            )

    def still_wanted(self) -> None:
        """:raises Cancelled:"""
        if not Job.objects.filter(pk=self.pk, status=Status.RUNNING).exists():
            raise Cancelled

    def _advance(self, **values: Any) -> None:
        if not Job.objects.filter(pk=self.pk, status=Status.RUNNING).update(**values):
            raise Cancelled
        for name, value in values.items():
            setattr(self, name, value)


class Segment(models.Model):
    """A stretch of what was said."""

    job = models.ForeignKey(Job, models.CASCADE, related_name="segments")
    place = models.PositiveIntegerField()  # from 0
    start = models.FloatField()  # seconds
    end = models.FloatField()  # seconds
    text = models.TextField()

    class Meta:
        verbose_name = _("segment")
        verbose_name_plural = _("segments")
        ordering = ["place"]
        constraints = [models.UniqueConstraint(fields=["job", "place"], name="jobs_segment_place")]

    def __str__(self) -> str:
        return self.text


@receiver(post_delete, sender=Job)
def _delete_files(instance: Job, using: str, **_kwargs: Any) -> None:
    pk = instance.pk  # which it has no more when an outer transaction is committed

    def delete() -> None:
        files.delete([pk])
        files.forget_lock(pk)

    transaction.on_commit(delete, using=using)
