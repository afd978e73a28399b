from __future__ import annotations

from pathlib import Path
from typing import Any, NoReturn

import pytest
from django.db import OperationalError, connection
from django.test import Client
from pytest_django import Settings

from pipeline.engines import engines


@pytest.mark.parametrize("path", ["/api/health/live", "/api/health/live/"])
def test_live_touches_nothing(client: Client, settings: Settings, path: str) -> None:
    # No database: this test has no access to one. No session. No engine: there are none.
    settings.ENGINES = {}
    client.cookies["sessionid"] = "s"
    response = client.get(path, headers={"accept": "text/html"})
    assert response.status_code == 200
    assert response.json() == {"status": "live"}
    assert response["Cache-Control"] == "no-store"
    assert response["X-Request-Id"]
    assert "Set-Cookie" not in response


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/api/health/ready", "/api/health/ready/"])
def test_ready_once_the_engines_are_loaded(client: Client, path: str) -> None:
    response = client.get(path)
    assert response.status_code == 503
    assert response.json()["status"] == "unavailable"
    engines.warm_up()
    response = client.get(path)
    assert response.status_code == 200
    report = response.json()
    assert report.pop("disk")["free_bytes"] > 0
    fake = {"engine": "Fake", "loaded": True, "outbound": False, "hangs": False}
    assert report == {
        "status": "ready",
        "engines": {"stt": fake, "llm": fake, "tts": fake},
        "database": {"ok": True},
    }


@pytest.mark.django_db
def test_a_wrong_configuration_is_reported(client: Client, settings: Settings) -> None:
    settings.ENGINES = {"stt": {"BACKEND": "nowhere.Nothing"}}
    response = client.get("/api/health/ready")
    assert response.status_code == 503
    missing = {"engine": None, "loaded": False, "outbound": None, "hangs": False}
    assert response.json()["engines"] == {"stt": missing, "llm": missing, "tts": missing}


@pytest.mark.django_db
def test_no_disk(client: Client, settings: Settings, tmp_path: Path) -> None:
    engines.warm_up()
    settings.VOICEBOT_DATA_DIR = tmp_path / "unmounted"
    response = client.get("/api/health/ready")
    assert response.status_code == 503
    assert response.json()["disk"] == {"free_bytes": None, "ok": False}


@pytest.mark.django_db
def test_no_database(client: Client) -> None:
    def fail(*args: Any) -> NoReturn:
        raise OperationalError("private")

    engines.warm_up()
    with connection.execute_wrapper(fail):
        response = client.get("/api/health/ready")
    assert response.status_code == 503
    assert response.json()["database"] == {"ok": False}
    assert "private" not in response.text
