from __future__ import annotations

import pytest
from django.test import Client

GRAVE = {"id": "grave", "language": "fr", "name": "Grave", "gender": "male", "default": True}
CLAIRE = {"id": "claire", "language": "fr", "name": "Claire", "gender": "female", "default": False}
LOW = {"id": "low", "language": "en", "name": "Low", "gender": "male", "default": True}


@pytest.mark.parametrize(
    ("query", "voices"),
    [
        ("", [GRAVE, CLAIRE, LOW]),
        ("?language=fr", [GRAVE, CLAIRE]),
        ("?language=FR-ca", [GRAVE, CLAIRE]),
        ("?language=en", [LOW]),
        ("?language=xx", []),
    ],
)
def test_voices(client: Client, query: str, voices: list[dict[str, object]]) -> None:
    response = client.get(f"/api/voices/{query}")
    assert response.status_code == 200
    assert response.json() == voices
    assert client.get(f"/api/voices{query}").json() == voices


def test_index(client: Client) -> None:
    index = client.get("/api/").json()
    assert index == {
        "voice": "http://testserver/api/voice/",
        "voices": "http://testserver/api/voices/",
        "conversations": "http://testserver/api/conversations/",
        "jobs": "http://testserver/api/jobs/",
        "live": "http://testserver/api/health/live",
        "ready": "http://testserver/api/health/ready",
        "schema": "http://testserver/api/schema/",
        "docs": "http://testserver/api/docs/",
    }
