"""Restarts under load: a pod that ends finishes what it has, and none is asked before it can answer."""

import time
from datetime import UTC, datetime
from typing import Any

from support import world as worlds

RESTARTS = 20
RATE = 100


def restart(model: worlds.Model, deployment: str) -> None:
    """Ask for new pods as `kubectl rollout restart` does."""
    stamp = {"kubectl.kubernetes.io/restartedAt": datetime.now(UTC).isoformat()}
    patch = {"spec": {"template": {"metadata": {"annotations": stamp}}}}
    model.world.patch("Deployment", model.namespace, deployment, patch)


def is_rolled(found: dict[str, Any]) -> bool:
    """Whether only new pods are left, all of them available."""
    status, wanted = found["status"], found["spec"]["replicas"]
    counts = [status.get(name, 0) for name in ("replicas", "updatedReplicas", "availableReplicas")]
    return status.get("observedGeneration") == found["metadata"]["generation"] and counts == [wanted] * 3


def test_no_request_is_lost_over_twenty_rolling_restarts(model: worlds.Model) -> None:
    world, namespace = model.world, model.namespace
    model.apply("1.0.0")
    model.wait_stable("1.0.0")
    name = world.find("Deployment", namespace)[0]["metadata"]["name"]
    with model.traffic(rate=RATE, grpc_share=0.5) as replay:
        first = {pod["metadata"]["name"] for pod in model.pods("1.0.0")}
        started = time.monotonic()
        for _ in range(RESTARTS):
            restart(model, name)
            world.wait("the new pods", lambda: world.get("Deployment", namespace, name) or {}, is_rolled, 60)
        took = time.monotonic() - started
        last = {pod["metadata"]["name"] for pod in model.pods("1.0.0")}
        # The last pod that leaves still answers while it drains.
        sent = len(replay.ledger)
        model.wait("the last drain", lambda _: len(replay.ledger) > sent + 8 * RATE)

    total = replay.ledger.total()
    print(f"{RESTARTS} restarts in {took:.0f} s, {len(replay.ledger)} requests, {dict(total.answers)}")
    print("\n".join(worlds.describe_lost(replay.ledger)))
    assert not first & last
    assert total.failed == 0
    assert set(total.answers) == {"1.0.0"}
