"""The first account of the admin, made at a terminal."""

from __future__ import annotations

import os
import pty
import select
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT

ADDRESS = "http://localhost:1234/admin/"
PASSWORD = "assez-long-et-rare"


class Terminal:
    """``first_admin --if-none`` at a terminal, as ``make run`` calls it."""

    def __init__(self, environment: dict[str, str]) -> None:
        self._ours, theirs = pty.openpty()
        self._process = subprocess.Popen(
            [sys.executable, "manage.py", "first_admin", "--if-none", "--address", ADDRESS],
            cwd=ROOT,
            env=environment,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
        )
        os.close(theirs)
        self.said = ""

    def read_until(self, text: str) -> None:
        while text not in self.said:
            assert self._read(), self.said

    def type(self, prompt: str, text: str) -> None:
        self.read_until(prompt)
        self.said = ""
        os.write(self._ours, text.encode())

    def end(self) -> str:
        """The rest of what it says."""
        while self._read():
            pass
        assert self._process.wait(120) == 0
        return self.said

    def _read(self) -> bool:
        """False at its end."""
        ready, _, _ = select.select([self._ours], [], [], 120)
        assert ready, f"it waits for an answer: {self.said}"
        try:
            piece = os.read(self._ours, 4096).decode()
        except OSError:  # the terminal is closed
            return False
        self.said += piece.replace("\xa0", " ")
        return bool(piece)

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._ours)


@pytest.fixture(scope="module")
def environment(migrated: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    data = tmp_path_factory.mktemp("data")
    shutil.copy(migrated, data / "db.sqlite3")
    variables = {
        "DJANGO_SETTINGS_MODULE": "voicebot.settings",
        "VOICEBOT_ENV_FILE": os.devnull,
        "LC_ALL": "C",  # hence in French
        "VOICEBOT_DATA_DIR": str(data),
        **{
            f"VOICEBOT_{role}_BACKEND": f"pipeline.{role.lower()}.fake.Fake"
            for role in ("STT", "LLM", "TTS")
        },
    }
    return os.environ | variables


@pytest.fixture
def terminal(environment: dict[str, str]) -> Iterator[Terminal]:
    terminal = Terminal(environment)
    yield terminal
    terminal.close()


def test_enter_alone_goes_on_without(terminal: Terminal) -> None:
    terminal.type("Nom : ", "\n")
    assert "make admin" in terminal.end()


def test_so_does_the_end_of_input(terminal: Terminal) -> None:
    terminal.type("Nom : ", "\x04")
    assert "make admin" in terminal.end()


def test_whoever_answers_gets_an_account(terminal: Terminal, environment: dict[str, str]) -> None:
    terminal.type("Nom : ", "z/é é\n")
    terminal.type("Nom : ", "zoé\n")
    terminal.type("Mot de passe : ", "court\n")
    terminal.type("Mot de passe : ", f"{PASSWORD}\n")
    terminal.type("Encore : ", "autre chose\n")
    terminal.type("Mot de passe : ", f"{PASSWORD}\n")
    terminal.type("Encore : ", f"{PASSWORD}\n")
    said = terminal.end()
    assert ADDRESS in said
    assert "zoé" in said
    assert PASSWORD not in said
    second = Terminal(environment)
    assert second.end() == ""  # there is nothing to ask any more
    second.close()
