"""Versions that cannot start: each says why by its deadline, in words for people, while stable serves untouched."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from support import corrupt
from support import world as worlds


@dataclass(frozen=True)
class Unable:
    """A version that cannot start, the reason that must be given, and a piece of the sentence."""

    reason: str
    said: str
    image: str = ""
    version: str = "1.1.1"
    server: dict[str, Any] = field(default_factory=dict)

    def apply(self, model: worlds.Model) -> None:
        image = model.world.images.get(self.image, self.image) or model.world.images["1.1.0"]
        template = {"spec": {"containers": [{"name": "server", **self.server}]}} if self.server else {}
        model.apply(self.version, image=image, template=template)


CASES = {
    "no-image": Unable("ImagePullFailed", "registry.invalid/tumor:9", image="registry.invalid/tumor:9"),
    # Truncated, another digest, a pickle, other features: each package is refused in words before a parser reads it.
    **{name: Unable("ModelLoadFailed", one.reason, image=name) for name, one in corrupt.CORRUPTIONS.items()},
    "crash": Unable(
        "CrashLoop",
        "out of luck",
        server={"command": ["/opt/venv/bin/python", "-c", "raise SystemExit('out of luck')"]},
    ),
    "too-big": Unable("Unschedulable", "Insufficient cpu", server={"resources": {"requests": {"cpu": "1000"}}}),
    "privileged": Unable(
        "PodRefused",
        "violates PodSecurity",
        server={"securityContext": {"privileged": True, "allowPrivilegeEscalation": True}},
    ),
}


@dataclass(frozen=True)
class Ending:
    """How the attempt of one object ended."""

    status: dict[str, Any]
    conditions: dict[str, dict[str, Any]]
    events: list[tuple[str, str]]
    weights: dict[str, int]
    answers: dict[str | None, int] = field(default_factory=dict)
    lost: list[str] = field(default_factory=list)


def read_ending(model: worlds.Model, status: dict[str, Any]) -> Ending:
    conditions = {c["type"]: c for c in status["conditions"]}
    return Ending(status, conditions, model.events(), model.route_weights())


@pytest.fixture(scope="module")
def endings(world: worlds.World) -> Iterator[dict[str, Ending]]:
    """Try all of them at once, each beside a stable version under traffic."""
    with world.namespace() as namespace, contextlib.ExitStack() as stack:
        models = {name: worlds.Model(world, namespace, name) for name in CASES}
        for model in models.values():
            model.apply("1.0.0", progressDeadline="20s")
        for model in models.values():
            model.wait_stable("1.0.0", 90)
        replays = {name: stack.enter_context(model.traffic(rate=15)) for name, model in models.items()}
        for name, case in CASES.items():
            case.apply(models[name])
        ended = {name: read_ending(model, model.wait_phase("RolledBack", seconds=90)) for name, model in models.items()}
        ledgers = {name: replay.ledger for name, replay in replays.items()}
        yield {
            name: replace(end, answers=dict(ledgers[name].total().answers), lost=worlds.describe_lost(ledgers[name]))
            for name, end in ended.items()
        }


@pytest.mark.parametrize("name", CASES)
def test_a_version_that_cannot_start_says_why(endings: dict[str, Ending], name: str) -> None:
    case, ending = CASES[name], endings[name]

    assert ending.status["failure"]["reason"] == case.reason
    assert case.said in ending.status["failure"]["message"]
    assert "not ready within 0:00:20" in ending.status["failure"]["message"]
    assert (ending.conditions["Stalled"]["status"], ending.conditions["Stalled"]["reason"]) == ("True", case.reason)
    assert case.said in ending.conditions["RolledBack"]["message"]
    assert any(reason == case.reason and case.said in note for reason, note in ending.events)


@pytest.mark.parametrize("name", CASES)
def test_a_version_that_cannot_start_leaves_stable_untouched(endings: dict[str, Ending], name: str) -> None:
    ending = endings[name]

    assert ending.weights == {"a": 100, "b": 0}
    assert (ending.status["stable"]["version"], ending.conditions["Ready"]["status"]) == ("1.0.0", "True")
    assert ending.lost == []
    assert set(ending.answers) == {"1.0.0"}
    assert ending.answers["1.0.0"] > 100


def test_a_missing_gateway_is_named_and_the_object_recovers_once_it_is_corrected(model: worlds.Model) -> None:
    gateway = model.world.where.gateway
    model.apply("1.0.0", route={"gateway": {"namespace": gateway.namespace, "name": "nowhere"}}, progressDeadline="5s")
    status = model.wait("the missing gateway", lambda s: _condition(s, "Stalled")["status"] == "True", 60)

    assert _condition(status, "Ready")["reason"] == "GatewayMissing"
    assert f"there is no Gateway nowhere in namespace {gateway.namespace}" in status["message"]

    model.apply("1.0.0", route={"gateway": {"namespace": gateway.namespace, "name": gateway.name}})
    model.wait_stable("1.0.0")
    assert model.condition("Stalled")["status"] == "False"


def _condition(status: dict[str, Any], kind: str) -> dict[str, Any]:
    return next((c for c in status.get("conditions", []) if c["type"] == kind), {"status": "", "reason": ""})
