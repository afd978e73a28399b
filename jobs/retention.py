"""How long jobs are kept once they are finished, with all that was heard in them."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from django.conf import settings
from django.db.models import Q
from django.utils import timezone

from files import atomic
from files.store import Place
from jobs import files
from jobs.models import Job

GIVEN_UP_DAYS: Final = 7
"""A job that is not finished by then has lost its recording, or nobody does it."""


def expire() -> int:
    """Remove those that were finished ``VOICEBOT_KEEP_JOBS_DAYS`` ago, or never are. How many.

    :raises django.db.Error: some of them may be removed.
    """
    finished_before = timezone.now() - timedelta(days=settings.VOICEBOT_KEEP_JOBS_DAYS)
    begun_before = timezone.now() - timedelta(days=GIVEN_UP_DAYS)
    old = Job.objects.filter(
        Q(finished_at__lt=finished_before) | Q(finished_at=None, created_at__lt=begun_before)
    )
    count = old.count()
    old.delete()
    return count


def orphans() -> list[Place]:
    """Recordings of no job that wants them, old enough not to wait for their row; what crashes
    left."""
    old = [stored for stored in files.stored() if atomic.is_stale(stored[0])]
    wanted = Job.objects.unfinished().in_bulk([job for _file, job in old])
    return [*(file for file, job in old if job not in wanted), *files.leftovers()]
