"""The HTTPRoute: its shape stays, only weights move, and the reason for a withdrawal is written in the same patch.

Header filters on backendRefs would let requests fail at each change from or to weight 0, because each backend is then a
cluster of its own at the gateway; so there are none, and the server itself names its version.
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from serin.api import names, v1alpha1
from serin.core.model import Failure, Reason, Slot, State
from serin.core.phases import Phase
from serin.render import children

_GRPC_CONTENT_TYPES = ("application/grpc", "application/grpc+proto")
_WITHDRAWN_PHASES = (Phase.ROLLING_BACK, Phase.ROLLED_BACK, Phase.STOPPED)


def make_prefix(route: v1alpha1.Route, namespace: str, name: str) -> str:
    """Give the path under which the model is reached."""
    return route.path_prefix or f"/{namespace}/{name}"


def make_route(owner: Mapping[str, Any], spec: v1alpha1.Spec, state: State, mirror_percent: int) -> children.Object:
    """Make the object's route for a state."""
    metadata = children.make_metadata(owner, owner["metadata"]["name"])
    if state.failure and state.phase in _WITHDRAWN_PHASES:
        metadata["annotations"] = {names.WITHDRAWN_ANNOTATION: _write_failure(state.failure)}
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": metadata,
        "spec": {
            "parentRefs": [_make_parent(owner, spec)],
            **({"hostnames": list(spec.route.hostnames)} if spec.route.hostnames else {}),
            "rules": _make_rules(owner, spec, state, mirror_percent),
        },
    }


def _make_parent(owner: Mapping[str, Any], spec: v1alpha1.Spec) -> children.Object:
    gateway = spec.route.gateway
    return {
        "group": "gateway.networking.k8s.io",
        "kind": "Gateway",
        "name": gateway.name,
        "namespace": gateway.namespace or owner["metadata"]["namespace"],
        **({"sectionName": gateway.section_name} if gateway.section_name else {}),
    }


def _make_rules(
    owner: Mapping[str, Any], spec: v1alpha1.Spec, state: State, mirror_percent: int
) -> list[children.Object]:
    name, namespace = owner["metadata"]["name"], owner["metadata"]["namespace"]
    prefix = make_prefix(spec.route, namespace, name)
    rewrite = {"type": "URLRewrite", "urlRewrite": {"path": {"type": "ReplacePrefixMatch", "replacePrefixMatch": "/"}}}
    path = {"type": "PathPrefix", "value": prefix}
    return [
        {
            "matches": [_make_grpc_match(content_type, prefix) for content_type in _GRPC_CONTENT_TYPES],
            **_make_filters([], name, state, names.GRPC_PORT, mirror_percent),
            "backendRefs": _make_backends(name, state, names.GRPC_PORT),
        },
        {
            "matches": [{"path": path}],
            **_make_filters([rewrite] if prefix != "/" else [], name, state, names.HTTP_PORT, mirror_percent),
            "backendRefs": _make_backends(name, state, names.HTTP_PORT),
        },
    ]


def _make_grpc_match(content_type: str, prefix: str) -> children.Object:
    """Match gRPC by content type, and by the metadata that names the model unless the object owns its hosts."""
    headers = [{"type": "Exact", "name": "content-type", "value": content_type}]
    if prefix != "/":
        headers.append({"type": "Exact", "name": names.MODEL_METADATA, "value": prefix.lstrip("/")})
    return {"path": {"type": "PathPrefix", "value": "/"}, "headers": headers}


def _make_filters(
    filters: list[children.Object], name: str, state: State, port: int, mirror_percent: int
) -> children.Object:
    if state.mirrors and state.candidate:
        backend = _make_backend(name, state.candidate.slot, port)
        mirror = {"type": "RequestMirror", "requestMirror": {"backendRef": backend, "percent": mirror_percent}}
        filters = [*filters, mirror]
    return {"filters": filters} if filters else {}


def _make_backend(name: str, slot: Slot, port: int) -> children.Object:
    return {"group": "", "kind": "Service", "name": names.slot_service(name, slot), "port": port}


def _make_backends(name: str, state: State, port: int) -> list[children.Object]:
    weights = state.weights()
    return [{**_make_backend(name, slot, port), "weight": weights[slot]} for slot in Slot]


def read_weights(route: Mapping[str, Any], name: str) -> dict[Slot, int]:
    """Read the weights that a route has; empty when its rules differ or name other backends."""
    found = [_read_rule(rule, name) for rule in route.get("spec", {}).get("rules", [])]
    return found[0] if found and all(weights == found[0] for weights in found) else {}


def _read_rule(rule: Mapping[str, Any], name: str) -> dict[Slot, int]:
    slots = {names.slot_service(name, slot): slot for slot in Slot}
    backends = rule.get("backendRefs", [])
    if any(backend["name"] not in slots for backend in backends):
        return {}
    return {slots[backend["name"]]: backend.get("weight", 1) for backend in backends}


def read_mirror(route: Mapping[str, Any], name: str) -> Slot | None:
    """Read which slot is mirrored to."""
    for rule in route.get("spec", {}).get("rules", []):
        for item in rule.get("filters", []):
            backend = item.get("requestMirror", {}).get("backendRef", {}).get("name")
            for slot in Slot:
                if backend == names.slot_service(name, slot):
                    return slot
    return None


def _write_failure(failure: Failure) -> str:
    return json.dumps(
        {
            "revision": failure.revision,
            "version": failure.version,
            "reason": failure.reason,
            "message": failure.message,
            "alert": failure.alert,
            "at": failure.at.isoformat(),
            "numbers": dict(failure.numbers),
        }
    )


def read_withdrawn(route: Mapping[str, Any]) -> Failure | None:
    """Read the withdrawal that the route's annotation tells of; what cannot be read tells nothing."""
    text = route.get("metadata", {}).get("annotations", {}).get(names.WITHDRAWN_ANNOTATION)
    if not text:
        return None
    try:
        found = json.loads(text)
        return Failure(
            found["revision"],
            found["version"],
            Reason(found["reason"]),
            found["message"],
            datetime.fromisoformat(found["at"]).astimezone(UTC),
            found.get("alert", ""),
            found.get("numbers", {}),
        )
    except (ValueError, KeyError, TypeError):
        return None
