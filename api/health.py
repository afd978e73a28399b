"""Whether the process lives, and whether it can answer."""

from __future__ import annotations

import shutil
import threading
from typing import Any

from django.conf import settings
from django.db import Error, connection
from rest_framework.request import Request
from rest_framework.response import Response

from api.authentication import let_in
from api.views import ApiView
from pipeline.engines import ROLES, engines
from pipeline.errors import InvalidEngineError

MIN_FREE_BYTES = 100_000_000
"""Below it uploads, which pass through the disk, soon fail."""


leaving = threading.Event()
"""Set when the process is about to end: it finishes what it was asked."""


class LiveView(ApiView):
    """The process answers. It touches nothing that could make it wait."""

    open = True
    authentication_classes = ()
    throttle_classes = ()

    def get(self, request: Request) -> Response:
        return Response({"status": "live"}, headers={"Cache-Control": "no-store"})


class ReadyView(ApiView):
    """A turn would be answered now: engines loaded, none hangs, room on the disk, database at hand.

    A balancer that has no key is told that much, and nothing of what is here.
    """

    open = True
    throttle_classes = ()

    def get(self, request: Request) -> Response:
        report = {
            "engines": {role: _engine(role) for role in ROLES},
            "disk": _disk(),
            "database": _database(),
        }
        ready = (
            all(engine["loaded"] and not engine["hangs"] for engine in report["engines"].values())
            and report["disk"]["ok"]
            and report["database"]["ok"]
        )
        status = "leaving" if leaving.is_set() else "ready" if ready else "unavailable"
        told = report if let_in(request) else {}
        return Response(
            {"status": status, **told},
            status=200 if status == "ready" else 503,
            headers={"Cache-Control": "no-store"},
        )


def _engine(role: str) -> dict[str, Any]:
    try:
        engine = engines[role]
    except InvalidEngineError:
        return {"engine": None, "loaded": False, "outbound": None, "hangs": False}
    return {
        "engine": engine.name,
        "loaded": engine.loaded,
        "outbound": engine.outbound,
        "hangs": engine.hangs,
    }


def _disk() -> dict[str, Any]:
    try:
        free_bytes = shutil.disk_usage(settings.VOICEBOT_DATA_DIR).free
    except OSError:
        return {"free_bytes": None, "ok": False}
    return {"free_bytes": free_bytes, "ok": free_bytes >= MIN_FREE_BYTES}


def _database() -> dict[str, Any]:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except Error:
        return {"ok": False}
    return {"ok": True}
