"""A server that is killed under load leaves nothing damaged, nothing half, nothing behind."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from bench.torture.kills import SETTINGS, killed
from bench.torture.service import Service

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")

KILLS = 3


def test_kill_after_kill(tmp_path: Path) -> None:
    (tmp_path / "spool").mkdir()
    service = Service(tmp_path / "var", TMPDIR=str(tmp_path / "spool"), **SETTINGS)
    service.manage("migrate", "--verbosity", "0")
    seen = killed(service, KILLS, seed=1)
    assert seen.wrong == []
    assert seen.kills == KILLS
    assert set(seen.answers) <= {200}
    assert seen.broken_off
