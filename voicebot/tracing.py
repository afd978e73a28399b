"""Traces of every request, by OpenTelemetry, where ``TRACES_ENDPOINT`` asks for them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.conf import settings

from api.middleware import HEADER
from pipeline import tracing

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse
    from opentelemetry.trace import Span


def start() -> None:
    """Send a span of each request, and of the work of engines, to the endpoint.

    Before the application is made, as it adds a middleware. The system checks tell what is missing
    or must not be; the standard variables (``OTEL_…``) say all the rest.
    """
    if not settings.TRACES_ENDPOINT or tracing.missing():
        return
    from opentelemetry import trace
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.instrumentation.django import DjangoInstrumentor
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)
    DjangoInstrumentor().instrument(response_hook=_identify)


def _identify(span: Span, request: HttpRequest, response: HttpResponse) -> None:
    """A trace is found by the id that the log and the client have."""
    span.set_attribute("voicebot.request_id", response.get(HEADER, ""))
