"""Several processes want the same speech at once: it is made once."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from django.db import connection

from tests.conftest import ROOT
from tests.processes import together

MIGRATE = "from manage import main; import sys; sys.argv[1:] = ['migrate', 'cache', '-v0']; main()"
ASK = """
import django
django.setup()
from pipeline.engines import engines
print("ready", flush=True)
input()
[speech] = engines.tts.synthesize("Bonjour.")
print(speech.cache, len(engines.tts.engine.spoken), flush=True)
"""


def test_processes_wait_for_one_synthesis(migrated: Path, tmp_path: Path) -> None:
    environment = os.environ | {
        "DJANGO_SETTINGS_MODULE": "voicebot.settings",
        "VOICEBOT_ENV_FILE": os.devnull,
        "VOICEBOT_DATA_DIR": str(tmp_path),
        "VOICEBOT_TTS_BACKEND": "tests.unit.cached.Slow",
    }
    python = [sys.executable, "-W", "ignore", "-c"]
    if connection.vendor == "sqlite":
        shutil.copy(migrated, tmp_path / "db.sqlite3")
    else:
        subprocess.run([*python, MIGRATE], env=environment, cwd=ROOT, check=True, timeout=120)
    processes = [
        subprocess.Popen(
            [*python, ASK],
            env=environment,
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    together.begin(processes)
    answers = [process.communicate(timeout=120)[0].split() for process in processes]
    assert sorted(answers) == [["hit", "0"], ["hit", "0"], ["miss", "1"]]
