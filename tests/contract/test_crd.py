"""The CustomResourceDefinition: structural, described, bounded where CEL looks, and with the promised columns."""

import re
from collections.abc import Iterator
from typing import Any

import pytest

from serin.api import crd, v1alpha1

CRD = crd.make_crd()
[VERSION] = CRD["spec"]["versions"]
SCHEMA = VERSION["schema"]["openAPIV3Schema"]

Node = dict[str, Any]


def walk(node: Node, path: str = "") -> Iterator[tuple[str, Node]]:
    """Give every schema with its path."""
    yield path or ".", node
    for name, child in node.get("properties", {}).items():
        yield from walk(child, f"{path}.{name}")
    if "items" in node:
        yield from walk(node["items"], f"{path}[]")
    if isinstance(node.get("additionalProperties"), dict):
        yield from walk(node["additionalProperties"], f"{path}{{}}")


NODES = dict(walk(SCHEMA))
SPEC = {path: node for path, node in NODES.items() if path.startswith(".spec")}


def nodes(found: dict[str, Node]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("path", found, ids=str)


@nodes(NODES)
def test_a_schema_is_structural(path: str) -> None:
    """https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#specifying-a-structural-schema"""
    node = NODES[path]
    assert not {"$ref", "$defs", "anyOf", "oneOf", "allOf", "not", "const", "title", "nullable"} & set(node)
    assert node.get("type") in {"object", "array", "string", "integer", "boolean", "number"}
    if node.get("additionalProperties") is not None:
        assert "properties" not in node


def test_no_field_is_null_by_default() -> None:
    def values(node: Any) -> Iterator[Any]:
        yield node
        for child in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
            yield from values(child)

    assert None not in list(values(CRD))


@nodes({path: node for path, node in NODES.items() if "[]" not in path[-2:] and "{}" not in path[-2:]})
def test_every_field_is_described(path: str) -> None:
    if path in (".apiVersion", ".kind", ".metadata"):
        return  # the API server describes these itself
    assert NODES[path].get("description", "").strip(), path


@pytest.mark.parametrize(
    ("path", "keys"),
    [(".spec.analysis.criteria", ["name"]), (".spec.analysis.queries", ["name"]), (".status.conditions", ["type"])],
)
def test_lists_by_name_are_maps_so_that_two_may_own_their_entries(path: str, keys: list[str]) -> None:
    node = NODES[path]
    assert (node["x-kubernetes-list-type"], node["x-kubernetes-list-map-keys"]) == ("map", keys)
    assert set(keys) <= set(node["items"]["required"])


@nodes({path: node for path, node in SPEC.items() if node["type"] == "array"})
def test_every_list_of_the_spec_is_bounded(path: str) -> None:
    """CEL's cost is estimated from the bounds; without one a rule is refused."""
    assert SPEC[path]["maxItems"] <= 20


@nodes({path: node for path, node in SPEC.items() if node["type"] == "string" and "enum" not in node})
def test_every_string_of_the_spec_is_bounded(path: str) -> None:
    assert SPEC[path]["maxLength"] <= 2048


@nodes({path: node for path, node in SPEC.items() if node["type"] == "integer"})
def test_every_number_of_the_spec_is_bounded(path: str) -> None:
    assert {"minimum", "maximum"} <= set(SPEC[path])


@nodes({path: node for path, node in SPEC.items() if "pattern" in node})
def test_a_pattern_binds_the_whole_text(path: str) -> None:
    assert re.fullmatch(r"\^.*\$", SPEC[path]["pattern"])


@nodes({path: node for path, node in NODES.items() if "x-kubernetes-validations" in node})
def test_a_rule_says_what_is_wrong_in_a_sentence(path: str) -> None:
    for rule in NODES[path]["x-kubernetes-validations"]:
        assert len(rule["message"].split()) >= 4
        assert "\n" not in rule["rule"]


def test_little_is_required() -> None:
    assert NODES["."]["required"] == ["spec"]
    assert set(NODES[".spec"]["required"]) == {"model", "version", "image", "route"}
    assert NODES[".spec.route"]["required"] == ["gateway"]


def test_the_defaults_of_the_schema_are_those_of_the_types() -> None:
    least = v1alpha1.Spec.model_validate(
        {"model": "m", "version": "1", "image": "i", "route": {"gateway": {"name": "g"}}}
    ).model_dump(by_alias=True)
    for name, node in NODES[".spec"]["properties"].items():
        if "default" in node:
            assert node["default"] == least[name] or {**least[name], **node["default"]} == least[name]


def test_kubectl_get_shows_the_rollout() -> None:
    columns = VERSION["additionalPrinterColumns"]
    shown = [column["name"] for column in columns if not column.get("priority")]
    assert shown == ["Ready", "Phase", "Version", "Stable", "Step", "Weight", "Verdict", "Age"]
    for column in columns:
        assert column["type"] in {"string", "integer", "date"}
        assert column["jsonPath"].startswith((".status", ".spec", ".metadata"))


@pytest.mark.parametrize("column", VERSION["additionalPrinterColumns"], ids=lambda column: column["name"])
def test_a_column_shows_a_field_that_is_there(column: dict[str, str]) -> None:
    path = column["jsonPath"].partition("[?")[0]
    if path == ".metadata.creationTimestamp":
        return
    node = NODES[path]
    assert column["type"] == ("string" if node["type"] == "array" else node["type"])


def test_scale_counts_the_pods_of_the_version_that_serves() -> None:
    scale = VERSION["subresources"]["scale"]
    assert scale == {
        "specReplicasPath": ".spec.replicas",
        "statusReplicasPath": ".status.replicas",
        "labelSelectorPath": ".status.selector",
    }
    assert {scale[key] for key in scale} <= set(NODES)


def test_names() -> None:
    names = CRD["spec"]["names"]
    assert CRD["metadata"]["name"] == "modeldeployments.serving.serin.dev"
    assert (names["kind"], names["plural"], names["singular"]) == (
        "ModelDeployment",
        "modeldeployments",
        "modeldeployment",
    )
    assert names["shortNames"] == ["mdep"]
    assert set(names["categories"]) >= {"serin"}
    assert (CRD["spec"]["scope"], VERSION["name"], VERSION["storage"]) == ("Namespaced", "v1alpha1", True)


def test_free_form_fields_keep_what_is_written_in_them() -> None:
    for path in (".spec.template.metadata", ".spec.template.spec"):
        assert NODES[path]["x-kubernetes-preserve-unknown-fields"] is True
