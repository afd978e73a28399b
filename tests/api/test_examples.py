"""``docs/api.md``: every address has its examples, and they do what they say, on fake engines."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import httpx2
import playwright
import pytest
from pytest_django import Settings

from access.models import ApiKey
from access.scopes import SCOPES
from api.description.views import schema
from pipeline.engines import engines
from tests.api.conftest import tone
from tests.conftest import ROOT

LANGUAGES = ("sh", "python", "js")
NODE = Path(playwright.__file__).parent / "driver" / "node"
SERVED = "http://127.0.0.1:8000"
DESCRIPTION = {"GET /api/schema/", "GET /api/docs/"}  # which does not describe itself

Blocks = list[tuple[str, str]]  # language and code


def blocks(text: str) -> Blocks:
    return re.findall(r"^```(\w+)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def sections() -> tuple[dict[str, str], dict[str, Blocks]]:
    """What goes before every example, by language; and the examples of each address."""
    before, *others = re.split(r"^### ", (ROOT / "docs/api.md").read_text("utf-8"), flags=re.M)
    told = {}
    for section in others:
        heading, _end, text = section.partition("\n")
        told[heading.strip("`")] = blocks(text)
    return dict(blocks(before)), told


BEFORE, EXAMPLES = sections()


def test_every_address_has_its_examples() -> None:
    described = {
        f"{method.upper()} {path}"
        for path, methods in schema()["paths"].items()
        for method in methods
    }
    assert set(EXAMPLES) == described | DESCRIPTION
    for address, examples in EXAMPLES.items():
        assert {language for language, _code in examples} == set(LANGUAGES), address


@dataclass(frozen=True)
class House:
    """A server with something in it: what the page calls by its names."""

    url: str
    key: str
    names: dict[str, str]

    def fitted(self, code: str) -> str:
        return code.replace(SERVED, self.url).replace("KEY", self.key)


@pytest.fixture
def house(
    asgi_server: tuple[str, int],
    settings: Settings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> House:
    settings.VOICEBOT_KEYS = "always"
    settings.VOICEBOT_KEEP_UTTERANCES_DAYS = settings.VOICEBOT_KEEP_SPEECH_DAYS = 1
    engines.warm_up()
    monkeypatch.chdir(tmp_path)
    Path("question.wav").write_bytes(tone(0.5))
    key = ApiKey.objects.make("reader", scopes=SCOPES).text
    url = "http://{}:{}".format(*asgi_server)
    with httpx2.Client(base_url=url, headers={"X-API-Key": key}) as client:
        conversation = client.post("/api/conversations/").json()["id"]
        asked = {"conversation": conversation}
        question = {"audio": ("question.wav", tone(0.5))}
        turn = client.post("/api/voice/?format=json", files=question, data=asked).json()
        job = client.post("/api/jobs/", files=question).json()["id"]
    names = {
        "conversation": conversation,
        "turn": turn["conversation"]["turn"].split("/")[-2],
        "job": job,
        "speech_url": turn["speech"]["url"],
        "model": "Fake",
    }
    return House(url, key, names)


def examples(language: str) -> list[tuple[str, str]]:
    """Of each address, what deletes at the end: a turn before its conversation."""

    def order(address: str) -> tuple[bool, int]:
        return address.startswith("DELETE "), -len(address)

    return [
        (address, code)
        for address in sorted(EXAMPLES, key=order)
        for written, code in EXAMPLES[address]
        if written == language
    ]


def test_curl(house: House, subtests: pytest.Subtests) -> None:
    if shutil.which("curl") is None:
        pytest.skip("no curl")
    Path(".curlrc").write_text("silent\nshow-error\nfail-with-body\n")  # on an error's status
    environment = {**os.environ, "CURL_HOME": str(Path.cwd())}
    names = "".join(f"{name}={value}\n" for name, value in house.names.items())
    for address, code in examples("sh"):
        with subtests.test(address):
            script = house.fitted(f"{BEFORE['sh']}{names}{code}")
            told = run(["bash", "-euc", script], environment)
            assert told or "-o " in code or address.startswith("DELETE ")


def test_python(
    house: House, subtests: pytest.Subtests, capsys: pytest.CaptureFixture[str]
) -> None:
    names = dict[str, object](house.names)
    exec(compile(house.fitted(BEFORE["python"]), "before", "exec"), names)
    client = names["api"]
    assert isinstance(client, httpx2.Client)
    with client:
        for address, code in examples("python"):
            with subtests.test(address):
                exec(compile(house.fitted(code), address, "exec"), dict(names))
                assert capsys.readouterr().out or ".write(" in code


def test_javascript(house: House) -> None:
    """All of it in one program: each example a block, after a line that names its address."""
    names = "".join(f"const {name} = {json.dumps(value)};\n" for name, value in house.names.items())
    told_of = [
        f"{{ console.log({json.dumps(f'### {address}')});\n{code}}}\n"
        for address, code in examples("js")
    ]
    program = Path("examples.mjs")
    program.write_text(house.fitted("".join([BEFORE["js"], names, *told_of])), "utf-8")
    _nothing, *told = run([str(NODE), "--no-warnings", str(program)]).split("### ")
    assert len(told) == len(told_of)
    for of_one in told:
        assert of_one.partition("\n")[2].strip(), of_one


def run(command: list[str], environment: dict[str, str] | None = None) -> str:
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
