"""Who may enter the admin, and what they may do there."""

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
from django.contrib.auth.models import Group, Permission, User
from django.core.management import CommandError, call_command

from tests.conftest import ROOT

ADDRESS = "http://localhost:1234/admin/"
PASSWORD = "assez-long-et-rare"


# --- groups --------------------------------------------------------------------------------


@pytest.mark.django_db
def test_groups_hold_all_that_can_be_seen_and_heard() -> None:
    look, listen = Group.objects.get(name="Read only"), Group.objects.get(name="Read and listen")
    seen = set(look.permissions.values_list("codename", flat=True))
    heard = set(listen.permissions.values_list("codename", flat=True)) - seen
    assert seen >= {"view_cachedspeech", "view_pronunciation", "view_turn", "view_conversation"}
    assert all(codename.startswith("view_") for codename in seen)
    assert "view_user" not in seen
    assert heard == {"listen_cachedspeech", "listen_turn"}


@pytest.mark.django_db(transaction=True)
def test_they_are_made_complete_again() -> None:
    group = Group.objects.get(name="Read only")
    group.permissions.clear()
    own = Permission.objects.get(codename="change_pronunciation")
    group.permissions.add(own)
    call_command("migrate", verbosity=0)
    assert {own.codename, "view_turn"} <= {p.codename for p in group.permissions.all()}
    assert Group.objects.count() == 2


# --- the first account, nobody asked ---------------------------------------------------------


@pytest.mark.django_db
def test_without_a_terminal_a_password_is_made(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    call_command("first_admin", address=ADDRESS)
    first, last = capsys.readouterr().out.splitlines()
    assert last == f"The admin is at {ADDRESS}, for admin."
    user = User.objects.get()
    assert user.is_superuser
    assert user.check_password(first.split("password ")[1].removesuffix(": note it down."))


@pytest.mark.django_db
def test_an_account_that_is_there_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    User.objects.create_superuser("zoe")
    call_command("first_admin", address=ADDRESS)
    first, last = capsys.readouterr().out.splitlines()
    assert first == "Forgot the password? python manage.py changepassword zoe"
    assert last == f"The admin is at {ADDRESS}, for zoe."
    assert User.objects.count() == 1


@pytest.mark.django_db
def test_without_a_terminal_nothing_is_asked_before_serving(
    capsys: pytest.CaptureFixture[str],
) -> None:
    call_command("first_admin", if_none=True)
    assert capsys.readouterr().out == ""
    assert not User.objects.exists()


@pytest.mark.django_db
def test_a_name_that_is_taken() -> None:
    User.objects.create_user("admin")
    with pytest.raises(CommandError, match="There is an account admin"):
        call_command("first_admin")


# --- the first account, at a terminal --------------------------------------------------------


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
        assert self._process.wait(30) == 0
        return self.said

    def _read(self) -> bool:
        """False at its end."""
        ready, _, _ = select.select([self._ours], [], [], 30)
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
