"""Restarts under load: a pod that ends finishes what it has, and none is asked before it can answer."""

import contextlib
import time
from dataclasses import dataclass
from datetime import UTC, datetime

from serin.api import names
from support import world as worlds

RESTARTS = 20
RATE = 50


@dataclass
class Restarted:
    """An object in production whose pods are replaced again and again, as `kubectl rollout restart` does."""

    model: worlds.Model
    deployment: str
    left: int = RESTARTS // 2

    def is_rolled(self) -> bool:
        """Whether only new pods are left, all of them available."""
        found = self.model.world.get("Deployment", self.model.namespace, self.deployment) or {}
        status, wanted = found["status"], found["spec"]["replicas"]
        counts = [status.get(name, 0) for name in ("replicas", "updatedReplicas", "availableReplicas")]
        return status.get("observedGeneration") == found["metadata"]["generation"] and counts == [wanted] * 3

    def go_on(self) -> bool:
        """Ask for new pods where the last ones have come; say whether all restarts are over."""
        if not self.is_rolled():
            return False
        if self.left:
            stamp = {"kubectl.kubernetes.io/restartedAt": datetime.now(UTC).isoformat()}
            patch = {"spec": {"template": {"metadata": {"annotations": stamp}}}}
            self.model.world.patch("Deployment", self.model.namespace, self.deployment, patch)
            self.left -= 1
            return False
        return True

    def pods(self) -> set[str]:
        """Name its pods."""
        return {pod["metadata"]["name"] for pod in self.model.pods("1.0.0")}


def test_no_request_is_lost_over_twenty_rolling_restarts(world: worlds.World) -> None:
    """Of two objects at once, at 50 requests/s each."""
    with world.namespace() as namespace, contextlib.ExitStack() as stack:
        models = [worlds.Model(world, namespace, name) for name in ("one", "other")]
        for model in models:
            model.apply("1.0.0")
        restarted = []
        for model in models:
            model.wait_stable("1.0.0", 90)
            deployment = world.find("Deployment", namespace, f"{names.MODELDEPLOYMENT_LABEL}={model.name}")[0]
            restarted.append(Restarted(model, deployment["metadata"]["name"]))
        replays = [stack.enter_context(model.traffic(rate=RATE, grpc_share=0.5)) for model in models]
        first, started = [each.pods() for each in restarted], time.monotonic()
        world.wait("all restarts", lambda: [each.go_on() for each in restarted], all, 180)
        took = time.monotonic() - started
        last = [each.pods() for each in restarted]
        # The last pod that leaves still answers while it drains.
        sent = len(replays[0].ledger)
        models[0].wait("the last drain", lambda _: len(replays[0].ledger) > sent + 8 * RATE)

    ledgers = [replay.ledger for replay in replays]
    print(f"{RESTARTS} restarts in {took:.0f} s, {[len(answers) for answers in ledgers]} requests")
    assert [worlds.describe_lost(answers) for answers in ledgers] == [[], []]
    assert [one & other for one, other in zip(first, last, strict=True)] == [set(), set()]
    assert [set(answers.total().answers) for answers in ledgers] == [{"1.0.0"}, {"1.0.0"}]
    assert [answers.total().failed for answers in ledgers] == [0, 0]
