"""What is asked of a cluster and what comes back: the values between the registry's records and whoever talks to it."""

import dataclasses
import enum
import uuid
from collections.abc import Mapping
from typing import Any, Protocol

from serin_services.registry.core.access import Operation


class Verb(enum.StrEnum):
    """What a person may ask the operator for."""

    PROMOTE = "promote"
    PAUSE = "pause"
    RESUME = "resume"
    ROLLBACK = "rollback"
    RETRY = "retry"
    STOP = "stop"


# Whoever may deploy may hold a rollout and let it go on; only promote gives traffic that no evidence has earned.
OPERATIONS: Mapping[Verb, Operation] = {
    Verb.PROMOTE: Operation.PROMOTE,
    Verb.PAUSE: Operation.ROLL_BACK,
    Verb.RESUME: Operation.DEPLOY,
    Verb.ROLLBACK: Operation.ROLL_BACK,
    Verb.RETRY: Operation.DEPLOY,
    Verb.STOP: Operation.STOP,
}
# Those that lead a version towards production.
FORWARD = frozenset({Verb.PROMOTE, Verb.RESUME, Verb.RETRY})


@dataclasses.dataclass(frozen=True)
class Order:
    """A version that is to be deployed, where, for whom, and with which settings of the ModelDeployment."""

    tenant: str
    by: str
    model: str
    model_id: uuid.UUID
    version: str
    image: str
    namespace: str
    name: str
    spec: Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class Placed:
    """The ModelDeployment that an order made or changed."""

    namespace: str
    name: str
    uid: str
    generation: int
    created: bool


@dataclasses.dataclass(frozen=True)
class Asked:
    """A request that was written and awaits the operator's answer."""

    namespace: str
    name: str
    verb: Verb
    id: str


@dataclasses.dataclass(frozen=True)
class Refused:
    """An object that could not be asked, and why."""

    namespace: str
    name: str
    message: str


@dataclasses.dataclass(frozen=True)
class Answer:
    """What became of a request: settled or still open; `accepted` is None where it was never looked at."""

    settled: bool
    accepted: bool | None
    message: str


class Cluster(Protocol):
    """What the registry's records need of a cluster."""

    def deploy(self, order: Order) -> Placed:
        """Make or change the ModelDeployment of an order."""

    def ask(self, namespace: str, name: str, uid: str, verb: Verb, request: str, by: str) -> Asked:
        """Write a request on an object."""

    def answer(self, asked: Asked, wait_seconds: float) -> Answer:
        """Give the operator's answer to a request, waiting for it so long."""

    def stop(self, tenant: str, namespace: str, request: str, by: str) -> list[Asked | Refused]:
        """Ask every rollout of a tenant to stop, in one namespace or in all."""
