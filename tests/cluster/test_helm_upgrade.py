"""Helm upgrades Serin in the middle of a canary: the definition is renewed, the operator replaced, the canary goes on."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from serin.api import names
from serin_demo import install
from support import operating, recorder
from support import world as worlds

DEFINITION = f"{names.PLURAL}.{names.GROUP}"
STEP_SECONDS = 4
STEPS = [*({"weight": w, "duration": f"{STEP_SECONDS}s"} for w in (10, 25, 50)), {"weight": 100}]


def upgrade(world: worlds.World, chart: Path, **changes: Any) -> None:
    """Upgrade the release to a chart, with some values changed."""
    values = {**install.make_values(world.where, world.parts), **changes}
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        yaml.safe_dump(values, file)
        file.flush()
        world.helm("upgrade", install.RELEASE, str(chart), "--values", file.name, "--wait", "--timeout", "90s")


def columns(world: worlds.World) -> list[str]:
    """List the columns that the definition gives to kubectl."""
    jsonpath = "jsonpath={.spec.versions[0].additionalPrinterColumns[*].name}"
    return world.kubectl("get", "crd", DEFINITION, "-o", jsonpath).split()


@pytest.fixture
def older(world: worlds.World, tmp_path: Path) -> Iterator[list[str]]:
    """Install an older chart, whose definition lacks a column; give the columns of the present one."""
    present = columns(world)
    chart = tmp_path / "serin"
    shutil.copytree(install.CHART, chart)
    crd = chart / "files" / "crd.yaml"
    made = yaml.safe_load(crd.read_text())
    version = made["spec"]["versions"][0]
    version["additionalPrinterColumns"] = [c for c in version["additionalPrinterColumns"] if c["name"] != "Verdict"]
    crd.write_text(yaml.safe_dump(made))
    upgrade(world, chart)
    yield present
    if columns(world) != present:
        upgrade(world, install.CHART)


def test_helm_upgrades_in_the_middle_of_a_canary(model: worlds.Model, older: list[str]) -> None:
    world, operator = model.world, operating.Operator(model.world)
    assert "Verdict" in older
    assert "Verdict" not in columns(world)
    before = operator.wait_ready()["metadata"]["name"]
    model.apply("1.0.0", strategy=worlds.make_canary(steps=STEPS), analysis={"minRequests": 20})
    model.wait_stable("1.0.0")

    with model.traffic(rate=60) as replay, recorder.Recorder(model) as record:
        model.apply("1.1.0")
        model.wait_weight(10)
        upgrade(world, install.CHART, alertPollSeconds=0.4)
        model.wait_stable("1.1.0", 90)

    assert operator.wait_ready()["metadata"]["name"] != before
    assert columns(world) == older
    environment = operator.wait_ready()["spec"]["containers"][0]["env"]
    assert {"name": "SERIN_ALERT_POLL_SECONDS", "value": "0.4"} in environment
    assert worlds.describe_lost(replay.ledger) == []
    assert record.route_weights() == [0, 10, 25, 50, 100]
    assert model.status()["phase"] == "Production"
    assert all(step.duration.total_seconds() >= STEP_SECONDS for step in record.steps() if step.phase == "Canary")
