"""What others do to an object's children is undone and counted; what happens to pods is answered."""

import json
import time
from typing import Any

from serin.api import names
from support import recorder
from support import world as worlds

HOLDING = [{"weight": 25, "duration": "10m"}, {"weight": 100}]
PUT_BACK_SECONDS = 5
# A new weight is with the gateway's proxy after 10 to 60 ms.
SETTLE_SECONDS = 0.5


def edit_route(model: worlds.Model, stable: int, candidate: int) -> None:
    """Give the slots other weights by hand, in both rules."""
    route = model.world.get("HTTPRoute", model.namespace, model.name)
    assert route is not None
    for rule in route["spec"]["rules"]:
        for backend in rule["backendRefs"]:
            backend["weight"] = candidate if backend["name"].endswith("-b") else stable
    model.world.patch("HTTPRoute", model.namespace, model.name, {"spec": {"rules": route["spec"]["rules"]}})


def deployment_of(model: worlds.Model, version: str) -> str:
    """Name the Deployment of a version."""
    selector = f"serin.dev/modeldeployment={model.name},serin.dev/version={version}"
    return str(model.world.find("Deployment", model.namespace, selector)[0]["metadata"]["name"])


def read(model: worlds.Model, kind: str, name: str, *path: str | int) -> Any:
    """Read a field of an object; None where there is none."""
    found: Any = model.world.get(kind, model.namespace, name)
    for part in path:
        if found is None or (isinstance(part, str) and part not in found):
            return None
        found = found[part]
    return found


def test_what_others_change_in_the_middle_of_a_canary_is_put_back(model: worlds.Model) -> None:
    world, namespace = model.world, model.namespace
    model.apply("1.0.0", strategy=worlds.make_canary(steps=HOLDING))
    model.wait_stable("1.0.0")
    with model.traffic(rate=30) as replay:
        model.apply("1.1.0")
        revision = model.wait_weight(25)["stable"]["revision"]
        stable = deployment_of(model, "1.0.0")
        image = ("spec", "template", "spec", "containers", 0, "image")
        wanted, uid = read(model, "Deployment", stable, *image), read(model, "Deployment", stable, "metadata", "uid")

        edit_route(model, stable=25, candidate=75)
        model.wait("the route to be put back", lambda _: model.route_weights() == {"a": 75, "b": 25}, PUT_BACK_SECONDS)
        model.wait_metric("serin_foreign_writes_total", 1, kind="HTTPRoute")

        world.patch("Deployment", namespace, stable, {"spec": {"replicas": 3}})
        model.wait("three pods to be one", lambda _: read(model, "Deployment", stable, "spec", "replicas") == 1, 5)

        containers = {"spec": {"containers": [{"name": "server", "image": "registry.invalid/tumor:9"}]}}
        edit = json.dumps({"spec": {"template": containers}})
        world.kubectl("-n", namespace, "patch", "deployment", stable, "-p", edit)
        model.wait("the image to be put back", lambda _: read(model, "Deployment", stable, *image) == wanted, 5)

        world.patch("Service", namespace, f"{model.name}-a", {"spec": {"selector": {names.REVISION_LABEL: "other"}}})
        selected = ("spec", "selector", names.REVISION_LABEL)
        model.wait("the selector", lambda _: read(model, "Service", f"{model.name}-a", *selected) == revision, 5)
        model.wait_metric("serin_foreign_writes_total", 2, kind="Deployment")
        model.wait_metric("serin_foreign_writes_total", 1, kind="Service")

    assert [answer for answer in replay.ledger.lost() if answer.version == "1.0.0"] == []
    world.delete("Deployment", namespace, stable)
    model.wait("a new Deployment", lambda _: read(model, "Deployment", stable, "metadata", "uid") not in (None, uid))
    model.wait("its pod", lambda _: bool(model.pods("1.0.0")) and model.condition("Ready")["status"] == "True")


def test_a_candidate_that_loses_all_its_pods_gives_its_traffic_back(model: worlds.Model) -> None:
    model.apply("1.0.0", strategy=worlds.make_canary(steps=HOLDING))
    model.wait_stable("1.0.0")
    with model.traffic(rate=100) as replay, recorder.Recorder(model) as record:
        model.apply("1.1.0")
        model.wait_weight(25)
        model.wait("answers of the candidate", lambda _: replay.ledger.first_answer("1.1.0") is not None)
        killed = time.time()
        for pod in model.pods("1.1.0"):
            model.world.delete("Pod", model.namespace, pod["metadata"]["name"], grace=0)
        status = model.wait_phase("RolledBack", "RollingBack")
        model.wait("the route to be given back", lambda _: model.weight() == 0)
        after, given_back = len(replay.ledger), time.time()
        model.wait("more requests", lambda _: len(replay.ledger) > after + 200)

    assert status["failure"]["reason"] == "CandidateLost"
    assert "no pod of version 1.1.0 is ready any more" in status["failure"]["message"]
    # In two steps, because the gateway lays the route out anew when the pods go: see decision 10.
    assert record.route_weights() == [0, 25, 1, 0]
    lost = replay.ledger.lost()
    print(f"{len(lost)} requests were lost since the candidate's pods ended at {worlds.clock(killed)}")
    print("\n".join(worlds.describe_lost(replay.ledger)))
    assert [answer for answer in lost if answer.version == "1.0.0"] == []
    assert [answer for answer in lost if answer.finished < killed] == []
    back = [answer for answer in replay.ledger.between() if answer.sent > given_back + SETTLE_SECONDS]
    assert {(answer.version, answer.failed) for answer in back} == {("1.0.0", False)}
