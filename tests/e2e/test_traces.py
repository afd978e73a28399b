"""Traces, as a collector receives them from a server as it is started."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from pipeline.audio import Audio, to_wav
from tests.e2e.conftest import serving

PRIVATE = "Zanzibar"
QUESTION = to_wav([Audio(np.ones(8_000, np.float32), 16_000)])
SILENCE = to_wav([Audio(np.zeros(8_000, np.float32), 16_000)])


class Collector:
    """A stand-in that keeps the spans it is sent."""

    def __init__(self) -> None:
        self.requests: list[bytes] = []
        requests = self.requests

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                assert self.path == "/v1/traces"
                requests.append(self.rfile.read(int(self.headers["Content-Length"])))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def wait_for(self, count: int, kind: int) -> None:
        give_up = time.monotonic() + 60
        while sum(span.kind == kind for span in self.spans) < count:
            assert time.monotonic() < give_up, self.spans
            time.sleep(0.05)

    @property
    def spans(self) -> list[Span]:
        return [
            span
            for request in self.requests
            for resource in ExportTraceServiceRequest.FromString(request).resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]


@pytest.fixture
def collector() -> Iterator[Collector]:
    stand_in = Collector()
    thread = threading.Thread(target=stand_in.server.serve_forever)
    thread.start()
    yield stand_in
    stand_in.server.shutdown()
    thread.join()
    stand_in.server.server_close()


def attributes(span: Span) -> dict[str, str]:
    return {attribute.key: attribute.value.string_value for attribute in span.attributes}


def test_a_request_is_one_trace(collector: Collector, tmp_path: Path) -> None:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("VOICEBOT_", "DJANGO_"))}
    chosen = {
        "DJANGO_SETTINGS_MODULE": "voicebot.settings",
        "VOICEBOT_DATA_DIR": str(tmp_path / "var"),
        "VOICEBOT_ENV_FILE": os.devnull,
        "VOICEBOT_LOG_FORMAT": "json",
        "VOICEBOT_STT_BACKEND": "pipeline.stt.fake.Fake",
        "VOICEBOT_STT_OPTIONS": json.dumps({"text": PRIVATE}),
        "VOICEBOT_LLM_BACKEND": "pipeline.llm.fake.Fake",
        "VOICEBOT_TTS_BACKEND": "pipeline.tts.fake.Fake",
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
        "OTEL_BSP_SCHEDULE_DELAY": "50",  # milliseconds between two exports
    }
    log = tmp_path / "server.log"
    with serving({**kept, **chosen}, log) as server:
        answers = [
            server.ask(QUESTION, cache="off"),
            # The work goes on after the response began.
            server.ask(QUESTION, cache="off", stream="true"),
            server.ask(SILENCE),
        ]
        assert [answer.status for answer in answers] == [200, 200, 422]
        collector.wait_for(len(answers), Span.SPAN_KIND_SERVER)
    by_request = {
        attributes(span)["voicebot.request_id"]: span
        for span in collector.spans
        if span.kind == Span.SPAN_KIND_SERVER
    }
    assert by_request.keys() == {answer.headers["x-request-id"] for answer in answers}  # no probes
    for answer in answers:
        request = by_request[answer.headers["x-request-id"]]
        work = [span for span in collector.spans if span.parent_span_id == request.span_id]
        stages = {"stt", "llm", "tts"} if answer.status == 200 else {"stt"}
        assert {span.name for span in work} == stages
        assert {span.trace_id for span in work} == {request.trace_id}
        assert {attributes(span)["engine"] for span in work} == {"Fake"}
        if answer.status == 422:
            [heard] = work
            assert heard.status.code == Status.STATUS_CODE_ERROR
            assert attributes(heard)["error.type"] == "no_speech"
    assert PRIVATE.encode() not in b"".join(collector.requests)

    lines = [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]
    turns = {line["request_id"]: line["turn"] for line in lines if "turn" in line}
    assert turns.keys() == by_request.keys()
    for answer in answers:
        told = turns[answer.headers["x-request-id"]]
        assert told["status"] == answer.status
        assert told["total_s"] > 0 if answer.status == 200 else told["code"] == "no_speech"
    assert "Traceback" not in log.read_text()
