"""A server that is told to leave finishes what it was asked, and says that it leaves."""

from __future__ import annotations

import json
import signal
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from bench.torture.service import FAKES, Service, serving
from tests.uploads import UPLOADS

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")

MOST_S = 60


def turn(service: Service) -> urllib.request.Request:
    return service.question(UPLOADS["wav"](), accept="text/event-stream")


def wait_until_it_leaves(service: Service) -> None:
    give_up = time.monotonic() + MOST_S
    while (answer := service.get("/api/health/ready")).status == 200:
        assert time.monotonic() < give_up
    assert (answer.status, answer.json["status"]) == (503, "leaving")


def test_accepted_turns_are_finished(tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    options = {
        **FAKES,
        "VOICEBOT_LLM_BACKEND": "tests.e2e.engines.Gated",
        "VOICEBOT_LLM_OPTIONS": json.dumps({"gate": str(gate)}),
    }
    with (
        serving(tmp_path, **options) as service,
        urllib.request.urlopen(turn(service), timeout=60) as answer,
    ):
        assert answer.readline() == b"event: heard\n"
        service.signal(signal.SIGTERM)
        wait_until_it_leaves(service)
        # Whoever does not know yet is answered all the same.
        assert service.get("/api/voices/").status == 200
        gate.touch()
        assert b"event: done\n" in answer.readlines()
        service.process.wait(MOST_S)
        assert "Traceback" not in service.log.read_text()


def test_a_turn_that_hangs_keeps_no_server_from_leaving(tmp_path: Path) -> None:
    options = {
        **FAKES,
        "VOICEBOT_LLM_BACKEND": "pipeline.llm.faulty.Faulty",
        "VOICEBOT_LLM_OPTIONS": json.dumps({"rate": 1, "only": ["stalls"]}),
        "UVICORN_TIMEOUT_GRACEFUL_SHUTDOWN": "2",
    }
    with (
        serving(tmp_path, **options) as service,
        urllib.request.urlopen(turn(service), timeout=60) as answer,
    ):
        assert answer.readline() == b"event: heard\n"
        service.signal(signal.SIGTERM)
        wait_until_it_leaves(service)
        service.signal(signal.SIGTERM)  # in a hurry
        service.process.wait(MOST_S)
