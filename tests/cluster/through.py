"""A plugin that lets other tests ask engines on a cluster: ``pytest -p tests.cluster.through``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from django.test import override_settings
from pytest_django import Settings

from tests.cluster import scripted
from tests.cluster.running import cluster, distant

if TYPE_CHECKING:
    from ray.cluster_utils import Cluster

__all__ = ["cluster"]

SCRIPTED = distant(
    {
        "stt": {"BACKEND": "tests.cluster.scripted.Listens"},
        "llm": {"BACKEND": "tests.cluster.scripted.Writes"},
        "tts": {"BACKEND": "tests.cluster.scripted.Speaks"},
    }
)
SPEAKING = {"BACKEND": "cache.tts.CachedTextToSpeech", "OPTIONS": {"engine": SCRIPTED["tts"]}}
ENGINES = {**SCRIPTED, "tts": SPEAKING}


@pytest.fixture(scope="session")
def _scripted(cluster: Cluster) -> None:
    from pipeline.ray import deploy

    with override_settings(ENGINES=ENGINES):
        list(deploy.deploy(deploy.distant()))


@pytest.fixture(autouse=True)
def _through(_scripted: None, settings: Settings) -> None:
    scripted.forget()
    settings.ENGINES = ENGINES


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        item.add_marker(pytest.mark.filterwarnings("ignore"))  # Ray has many
