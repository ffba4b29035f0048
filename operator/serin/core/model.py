"""The values that decisions are made of; all frozen, so that a decision cannot change what it was given."""

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from serin.core.evidence import Assessment, Verdict
from serin.core.phases import Phase


class Slot(enum.StrEnum):
    """One of the two Services that an object has for as long as it lives; revisions alternate between them."""

    A = "a"
    B = "b"

    @property
    def other(self) -> "Slot":
        """The slot that this one is not."""
        return Slot.B if self is Slot.A else Slot.A


class Reason(enum.StrEnum):
    """Why something is as it is: the reason of conditions, events, metrics and log lines alike."""

    STARTING = "Starting"
    WAITING_FOR_PODS = "WaitingForPods"
    WAITING_FOR_DURATION = "WaitingForDuration"
    WAITING_FOR_ROUTE = "WaitingForRoute"
    WAITING_FOR_EVIDENCE = "WaitingForEvidence"
    WAITING_FOR_TRAFFIC = "WaitingForTraffic"
    WAITING_FOR_CAPACITY = "WaitingForCapacity"
    WAITING_FOR_DRAIN = "WaitingForDrain"
    WAITING_FOR_SAMPLES = "WaitingForSamples"
    WAITING_FOR_STABLE = "WaitingForStable"
    ANALYSIS_UNAVAILABLE = "AnalysisUnavailable"
    MIRRORING = "Mirroring"
    STEP_REACHED = "StepReached"
    FULL_WEIGHT = "FullWeight"
    PROMOTED = "Promoted"
    SUPERSEDED = "Superseded"
    PAUSED = "Paused"
    RESUMED = "Resumed"
    STOPPED = "Stopped"
    RETRIED = "Retried"
    SPEC_REVERTED = "SpecReverted"
    ALERT = "AlertFiring"
    CRITERION_FAILED = "CriterionFailed"
    CANDIDATE_LOST = "CandidateLost"
    REQUESTED = "RollbackRequested"
    REQUEST_REFUSED = "RequestRefused"
    DEADLINE_EXCEEDED = "ProgressDeadlineExceeded"
    IMAGE_PULL_FAILED = "ImagePullFailed"
    CRASH_LOOP = "CrashLoop"
    MODEL_LOAD_FAILED = "ModelLoadFailed"
    UNSCHEDULABLE = "Unschedulable"
    POD_REFUSED = "PodRefused"
    GATEWAY_MISSING = "GatewayMissing"
    ROUTE_NOT_ACCEPTED = "RouteNotAccepted"
    ROUTE_CONFLICT = "RouteConflict"
    VERSION_REUSED = "VersionReused"
    DRAINED = "Drained"


class Verb(enum.StrEnum):
    """What a person may ask for."""

    PROMOTE = "promote"
    PAUSE = "pause"
    RESUME = "resume"
    ROLLBACK = "rollback"
    RETRY = "retry"
    STOP = "stop"


@dataclass(frozen=True)
class Target:
    """What the spec wants in production; `revision` hashes the image and the pod template."""

    revision: str
    version: str
    image: str


@dataclass(frozen=True)
class Revision:
    """One version as it runs: its record and Deployment bear `revision`, its Service is the slot's."""

    revision: str
    version: str
    image: str
    slot: Slot

    @property
    def target(self) -> Target:
        """What of it the spec can name."""
        return Target(self.revision, self.version, self.image)


@dataclass(frozen=True)
class Step:
    """A share of the traffic in percent, and how long the candidate holds it at least."""

    weight: int
    duration: timedelta = timedelta()


@dataclass(frozen=True)
class Plan:
    """How a candidate reaches production."""

    steps: tuple[Step, ...] = (Step(100),)
    staging: timedelta = timedelta()
    mirror_percent: int = 100
    bake: timedelta = timedelta()
    progress_deadline: timedelta = timedelta(minutes=10)
    failed_retention: timedelta = timedelta(hours=1)


@dataclass(frozen=True)
class Failure:
    """Why a version lost its traffic, with what was measured then."""

    revision: str
    version: str
    reason: Reason
    message: str
    at: datetime
    alert: str = ""
    numbers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Retained:
    """A failed revision whose pods stay for inspection until a time."""

    revision: Revision
    until: datetime


@dataclass(frozen=True)
class Handled:
    """A person's request that was carried out or refused; its id makes sure that it happens once."""

    id: str
    verb: str
    accepted: bool
    message: str
    at: datetime


