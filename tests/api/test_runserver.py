from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.api.http import send
from tests.conftest import ROOT


def start(tmp_path: Path, settings: str, *options: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-u", "manage.py", "runserver", "127.0.0.1:0", *options],
        cwd=ROOT,
        env={**os.environ, "DJANGO_SETTINGS_MODULE": settings, "TMPDIR": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@pytest.mark.sqlite
def test_it_migrates_and_serves(tmp_path: Path) -> None:
    server = start(tmp_path, "tests.settings", "--noreload")
    try:
        assert server.stdout is not None
        lines = iter(server.stdout.readline, "")
        address = next(m for line in lines if (m := re.search(r"http://([\d.]+):(\d+)/", line)))
        deadline = time.monotonic() + 60
        status = 0
        while status != 200 and time.monotonic() < deadline:
            response, body = send((address[1], int(address[2])), "GET", "/api/health/ready")
            status = response.status
        assert json.loads(body)["status"] == "ready"
    finally:
        server.terminate()
        server.communicate()
    [database] = tmp_path.glob("*/db.sqlite3")
    assert b"cache_cachedspeech" in database.read_bytes()


def test_weights_that_cannot_be_fetched_end_it(tmp_path: Path) -> None:
    # With the autoreloader, as most people run it.
    server = start(tmp_path, "tests.api.unfetched")
    output, _nothing = server.communicate(timeout=120)
    assert server.returncode == 1
    assert "no-such-weights" in output
    assert "Traceback" not in output
