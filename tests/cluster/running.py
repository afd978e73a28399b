"""A real cluster on one machine: nodes of their own processes, replicas in theirs."""

from __future__ import annotations

import logging
import os
import secrets
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import pytest
from django.conf import settings as django_settings

from tests.conftest import ROOT
from tests.settings import DATA_DIR
from voicebot.profiles import DISTANT

if TYPE_CHECKING:
    from ray.cluster_utils import Cluster

NODE: dict[str, Any] = {
    "num_cpus": 4,  # that are not there: replicas of these tests compute nothing
    "node_ip_address": "127.0.0.2",
    "object_store_memory": 100_000_000,
    "include_dashboard": False,
}


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """Of one node; a test that wants others adds them."""
    # Before Ray is imported; nodes and replicas inherit it all.
    (DATA_DIR / "ray_token").write_text(secrets.token_hex(32))
    os.environ |= {
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN_PATH": str(DATA_DIR / "ray_token"),
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_ENABLE_AUTO_CONNECT": "0",  # threads of handles would join again at the end
        "VOICEBOT_TEST_DATA": str(DATA_DIR),
        "PYTHONPATH": str(ROOT),
    }
    import ray
    from ray.cluster_utils import Cluster

    running = Cluster(initialize_head=True, head_node_args=NODE)
    django_settings.VOICEBOT_RAY_ADDRESS = running.address
    try:
        yield running
    finally:
        logging.getLogger("ray.serve").setLevel(logging.CRITICAL)  # handles miss the cluster
        ray.shutdown()
        running.shutdown()


def distant(
    entries: Mapping[str, dict[str, Any]], replicas: Mapping[str, Any] | None = None
) -> dict[str, dict[str, Any]]:
    """``ENGINES`` that asks the engines of ``entries`` on the cluster."""
    few = {"cpus": 0.1, **(replicas or {})}
    return {
        role: {"BACKEND": DISTANT[role], "OPTIONS": {"engine": entry, "replicas": few}}
        for role, entry in entries.items()
    }
