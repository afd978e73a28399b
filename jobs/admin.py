"""Jobs in the admin: how far they are, and how they are stopped. What was heard is not shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib import admin
from django.contrib.admin.utils import display_for_value
from django.http import HttpRequest
from django.template.defaultfilters import filesizeformat
from django.utils.formats import number_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from jobs.models import Job, JobQuerySet, Status

if TYPE_CHECKING:
    _ModelAdmin = admin.ModelAdmin[Job]  # generic in the stubs alone
else:
    _ModelAdmin = admin.ModelAdmin


@admin.register(Job)
class JobAdmin(_ModelAdmin):
    list_display = ("__str__", "status", "so_far", "size", "tenant", "created_at", "finished_at")
    list_filter = ("status", "code", "tenant")
    list_per_page = 50
    date_hierarchy = "created_at"
    search_fields = ("id", "request_id")
    actions = ("cancel",)
    actions_on_bottom = False
    fields = readonly_fields = (
        *("id", "tenant", "request_id", "status", "so_far", "code", "detail"),
        *("created_at", "started_at", "finished_at", "expiry", "attempts"),
        *("language", "heard_language", "task", "size"),
    )

    @admin.display(description=gettext_lazy("heard so far"), ordering="done_s")
    def so_far(self, job: Job) -> str:
        if job.duration is None:
            return "–"
        seconds = [number_format(round(value)) for value in (job.done_s, job.duration)]
        return _("%(heard)s of %(all)s s") % {"heard": seconds[0], "all": seconds[1]}

    @admin.display(description=gettext_lazy("upload"), ordering="upload_bytes")
    def size(self, job: Job) -> str:
        return filesizeformat(job.upload_bytes)

    @admin.display(description=gettext_lazy("expires"))
    def expiry(self, job: Job) -> str:
        return str(display_for_value(job.expires_at, "–"))

    @admin.action(description=gettext_lazy("Cancel"), permissions=["delete"])
    def cancel(self, request: HttpRequest, jobs: JobQuerySet) -> None:
        stopped = list(jobs.unfinished().values_list("pk", flat=True))
        count = Job.objects.filter(pk__in=stopped).finish(Status.CANCELLED)
        for job in Job.objects.filter(pk__in=stopped, status=Status.CANCELLED):
            self.log_change(request, job, _("Cancelled."))
        text = ngettext("%(count)d job is cancelled.", "%(count)d jobs are cancelled.", count)
        self.message_user(request, text % {"count": count})

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Job | None = None) -> bool:
        return False
