"""What a process does that has just started."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from access import tokens
from pipeline.stt import fake
from tests.conftest import ROOT


class Unloadable(fake.Fake):
    def _load(self) -> None:
        raise RuntimeError("out of memory")


def test_make_key_before_anything_else(tmp_path: Path) -> None:
    """It is the first command, where a server without keys refuses to start."""
    variables = {"VOICEBOT_DATA_DIR": str(tmp_path), "VOICEBOT_KEYS": "always"}
    variables |= {"VOICEBOT_ENV_FILE": os.devnull, "DJANGO_SETTINGS_MODULE": "voicebot.settings"}
    variables["VOICEBOT_DATABASE_URL"] = ""  # one that several share is not empty
    done = subprocess.run(
        [sys.executable, "manage.py", "make_key", "phone"],
        cwd=ROOT,
        env=os.environ | variables,
        capture_output=True,
        text=True,
        check=True,
    )
    assert tokens.prefix(done.stdout.strip())
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("locale", "said"), [("en_US.UTF-8", "a port is a number"), ("C", "un port est un nombre")]
)
def test_commands_speak_the_language_of_the_terminal(
    tmp_path: Path, locale: str, said: str
) -> None:
    variables = {"VOICEBOT_DATA_DIR": str(tmp_path), "LC_ALL": locale}
    variables |= {"VOICEBOT_ENV_FILE": os.devnull, "DJANGO_SETTINGS_MODULE": "voicebot.settings"}
    done = subprocess.run(
        [sys.executable, "manage.py", "check_port", "0"],
        cwd=ROOT,
        env=os.environ | variables,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert said in done.stderr


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("command", ["fetch_weights", "doctor"])
def test_who_reads_may_leave(tmp_path: Path, command: str, unbuffered: str) -> None:
    variables = {"VOICEBOT_DATA_DIR": str(tmp_path), "PYTHONUNBUFFERED": unbuffered}
    variables |= {"VOICEBOT_ENV_FILE": os.devnull, "DJANGO_SETTINGS_MODULE": "voicebot.settings"}
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [sys.executable, "manage.py", command],
        cwd=ROOT,
        env=os.environ | variables,
        stdout=writer,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    os.close(writer)
    assert done.returncode == 128 + signal.SIGPIPE
    assert done.stderr == ""


def test_a_server_whose_engines_cannot_load_stops(tmp_path: Path) -> None:
    variables = {
        "DJANGO_SETTINGS_MODULE": "voicebot.settings",
        "VOICEBOT_ENV_FILE": os.devnull,
        "VOICEBOT_DATA_DIR": str(tmp_path),
        "VOICEBOT_STT_BACKEND": f"{__name__}.Unloadable",
        "VOICEBOT_LLM_BACKEND": "pipeline.llm.fake.Fake",
        "VOICEBOT_TTS_BACKEND": "pipeline.tts.fake.Fake",
    }
    server = subprocess.run(
        [sys.executable, "-c", "import time, voicebot.asgi; time.sleep(30)"],
        cwd=ROOT,
        env=os.environ | variables,
        capture_output=True,
        text=True,
        check=False,
    )
    assert server.returncode == -signal.SIGTERM
    assert "The engines cannot be loaded; stopping." in server.stderr
    assert "out of memory" in server.stderr  # the cause is for the log
