"""Fifty write at once, in threads of several processes, and none is told that SQLite is locked."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

from tests.conftest import ROOT
from tests.processes import together

PROCESSES, THREADS, ROUNDS = 2, 25, 4  # the last as tests.processes.writers has it


def test_fifty_writers(tmp_path: Path) -> None:
    environment = os.environ | {
        "DJANGO_SETTINGS_MODULE": "voicebot.settings",
        "VOICEBOT_ENV_FILE": os.devnull,
        "VOICEBOT_DATA_DIR": str(tmp_path),
        "VOICEBOT_LOG_LEVEL": "WARNING",
    }
    python = [sys.executable, "-W", "ignore"]
    migrate = [*python, "manage.py", "migrate", "--verbosity", "0"]
    subprocess.run(migrate, env=environment, cwd=ROOT, check=True, timeout=120)
    writers = [
        subprocess.Popen(
            [*python, "-m", "tests.processes.writers", str(THREADS), str(number)],
            env=environment, cwd=ROOT, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )
        for number in range(PROCESSES)
    ]  # fmt: skip
    together.begin(writers)
    assert [writer.communicate(timeout=300) for writer in writers] == [("", "")] * PROCESSES
    with closing(sqlite3.connect(tmp_path / "db.sqlite3")) as rows:
        [(kept, heard)] = rows.execute("SELECT COUNT(*), SUM(hits) FROM cache_cachedspeech")
        assert (kept, heard) == (PROCESSES * THREADS * ROUNDS,) * 2
        [(turns,)] = rows.execute("SELECT COUNT(*) FROM history_turn")
        assert turns == 0
        assert rows.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert rows.execute("PRAGMA journal_mode").fetchall() == [("wal",)]
