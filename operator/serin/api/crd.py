"""The CustomResourceDefinition, generated from the types, so that code and cluster cannot disagree."""

import copy
from typing import Any

from serin.api import names
from serin.api.status import Status
from serin.api.v1alpha1 import OBJECT_RULES, SPEC_RULES, Model, Spec

# What `kubectl get mdep` shows; priority 1 only with -o wide.
COLUMNS: tuple[tuple[str, str, str, int], ...] = (
    ("Ready", "string", '.status.conditions[?(@.type=="Ready")].status', 0),
    ("Phase", "string", ".status.phase", 0),
    ("Version", "string", ".spec.version", 0),
    ("Stable", "string", ".status.stable.version", 0),
    ("Step", "string", ".status.step", 0),
    ("Weight", "integer", ".status.weight", 0),
    ("Verdict", "string", ".status.verdict", 0),
    ("Message", "string", ".status.message", 1),
    ("Age", "date", ".metadata.creationTimestamp", 0),
)


def make_crd() -> dict[str, Any]:
    """Make the CRD: structural schema, rules, printer columns and the scale subresource."""
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{names.PLURAL}.{names.GROUP}"},
        "spec": {
            "group": names.GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": names.KIND,
                "listKind": f"{names.KIND}List",
                "plural": names.PLURAL,
                "singular": names.KIND.lower(),
                "shortNames": [names.SHORT_NAME],
                "categories": ["all", "serin"],
            },
            "versions": [_make_version()],
        },
    }


def _make_version() -> dict[str, Any]:
    columns = [
        {"name": name, "type": kind, "jsonPath": path, **({"priority": priority} if priority else {})}
        for name, kind, path, priority in COLUMNS
    ]
    return {
        "name": names.VERSION,
        "served": True,
        "storage": True,
        "subresources": {
            "status": {},
            "scale": {
                "specReplicasPath": ".spec.replicas",
                "statusReplicasPath": ".status.replicas",
                "labelSelectorPath": ".status.selector",
            },
        },
        "additionalPrinterColumns": columns,
        "schema": {"openAPIV3Schema": _make_schema()},
    }


def _make_schema() -> dict[str, Any]:
    return {
        "type": "object",
        "description": "A model in production, and the version that should take over as fast as the evidence allows.",
        "required": ["spec"],
        **OBJECT_RULES,
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"type": "object"},
            "spec": {**make_structural(Spec), **SPEC_RULES},
            "status": make_structural(Status),
        },
    }


def make_structural(model: type[Model]) -> dict[str, Any]:
    """Turn a type's JSON schema into a structural one (Kubernetes: no $ref, no anyOf with null, no titles)."""
    schema = model.model_json_schema(by_alias=True, mode="validation")
    definitions = schema.pop("$defs", {})
    structural: dict[str, Any] = _flatten(schema, definitions)
    return structural


_DROPPED = ("title", "additionalProperties", "const")


def _flatten(node: Any, definitions: dict[str, Any]) -> Any:  # noqa: ANN401 - a JSON schema is any JSON
    if isinstance(node, list):
        return [_flatten(item, definitions) for item in node]
    if not isinstance(node, dict):
        return node
    node = _resolve(copy.deepcopy(node), definitions)
    flat = {key: value for key, value in node.items() if key not in _DROPPED}
    if "const" in node:
        flat["enum"] = [node["const"]]
    if isinstance(node.get("additionalProperties"), dict) and node["additionalProperties"]:
        flat["additionalProperties"] = node["additionalProperties"]
    return {
        key: {name: _flatten(prop, definitions) for name, prop in value.items()}
        if key == "properties"
        else value
        if key == "default"
        else _flatten(value, definitions)
        for key, value in flat.items()
        if not (key == "default" and value is None)
    }


def _resolve(node: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    """Put a referenced type in place, and a type or null becomes the type, because absent is how Kubernetes says null."""
    for option in node.pop("anyOf", []):
        if option.get("type") != "null":
            node = {**option, **node}
    reference = node.pop("$ref", None)
    if reference is None:
        return node
    return _resolve({**definitions[reference.rpartition("/")[2]], **node}, definitions)
