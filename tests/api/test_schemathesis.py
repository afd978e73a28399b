"""A client that reads nothing but the description asks all that it allows, and more.

The server is a real one, its engines are fakes. Whatever is asked: no status, no kind of body, no
header and no error code that is not described, and nothing that goes wrong on our side.
"""

from __future__ import annotations

import copy
import uuid
from typing import Any

import pytest
import schemathesis
from django.utils import timezone
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from pytest_django import Settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from api.description.views import schema
from history.models import Conversation, Sentence, Turn
from jobs.models import Job, Segment, Status
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

KNOWN = uuid.UUID("0b2f3f0e-3b0c-4d5e-9a51-2f1a7c1d9f10")
"""The id of a conversation, of a turn in it and of a job, as long as nobody deletes them."""

uploads = st.sampled_from([tone(0.5), tone(0.2, peak=0.0), tone(0.5)[:-100], b"", b"RIFF"])
schemathesis.openapi.format("binary", uploads | st.binary(max_size=100))
schemathesis.openapi.format("uuid", st.just(str(KNOWN)) | st.uuids().map(str))


def strict(described: dict[str, Any]) -> dict[str, Any]:
    """``described``, with nothing in its answers besides what it tells."""
    told = copy.deepcopy(described)
    for name, body in told["components"]["schemas"].items():
        if "properties" in body and not name.endswith("Request"):
            body.setdefault("additionalProperties", False)
    return told


api = schemathesis.openapi.from_dict(strict(schema()))


@pytest.fixture
def ready(asgi_server: tuple[str, int], settings: Settings) -> str:
    """Its URL, once its engines are there: the address that tells so answers 503 until then."""
    settings.VOICEBOT_KEEP_UTTERANCES_DAYS = settings.VOICEBOT_KEEP_SPEECH_DAYS = 1
    engines.warm_up()
    host, port = asgi_server
    return f"http://{host}:{port}"


def keep() -> None:
    """What ``KNOWN`` names."""
    conversation, _made = Conversation.objects.get_or_create(pk=KNOWN)
    if not Turn.objects.filter(pk=KNOWN).exists():
        row = Turn(
            pk=KNOWN, conversation=conversation, number=1, status=200, language="fr",
            transcript="Quelle heure est-il ?", reply="Il est midi.", voice="claire",
            utterance_s=0.5, request_id="known",
        )  # fmt: skip
        sentence = Sentence(
            turn=row, place=0, text="Il est midi.", voice="claire", engine="Fake", cache="off",
            outbound=False, duration=0.5, start_s=0.1, end_s=0.2,
        )  # fmt: skip
        Turn.objects.keep(row, [sentence], {"utterance": tone(0.5), "speech": tone(0.5)})
    now = timezone.now()
    done = {"status": Status.DONE, "finished_at": now, "duration": 2.0, "done_s": 2.0}
    job, made = Job.objects.get_or_create(pk=KNOWN, defaults={**done, "heard_language": "fr"})
    if made:
        Segment.objects.create(job=job, place=0, start=0.0, end=1.5, text="Bonjour.")


@api.parametrize()
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
def test_the_api_does_what_it_says(case: Any, ready: str) -> None:
    keep()
    case.call_and_validate(base_url=ready, checks=CHECKS)
