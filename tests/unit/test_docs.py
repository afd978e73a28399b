"""The documentation says what the code does."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from django.core.management import get_commands
from django.utils import translation
from django.utils.translation import gettext
from rest_framework import exceptions as drf
from rest_framework.fields import Field

from api import exceptions
from api.conversations import Again, Earlier, NewConversation
from api.serializers import Question
from api.urls import urlpatterns
from pipeline.errors import PipelineError
from pipeline.tts.kokoro import Kokoro
from tests.conftest import ROOT

DOCUMENTS = sorted(
    str(path.relative_to(ROOT)) for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]
)
FRENCH = [document for document in DOCUMENTS if document.endswith(".fr.md")]
TWINS = [(document.replace(".fr.md", ".md"), document) for document in FRENCH]
FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)

every_document = pytest.mark.parametrize("document", DOCUMENTS)
every_pair = pytest.mark.parametrize(("english", "french"), TWINS)


def both(english: str) -> pytest.MarkDecorator:
    """The document and its French twin."""
    return pytest.mark.parametrize("document", [english, english.replace(".md", ".fr.md")])


def text(document: str) -> str:
    return (ROOT / document).read_text("utf-8")


def blocks(document: str, language: str) -> list[str]:
    return [code for name, code in FENCED.findall(text(document)) if name == language]


def code(document: str) -> str:
    """All that is set as code."""
    fenced = [code for _language, code in FENCED.findall(text(document))]
    return "\n".join([*fenced, *re.findall(r"`([^`\n]+)`", FENCED.sub("", text(document)))])


def rows(document: str, pattern: str) -> list[tuple[str, ...]]:
    """The cells of the table rows of which the first ones are as ``pattern`` says."""
    found = re.finditer(rf"^\| {pattern} \|", text(document), re.MULTILINE)
    return [match.groups("") for match in found]


# --- settings --------------------------------------------------------------------------------

READING = r"""
import json, os, re, sys

class Environment(dict):
    read = []

    def get(self, name, default=None):
        self.read.append(name)
        return super().get(name, default)

os.environ = Environment(os.environ)
from voicebot import settings

def told(value):
    return re.sub(r" at 0x\w+", "", repr(value))  # of a function: where it lies in memory

values = {name: told(value) for name, value in vars(settings).items() if name.isupper()}
json.dump({"read": os.environ.read, "values": values}, sys.stdout)
"""


class Read(NamedTuple):
    read: list[str]  # names of variables
    values: dict[str, str]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project of settings alone, where a ``.env`` may be written."""
    shutil.copytree(ROOT / "voicebot", tmp_path / "project" / "voicebot")
    return tmp_path / "project"


def read_settings(project: Path) -> Read:
    done = subprocess.run(
        [sys.executable, "-c", READING], cwd=project, env={}, check=True, capture_output=True
    )
    return Read(**json.loads(done.stdout))


def documented() -> dict[str, str]:
    """Name → default, as ``.env.example`` tells them."""
    return dict(re.findall(r"^(?:# )?([A-Z_]+)=(.*)$", text(".env.example"), re.MULTILINE))


def test_every_variable_is_in_the_example(project: Path) -> None:
    read = set(read_settings(project).read)
    assert {name for name in read if name.startswith("VOICEBOT_")} <= documented().keys()
    assert documented().keys() <= read


def test_the_example_gives_the_defaults(project: Path) -> None:
    defaults = read_settings(project).values
    lines = [f"{name}={value}\n" for name, value in documented().items()]
    (project / ".env").write_text("".join(lines))
    assert read_settings(project).values == defaults


def test_the_example_can_be_copied_unchanged(project: Path) -> None:
    defaults = read_settings(project).values
    shutil.copy(ROOT / ".env.example", project / ".env")
    assert read_settings(project).values == defaults
    with (project / ".env").open("a") as file:
        file.write("VOICEBOT_LANGUAGE=en\n")
    assert read_settings(project).values == {**defaults, "VOICEBOT_LANGUAGE": "'en'"}


