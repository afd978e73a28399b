"""Whoever does not know the token of a cluster runs nothing on it."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.conftest import ROOT

if TYPE_CHECKING:
    from ray.cluster_utils import Cluster

JOIN = """
import sys, ray
ray.init(sys.argv[1], log_to_driver=False)
print("cores:", ray.cluster_resources()["CPU"])
"""


@pytest.mark.parametrize("token", ["the right one", "another", "none"])
def test_who_knows_the_token_is_let_in_alone(cluster: Cluster, token: str) -> None:
    environment = dict(os.environ)
    if token != "the right one":
        del environment["RAY_AUTH_TOKEN_PATH"]
        environment["HOME"] = os.devnull  # where another would be looked for
    if token == "another":
        environment["RAY_AUTH_TOKEN"] = "0" * 64
    done = subprocess.run(
        [sys.executable, "-c", JOIN, cluster.address],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode == 0) == (token == "the right one"), done.stderr
    assert ("cores:" in done.stdout) == (token == "the right one")
