"""The objects that belong to a ModelDeployment: records, Deployments, Services; the route has a module of its own."""

from collections.abc import Mapping
from typing import Any

from serin.api import names
from serin.core.model import Slot, Target
from serin.render import merging

Object = dict[str, Any]


def make_owner(owner: Mapping[str, Any]) -> Object:
    """Refer to the owner, so that its deletion takes everything along without any finalizer of ours."""
    return {
        "apiVersion": names.API_VERSION,
        "kind": names.KIND,
        "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"],
        "controller": True,
        "blockOwnerDeletion": False,
    }


def make_labels(name: str, target: Target | None = None) -> dict[str, str]:
    """Give the labels that children and pods bear."""
    labels = {names.MANAGED_BY_LABEL: names.MANAGER, names.MODELDEPLOYMENT_LABEL: name}
    if target:
        labels |= {names.REVISION_LABEL: target.revision, names.VERSION_LABEL: target.version}
    return labels


def make_metadata(owner: Mapping[str, Any], name: str, target: Target | None = None) -> Object:
    """Give a child's metadata."""
    return {
        "name": name,
        "namespace": owner["metadata"]["namespace"],
        "labels": make_labels(owner["metadata"]["name"], target),
        "ownerReferences": [make_owner(owner)],
    }


def make_record(
    owner: Mapping[str, Any], target: Target, model: str, template: Mapping[str, Any], number: int
) -> Object:
    """Make the record of a revision: what its Deployment is made from, also after the spec has moved on."""
    name = names.revision_object(owner["metadata"]["name"], target.revision)
    return {
        "apiVersion": "apps/v1",
        "kind": "ControllerRevision",
        "metadata": make_metadata(owner, name, target),
        "revision": number,
        "data": {"model": model, "version": target.version, "image": target.image, "template": dict(template)},
    }


def make_service(owner: Mapping[str, Any], slot: Slot, revision: str) -> Object:
    """Make a slot's Service, which selects one revision's pods."""
    name = owner["metadata"]["name"]
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": make_metadata(owner, names.slot_service(name, slot)),
        "spec": {
            "type": "ClusterIP",
            "selector": {names.MODELDEPLOYMENT_LABEL: name, names.REVISION_LABEL: revision},
            "ports": [
                {
                    "name": names.HTTP_PORT_NAME,
                    "port": names.HTTP_PORT,
                    "protocol": "TCP",
                    "targetPort": names.HTTP_PORT_NAME,
                },
                {
                    "name": names.GRPC_PORT_NAME,
                    "port": names.GRPC_PORT,
                    "protocol": "TCP",
                    "targetPort": names.GRPC_PORT_NAME,
                    "appProtocol": "kubernetes.io/h2c",
                },
            ],
        },
    }


def make_deployment(owner: Mapping[str, Any], target: Target, template: Mapping[str, Any], replicas: int) -> Object:
    """Make a revision's Deployment: our pod with the user's settings merged over it, our labels last."""
    name = owner["metadata"]["name"]
    metadata = merging.merge(template.get("metadata") or {}, {"labels": make_labels(name, target)})
    identity = {names.MODELDEPLOYMENT_LABEL: name, names.REVISION_LABEL: target.revision}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": make_metadata(owner, names.revision_object(name, target.revision), target),
        "spec": {
            "replicas": replicas,
            "revisionHistoryLimit": 0,
            "selector": {"matchLabels": identity},
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
            "template": {
                "metadata": metadata,
                "spec": merging.merge(make_pod_spec(target.image), template.get("spec") or {}),
            },
        },
    }


def make_pod_spec(image: str) -> Object:
    """Make the pod of a model server; it fits the restricted pod security profile."""
    return {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": 30,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": names.SERVER_UID,
            "runAsGroup": names.SERVER_UID,
            "fsGroup": names.SERVER_UID,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [
            {
                "name": names.SERVER_CONTAINER,
                "image": image,
                "ports": [
                    {"name": names.HTTP_PORT_NAME, "containerPort": names.HTTP_PORT, "protocol": "TCP"},
                    {"name": names.GRPC_PORT_NAME, "containerPort": names.GRPC_PORT, "protocol": "TCP"},
                    {"name": names.METRICS_PORT_NAME, "containerPort": names.METRICS_PORT, "protocol": "TCP"},
                ],
                "securityContext": {
                    "allowPrivilegeEscalation": False,
                    "readOnlyRootFilesystem": True,
                    "capabilities": {"drop": ["ALL"]},
                },
                # A model may take its time to load; once it has, a pod that is not ready is out within 3 s.
                "startupProbe": _make_probe("/readyz", period=1, failures=600),
                "readinessProbe": _make_probe("/readyz", period=1, failures=3),
                "livenessProbe": _make_probe("/livez", period=10, failures=3),
                "terminationMessagePolicy": "FallbackToLogsOnError",
                "resources": {"requests": {"cpu": "50m", "memory": "128Mi"}},
                "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],  # noqa: S108 - the container's own
            }
        ],
        "volumes": [{"name": "tmp", "emptyDir": {}}],
    }


def _make_probe(path: str, period: int, failures: int) -> Object:
    return {
        "httpGet": {"path": path, "port": names.HTTP_PORT_NAME},
        "periodSeconds": period,
        "timeoutSeconds": 2,
        "failureThreshold": failures,
    }
