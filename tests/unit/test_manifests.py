"""The manifests of Kubernetes: as its schemas want them, and of settings that there are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import kubernetes_validate
import pytest
import yaml
from jsonschema import ValidationError
from pytest_django import Settings

from pipeline.ray import deploy
from tests import kuberay
from tests.conftest import ROOT
from voicebot import env, profiles

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


def test_the_operator_keeps_the_engines_of_those_settings(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in manifests("servers.yaml")[0]["data"].items():
        monkeypatch.setenv(name, value)
    settings.ENGINES = profiles.engines("embedded", offline=True, cluster=True)
    [service] = manifests("rayservice.yaml")
    written = yaml.safe_load(service["spec"]["serveConfigV2"])
    assert written == deploy.configuration()


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


def test_a_service_wants_the_token_too() -> None:
    [service] = manifests("rayservice.yaml")
    assert service["spec"]["rayClusterConfig"]["authOptions"] == {
        "mode": "token",
        "secretName": "ray-token",
    }


def test_the_clusters_are_as_kuberay_has_them() -> None:
    cluster, _job = manifests("engines.yaml")
    [service] = manifests("rayservice.yaml")
    kuberay.validate(cluster)
    kuberay.validate(service)


def _in_a_pod(cluster: dict[str, Any]) -> None:
    [container] = cluster["spec"]["headGroupSpec"]["template"]["spec"]["containers"]
    container["imagePullPolice"] = "Always"


def _misspelt(cluster: dict[str, Any]) -> None:
    cluster["spec"]["enableAutoscaling"] = cluster["spec"].pop("enableInTreeAutoscaling")


def _of_another_kind(cluster: dict[str, Any]) -> None:
    cluster["spec"]["headGroupSpec"]["rayStartParams"]["num-cpus"] = 0


def _unknown(cluster: dict[str, Any]) -> None:
    cluster["spec"]["authOptions"] = {"mode": "tokens"}


def _left_out(cluster: dict[str, Any]) -> None:
    del cluster["spec"]["workerGroupSpecs"][0]["maxReplicas"]


@pytest.mark.parametrize("spoil", [_in_a_pod, _misspelt, _of_another_kind, _unknown, _left_out])
def test_what_kuberay_would_refuse_is_found(spoil: Callable[[dict[str, Any]], None]) -> None:
    cluster, _job = manifests("engines.yaml")
    spoil(cluster)
    with pytest.raises(ValidationError):
        kuberay.validate(cluster)


def test_the_applications_are_as_serve_has_them() -> None:
    schema = pytest.importorskip("ray.serve.schema")
    [service] = manifests("rayservice.yaml")
    applications = yaml.safe_load(service["spec"]["serveConfigV2"])
    schema.ServeDeploySchema.model_validate(applications)


def test_the_servers_are_as_kubernetes_has_them() -> None:
    found = manifests("servers.yaml")
    assert {manifest["kind"] for manifest in found} == KINDS
    _cluster, job = manifests("engines.yaml")
    for manifest in [*found, job]:
        kubernetes_validate.validate(manifest, kuberay.KUBERNETES, strict=True)
