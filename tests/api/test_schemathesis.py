"""A client that reads nothing but the description asks all that it allows, and more.

The server is a real one, its engines are fakes. Whatever is asked: no status, no kind of body, no
header and no error code that is not described, and nothing that goes wrong on our side.
"""

from __future__ import annotations

from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from api.description.views import schema
from pipeline.engines import engines
from tests.api.conftest import tone

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
EXAMPLES = 25  # of each operation, besides those at the limits of what each field may be

uploads = st.sampled_from([tone(0.5), tone(0.2, peak=0.0), tone(0.5)[:-100], b"", b"RIFF"])
schemathesis.openapi.format("binary", uploads | st.binary(max_size=100))


api = schemathesis.openapi.from_dict(schema())


@pytest.fixture
def ready(asgi_server: tuple[str, int]) -> str:
    """Its URL, once its engines are there: the address that tells so answers 503 until then."""
    engines.warm_up()
    host, port = asgi_server
    return f"http://{host}:{port}"


@api.parametrize()
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
def test_the_api_does_what_it_says(case: Any, ready: str) -> None:
    case.call_and_validate(base_url=ready, checks=CHECKS)