def told(document: str) -> list[tuple[str, ...]]:
    """Variables and their defaults, as a document tells them."""
    return rows(document, r"`([A-Z][A-Z_]+)` \| (?:`(.+?)`|–)")


@both("docs/configuration.md")
def test_configuration(document: str) -> None:
    assert sorted(told(document)) == sorted(documented().items())


@both("README.md")
def test_configuration_at_a_glance(document: str) -> None:
    assert set() < set(told(document)) < set(documented().items())


# --- API -------------------------------------------------------------------------------------


def subclasses(cls: type[Any], module: str) -> Iterator[type[Any]]:
    for subclass in [cls, *cls.__subclasses__()]:
        if subclass is not cls:
            yield from subclasses(subclass, module)
        elif subclass.__module__ == module:
            yield subclass


def codes(module: str) -> dict[str, int]:
    """Code → status of the errors that REST framework, or our API, has."""
    return {cls.default_code: cls.status_code for cls in subclasses(drf.APIException, module)}


def usual(field: type[Field[Any, Any, Any, Any]]) -> dict[str, Any]:
    """What REST framework says itself."""
    messages: dict[str, Any] = {}
    for cls in reversed(field.__mro__):
        messages |= getattr(cls, "default_error_messages", {})
    return messages


def field_codes(*, all_of_them: bool) -> dict[str, int]:
    """Code → status of the errors of each field of the form; by default those we word ourselves."""
    return {
        f"{name}_{'missing' if error == 'required' else error}": 400
        for form in (Question(), NewConversation(), Again(), Earlier())
        for name, field in form.fields.items()
        for error, message in field.error_messages.items()
        if all_of_them or message != usual(type(field)).get(error)
    }


def test_error_codes(subtests: pytest.Subtests) -> None:
    needed = {
        cls.code: next(exceptions.STATUSES[c] for c in cls.__mro__ if c in exceptions.STATUSES)
        for module in ("pipeline.errors", "history.errors", "jobs.errors")
        for cls in subclasses(PipelineError, module)
    }
    needed |= codes("api.exceptions") | field_codes(all_of_them=False)
    needed |= {cls.default_code: cls.status_code for cls in exceptions.OURS.values()}
    possible = needed | codes("rest_framework.exceptions") | field_codes(all_of_them=True)
    for document in ("docs/http.md", "docs/http.fr.md"):
        with subtests.test(document):
            table = {code: int(status) for status, code in rows(document, r"(\d{3}) \| `(\w+)`")}
            assert {code for code in needed if code not in table} == set()
            assert table.items() <= possible.items()


@both("README.md")
def test_addresses(document: str) -> None:
    addresses = {str(route.pattern).partition("<")[0] for route in urlpatterns if route.name}
    assert len(addresses) > 3
    assert {
        address
        for address in addresses
        if not re.search(rf"`(?:GET|POST) /api/{address}[`<]", text(document))
    } == set()


@both("docs/http.md")
def test_headers(document: str) -> None:
    sources = "".join(path.read_text("utf-8") for path in (ROOT / "api").glob("*.py"))
    headers = set(re.findall(r'"(X-[A-Za-z-]+|Server-Timing|Retry-After)"', sources))
    assert len(headers) > 5
    assert {name for (name,) in rows(document, r"`((?:X-|Server-|Retry-)[A-Za-z-]+)`")} == headers


@both("docs/configuration.md")
def test_voices(document: str) -> None:
    counts = Counter(voice.language for voice in Kokoro.voices)
    table = rows(document, r"\w+ \| `([a-z]{2})` \| (\d+) \| `(\w+)`")
    assert {language: (int(count), voice) for language, count, voice in table} == {
        language: (counts[language], voice) for language, voice in Kokoro.default_voices.items()
    }


# --- files and commands ----------------------------------------------------------------------


