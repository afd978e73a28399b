"""Settings, as a process reads them that has just started."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT


def python(code: str, data_dir: Path, **variables: str) -> subprocess.Popen[str]:
    """A process that runs ``code`` with ``variables`` and nothing else of ours."""
    kept = {name: value for name, value in os.environ.items() if "VOICEBOT" not in name}
    own = {"VOICEBOT_DATA_DIR": str(data_dir), "VOICEBOT_ENV_FILE": os.devnull, **variables}
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", code],
        cwd=ROOT,
        env=kept | own,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


MALFORMED = {
    "VOICEBOT_PROFILE": "embeded",
    "VOICEBOT_OFFLINE": "perhaps",
    "VOICEBOT_DEBUG": "2",
    "VOICEBOT_MAX_UTTERANCE_S": "a minute",
    "VOICEBOT_MAX_UPLOAD_BYTES": "25MB",
    "VOICEBOT_CACHE_MAX_BYTES": "-1",
    "VOICEBOT_THREADS": "0",
    "VOICEBOT_STT_OPTIONS": "slots=2",
    "VOICEBOT_LLM_OPTIONS": "[]",
    "VOICEBOT_TTS_OPTIONS": "null",
    "VOICEBOT_DATA_DIR": os.devnull,
    "VOICEBOT_LOG_LEVEL": "chatty",
}
EACH_ALONE = f"""
import importlib, os, sys
kept = dict(os.environ)
for name, value in {MALFORMED!r}.items():
    os.environ[name] = value
    try:
        importlib.import_module("voicebot.settings")
    except Exception as exc:
        print(type(exc).__name__, exc)
    else:
        print("no error for", name)
        del sys.modules["voicebot.settings"]
    os.environ.clear()
    os.environ.update(kept)
"""


def test_malformed_values_stop_the_start_by_name(tmp_path: Path) -> None:
    output, errors = python(EACH_ALONE, tmp_path).communicate()
    assert not errors
    for name, said in zip(MALFORMED, output.splitlines(), strict=True):
        assert said.startswith((f"ImproperlyConfigured {name}=", f"ImproperlyConfigured {name} "))


PRINT_KEY = "from voicebot.settings import SECRET_KEY; print(SECRET_KEY)"


def test_the_secret_key_is_made_once_and_kept_from_others(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    processes = [python(PRINT_KEY, data_dir) for _ in range(5)]
    outputs = [process.communicate() for process in processes]
    assert {errors for _keys, errors in outputs} == {""}
    [key] = {keys.strip() for keys, _errors in outputs}
    assert len(key) > 50
    file = data_dir / "secret_key"
    assert file.read_text() == key
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert list(data_dir.iterdir()) == [file]


def test_a_secret_key_that_is_given_is_not_kept(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    process = python(PRINT_KEY, data_dir, VOICEBOT_SECRET_KEY="given")
    assert process.communicate() == ("given\n", "")
    assert list(data_dir.iterdir()) == []


PRINT_KEYS = "from voicebot.settings import VOICEBOT_KEYS; print(VOICEBOT_KEYS)"


@pytest.mark.parametrize(
    ("variables", "keys"),
    [
        ({}, "auto"),
        ({"VOICEBOT_ALLOWED_HOSTS": "[::1],localhost", "VOICEBOT_HOST": "::1"}, "auto"),
        ({"VOICEBOT_HOST": "0.0.0.0"}, "always"),
        ({"VOICEBOT_ALLOWED_HOSTS": "localhost,voice.example"}, "always"),
        ({"VOICEBOT_ALLOWED_HOSTS": "*"}, "always"),
        ({"VOICEBOT_HOST": "0.0.0.0", "VOICEBOT_KEYS": "never"}, "never"),
        ({"VOICEBOT_KEYS": "always"}, "always"),
    ],
)
def test_keys_are_needed_once_others_can_ask(
    tmp_path: Path, variables: dict[str, str], keys: str
) -> None:
    assert python(PRINT_KEYS, tmp_path, **variables).communicate() == (f"{keys}\n", "")
