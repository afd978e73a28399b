"""Tests that start a cluster, and a machine's worth of processes: `make test-cluster` runs them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from django.test import override_settings

from tests.cluster.running import cluster, distant

if TYPE_CHECKING:
    from ray.cluster_utils import Cluster

__all__ = ["cluster"]

HERE = Path(__file__).parent
WANTED = "VOICEBOT_TEST_CLUSTER" in os.environ

FAKES: dict[str, dict[str, Any]] = {
    role: {"BACKEND": f"pipeline.{role}.fake.Fake"} for role in ("stt", "llm", "tts")
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.filterwarnings("ignore"))  # Ray has many
            if not WANTED:
                item.add_marker(pytest.mark.skip(reason="`make test-cluster` runs it"))


@pytest.fixture(scope="session")
def fakes(cluster: Cluster) -> dict[str, dict[str, Any]]:
    """``ENGINES`` of the fakes, which run on the cluster."""
    from pipeline.ray import deploy

    chosen = distant(FAKES)
    with override_settings(ENGINES=chosen):
        list(deploy.deploy(deploy.distant()))
    return chosen
