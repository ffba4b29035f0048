"""The spec moves on while a version is being tested: to a third version, or back to the stable one."""

import contextlib
from collections.abc import Iterator

import pytest

from support import recorder
from support import world as worlds

# At 25 % the spec of two of them moves on, and one may be there some seconds before the other.
STEPS = [*({"weight": w, "duration": d} for w, d in ((10, "3s"), (25, "5s"), (50, "3s"))), {"weight": 100}]


@pytest.fixture
def models(world: worlds.World) -> Iterator[dict[str, worlds.Model]]:
    """Give an object for each way in which the spec can move, all with 1.0.0 in production."""
    with world.namespace() as namespace:
        models = {name: worlds.Model(world, namespace, name) for name in ("third", "revert", "late")}
        for model in models.values():
            model.apply("1.0.0", strategy=worlds.make_canary(steps=STEPS, bake="60s"), analysis={"minRequests": 10})
        for model in models.values():
            model.wait_stable("1.0.0", 90)
        yield models


def wait_shown(model: worlds.Model, record: recorder.Recorder, weight: int) -> None:
    """Wait until the recorder, which is told of each change, has seen a weight on the route."""
    model.wait(f"{weight} % on the route", lambda _: weight in record.route_weights())


def test_the_spec_moves_on_in_the_middle_of_a_canary(models: dict[str, worlds.Model]) -> None:
    third, revert, late = models["third"], models["revert"], models["late"]
    with contextlib.ExitStack() as stack:
        # Together 120 requests a second, and at 10 % of 40 the ten that an analysis needs within the step of 3 s.
        replays = {name: stack.enter_context(model.traffic(rate=40)) for name, model in models.items()}
        records = {name: stack.enter_context(recorder.Recorder(model)) for name, model in models.items()}
        for model in models.values():
            model.apply("1.1.0")

        wait_shown(third, records["third"], 25)
        third.apply("1.3.0", image=third.world.images["1.1.0"], strategy=worlds.make_canary(steps=STEPS, bake="3s"))
        wait_shown(revert, records["revert"], 25)
        revert.apply("1.0.0")

        third.wait("1.1.0 to give way", lambda s: s["phase"] == "Superseded" or s["candidate"]["version"] == "1.3.0")
        revert.wait_stable("1.0.0")
        late.wait_phase("Baking", seconds=90)
        wait_shown(late, records["late"], 100)
        late.apply("1.0.0")
        status = late.wait("the end of the rollback", lambda s: s["phase"] in ("RolledBack", "Production"))
        third.wait_stable("1.3.0", 120)

    assert {name: worlds.describe_lost(replay.ledger) for name, replay in replays.items()} == {
        name: [] for name in models
    }
    assert records["third"].route_weights() == [0, 10, 25, 0, 10, 25, 50, 100]
    assert ("Superseded", "version 1.1.0 gives way to 1.3.0") in third.events()
    third.wait_metric("serin_rollouts_total", 1, outcome="superseded")
    assert third.pods("1.1.0") == []
    assert records["revert"].route_weights() == [0, 10, 25, 0]
    assert revert.status().get("failure") is None, "a version that was taken back has not failed"
    assert records["late"].route_weights() == [0, 10, 25, 50, 100, 0]
    assert "RollingBack" in records["late"].phases()
    assert status["stable"]["version"] == "1.0.0"
    assert any(reason == "SpecReverted" for reason, _ in late.events())