@both("docs/architecture.md")
def test_tree(document: str) -> None:
    [tree] = [block for block in blocks(document, "text") if block.startswith("manage.py ")]
    paths, folder = set(), ""
    for line in tree.splitlines():
        path, _blanks, purpose = line.strip().partition("  ")
        assert purpose.strip(), f"no word about {path}"
        if not line.startswith(" "):
            folder = path
        paths.add(folder + path if line.startswith(" ") else path)
    ignored = set(text(".gitignore").split())
    assert {path for path in paths - ignored if not (ROOT / path).exists()} == set()

    packages = {f"{init.parent.name}/" for init in ROOT.glob("*/__init__.py")}
    assert packages - paths == set()
    modules = {
        f"{package}{module.name}"
        for package in ("voicebot/", "pipeline/", "cache/", "history/", "files/", "api/", "web/")
        for module in (ROOT / package).glob("*.py")
        if module.name not in ("__init__.py", "apps.py")
    }
    assert modules - paths == set()


def make_targets() -> set[str]:
    return set(re.findall(r"^([a-z-]+):", text("Makefile"), re.MULTILINE))


@every_document
def test_commands_exist(document: str) -> None:
    assert set(re.findall(r"\bmake ([a-z-]+)", code(document))) <= make_targets()
    assert set(re.findall(r"\bmanage\.py ([a-z_]+)", code(document))) <= get_commands().keys()


@both("docs/commands.md")
def test_every_command_is_told(document: str) -> None:
    own = {path.stem for path in ROOT.glob("*/management/commands/[a-z]*.py")}
    assert len(own) > 10
    assert {
        name for name in own if not re.search(rf"^## {name}$|`{name}`", text(document), re.M)
    } == set()


def test_every_make_target_is_told() -> None:
    assert make_targets() == {name for (name,) in rows("CONTRIBUTING.md", r"`make ([a-z-]+)`")}


