"""``GET /metrics``: what Prometheus scrapes."""

from __future__ import annotations

from collections.abc import Iterator

from django.http import HttpResponse
from prometheus_client import REGISTRY
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector
from rest_framework.request import Request

from access.scopes import METRICS
from api.views import ApiView
from pipeline.admission import admission
from pipeline.engines import ROLES, engines
from pipeline.errors import InvalidEngineError


class Loaded(Collector):
    """Whether each engine could work at once, asked when scraped."""

    def describe(self) -> Iterator[GaugeMetricFamily]:
        yield GaugeMetricFamily(
            "voicebot_engine_loaded", "1 once the weights are read", labels=["role", "engine"]
        )

    def collect(self) -> Iterator[GaugeMetricFamily]:
        for family in self.describe():
            for role in ROLES:
                try:
                    engine = engines[role]
                except InvalidEngineError:  # `manage.py check` tells why
                    continue
                family.add_metric([role, engine.name], engine.loaded)
            yield family


class Admitted(Collector):
    """Who is let in, and what the next one would wait, asked when scraped."""

    def describe(self) -> Iterator[GaugeMetricFamily]:
        yield GaugeMetricFamily("voicebot_places", "Requests let in and not answered yet")
        yield GaugeMetricFamily(
            "voicebot_predicted_wait_seconds", "That a turn would have before it, asked for now"
        )
        yield GaugeMetricFamily(
            "voicebot_longest_wait_seconds", "With more than that before it, a turn is refused"
        )
        yield GaugeMetricFamily(
            "voicebot_predicted_turn_seconds", "What a turn takes that is alone"
        )

    def collect(self) -> Iterator[GaugeMetricFamily]:
        try:
            wait_s = admission.next_wait_s(engines)
        except InvalidEngineError:  # `manage.py check` tells why
            return
        values = (len(admission), wait_s, admission.longest_s, admission.usual_s)
        for family, value in zip(self.describe(), values, strict=True):
            family.add_metric([], value)
            yield family


REGISTRY.register(Loaded())
REGISTRY.register(Admitted())


class MetricsView(ApiView):
    """In Prometheus' text format, or OpenMetrics for whoever accepts that."""

    scope = METRICS

    def get(self, request: Request) -> HttpResponse:
        encode, content_type = choose_encoder(request.headers.get("Accept", ""))
        return HttpResponse(
            encode(REGISTRY), content_type=content_type, headers={"Cache-Control": "no-store"}
        )
