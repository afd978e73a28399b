"""What can go wrong with jobs, besides what a transcript may raise."""

from __future__ import annotations

from django.utils.translation import gettext as _

from pipeline.errors import InputError, PipelineError


class JobNotFound(InputError):
    code = "job_not_found"

    def __init__(self) -> None:
        super().__init__(_("There is no such job, or not any more."))


class JobUnfinished(InputError):
    code = "job_unfinished"

    def __init__(self, retry_after_s: int) -> None:
        """``retry_after_s``: when it is worth asking again, in seconds."""
        self.retry_after_s = retry_after_s
        super().__init__(_("The job is not finished yet."))


class JobWithoutResult(InputError):
    code = "job_without_result"

    def __init__(self, why: str) -> None:
        super().__init__(_("The job has no result: %(why)s") % {"why": why})


class TooManyJobs(InputError):
    code = "too_many_jobs"

    def __init__(self, limit: int) -> None:
        text = _("%(limit)d jobs are waiting already. Try again when one is finished.")
        super().__init__(text % {"limit": limit})


class DiskFull(PipelineError):
    code = "disk_full"

    def __init__(self) -> None:
        super().__init__(_("There is no room on the disk for this recording."))
