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

STRING, NUMBER = {"type": "string"}, {"type": "integer", "minimum": 0}


def exactly(required: list[str], **fields: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": fields,
        "required": required,
        "additionalProperties": False,
    }


MANIFEST = {
    "type": "object",
    "required": ["apiVersion", "kind", "metadata", "spec"],
    "additionalProperties": False,
}
METADATA = {
    "apiVersion": {"const": "ray.io/v1"},
    "kind": {"enum": ["RayCluster", "RayService"]},
    "metadata": exactly(["name"], name=STRING),
}
GROUP: dict[str, Any] = {
    "rayStartParams": {"type": "object", "additionalProperties": STRING},
    "template": {"type": "object"},
}
COUNTS = dict.fromkeys(("replicas", "minReplicas", "maxReplicas"), NUMBER)
CLUSTER = exactly(
    ["headGroupSpec", "workerGroupSpecs"],
    rayVersion=STRING,
    enableInTreeAutoscaling={"type": "boolean"},
    authOptions=exactly(["mode"], mode={"enum": ["disabled", "token"]}, secretName=STRING),
    headGroupSpec=exactly([*GROUP], **GROUP),
    workerGroupSpecs={
        "type": "array",
        "items": exactly(["groupName", *GROUP], groupName=STRING, **GROUP, **COUNTS),
    },
)
SERVICE = exactly(
    ["serveConfigV2", "rayClusterConfig"],
    serveConfigV2=STRING,
    upgradeStrategy=exactly(["type"], type={"enum": ["NewCluster", "None"]}),
    rayClusterConfig=CLUSTER,
)


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
    """Their own fields, as its reference tells those that are used here; pods as Kubernetes has
    them. https://docs.ray.io/en/latest/cluster/kubernetes/references/api.html"""
    jsonschema = pytest.importorskip("jsonschema")
    validate = pytest.importorskip("kubernetes_validate").validate
    cluster, _job = manifests("engines.yaml")
    [service] = manifests("rayservice.yaml")
    jsonschema.validate(cluster, {**MANIFEST, "properties": {**METADATA, "spec": CLUSTER}})
    jsonschema.validate(service, {**MANIFEST, "properties": {**METADATA, "spec": SERVICE}})
    for spec in (cluster["spec"], service["spec"]["rayClusterConfig"]):
        for group in (spec["headGroupSpec"], *spec["workerGroupSpecs"]):
            template = {"apiVersion": "v1", "kind": "PodTemplate", "metadata": {"name": "pod"}}
            validate({**template, "template": group["template"]}, "1.30", strict=True)


def test_the_applications_are_as_serve_has_them() -> None:
    schema = pytest.importorskip("ray.serve.schema")
    [service] = manifests("rayservice.yaml")
    applications = yaml.safe_load(service["spec"]["serveConfigV2"])
    schema.ServeDeploySchema.model_validate(applications)


def test_the_servers_are_as_kubernetes_has_them() -> None:
    validate = pytest.importorskip("kubernetes_validate").validate
    found = manifests("servers.yaml")
    assert {manifest["kind"] for manifest in found} == KINDS
    _cluster, job = manifests("engines.yaml")
    for manifest in [*found, job]:
        validate(manifest, "1.30", strict=True)
