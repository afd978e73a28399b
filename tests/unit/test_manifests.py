"""The manifests of Kubernetes: as its schemas want them, and of settings that there are."""

from __future__ import annotations

from typing import Any

import pytest
from pytest_django import Settings

from pipeline.ray import deploy
from tests.conftest import ROOT
from voicebot import env, profiles

yaml = pytest.importorskip("yaml")

KINDS = {
    "ConfigMap", "PersistentVolumeClaim", "Deployment", "Service", "HorizontalPodAutoscaler",
}  # fmt: skip


def manifests(name: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((ROOT / "deploy/kubernetes" / name).read_text("utf-8")))


def test_the_settings_run_three_engines_there_and_send_nothing_out(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    variables = manifests("servers.yaml")[0]["data"]
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    settings.VOICEBOT_RAY_ADDRESS = env.text("VOICEBOT_RAY_ADDRESS")
    settings.VOICEBOT_OWN_HOSTS = env.names("VOICEBOT_OWN_HOSTS", "")
    settings.ENGINES = profiles.engines("embedded", offline=True, cluster=True)
    assert len(deploy.distant()) == 3
    assert not any(engine.outbound for engine in deploy.distant())


def test_what_is_set_is_documented() -> None:
    known = (ROOT / ".env.example").read_text("utf-8")
    variables = manifests("servers.yaml")[0]["data"]
    assert [n for n in variables if n.startswith("VOICEBOT_") and f"{n}=" not in known] == []


def test_ray_wants_its_token_and_shows_its_dashboard_to_none() -> None:
    cluster, _job = manifests("engines.yaml")
    head, [workers] = cluster["spec"]["headGroupSpec"], cluster["spec"]["workerGroupSpecs"]
    assert head["rayStartParams"]["dashboard-host"] == "127.0.0.1"
    for group in (head, workers):
        [container] = group["template"]["spec"]["containers"]
        variables = {entry["name"]: entry for entry in container["env"]}
        assert variables["RAY_AUTH_MODE"]["value"] == "token"
        assert "secretKeyRef" in variables["RAY_AUTH_TOKEN"]["valueFrom"]


def test_the_servers_are_as_kubernetes_has_them() -> None:
    validate = pytest.importorskip("kubernetes_validate").validate
    found = manifests("servers.yaml")
    assert {manifest["kind"] for manifest in found} == KINDS
    _cluster, job = manifests("engines.yaml")
    for manifest in [*found, job]:
        validate(manifest, "1.30", strict=True)
