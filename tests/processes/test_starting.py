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


def python(
    data_dir: Path, *arguments: str, stdout: int = subprocess.PIPE, **variables: str
) -> subprocess.CompletedProcess[str]:
    """What becomes of a process of its own, whose data is in ``data_dir``."""
    variables |= {"VOICEBOT_DATA_DIR": str(data_dir), "VOICEBOT_ENV_FILE": os.devnull}
    variables["DJANGO_SETTINGS_MODULE"] = "voicebot.settings"
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env=os.environ | variables,
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )


def test_make_key_before_anything_else(tmp_path: Path) -> None:
    """It is the first command, where a server without keys refuses to start."""
    done = python(
        tmp_path,
        *("manage.py", "make_key", "phone"),
        VOICEBOT_KEYS="always",
        VOICEBOT_DATABASE_URL="",  # one that several share is not empty
    )
    done.check_returncode()
    assert tokens.prefix(done.stdout.strip())
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("locale", "said"), [("en_US.UTF-8", "a port is a number"), ("C", "un port est un nombre")]
)
def test_commands_speak_the_language_of_the_terminal(
    tmp_path: Path, locale: str, said: str
) -> None:
    done = python(tmp_path, "manage.py", "check_port", "0", LC_ALL=locale)
    assert done.returncode == 2
    assert said in done.stderr


def test_an_interrupted_command_ends_without_a_word(tmp_path: Path) -> None:
    interrupted = "import os, signal; os.kill(os.getpid(), signal.SIGINT)"
    done = python(tmp_path, *("manage.py", "shell", "-v", "0", "-c", interrupted))
    assert (done.returncode, done.stdout, done.stderr) == (128 + signal.SIGINT, "", "")


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("command", ["fetch_weights", "doctor"])
def test_who_reads_may_leave(tmp_path: Path, command: str, unbuffered: str) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = python(tmp_path, "manage.py", command, stdout=writer, PYTHONUNBUFFERED=unbuffered)
    os.close(writer)
    assert done.returncode == 128 + signal.SIGPIPE
    assert done.stderr == ""


def test_a_server_whose_engines_cannot_load_stops(tmp_path: Path) -> None:
    server = python(
        tmp_path,
        *("-c", "import time, voicebot.asgi; time.sleep(30)"),
        VOICEBOT_STT_BACKEND=f"{__name__}.Unloadable",
        VOICEBOT_LLM_BACKEND="pipeline.llm.fake.Fake",
        VOICEBOT_TTS_BACKEND="pipeline.tts.fake.Fake",
    )
    assert server.returncode == -signal.SIGTERM
    assert "The engines cannot be loaded; stopping." in server.stderr
    assert "out of memory" in server.stderr  # the cause is for the log
