"""The container image, compose.yaml and the unit of systemd: as far as they can be known without an
engine that runs them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.conftest import ROOT

BIN = Path(sys.executable).parent
WORKSHOP = {"tests", "bench"}  # packages that no service needs
FAKES = {f"VOICEBOT_{r}_BACKEND": f"pipeline.{r.lower()}.fake.Fake" for r in ("STT", "LLM", "TTS")}
LINT = """\
extends: default
rules:
  braces: {max-spaces-inside: 0}
  document-start: disable
  line-length: {max: 110}
  quoted-strings: disable
"""


def text(path: str) -> str:
    return (ROOT / path).read_text("utf-8")


def lint(program: str, *arguments: str) -> None:
    done = subprocess.run(
        [BIN / program, *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


# --- linted ----------------------------------------------------------------------------------


def test_the_dockerfile_is_clean() -> None:
    lint("hadolint", "--failure-threshold", "style", "Dockerfile")


def test_yaml_is_clean() -> None:
    lint("yamllint", "--strict", "--config-data", LINT, "compose.yaml", "deploy")


def test_compose_is_as_its_schema_wants_it() -> None:
    lint("check-jsonschema", "--builtin-schema", "vendor.compose-spec", "compose.yaml")


def test_systemd_understands_the_unit() -> None:
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("no systemd here")
    done = subprocess.run(
        [analyze, "verify", "deploy/voicebot.service"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


# --- safe ------------------------------------------------------------------------------------


def test_no_image_runs_as_root() -> None:
    users: dict[str, str] = {}
    stages = re.findall(r"^FROM (\S+) AS (\w+)$(.*?)(?=^FROM|\Z)", text("Dockerfile"), re.M | re.S)
    for base, stage, lines in stages:
        users[stage] = [users.get(base, "root"), *re.findall(r"^USER (\S+)$", lines, re.M)][-1]
    assert users["weights"] == users["server"] == "10001:10001"


def test_compose_opens_a_port_to_this_machine_alone() -> None:
    services = yaml.safe_load(text("compose.yaml"))["services"]
    for service in services.values():
        assert service["read_only"]
        assert service["cap_drop"] == ["ALL"]
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", ()))


def test_what_is_set_is_documented() -> None:
    told = text("Dockerfile") + text("compose.yaml") + text("deploy/voicebot.service")
    named = set(re.findall(r"\bVOICEBOT_[A-Z_]+\b", told))
    assert {name for name in named if f"{name}=" not in text(".env.example")} == set()


# --- complete --------------------------------------------------------------------------------


def shipped() -> set[str]:
    """What .dockerignore lets into the image."""
    return {line[1:] for line in text(".dockerignore").splitlines() if line.startswith("!")}


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What an image holds: ``app``, and in ``bin`` its programs, but for uvicorn, which only tells
    how it was called."""
    place = tmp_path_factory.mktemp("image")
    for pattern in shipped():
        for path in ROOT.glob(pattern):
            target = place / "app" / path.relative_to(ROOT)
            target.parent.mkdir(parents=True, exist_ok=True)
            if path.is_dir():
                shutil.copytree(path, target, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(path, target)
    programs = place / "bin"
    programs.mkdir()
    (programs / "python").write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    (programs / "uvicorn").write_text('#!/bin/sh\npython manage.py check && echo "called: $*"\n')
    for program in programs.iterdir():
        program.chmod(0o755)
    return place


def run(image: Path, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        cwd=image / "app",
        env={
            "PATH": f"{image / 'bin'}{os.pathsep}{os.defpath}",
            "VOICEBOT_DATA_DIR": str(image / "data"),
            "VOICEBOT_HOST": "0.0.0.0",
            **FAKES,
        },
        capture_output=True,
        text=True,
        check=False,
    )


def test_every_package_is_in_the_image() -> None:
    packages = {init.parent.name for init in ROOT.glob("*/__init__.py")} - WORKSHOP
    assert packages <= shipped()
    assert not shipped() & {*WORKSHOP, "var", ".env", ".git", "docs"}


def test_it_serves_those_who_have_a_key_and_not_without_one(image: Path) -> None:
    refused = run(image, "sh", "deploy/serve.sh")
    assert refused.returncode != 0
    assert "python manage.py make_key" in refused.stderr
    assert "called" not in refused.stdout
    assert run(image, "python", "manage.py", "make_key", "phone").returncode == 0
    served = run(image, "sh", "deploy/serve.sh")
    assert served.returncode == 0, served.stderr
    assert "called: voicebot.asgi:application --host 0.0.0.0 --port 8000 " in served.stdout


def test_it_is_served_in_one_way() -> None:
    """Whether by `make run`, in a container, under systemd or in Kubernetes: but for the address,
    and for how long turns are waited for when it stops."""
    assert re.search(r"^ExecStart=.* deploy/serve\.sh$", text("deploy/voicebot.service"), re.M)
    assert 'CMD ["sh", "deploy/serve.sh"]' in text("Dockerfile")
    assert "command:" not in text("compose.yaml")
    places = ("Makefile", "deploy/serve.sh", "deploy/kubernetes/servers.yaml")
    ways = {tuple(served_with(place)) for place in places}
    assert len(ways) == 1, ways
    assert "--no-proxy-headers" in ways.pop()


def served_with(place: str) -> list[str]:
    """The options of uvicorn there."""
    line = re.sub(r"\s*\\?\n\s*", " ", text(place))
    found = re.search(r"uvicorn voicebot\.asgi:\S+ .*?--port \S+ (.*?--timeout\S+) \d+ ", line)
    assert found
    return found[1].split()
