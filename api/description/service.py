"""Where things are, and how they are."""

from __future__ import annotations

from drf_spectacular.utils import OpenApiResponse

from api import health, metrics, views
from api.description import bodies
from api.description.answers import (
    TEXT,
)
from api.description.describing import describe

describe(
    views.IndexView,
    "get",
    "index",
    tag="Service",
    summary="Where things are",
    answers={200: bodies.Addresses},
)

describe(
    health.LiveView,
    "get",
    "live",
    tag="Service",
    summary="Whether the process answers",
    answers={200: bodies.Live},
)

describe(
    health.ReadyView,
    "get",
    "ready",
    tag="Service",
    summary="Whether a turn would be answered now",
    answers={
        200: OpenApiResponse(bodies.Ready, "It would."),
        503: OpenApiResponse(
            bodies.Ready, "It would not; what is missing is told. `leaving`: it is about to end."
        ),
    },
)

describe(
    metrics.MetricsView,
    "get",
    "metrics",
    tag="Service",
    summary="What Prometheus scrapes",
    answers={
        (200, "text/plain", "application/openmetrics-text"): OpenApiResponse(
            TEXT, "See docs/observing.md."
        )
    },
)
