"""Long recordings."""

from __future__ import annotations

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse
from rest_framework import exceptions as drf

from api import jobs
from api.description import bodies
from api.description.answers import (
    BODIES,
    TEXT,
    Events,
    header,
)
from api.description.describing import describe, form
from api.serializers import LongRecording
from jobs.errors import DiskFull, JobNotFound, JobUnfinished, JobWithoutResult, TooManyJobs

JOB_ID = OpenApiParameter("id", OpenApiTypes.UUID, OpenApiParameter.PATH, description="Of the job.")
LOCATION = header("Location", "The job.", 202)

describe(
    jobs.JobsView,
    "get",
    "jobs",
    tag="Jobs",
    summary="The latest jobs",
    answers={200: bodies.Job(many=True)},
)

describe(
    jobs.JobsView,
    "post",
    "begin_job",
    tag="Jobs",
    summary="Let a long recording be written down",
    parameters=[LOCATION],
    request=form(LongRecording),
    answers={202: OpenApiResponse(bodies.Job, "It waits for its turn.")},
    errors=[
        *BODIES,
        *(TooManyJobs, DiskFull),
    ],
    forms=(LongRecording,),
)

describe(
    jobs.JobView,
    "get",
    "job",
    tag="Jobs",
    summary="How far a job is",
    parameters=[JOB_ID, header("Retry-After", "Until it is finished: seconds.", 200)],
    answers={200: bodies.Job},
    errors=[JobNotFound],
)

describe(
    jobs.JobView,
    "delete",
    "delete_job",
    tag="Jobs",
    summary="Cancel a job, and delete all that was heard",
    parameters=[JOB_ID],
    answers={204: OpenApiResponse(description="It is gone.")},
    errors=[JobNotFound],
)

describe(
    jobs.EventsView,
    "get",
    "follow_job",
    tag="Jobs",
    summary="Follow a job",
    parameters=[
        JOB_ID,
        OpenApiParameter(
            "Last-Event-ID",
            int,
            OpenApiParameter.HEADER,
            description="The last segment that is known, as browsers send it when they come back.",
        ),
        header("X-Accel-Buffering", "`no`: proxies pass it on at once.", 200),
    ],
    answers={
        (200, "text/event-stream"): Events(
            "`progress` as it changes, `segment` as they are heard, then `done`, `failed` or "
            "`cancelled`.",
            {
                "progress": bodies.Job,
                "segment": bodies.Segment,
                "done": bodies.Job,
                "failed": bodies.Job,
                "cancelled": bodies.Job,
            },
        )
    },
    errors=[JobNotFound],
)

describe(
    jobs.ResultView,
    "get",
    "job_result",
    tag="Jobs",
    summary="What was heard, as JSON or as subtitles",
    parameters=[
        JOB_ID,
        OpenApiParameter(
            "format",
            str,
            enum=["json", "srt", "vtt"],
            description="What to answer in; goes before `Accept`.",
        ),
    ],
    answers={
        (200, "application/json"): OpenApiResponse(bodies.LongTranscript, "All that was heard."),
        (200, "application/x-subrip", "text/vtt"): OpenApiResponse(TEXT, "All that was heard."),
    },
    errors=[JobNotFound, JobUnfinished, JobWithoutResult, drf.NotAcceptable],
)
