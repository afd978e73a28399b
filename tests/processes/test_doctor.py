"""``manage.py doctor``: what it finds, and what it says mends it."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.db.migrations.recorder import MigrationRecorder
from django.utils import translation
from pytest_django import Settings

from console import ports
from console.diagnosis import Finding, Level, examine
from pipeline.stt import fake
from pipeline.tts import fake as speaking
from tests.unit.test_checks import FAKES

pytestmark = pytest.mark.django_db


class Standing(fake.Fake):
    """Stands on a package that tests write."""

    packages = {"doctored": "doctored-package"}


class Speaking(speaking.Fake):
    """Likewise."""

    packages = Standing.packages


@pytest.fixture(autouse=True)
def healthy(settings: Settings, data_dir: Path) -> None:
    (data_dir / "weights").unlink()  # there are none
    settings.ENGINES = FAKES
    settings.VOICEBOT_HOST = "127.0.0.1"
    settings.ALLOWED_HOSTS = ["localhost", "127.0.0.1", "[::1]"]
    settings.HF_TOKEN = ""
    User.objects.create_superuser("admin", password="assez-long-et-rare")


@pytest.fixture
def port() -> int:
    """One that nobody listens at."""
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        return int(server.getsockname()[1])


def found(port: int, level: Level) -> list[Finding]:
    return [finding for finding in examine(port) if finding.level == level]


def only(findings: list[Finding]) -> Finding:
    [finding] = findings
    return finding


def test_nothing_is_wrong(port: int, capsys: pytest.CaptureFixture[str]) -> None:
    call_command("doctor", port=port)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) > 8
    assert all(line.startswith("ok ") for line in lines[:-1])
    assert lines[-1] == "Nothing keeps it from working."


def test_a_problem_is_told_with_its_command_and_ends_with_1(
    port: int, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    settings.ENGINES = {
        **FAKES, "stt": {"BACKEND": "pipeline.stt.faster_whisper.FasterWhisper"}
    }  # fmt: skip
    with pytest.raises(SystemExit) as ended:
        call_command("doctor", port=port)
    assert ended.value.code == 1
    told = capsys.readouterr().out
    assert "whisper-base is not here" in told
    assert "python manage.py fetch_weights whisper-base\n" in told
    assert told.endswith("1 problem.\n")


def test_french(port: int, capsys: pytest.CaptureFixture[str]) -> None:
    with translation.override("fr"):
        call_command("doctor", port=port)
    told = capsys.readouterr().out
    assert re.search(r"Disque +\d+,\d\sGo sont libres", told)
    assert told.endswith("Rien ne l’empêche de marcher.\n")


# --- packages and weights --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "said", "mend"),
    [
        (
            "raise ImportError('libgomp.so.1: cannot open shared object file')",
            "libgomp.so.1",
            "sudo apt install libgomp1",
        ),
        ("raise ImportError('no such symbol')", "no such symbol", "doctored-package"),
        ("import os; os.abort()", "signal 6", "doctored-package"),
    ],
)
def test_a_package_that_cannot_be_imported(
    port: int,
    settings: Settings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    source: str,
    said: str,
    mend: str,
) -> None:
    (tmp_path / "doctored.py").write_text(source)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    settings.ENGINES = {**FAKES, "stt": {"BACKEND": f"{__name__}.Standing"}}
    monkeypatch.syspath_prepend(tmp_path)
    problem = only(found(port, "problem"))
    assert problem.subject == "stt"
    assert said in problem.text
    assert mend in problem.mend


def test_a_package_of_an_engine_whose_speech_is_kept(
    port: int, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "doctored.py").write_text("import os; os.abort()")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.syspath_prepend(tmp_path)
    speaks = {"BACKEND": f"{__name__}.Speaking"}
    kept = {"BACKEND": "cache.tts.CachedTextToSpeech", "OPTIONS": {"engine": speaks}}
    settings.ENGINES = {**FAKES, "tts": kept}
    problem = only(found(port, "problem"))
    assert problem.subject == "tts"
    assert "doctored-package" in problem.mend


def test_npm_is_wanted_where_weights_are(
    port: int, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert found(port, "problem") == []
    settings.ENGINES = {**FAKES, "tts": {"BACKEND": "pipeline.tts.kokoro.Kokoro"}}
    assert "sudo apt install npm" in [problem.mend for problem in found(port, "problem")]


# --- the machine -----------------------------------------------------------------------------


def test_data_that_cannot_be_written(port: int, settings: Settings, tmp_path: Path) -> None:
    settings.VOICEBOT_DATA_DIR = tmp_path / "gone"
    problem = only(found(port, "problem"))
    assert str(tmp_path / "gone") in problem.text
    assert problem.mend.startswith("sudo chown")


def test_a_disk_without_room(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = type("Usage", (), {"free": 5_000_000})
    monkeypatch.setattr("shutil.disk_usage", lambda _path: usage)
    problem = only(found(port, "problem"))
    assert problem.text.startswith("0.0 GB are free")
    assert "prune_speech --all" in problem.mend


def test_rows_that_are_behind(port: int) -> None:
    lost, _of_what = MigrationRecorder.Migration.objects.filter(app="jobs").delete()
    warning = only(found(port, "warning"))
    assert warning.text == f"{lost} migrations are to be applied"
    assert warning.mend.endswith("manage.py migrate")


def test_nobody_may_enter_the_admin(port: int) -> None:
    User.objects.all().delete()
    assert only(found(port, "warning")).mend.endswith("manage.py first_admin")


def test_a_key_that_others_can_read(port: int, tmp_path: Path) -> None:
    path = tmp_path / "secret_key"
    path.write_text("x")
    path.chmod(0o644)
    assert only(found(port, "warning")).mend == f"chmod 600 {path}"
    path.chmod(0o600)
    assert found(port, "warning") == []


# --- how it is reached -----------------------------------------------------------------------


@pytest.fixture
def taken(port: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    monkeypatch.setattr(ports, "ASK_S", 0.05)  # who has it will never answer
    with closing(socket.create_server(("127.0.0.1", port))):
        yield port


def test_a_port_that_another_program_has(taken: int) -> None:
    problem = only(found(taken, "problem"))
    assert str(taken) in problem.text
    assert problem.mend == ports.another(taken)


def test_another_port() -> None:
    assert ports.another(8000) == "PORT=8001 make run"
    assert ports.another(80) == ports.another(65_535) == "PORT=8000 make run"


@pytest.fixture
def served(live_server: Any) -> int:
    return int(live_server.url.rpartition(":")[2])


def test_a_port_that_voicebot_has(served: int) -> None:
    assert "voicebot serves on" in "".join(finding.text for finding in found(served, "ok"))
    assert found(served, "problem") == []


def test_a_server_asks_for_its_port_first(taken: int, port: int) -> None:
    with pytest.raises(SystemExit) as refused:
        call_command("check_port", str(taken))
    assert refused.value.code == (
        f"It cannot be served: another program has port {taken}. Take another port: "
        f"PORT={taken + 1} make run"
    )


def test_a_server_that_runs_already(served: int) -> None:
    with pytest.raises(SystemExit, match=f"voicebot serves on port {served} already"):
        call_command("check_port", str(served))


def test_a_host_that_is_not_this_machine(port: int, settings: Settings) -> None:
    settings.VOICEBOT_HOST = "192.0.2.1"  # for documentation alone
    with pytest.raises(SystemExit, match=f"192.0.2.1:{port} cannot be had: "):
        call_command("check_port", str(port))


def test_a_port_that_is_free(port: int) -> None:
    call_command("check_port", str(port))


@pytest.mark.parametrize("command", ["check_port", "doctor --port"])
@pytest.mark.parametrize("value", ["0", "65536", "-1", "http", "٣"])
def test_what_is_no_port(command: str, value: str) -> None:
    with pytest.raises(CommandError, match="a port is a number from 1 to 65535"):
        call_command(*command.split(), value)


def test_names_of_others_want_tls(port: int, settings: Settings) -> None:
    settings.ALLOWED_HOSTS = ["voice.example.org"]
    warning = only(found(port, "warning"))
    assert warning.subject == "Microphone"
    assert "VOICEBOT_HTTPS=1" in warning.mend


# --- what leaves -----------------------------------------------------------------------------


def test_what_leaves_is_told(port: int, settings: Settings) -> None:
    settings.ENGINES = {**FAKES, "llm": {"BACKEND": "tests.unit.test_checks.Faraway"}}
    settings.VOICEBOT_OFFLINE = False
    warning = only(found(port, "warning"))
    assert "Faraway" in warning.text
    settings.VOICEBOT_OFFLINE = True
    assert "VOICEBOT_OFFLINE=0" in only(found(port, "problem")).mend


def test_a_token_that_is_none(port: int, settings: Settings) -> None:
    settings.HF_TOKEN = "secret"
    warning = only(found(port, "warning"))
    assert warning.subject == "HF_TOKEN"
    assert "secret" not in warning.text + warning.mend
    settings.HF_TOKEN = "hf_" + "x" * 30
    assert found(port, "warning") == []
