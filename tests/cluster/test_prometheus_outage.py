"""Prometheus is gone for a while: nothing is promoted, nothing is blamed, people are still obeyed, and it goes on."""

import contextlib
from collections.abc import Iterator
from typing import Any

from serin_demo import api
from serin_local import plan
from support import recorder
from support import world as worlds

QUICK = {"minRequests": 20, "criteria": [{"name": "errorRate", "max": "0.05"}]}
STEP_SECONDS = 4
# A look that is under way may wait for Prometheus until it gives up, after 5 s; the next one does not ask it.
OBEYED_SECONDS = 8


def scale_prometheus(world: worlds.World, replicas: int) -> None:
    world.patch("Prometheus", plan.MONITORING_NAMESPACE, "prometheus", {"spec": {"replicas": replicas}})


def answers(world: worlds.World) -> bool:
    try:
        return bool(world.query("vector(1)"))
    except api.ApiError:
        return False


def says_so(status: dict[str, Any]) -> bool:
    """Tell whether the status says that nothing can be measured."""
    return any(c["type"] == "AnalysisAvailable" and c["status"] == "False" for c in status["conditions"])


def where_is(model: worlds.Model) -> tuple[int, str]:
    """Give the candidate's weight on the route, and the phase."""
    return model.weight(), model.status()["phase"]


@contextlib.contextmanager
def outage(world: worlds.World) -> Iterator[None]:
    """Take Prometheus away, and bring it back whatever happens."""
    scale_prometheus(world, 0)
    try:
        world.wait("Prometheus to be gone", lambda: answers(world), lambda there: not there)
        yield
    finally:
        scale_prometheus(world, 1)
        world.wait("Prometheus to be back", lambda: answers(world), bool, 90)


def test_an_outage_of_prometheus_holds_and_never_promotes(world: worlds.World) -> None:
    steps = [*({"weight": w, "duration": f"{STEP_SECONDS}s"} for w in (25, 50)), {"weight": 100}]
    with world.namespace() as namespace, contextlib.ExitStack() as stack:
        waits, asked = (worlds.Model(world, namespace, name) for name in ("waits", "asked"))
        for model in (waits, asked):
            model.apply("1.0.0", strategy=worlds.make_canary(steps=steps, bake="3s"), analysis=QUICK)
        for model in (waits, asked):
            model.wait_stable("1.0.0", 90)
        replays = [stack.enter_context(model.traffic(rate=40)) for model in (waits, asked)]
        record = stack.enter_context(recorder.Recorder(waits))
        for model in (waits, asked):
            model.apply("1.1.0")
            model.wait_phase("Canary")
        with outage(world):
            for model in (waits, asked):
                model.wait("the condition that says so", says_so, 30)
            waits.wait("the step's time to be over", lambda s: "holding" in s["message"], 60)
            asked.ask("rollback")
            asked.wait("its traffic to be taken back", lambda _: asked.weight() == 0, OBEYED_SECONDS)
            # Not sooner: what was measured before the outage may still have let it take a step.
            before = where_is(waits)
            assert before[1] == "Canary"
            world.hold("the weight", lambda: where_is(waits), lambda now: now == before, 2 * STEP_SECONDS)
            assert waits.condition("AnalysisAvailable")["reason"] == "AnalysisUnavailable"
            assert waits.condition("Ready")["status"] == "True"
        waits.wait_stable("1.1.0", 90)
        asked.wait_phase("RolledBack", seconds=60)

    assert [worlds.describe_lost(replay.ledger) for replay in replays] == [[], []]
    assert record.route_weights() == [0, 25, 50, 100]
