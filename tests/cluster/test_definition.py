"""The definition on the real API server: every rule in it refuses something, and the samples are taken."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from serin.api import crd
from serin_demo import api as demo_api
from serin_demo import install
from support import refused
from support import world as worlds

SAMPLES = sorted((install.ROOT / "manifests" / "samples").glob("*.yaml"))
SAME_VERSION = "the same version cannot have another image digest: give the changed image a new version"
SAME_MODEL = "the model cannot change: make an object for the other model"


def list_messages(node: Any) -> set[str]:
    """Collect the sentences of all rules in a schema."""
    if isinstance(node, list):
        return {message for item in node for message in list_messages(item)}
    if not isinstance(node, dict):
        return set()
    own = {rule["message"] for rule in node.get("x-kubernetes-validations", [])}
    return own | {message for value in node.values() for message in list_messages(value)}


def test_every_rule_of_the_definition_is_tried() -> None:
    tried = {case.said for case in refused.RULES.values()} | {SAME_VERSION, SAME_MODEL}

    assert list_messages(crd.make_crd()) == tried


def test_the_same_version_with_another_digest_is_refused(model: worlds.Model) -> None:
    image = "registry.example/tumor:1.0.0@sha256:"
    model.apply("1.0.0", image=image + "1" * 64)

    with pytest.raises(demo_api.ApiError, match=SAME_VERSION):
        model.apply("1.0.0", image=image + "2" * 64)
    model.apply("1.0.1", image=image + "2" * 64)


def test_another_model_in_the_same_object_is_refused(model: worlds.Model) -> None:
    model.apply("1.0.0")

    with pytest.raises(demo_api.ApiError, match=SAME_MODEL):
        model.apply("1.0.0", model="another")


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda path: path.stem)
def test_the_api_server_takes_a_sample(world: worlds.World, sample: Path) -> None:
    with world.namespace() as namespace:
        for made in yaml.safe_load_all(sample.read_text()):
            if made["kind"] != "Namespace":
                world.kubectl("apply", "--dry-run=server", "-f", "-", given=yaml.safe_dump(_move(made, namespace)))


def _move(made: dict[str, Any], namespace: str) -> dict[str, Any]:
    """Move an object to a namespace that there is."""
    return {**made, "metadata": {**made["metadata"], "namespace": namespace}}
