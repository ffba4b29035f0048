"""Add-ons: manifests that are complete, and readiness that an earlier cluster cannot feign."""

import pathlib
import string
from typing import Any

import pytest
import yaml

from serin_local import addons, images, plan, versions

PINS = versions.load()
VARIABLES = addons.make_variables(PINS, images.make_system_images(PINS))
FILES = sorted(addons.MANIFESTS.glob("*.yaml"))
NOW, BEFORE = "2026-01-01T10:00:00Z", "2026-01-01T09:59:59Z"


def pod(ready: str = "True", started: tuple[str, ...] = (NOW,)) -> dict[str, Any]:
    states = [{"state": {"running": {"startedAt": time}} if time else {"waiting": {}}} for time in started]
    conditions = [{"type": "Ready", "status": ready}]
    return {"metadata": {"name": "p"}, "status": {"conditions": conditions, "containerStatuses": states}}


@pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.name} is filled in completely")
def test_manifest(file: pathlib.Path) -> None:
    text = addons.fill(file.read_text(), VARIABLES)

    assert "${" not in text
    assert [item for item in yaml.safe_load_all(text) if item]


def test_every_variable_is_used() -> None:
    names = {name for file in FILES for name in string.Template(file.read_text()).get_identifiers()}

    # The chart's own template takes the gateway's image.
    assert set(VARIABLES) - names == {"gateway_image"}


def test_prometheus_looks_every_second_at_every_namespace() -> None:
    items = list(yaml.safe_load_all(addons.fill((addons.MANIFESTS / "monitoring.yaml").read_text(), VARIABLES)))
    spec = next(item["spec"] for item in items if item["kind"] == "Prometheus")

    assert (spec["scrapeInterval"], spec["evaluationInterval"]) == ("1s", "1s")
    assert all(spec[name] == {} for name in spec if name.endswith("Selector"))
    assert {"serviceMonitorSelector", "podMonitorSelector", "ruleSelector"} <= set(spec)


def test_alertmanager_passes_alerts_on_at_once() -> None:
    items = list(yaml.safe_load_all(addons.fill((addons.MANIFESTS / "monitoring.yaml").read_text(), VARIABLES)))
    secret = next(item for item in items if item["kind"] == "Secret")
    spec = next(item["spec"] for item in items if item["kind"] == "Alertmanager")

    assert yaml.safe_load(secret["stringData"]["alertmanager.yaml"])["route"]["group_wait"] == "0s"
    assert spec["alertmanagerConfigMatcherStrategy"] == {"type": "None"}


def test_the_only_proxy_is_not_taken_away_for_one_late_answer() -> None:
    items = list(yaml.safe_load_all(addons.fill((addons.MANIFESTS / "gateway.yaml").read_text(), VARIABLES)))
    proxy = next(item["spec"] for item in items if item["kind"] == "EnvoyProxy")
    patched = proxy["provider"]["kubernetes"]["envoyDeployment"]["patch"]["value"]["spec"]["template"]["spec"]
    probe = next(each for each in patched["containers"] if each["name"] == "envoy")["readinessProbe"]

    assert probe["timeoutSeconds"] * probe["failureThreshold"] >= 10


def test_the_gateway_is_the_one_that_others_name() -> None:
    items = list(yaml.safe_load_all(addons.fill((addons.MANIFESTS / "gateway.yaml").read_text(), VARIABLES)))
    gateway = next(item for item in items if item["kind"] == "Gateway")

    assert gateway["metadata"] == {"name": plan.GATEWAY_NAME, "namespace": plan.GATEWAY_NAMESPACE}
    assert gateway["spec"]["listeners"][0]["allowedRoutes"] == {"namespaces": {"from": "All"}}


def test_descriptions_go_but_properties_of_that_name_stay() -> None:
    schema = {"description": "text", "properties": {"description": {"type": "string", "description": "text"}}}

    assert addons.without_descriptions({"items": [schema]}) == {
        "items": [{"properties": {"description": {"type": "string"}}}]
    }


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        pytest.param(pod(), True, id="ready, and its container started with this cluster"),
        pytest.param(pod(started=(BEFORE,)), False, id="ready, says an earlier cluster"),
        pytest.param(pod(started=(NOW, BEFORE)), False, id="one container is of an earlier cluster"),
        pytest.param(pod(ready="False"), False, id="not ready"),
        pytest.param(pod(started=("",)), False, id="a container that waits"),
        pytest.param(pod(started=()), False, id="no container yet"),
        pytest.param({"metadata": {"name": "p"}}, False, id="no status yet"),
    ],
)
def test_fresh_pods(item: dict[str, Any], expected: bool) -> None:
    assert addons.is_fresh(item, NOW) is expected


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        pytest.param({"conditions": [{"type": "Ready", "status": "True"}]}, True, id="true"),
        pytest.param({"conditions": [{"type": "Ready", "status": "False"}]}, False, id="false"),
        pytest.param({"conditions": [{"type": "Other", "status": "True"}]}, False, id="only another one is true"),
        pytest.param(
            {"conditions": [{"type": "Ready", "status": "True", "observedGeneration": 1}]}, False, id="of an older spec"
        ),
        pytest.param({}, False, id="no conditions yet"),
    ],
)
def test_conditions(status: dict[str, Any], expected: bool) -> None:
    assert addons.is_true({"metadata": {"generation": 2}, "status": status}, "Ready") is expected


def test_an_object_that_is_not_there_has_no_true_condition() -> None:
    assert not addons.is_true(None, "Ready")


@pytest.mark.parametrize(
    "status",
    [{}, {"status": {}}, {"status": {"conditions": None}}, {"status": {"conditions": []}}],
    ids=["no status", "an empty status", "conditions that are null", "no conditions"],
)
def test_an_object_that_nobody_has_looked_at_yet_is_not_ready(status: dict[str, Any]) -> None:
    assert not addons.is_true({"metadata": {}, **status}, "Established")
