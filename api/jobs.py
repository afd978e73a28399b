"""Long recordings: made a job of, followed, and what was heard in them."""

from __future__ import annotations

import time
import uuid
from collections.abc import Generator
from typing import Any, Final

from django.http import HttpResponseBase, StreamingHttpResponse
from django.utils.translation import gettext as _
from rest_framework.request import Request
from rest_framework.response import Response

from api import streaming
from api.encoders import sent
from api.limits import check_declared
from api.middleware import META
from api.renderers import RESULT_RENDERERS, EventsRenderer
from api.serializers import LongRecording, job_json, segment_json, transcript_json
from api.uploads import WholeUploads
from api.views import ApiView, Postponed
from history.retention import scrub
from jobs import tasks
from jobs.errors import JobNotFound, JobUnfinished, JobWithoutResult
from jobs.models import Job, Status
from pipeline import subtitles

SHOWN: Final = 100
"""Jobs in the list: the latest."""

ASK_AGAIN_S: Final = 5

POLL_S: Final = 0.5
"""How soon a follower is told, and one that is gone noticed."""

STILL_THERE_S: Final = 15.0
"""Proxies cut off what has been silent for a minute."""


class JobsApiView(ApiView):
    """What the views of jobs share."""

    def job(self, pk: uuid.UUID) -> Job:
        """:raises JobNotFound: or it is not whose this is."""
        job = Job.objects.of(self.tenant).filter(pk=pk).first()
        if job is None:
            raise JobNotFound
        return job


class JobsView(JobsApiView):
    """A long recording in, a job out; and those there are."""

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        check_declared(request.META.get("CONTENT_LENGTH"), request.path)
        posted = request._request
        posted.upload_handlers = [WholeUploads(posted), *posted.upload_handlers]
        super().initial(request, *args, **kwargs)

    def get(self, request: Request) -> Response:
        latest = Job.objects.of(self.tenant)[:SHOWN]
        return Response(
            [job_json(request, job) for job in latest], headers={"Cache-Control": "no-store"}
        )

    def post(self, request: Request) -> Postponed:
        recording = LongRecording(data=request.data)
        recording.is_valid(raise_exception=True)
        asked = recording.validated_data
        job = Job(
            tenant=self.tenant,
            request_id=request.META[META],
            upload_bytes=asked["audio"].size,
            **{name: asked[name] for name in ("language", "task", "prompt")},
        )
        tasks.begin(asked["audio"].chunks(), job)
        return Postponed(request, job)


class JobView(JobsApiView):
    """How far it is; deleting it cancels it, and deletes all that was heard."""

    http_method_names = ["get", "head", "delete"]

    def get(self, request: Request, pk: uuid.UUID) -> Response:
        job = self.job(pk)
        headers = {"Cache-Control": "no-store"}
        if not job.finished:
            headers["Retry-After"] = str(ASK_AGAIN_S)
        return Response(job_json(request, job), headers=headers)

    def delete(self, request: Request, pk: uuid.UUID) -> Response:
        self.job(pk).delete()
        scrub()
        return Response(status=204)


class ResultView(JobsApiView):
    """What was heard, as JSON or as subtitles."""

    renderer_classes = RESULT_RENDERERS

    def get(self, request: Request, pk: uuid.UUID) -> Response:
        job = self.job(pk)
        match job.status:
            case Status.DONE:
                transcript = job.transcript
            case Status.FAILED:
                raise JobWithoutResult(job.detail)
            case Status.CANCELLED:
                raise JobWithoutResult(_("it was cancelled."))
            case _unfinished:
                raise JobUnfinished(ASK_AGAIN_S)
        match request.accepted_renderer.format:
            case "srt":
                body: object = subtitles.srt(transcript.segments)
            case "vtt":
                body = subtitles.vtt(transcript.segments)
            case _json:
                body = {**transcript_json(transcript), "duration": job.duration}
        headers = {"Cache-Control": "no-store", "Content-Language": transcript.language}
        return Response(body, headers=headers)


class EventsView(JobsApiView):
    """The job as it goes on: ``progress`` and ``segment``, then ``done``, ``failed`` or
    ``cancelled``."""

    renderer_classes = [EventsRenderer]

    def get(self, request: Request, pk: uuid.UUID) -> HttpResponseBase:
        last = request.headers.get("Last-Event-ID", "")
        known = int(last) + 1 if last.isdecimal() and len(last) < 10 else 0
        body = streaming.body(request._request, self._events(request, self.job(pk), known))
        return StreamingHttpResponse(
            body,
            content_type="text/event-stream",
            headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
        )

    def _events(self, request: Request, job: Job, known: int) -> Generator[bytes, None, None]:
        """``known``: how many segments the client has."""
        told: Any = None
        spoke = time.monotonic()
        while True:
            for row in job.segments.filter(place__gte=known).order_by("place"):
                yield sent("segment", segment_json(row), id=str(row.place))
                known = row.place + 1
            if job.finished:
                yield sent(job.status, job_json(request, job))
                return
            now = (job.status, job.done_s, job.duration)
            if now != told or time.monotonic() - spoke > STILL_THERE_S:
                yield sent("progress", job_json(request, job))
                told, spoke = now, time.monotonic()
            else:
                yield b""
            time.sleep(POLL_S)
            try:
                job.refresh_from_db()
            except Job.DoesNotExist:  # deleted meanwhile
                job.status = Status.CANCELLED
                yield sent(job.status, job_json(request, job))
                return
