"""What people ask for by annotation is done or refused once, with an answer; two objects on a path; a scaled object."""

from typing import Any

from support import world as worlds

HOLDING = [{"weight": 25, "duration": "10m"}, {"weight": 100}]


def asked(model: worlds.Model, verb: str) -> dict[str, Any]:
    """Ask, and give the answer."""
    identity = model.ask(verb)
    status = model.wait(f"an answer to {verb}", lambda s: (s.get("request") or {}).get("id") == identity, 30)
    answer: dict[str, Any] = status["request"]
    assert answer["verb"] == verb
    return answer


def test_requests_are_carried_out_or_refused_with_an_answer(model: worlds.Model) -> None:
    model.apply("1.0.0", strategy=worlds.make_canary(steps=HOLDING, bake="10m"))
    model.wait_stable("1.0.0")
    unknown = asked(model, "dance")
    assert not unknown["accepted"]
    assert "'dance' is not a request; known are promote, pause, resume, rollback, retry, stop" in unknown["message"]
    assert not asked(model, "resume")["accepted"]

    with model.traffic(rate=50) as replay:
        model.apply("1.1.0")
        model.wait_weight(25)
        assert asked(model, "pause")["accepted"]
        assert model.status()["phase"] == "Paused"
        assert model.weight() == 25
        assert asked(model, "resume")["accepted"]
        assert model.status()["phase"] == "Canary"
        assert asked(model, "promote")["accepted"]
        model.wait("all traffic", lambda _: model.weight() == 100)
        assert asked(model, "stop")["accepted"]
        model.wait("the stable version to have the traffic back", lambda _: model.weight() == 0)
        assert model.status()["phase"] == "Stopped"
        stopped = model.wait("the drain", lambda s: s.get("leaving") is None)
        assert stopped["stable"]["version"] == "1.0.0"
        assert asked(model, "resume")["accepted"]
        model.wait_weight(25)

    assert worlds.describe_lost(replay.ledger) == []


def test_the_later_of_two_objects_on_a_path_is_told_of_the_conflict(world: worlds.World) -> None:
    with world.namespace() as namespace:
        route = {"gateway": vars(world.where.gateway), "pathPrefix": f"/{namespace}/shared"}
        first, second = (worlds.Model(world, namespace, name, {"route": route}) for name in ("b-first", "a-second"))
        first.apply("1.0.0")
        first.wait_stable("1.0.0")
        second.apply("1.0.0")
        second.wait("the conflict", lambda _: second.condition("RouteConflict").get("status") == "True")

        message = second.condition("RouteConflict")["message"]
        assert f"{namespace}/b-first is older and has the same path /{namespace}/shared" in message
        assert second.condition("Stalled")["status"] == "True"
        assert world.get("HTTPRoute", namespace, "a-second") is None
        assert first.condition("RouteConflict")["status"] == "False"

        world.delete("ModelDeployment", namespace, "b-first")
        second.wait_stable("1.0.0")


def test_an_object_is_scaled_by_its_scale_subresource(model: worlds.Model) -> None:
    model.apply("1.0.0")
    model.wait_stable("1.0.0")

    model.world.kubectl("-n", model.namespace, "scale", f"mdep/{model.name}", "--replicas=2")
    model.wait("two pods", lambda s: s["replicas"] == 2)
    assert len(model.pods("1.0.0")) == 2
    assert model.condition("Ready")["message"] == "2 of 2 pods of version 1.0.0 serve"
