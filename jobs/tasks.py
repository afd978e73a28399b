"""How jobs begin and end. They wait, and are done, in a backend of Django's tasks, which the
``TASKS`` setting names."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Iterable
from typing import Final

from django.conf import settings
from django.utils import translation
from django.utils.translation import gettext as _
from django_tasks import task

from jobs import files, work
from jobs.errors import TooManyJobs
from jobs.models import Cancelled, Job, Status
from jobs.worker import worker
from pipeline import logs, metrics, tenants
from pipeline.errors import EngineError, PipelineError

logger = logging.getLogger(__name__)

PRIORITY: Final = -10
"""Nothing is less urgent."""

MAX_UNFINISHED: Final = 50
"""Of one tenant: what waits is on the disk."""

_enqueued: Final[set[uuid.UUID]] = set()
"""What this process has yet to begin."""

INTERNAL_ERROR: Final = "internal_error"


def begin(upload: Iterable[bytes], job: Job) -> None:
    """Keep ``job`` and its recording, and let it be done.

    :raises TooManyJobs, DiskFull: nothing is kept.
    """
    if Job.objects.of(job.tenant).unfinished().count() >= MAX_UNFINISHED:
        raise TooManyJobs(MAX_UNFINISHED)
    job.locale = translation.get_language() or settings.LANGUAGE_CODE
    with files.writing(job.pk, "upload", size_bytes=job.upload_bytes) as file:
        for chunk in upload:
            file.write(chunk)
    try:
        job.save(force_insert=True)
    except BaseException:
        files.delete([job.pk])
        raise
    files.share(job.pk)
    _enqueue(job.pk)


def resume() -> int:
    """Go on with what was left when the process that took it ended, here or elsewhere. How many
    there are: those included that another process is doing, which has them locked."""
    unfinished = Job.objects.unfinished().order_by("created_at").values_list("pk", flat=True)
    left = [job for job in unfinished if job not in _enqueued and files.here(job)]
    for job in left:
        _enqueue(job)
    return len(left)


def _enqueue(job: uuid.UUID) -> None:
    _enqueued.add(job)
    transcribe.enqueue(str(job))


@task(priority=PRIORITY)
def transcribe(job_id: str) -> None:
    """Do the job, unless it is done, or being done elsewhere."""
    pk = uuid.UUID(job_id)
    _enqueued.discard(pk)
    try:
        with files.lock(pk):
            job = Job.objects.unfinished().filter(pk=pk).first()
            if job is not None and files.here(pk):
                with tenants.acting_for(job.tenant), translation.override(job.locale):
                    logs.request_id.set(job.request_id)
                    _do(job)
    except TimeoutError:
        logger.debug("Job %s is being done by another process.", job_id)


def _do(job: Job) -> None:
    if not job.begin():
        _fail(job, INTERNAL_ERROR, _("Something went wrong on our side."))
        return
    try:
        work.do(job, settings.VOICEBOT_MAX_JOB_S, worker.leaving)
    except work.Interrupted:
        logger.info("Job %s is left at %.0f s, until the next start.", job, job.done_s)
    except Cancelled:
        files.delete([job.pk])  # what was written since it was cancelled
        _ended(job, "cancelled")
    except PipelineError as exc:
        if isinstance(exc, EngineError):
            logger.exception("Job %s: %s", job, exc.code)
        _fail(job, exc.code, exc.message)
    except Exception:
        logger.exception("Job %s failed.", job)
        _fail(job, INTERNAL_ERROR, _("Something went wrong on our side."))
    else:
        Job.objects.filter(pk=job.pk).finish(Status.DONE)
        _ended(job, "done")


def _fail(job: Job, code: str, detail: str) -> None:
    Job.objects.filter(pk=job.pk).finish(Status.FAILED, code=code, detail=detail)
    _ended(job, code)


def _ended(job: Job, outcome: str) -> None:
    """Counted, and one line: sizes, never what was said."""
    metrics.JOBS.labels(outcome).inc()
    logger.info(
        "job %s outcome=%s upload_bytes=%d duration=%.0f heard_s=%.0f",
        *(job.pk, outcome, job.upload_bytes, job.duration or 0.0, job.done_s),
    )
