"""Spans of OpenTelemetry for the work of engines, where ``TRACES_ENDPOINT`` asks for traces.

They hold names, times and codes of errors, never what was said.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from typing import Final

from django.conf import settings

from pipeline.errors import PipelineError

PACKAGES: Final = (
    "opentelemetry-sdk",
    "opentelemetry-exporter-otlp-proto-http",
    "opentelemetry-instrumentation-django",
    "opentelemetry-instrumentation-asgi",
)


def missing() -> list[str]:
    """The packages that traces need and that are not here."""
    return [package for package in PACKAGES if not _installed(package)]


def _installed(package: str) -> bool:
    try:
        version(package)
    except PackageNotFoundError:
        return False
    return True


@contextmanager
def span(name: str, **attributes: str | int) -> Iterator[None]:
    """Around work that belongs to the current trace.

    It is not made the current span: a generator is suspended in the middle of its work, and may be
    closed in another context than it was begun in.
    """
    if not settings.TRACES_ENDPOINT:
        yield
        return
    from opentelemetry import trace

    current = trace.get_tracer("voicebot").start_span(name, attributes=attributes)
    try:
        yield
    except Exception as exc:
        # The exception itself may say more than its kind.
        kind = exc.code if isinstance(exc, PipelineError) else type(exc).__qualname__
        current.set_attribute("error.type", kind)
        current.set_status(trace.StatusCode.ERROR)
        raise
    finally:
        current.end()
