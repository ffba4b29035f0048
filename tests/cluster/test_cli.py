"""The command line against the real cluster and operator: what people ask happens, and what lint refuses is refused."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from serin_local.cluster import Cluster
from support import refused
from support import world as worlds

SERIN = str(Path(sys.executable).with_name("serin"))
SLOW_STEPS = [{"weight": 25, "duration": "10m"}, {"weight": 100}]


def serin(*words: str, code: int = 0) -> str:
    """Run the command as a user does; give what it says."""
    command = [SERIN, *words, "--kubeconfig", str(Cluster().kubeconfig)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout if code == 0 else done.stderr


def test_a_rollout_is_led_by_hand(model: worlds.Model) -> None:
    where = ("-n", model.namespace)
    model.apply("1.0.0", strategy=worlds.make_canary(steps=SLOW_STEPS, bake="10m"))
    assert "1.0.0" in serin("wait", model.name, *where, "--for", "ready", "--timeout", "60s")
    assert "retry has nothing to do in phase Production" in serin("retry", model.name, *where, code=1)

    model.apply("1.1.0")
    serin("wait", model.name, *where, "--for", "phase=Canary", "--timeout", "60s")
    model.wait_weight(25)
    assert "paused at 25 %" in serin("pause", model.name, *where)
    shown = serin("status", model.name, *where)
    assert "● Paused" in shown
    assert "intended █████░░░░░░░░░░░░░░░ 25 %" in shown
    assert "1/1 pods ready" in shown
    assert "▶ 25 % for 10m" in shown
    document = json.loads(serin("status", model.name, *where, "-o", "json"))
    assert {pod["ready"] for pod in document["pods"]} == {True}
    assert "Paused" in [event["reason"] for event in document["events"]]
    assert "resumed" in serin("resume", model.name, *where)
    assert "promoted by request" in serin("promote", model.name, *where)
    assert "has all traffic" in serin("wait", model.name, *where, "--for", "promoted", "--timeout", "60s")
    assert json.loads(serin("get", model.name, *where, "-o", "json"))["status"]["phase"] == "Baking"


def test_a_rollback_by_hand_fails_the_pipeline_that_waits(model: worlds.Model) -> None:
    where = ("-n", model.namespace)
    model.apply("1.0.0", strategy=worlds.make_canary(steps=SLOW_STEPS))
    model.wait_stable("1.0.0")
    model.apply("1.1.0")
    model.wait_weight(25)

    waiting = subprocess.Popen(
        [SERIN, "wait", model.name, *where, "--timeout", "60s", "--kubeconfig", str(Cluster().kubeconfig)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    serin("rollback", model.name, *where)
    _, said = waiting.communicate(timeout=60)

    assert waiting.returncode == 1
    assert "rolled back: version 1.1.0, RollbackRequested" in said
    serin("wait", model.name, *where, "--for", "rolled-back", "--timeout", "60s")
    assert "RolledBack" in serin("get", *where)


def test_all_of_a_namespace_are_stopped(model: worlds.Model) -> None:
    model.apply("1.0.0")
    model.wait_stable("1.0.0")

    assert f"{model.namespace}/{model.name}: stopped" in serin("stop", "--all", "-n", model.namespace, "--yes")
    assert model.status()["phase"] == "Stopped"
    assert "resumed" in serin("resume", model.name, "-n", model.namespace)


def test_no_such_object_and_what_was_perhaps_meant(model: worlds.Model) -> None:
    model.apply("1.0.0")

    assert f"did you mean {model.name}?" in serin("status", f"{model.name}x", "-n", model.namespace, code=1)


def dry_run(made: dict[str, Any]) -> subprocess.CompletedProcess[str]:
    """Have the API server judge an object without storing it, as `kubectl apply` does."""
    cluster = Cluster()
    command = [str(cluster.binaries.kubectl), "--kubeconfig", str(cluster.kubeconfig), "apply", "--dry-run=server"]
    text = json.dumps(made)
    return subprocess.run([*command, "-f", "-"], input=text, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.usefixtures("world")
def test_what_lint_lets_pass_the_api_server_takes() -> None:
    done = dry_run(refused.GOOD)

    assert done.returncode == 0, done.stderr


@pytest.mark.usefixtures("world")
@pytest.mark.parametrize("case", refused.RULES.values(), ids=refused.RULES)
def test_a_rule_that_lint_knows_is_the_api_server_s_with_the_same_words(case: refused.Refused) -> None:
    done = dry_run(case.make())

    assert done.returncode == 1
    assert case.said in done.stderr


@pytest.mark.usefixtures("world")
@pytest.mark.parametrize("case", refused.TYPES.values(), ids=refused.TYPES)
def test_a_type_that_lint_refuses_the_api_server_refuses(case: refused.Refused) -> None:
    assert dry_run(case.make()).returncode == 1
