"""What KubeRay takes: ``RayCluster`` and ``RayService`` of ``ray.io/v1`` as JSON schemas.

Its own schemas are made of its Go types, and come in no package; these are written after the same
types (``raycluster_types.go`` and ``rayservice_types.go`` of ``ray-operator/apis/ray/v1``, KubeRay
1.6), field by field, but for status. Pods, services and the like are Kubernetes' own, by reference
into ``kubernetes-validate``, as they are there. What older versions of KubeRay want (1.2 to 1.5:
``rayStartParams``) is wanted here.
"""

from __future__ import annotations

import json
from importlib import resources
from typing import Any

KUBERNETES = "1.30"
_DEFINITIONS = "/api/_definitions.json"

_TEXT, _SWITCH = {"type": "string"}, {"type": "boolean"}
_INT32 = {"type": "integer", "minimum": -(2**31), "maximum": 2**31 - 1}
_NAMED = {"type": "object", "additionalProperties": _TEXT}


def _kubernetes(name: str) -> dict[str, Any]:
    return {"$ref": f"{_DEFINITIONS}#/$defs/io.k8s.{name}"}


def _one_of(*values: str) -> dict[str, Any]:
    return {"type": "string", "enum": list(values)}


def _list(of: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": of}


def _object(*required: str, **fields: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": fields,
        "required": list(required),
        "additionalProperties": False,
    }


_TEXTS = _list(_TEXT)
_VARIABLES = _list(_kubernetes("api.core.v1.EnvVar"))
_RESOURCES = _kubernetes("api.core.v1.ResourceRequirements")
_PULL = _one_of("Always", "IfNotPresent", "Never")
_CREDENTIAL = _object(value=_TEXT, valueFrom=_kubernetes("api.core.v1.EnvVarSource"))
_RULES = {
    "ingressRules": _list(_kubernetes("api.networking.v1.NetworkPolicyIngressRule")),
    "egressRules": _list(_kubernetes("api.networking.v1.NetworkPolicyEgressRule")),
}

_GROUP = {
    "template": _kubernetes("api.core.v1.PodTemplateSpec"),
    "rayStartParams": _NAMED,
    "resources": _NAMED,
    "labels": _NAMED,
}
_HEAD = _object(
    "template",
    "rayStartParams",
    **_GROUP,
    headService=_kubernetes("api.core.v1.Service"),
    serviceType=_one_of("ClusterIP", "NodePort", "LoadBalancer", "ExternalName"),
    enableIngress=_SWITCH,
    ingressOptions=_object(
        host=_TEXT,
        path=_TEXT,
        pathType=_one_of("Exact", "Prefix", "ImplementationSpecific"),
        tls=_list(_kubernetes("api.networking.v1.IngressTLS")),
    ),
)
_WORKERS = _object(
    "groupName",
    "minReplicas",
    "maxReplicas",
    "template",
    "rayStartParams",
    **_GROUP,
    groupName=_TEXT,
    suspend=_SWITCH,
    replicas=_INT32,
    minReplicas=_INT32,
    maxReplicas=_INT32,
    idleTimeoutSeconds=_INT32,
    priority=_INT32,
    numOfHosts=_INT32,
    scaleStrategy=_object(workersToDelete=_TEXTS),
)
_AUTOSCALER = _object(
    resources=_RESOURCES,
    image=_TEXT,
    imagePullPolicy=_PULL,
    securityContext=_kubernetes("api.core.v1.SecurityContext"),
    idleTimeoutSeconds=_INT32,
    upscalingMode=_one_of("Default", "Aggressive", "Conservative"),
    version=_one_of("v1", "v2"),
    env=_VARIABLES,
    envFrom=_list(_kubernetes("api.core.v1.EnvFromSource")),
    volumeMounts=_list(_kubernetes("api.core.v1.VolumeMount")),
    command=_TEXTS,
    args=_TEXTS,
)
_KEPT = _object(
    backend=_one_of("redis", "rocksdb"),
    redisAddress=_TEXT,
    redisUsername=_CREDENTIAL,
    redisPassword=_CREDENTIAL,
    externalStorageNamespace=_TEXT,
    storage=_object(
        claimName=_TEXT,
        size=_kubernetes("apimachinery.pkg.api.resource.Quantity"),
        storageClassName=_TEXT,
        accessModes=_TEXTS,
        subPath=_TEXT,
        deletionPolicy=_one_of("DeleteWithCluster", "Retain"),
    ),
)
_CLUSTER = _object(
    "headGroupSpec",
    headGroupSpec=_HEAD,
    workerGroupSpecs=_list(_WORKERS),
    rayVersion=_TEXT,
    upgradeStrategy=_object(type=_one_of("Recreate", "None")),
    authOptions=_object(
        mode=_one_of("disabled", "token"), secretName=_TEXT, enableK8sTokenAuth=_SWITCH
    ),
    suspend=_SWITCH,
    managedBy=_one_of("ray.io/kuberay-operator", "kueue.x-k8s.io/multikueue"),
    autoscalerOptions=_AUTOSCALER,
    enableInTreeAutoscaling=_SWITCH,
    headServiceAnnotations=_NAMED,
    gcsFaultToleranceOptions=_KEPT,
    historyServerOptions=_object(
        collectorOptions=_object(
            image=_TEXT, imagePullPolicy=_PULL, resources=_RESOURCES, env=_VARIABLES
        )
    ),
    networkPolicy=_object(
        mode=_one_of("DenyAll", "DenyAllIngress", "DenyAllEgress"),
        head=_object(**_RULES),
        worker=_object(**_RULES),
        workerGroups=_list(_object("groupName", groupName=_TEXT, **_RULES)),
    ),
    tlsOptions=_object(enabled=_SWITCH),
)
_SERVICE = _object(
    "rayClusterConfig",
    rayClusterConfig=_CLUSTER,
    serveConfigV2=_TEXT,
    serveService=_kubernetes("api.core.v1.Service"),
    upgradeStrategy=_object(
        type=_one_of("NewCluster", "NewClusterWithIncrementalUpgrade", "None"),
        clusterUpgradeOptions=_object(
            "stepSizePercent",
            "intervalSeconds",
            "gatewayClassName",
            maxSurgePercent=_INT32,
            stepSizePercent=_INT32,
            intervalSeconds=_INT32,
            gatewayClassName=_TEXT,
        ),
    ),
    rayClusterDeletionDelaySeconds={**_INT32, "minimum": 0},
    serviceUnhealthySecondThreshold=_INT32,
    deploymentUnhealthySecondThreshold=_INT32,
    excludeHeadPodFromServeSvc=_SWITCH,
)
_SPECS = {"RayCluster": _CLUSTER, "RayService": _SERVICE}


def validate(manifest: dict[str, Any]) -> None:
    """Raise ``jsonschema.ValidationError`` unless KubeRay takes `manifest`, a parsed document."""
    from jsonschema import Draft202012Validator
    from referencing import Registry, Resource
    from referencing.jsonschema import DRAFT202012

    kind = manifest["kind"]
    folder = resources.files("kubernetes_validate") / "kubernetes-json-schema"
    written = (folder / f"v{KUBERNETES}.0-local-strict/_definitions.json").read_text("utf-8")
    definitions: Any = Resource.from_contents(
        json.loads(written), default_specification=DRAFT202012
    )
    schema = _object(
        "apiVersion",
        "kind",
        "metadata",
        "spec",
        apiVersion={"const": "ray.io/v1"},
        kind={"const": kind},
        metadata=_kubernetes("apimachinery.pkg.apis.meta.v1.ObjectMeta"),
        spec=_SPECS[kind],
    )
    registry: Any = Registry().with_resource(_DEFINITIONS, definitions)
    Draft202012Validator(schema, registry=registry).validate(manifest)
