"""Imports point one way, and only the web parts know the web."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.conftest import ROOT

# Package → those of ours it may import.
LAYERS = {
    "files": set(),
    "pipeline": set(),
    "cache": {"pipeline", "files"},
    "history": {"pipeline", "files"},
    "access": {"pipeline"},
    "jobs": {"pipeline", "files"},
    "api": {"access", "history", "jobs", "cache", "pipeline", "files"},
    "web": {"api"},
    "console": {"history", "jobs", "cache", "pipeline", "files"},
    "voicebot": {
        *("console", "web", "api", "access", "history", "jobs", "cache", "pipeline", "files"),
    },
}
NOT_IN_PIPELINE = ("rest_framework", "django.http", "django.db", "django.urls")


@cache
def imports(package: str) -> list[tuple[Path, str]]:
    return list(_imports(package))


def _imports(package: str) -> Iterator[tuple[Path, str]]:
    for path in (ROOT / package).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.ImportFrom):
                yield from ((path, f"{node.module}.{alias.name}") for alias in node.names)
            elif isinstance(node, ast.Import):
                yield from ((path, alias.name) for alias in node.names)


@pytest.mark.parametrize("package", [name for name in LAYERS if (ROOT / name).is_dir()])
def test_imports_point_one_way(package: str) -> None:
    foreign = LAYERS.keys() - LAYERS[package] - {package} | {"tests", "bench"}
    wrong = [(path, name) for path, name in imports(package) if name.split(".")[0] in foreign]
    assert wrong == []


def test_the_pipeline_knows_neither_http_nor_the_database() -> None:
    names = imports("pipeline")
    assert ("base.py", "pipeline.errors.EngineBusy") in {(path.name, name) for path, name in names}
    wrong = [(path, name) for path, name in names if f"{name}.".startswith(NOT_IN_PIPELINE)]
    assert wrong == []