@dataclass(frozen=True)
class State:
    """All that is remembered between two decisions; it is stored in the object's status.

    `weight` is the candidate's intended share in percent and says how far the steps are done. `started` is when this
    attempt began, `entered` when the phase did, and `since` when its weights were first seen on the route, None until
    then: a step's time counts from there. `leaving` sits in a slot, at weight 0 as soon as there is another version
    to take its traffic, until its drain is verified. `resume` is the phase that a pause interrupted.
    """

    phase: Phase
    stable: Revision | None = None
    candidate: Revision | None = None
    leaving: Revision | None = None
    retained: tuple[Retained, ...] = ()
    weight: int = 0
    started: datetime | None = None
    entered: datetime | None = None
    since: datetime | None = None
    resume: Phase | None = None
    paused_at: datetime | None = None
    failure: Failure | None = None
    request: Handled | None = None
    attempt: int = 1

    @property
    def testing(self) -> Phase:
        """The phase, looked at through a pause."""
        return self.resume if self.phase is Phase.PAUSED and self.resume else self.phase

    @property
    def mirrors(self) -> bool:
        """Whether the candidate is shown mirrored traffic."""
        return self.testing is Phase.STAGING

    def weights(self) -> dict[Slot, int]:
        """The route's weights; they sum to 100, or to 0 while no version has ever been ready."""
        if self.stable is None:
            return {Slot.A: 0, Slot.B: 0}
        return {self.stable.slot: 100 - self.weight, self.stable.slot.other: self.weight}


@dataclass(frozen=True)
class Pods:
    """A revision's pods: how many are wanted, ready, and in the slot's endpoints; and what keeps the rest from it."""

    wanted: int = 1
    ready: int = 0
    endpoints: int = 0
    problem: Reason | None = None
    message: str = ""

    @property
    def serving(self) -> bool:
        """Whether a request sent there would find a pod."""
        return self.endpoints > 0

    @property
    def full(self) -> bool:
        """Whether all wanted pods are ready and known to the gateway."""
        return self.ready >= self.wanted and self.endpoints >= self.wanted > 0


@dataclass(frozen=True)
class Route:
    """The route as the cluster has it.

    `withdrawn` was written in the same patch that took a version's traffic, so that it is known after a crash between
    that patch and the status. `problem` is a missing gateway, a refused route or a conflict.
    """

    weights: Mapping[Slot, int] = field(default_factory=dict)
    mirror: Slot | None = None
    accepted: bool = False
    withdrawn: Failure | None = None
    problem: Reason | None = None
    message: str = ""


@dataclass(frozen=True)
class Alert:
    """A firing alert that asks for a rollback; an empty revision means whatever is under test."""

    name: str
    revision: str = ""
    message: str = ""
    active_at: datetime | None = None


@dataclass(frozen=True)
class Request:
    """A person's request as it stands in the annotation."""

    id: str
    verb: str


@dataclass(frozen=True)
class Analysis:
    """What the measurements say of the revision under test since `since`.

    `sampled` tells whether it is measured at all; `verified` is None while nothing can be told of the traffic.
    """

    verdict: Verdict = Verdict.INSUFFICIENT
    message: str = "nothing has been measured yet"
    sampled: bool = False
    assessments: tuple[Assessment, ...] = ()
    since: datetime | None = None
    share: float | None = None
    verified: bool | None = None
    traffic_message: str = ""
    drained: bool = False
    drain_message: str = ""


@dataclass(frozen=True)
class Observation:
    """Everything that a decision may look at besides the state and the time."""

    target: Target
    plan: Plan
    pods: Mapping[str, Pods] = field(default_factory=dict)
    route: Route = Route()
    analysis: Analysis = Analysis()
    alerts: tuple[Alert, ...] = ()
    request: Request | None = None

    def pods_of(self, revision: Revision | None) -> Pods:
        """The pods of a revision; none, when it has not been seen."""
        return self.pods.get(revision.revision, Pods()) if revision else Pods()


@dataclass(frozen=True)
class Note:
    """Something that happened, for an Event and the log."""

    reason: Reason
    message: str
    warning: bool = False


@dataclass(frozen=True)
class Decision:
    """The state to reach, why, what to tell, and when to look again if nothing happens before."""

    state: State
    reason: Reason
    message: str
    notes: tuple[Note, ...] = ()
    next_check: timedelta | None = None
