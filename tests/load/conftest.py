"""A server in a process of its own, on fake engines."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bench.torture.service import FAKES, Service, serving


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with serving(tmp_path_factory.mktemp("service"), **FAKES) as service:
        yield service
