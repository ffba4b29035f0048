"""The three acts of the demo, as data: what is deployed, how it must end, and how to tell.

Durations are of seconds, because the evidence of seconds is enough at the demo's rate: at 10 % of 100 requests a
second a version answers 30 requests, which the rollback rule needs at least, in three seconds.
"""

import enum
from dataclasses import dataclass
from typing import Any

from serin_demo import snapshot

NAMESPACE = "demo"
NAME = "tumor"
# A limit on the share of failed requests that a fifth of them exceeds beyond doubt after 30.
MAX_ERROR_RATE = "0.05"
# The rollback rule judges from 30 requests on; the operator's own criterion later, so that the alert comes first.
_MIN_REQUESTS = 100


class Ending(enum.StrEnum):
    """How an act ends."""

    PROMOTED = "promoted"
    ROLLED_BACK = "rolled back"


@dataclass(frozen=True)
class Act:
    """One version that is deployed, and what becomes of it."""

    version: str
    title: str
    told: str
    """One sentence for the person who watches."""
    ending: Ending
    staged: bool = True
    """Whether it is shown mirrored traffic first."""


ACTS = (
    Act(
        "1.0.0",
        "The first version goes into service",
        "There is nothing to compare it with, so it takes all traffic as soon as it is ready.",
        Ending.PROMOTED,
    ),
    Act(
        "1.1.0",
        "A better version takes over, step by step",
        "It sees mirrored traffic first, then real requests; each step must pass before the next.",
        Ending.PROMOTED,
    ),
    Act(
        "1.2.0",
        "A bad version is rolled back",
        "The model is good, but its image fails every fifth request. It skips staging, which would already "
        "have caught it, so that clients meet it.",
        Ending.ROLLED_BACK,
        staged=False,
    ),
)

# Where the registry has the versions when all acts have ended as they should.
STAGES = {"1.0.0": "ARCHIVED", "1.1.0": "PRODUCTION", "1.2.0": "DRAFT"}
BAD_VERSIONS = frozenset(act.version for act in ACTS if act.ending is Ending.ROLLED_BACK)


@dataclass(frozen=True)
class Tempo:
    """How long the parts of a rollout take, in seconds."""

    staging: int = 10
    step: int = 10
    first_step: int = 12
    bake: int = 10
    act_deadline: int = 180
    """An act that has not ended by then has failed."""


USUAL = Tempo()
FAST = Tempo(staging=5, step=6, first_step=8, bake=5)


@dataclass(frozen=True)
class Gateway:
    """The Gateway object that the models' routes attach to."""

    namespace: str
    name: str


def make_namespace() -> dict[str, Any]:
    """Make the namespace, in which nothing may run but what the strictest pod security allows."""
    labels = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn")}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE, "labels": labels}}


def make_spec(act: Act, gateway: Gateway, tempo: Tempo) -> dict[str, Any]:
    """Make the settings with which this act's version is deployed; the acts differ in staging alone."""
    return {
        "route": {"gateway": {"namespace": gateway.namespace, "name": gateway.name}},
        "strategy": {"type": "Canary", "canary": _make_canary(act, tempo)},
        "progressDeadline": "2m",
        "failedRetention": "10m",
        "analysis": {
            "minRequests": _MIN_REQUESTS,
            "criteria": [
                {"name": "errorRate", "max": MAX_ERROR_RATE},
                {"name": "latencyP95", "max": "1s"},
            ],
        },
    }


def _make_canary(act: Act, tempo: Tempo) -> dict[str, Any]:
    steps = [
        {"weight": 10, "duration": f"{tempo.first_step}s"},
        {"weight": 25, "duration": f"{tempo.step}s"},
        {"weight": 50, "duration": f"{tempo.step}s"},
        {"weight": 100},
    ]
    staging = {"duration": f"{tempo.staging if act.staged else 0}s", "mirrorPercent": 100}
    return {"staging": staging, "steps": steps, "bake": f"{tempo.bake}s"}


def has_ended(act: Act, seen: snapshot.Snapshot) -> Ending | None:
    """Tell how the act ended, or None while it goes on; the answer is wrong for the act when it is not its ending."""
    if not seen.settled:
        return None
    if seen.phase == "Production" and seen.stable == act.version and seen.ready:
        return Ending.PROMOTED
    if seen.phase == "RolledBack" and seen.failure and seen.failure.version == act.version:
        return Ending.ROLLED_BACK
    return None