def anchors(document: Path) -> set[str]:
    """Those GitHub gives to the headings."""
    headings = re.findall(r"^#+ (.+)$", FENCED.sub("", document.read_text("utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}


@every_document
def test_links(document: str) -> None:
    path = ROOT / document
    for link in re.findall(r"\]\(([^)\s]+)\)", FENCED.sub("", text(document))):
        if link.startswith("https://"):
            continue
        name, _sharp, anchor = link.partition("#")
        target = (path.parent / name) if name else path
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


@pytest.mark.parametrize(
    "name",
    [
        "requirements.txt",
        "requirements-dev.txt",
        "requirements-ray.txt",
        "requirements-cluster-dev.txt",
    ],
)
def test_requirements_are_pinned(name: str) -> None:
    lines = [line for line in text(name).splitlines() if line and not line.startswith(("#", "-r"))]
    assert lines
    assert [
        line for line in lines if not re.match(r"[\w-]+(?:\[[\w,]+\])?==[\w.]+(?: +#|$)", line)
    ] == []


def test_every_requirement_of_the_service_has_its_reason() -> None:
    lines = [line for line in text("requirements.txt").splitlines() if "==" in line]
    assert [line for line in lines if not re.search(r" # \w", line)] == []


# --- two languages ---------------------------------------------------------------------------


def test_there_are_twins() -> None:
    assert ("README.md", "README.fr.md") in TWINS
    assert len(TWINS) > 5


@every_pair
def test_twins_name_each_other(english: str, french: str) -> None:
    for document, other in ((english, french), (french, english)):
        assert f"({Path(other).name})" in text(document).splitlines()[0]


@every_pair
def test_twins_have_the_same_sections(english: str, french: str) -> None:
    levels = [
        re.findall(r"^#+(?= )", FENCED.sub("", text(document)), re.MULTILINE)
        for document in (english, french)
    ]
    assert levels[0] == levels[1] != []


@every_pair
def test_twins_have_the_same_tables(english: str, french: str) -> None:
    columns = [
        [row.count(" |") for row in re.findall(r"^\|.*\|$", text(document), re.MULTILINE)]
        for document in (english, french)
    ]
    assert columns[0] == columns[1]


def numbers(document: str) -> list[list[str]]:
    """Those of each row of the tables, sorted, as Python writes them."""
    comma, thousands = (r",", "[ \u00a0\u202f]") if document in FRENCH else (r"\.", ",")
    found = []
    for row in re.findall(r"^\|.*\|$", text(document), re.MULTILINE):
        plain = re.sub(rf"(?<=\d){thousands}(?=\d{{3}}\b)", "", re.sub(r"`[^`]*`", "", row))
        plain = re.sub(rf"(?<=\d){comma}(?=\d)", ".", plain)
        found.append(sorted(re.findall(r"\d+(?:\.\d+)*", re.sub(r"\]\([^)]*\)", "]", plain))))
    return found


@every_pair
def test_twins_give_the_same_numbers(english: str, french: str) -> None:
    assert numbers(english) == numbers(french)


@every_pair
@pytest.mark.parametrize("language", ["sh", "js", "python", "yaml", "toml"])
def test_twins_give_the_same_code(english: str, french: str, language: str) -> None:
    assert blocks(english, language) == blocks(french, language)


@pytest.mark.parametrize(
    ("document", "language"), [("README.md", "sh"), ("README.md", "python"), ("docs/http.md", "js")]
)
def test_twins_give_code(document: str, language: str) -> None:
    assert blocks(document, language) != []


def italics(document: str) -> set[str]:
    """What is quoted of the pages, but for the line that leads to the other language."""
    prose = FENCED.sub("", text(document)).partition("\n\n")[2]
    return {" ".join(words.split()) for words in re.findall(r"(?<!\*)\*(\w[^*]*)\*(?!\*)", prose)}


@every_pair
def test_the_french_twin_quotes_the_pages_in_french(english: str, french: str) -> None:
    quoted = {words.casefold() for words in italics(french)}
    with translation.override("fr"):
        shown = {words: gettext(words) for words in italics(english)}
    # Other programs' pages are quoted as they are.
    assert {
        words: said
        for words, said in shown.items()
        if said != words and not {said.casefold(), words.casefold()} & quoted
    } == {}


def marked(document: str) -> dict[str, list[str]]:
    """The figures between each pair of marks."""
    parts = re.findall(r"<!-- (\w+) -->(.*?)<!-- /\1 -->", text(document), re.DOTALL)
    return {name: re.findall(r"…|\d+(?:[.,]\d+)?", part.replace(",", ".")) for name, part in parts}


@every_pair
def test_twins_give_the_same_figures(english: str, french: str) -> None:
    assert marked(english) == marked(french)


@pytest.mark.parametrize(
    ("document", "part"), [("README.md", "headline"), ("docs/figures.md", "figures")]
)
def test_figures_are_given(document: str, part: str) -> None:
    assert marked(document)[part] != []


@every_pair
def test_french_documents_lead_to_french_ones(english: str, french: str) -> None:
    _first, *others = text(french).splitlines()  # which names the English twin
    folder = (ROOT / french).parent
    links = re.findall(r"\]\(([^)\s#]+\.md)[)#]", "\n".join(others))
    translated = {(ROOT / document).resolve() for document, _french in TWINS}
    assert [link for link in links if (folder / link).resolve() in translated] == []


def test_threats_have_the_same_tests_in_both_languages() -> None:
    english, french = (
        [re.findall(r"`(\w+/\w+\.py::\w+)`", line) for line in text(document).splitlines()]
        for document in ("docs/security.md", "docs/security.fr.md")
    )
    assert [tests for tests in english if tests] == [tests for tests in french if tests]


def test_every_threat_has_a_test_that_exists() -> None:
    lines = [line for line in text("docs/security.md").splitlines() if line.startswith("| ")]
    threats = [line for line in lines if not line.startswith("| Threat")]
    assert len(threats) > 15
    for line in threats:
        named = re.findall(r"`(\w+/\w+\.py)::(\w+)`", line)
        assert named, line
        for path, name in named:
            assert re.search(rf"^ *def {name}\(", text(f"tests/{path}"), re.MULTILINE), name
