"""The operator dies at any moment: a rollout goes on where it was, in whole steps, and what was bad stays out.

Lost memory counts as well: a status that is gone or makes no sense is rebuilt from the children, never from the spec.
"""

import contextlib
import functools
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

from serin.api import names
from support import operating, recorder
from support import world as worlds

STEP_SECONDS = 4
STEPS = [*({"weight": w, "duration": f"{STEP_SECONDS}s"} for w in (10, 25, 50)), {"weight": 100}]
QUICK = {"minRequests": 20, "criteria": [{"name": "errorRate", "max": "0.05"}]}

Look = Callable[[worlds.Model, dict[str, Any]], bool]


@dataclass(frozen=True)
class Moment:
    """A moment of a rollout, told by status and children."""

    name: str
    has_come: Look


def _step(weight: int, *, in_place: bool) -> Look:
    def look(_: worlds.Model, status: dict[str, Any]) -> bool:
        further = status["weight"] > weight or status["phase"] == "Production"
        return further or (status["weight"] == weight and bool(status.get("since")) >= in_place)

    return look


def _candidate_has(phase: str) -> Look:
    def look(model: worlds.Model, status: dict[str, Any]) -> bool:
        pods = model.pods("1.1.0")
        return status["weight"] > 0 or any(pod["status"]["phase"] == phase for pod in pods)

    return look


MOMENTS = (
    Moment("the version was just applied", lambda *_: True),
    Moment("its pod is there", _candidate_has("Pending")),
    Moment("its pod runs", _candidate_has("Running")),
    Moment("it is shown mirrored traffic", lambda _, s: s["phase"] not in ("Pending", "Production") or s["weight"] > 0),
    Moment("10 % was decided", _step(10, in_place=False)),
    Moment("10 % is in place", _step(10, in_place=True)),
    Moment("25 % was decided", _step(25, in_place=False)),
    Moment("50 % is in place", _step(50, in_place=True)),
    Moment("100 % was decided", _step(100, in_place=False)),
    Moment("100 % is in place", _step(100, in_place=True)),
)


def test_the_operator_is_killed_at_ten_moments_of_a_rollout(model: worlds.Model) -> None:
    """Beside it an object starts that was restored from Git in the middle of its canary: from its baseline."""
    operator, restored = operating.Operator(model.world), worlds.Model(model.world, model.namespace, "restored")
    strategy = worlds.make_canary(staging={"duration": "3s"}, steps=STEPS, bake=f"{STEP_SECONDS}s")
    model.apply("1.0.0", strategy=strategy, analysis=QUICK)
    model.wait_stable("1.0.0")

    with contextlib.ExitStack() as stack:
        record = stack.enter_context(recorder.Recorder(model))
        replays = [stack.enter_context(model.traffic(rate=50))]
        model.wait("requests", lambda _: len(replays[0].ledger) > 50)
        model.apply("1.1.0")
        also = stack.enter_context(recorder.Recorder(restored))
        baseline = {"version": "1.0.0", "image": model.world.images["1.0.0"]}
        restored.apply("1.1.0", baseline=baseline, strategy=strategy, analysis=QUICK)
        killed_at = set()
        for moment in MOMENTS:
            seen = model.wait(moment.name, functools.partial(moment.has_come, model), 60)
            operator.kill()
            killed_at.add(seen["weight"])
            if len(replays) == 1 and restored.weight("a") == 100:
                assert restored.status()["stable"]["version"] == "1.0.0"
                replays.append(stack.enter_context(restored.traffic(rate=50)))
        model.wait_stable("1.1.0", 90)
        restored.wait_stable("1.1.0", 90)

    assert killed_at == {0, 10, 25, 50, 100}, "it died at every weight"
    assert [worlds.describe_lost(replay.ledger) for replay in replays] == [[], []]
    assert replays[1].ledger.between()[0].version == "1.0.0"
    assert record.route_weights() == [0, 10, 25, 50, 100], record.tell()
    assert also.route_weights() == [0, 10, 25, 50, 100], also.tell()
    shares = [step for step in record.steps() if step.weight]
    assert [step.weight for step in shares] == [10, 25, 50, 100], record.tell()
    for step in shares:
        assert step.duration >= timedelta(seconds=STEP_SECONDS), step
    for weight in (10, 25, 50):
        assert record.shown_seconds(weight) >= STEP_SECONDS
    route = model.world.get("HTTPRoute", restored.namespace, restored.name) or {}
    assert names.WITHDRAWN_ANNOTATION not in route["metadata"]
    model.wait("the old version's pods to go", lambda _: model.pods("1.0.0") == [], 30)


