"""Uploads that never end are in nobody's way."""

from __future__ import annotations

import sys
import time

import pytest

from bench.torture.service import Service
from bench.torture.slow import UPLOADERS, uploading
from tests.uploads import UPLOADS

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")


def test_two_hundred_at_once(service: Service) -> None:
    assert service.ask(UPLOADS["wav"]()).status == 200
    idle = service.descriptors
    with uploading(service) as uploaders:
        give_up = time.monotonic() + 60
        while service.descriptors < UPLOADERS and time.monotonic() < give_up:
            time.sleep(0.05)
        assert service.descriptors >= UPLOADERS
        for _question in range(5):
            assert service.ask(UPLOADS["wav"](), timeout_s=10).status == 200
        assert service.get("/api/health/live", timeout_s=10).status == 200
        assert uploaders.waiting == UPLOADERS
    give_up = time.monotonic() + 60
    while service.descriptors > idle + 1 and time.monotonic() < give_up:
        time.sleep(0.05)
    assert service.descriptors <= idle + 1