def test_an_operator_killed_in_a_rollback_never_gives_the_bad_version_traffic_again(model: worlds.Model) -> None:
    operator = operating.Operator(model.world)
    steps = [{"weight": 25, "duration": "60s"}, {"weight": 100}]
    model.apply("1.0.0", strategy=worlds.make_canary(steps=steps))
    model.wait_stable("1.0.0")

    with model.traffic(rate=60) as replay, recorder.Recorder(model) as record:
        model.apply("1.2.0")
        model.wait_weight(25)
        model.wait("the route to be taken from it", lambda _: model.weight() == 0, 60)
        operator.kill()
        status = model.wait_phase("RolledBack", seconds=60)
        operator.wait_ready()

    assert record.route_weights() == [0, 25, 0]
    assert status["failure"]["version"] == "1.2.0"
    assert status["stable"]["version"] == "1.0.0"
    assert worlds.describe_lost(replay.ledger, bad={"1.2.0"}) == []


LOST: Any = None
NONSENSE = {"phase": "Production", "weight": 70, "candidate": None, "since": "yesterday", "step": "9/3"}


@pytest.fixture
def models(model: worlds.Model) -> dict[str, worlds.Model]:
    """Give two objects in one namespace with a canary at 25 %."""
    found = {name: worlds.Model(model.world, model.namespace, name) for name in ("lost", "corrupt")}
    # One may reach its 25 % some seconds before the other, and both are to be there when their status is taken away.
    steps = [{"weight": 25, "duration": "12s"}, {"weight": 50, "duration": "4s"}, {"weight": 100}]
    for each in found.values():
        each.apply("1.0.0", strategy=worlds.make_canary(steps=steps, bake="3s"), analysis=QUICK)
    for each in found.values():
        each.wait_stable("1.0.0", 90)
    return found


def test_a_status_that_is_lost_or_corrupt_is_rebuilt_and_promotes_nothing(models: dict[str, worlds.Model]) -> None:
    lost, corrupt = models["lost"], models["corrupt"]
    world, operator = lost.world, operating.Operator(lost.world)
    with lost.traffic(rate=40) as one, corrupt.traffic(rate=40) as other:
        lost.apply("1.1.0")
        corrupt.apply("1.1.0")
        lost.wait_weight(25)
        corrupt.wait_weight(25)
        with recorder.Recorder(lost) as record_lost, recorder.Recorder(corrupt) as record_corrupt:
            operator.kill()
            world.patch("ModelDeployment", lost.namespace, "lost", {"status": LOST}, "status")
            world.patch("ModelDeployment", lost.namespace, "corrupt", {"status": NONSENSE}, "status")
            for model in models.values():
                model.wait_stable("1.1.0", 90)

    assert [*worlds.describe_lost(one.ledger), *worlds.describe_lost(other.ledger)] == []
    for record in (record_lost, record_corrupt):
        assert record.route_weights() == [25, 50, 100]
        rebuilt = [step for step in record.steps() if step.weight]
        assert [step.weight for step in rebuilt] == [25, 50, 100], record.tell()
        assert rebuilt[0].duration >= timedelta(seconds=12)
