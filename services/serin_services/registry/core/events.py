"""What one look at a ModelDeployment bears witness to: events, each with the object's own time and a key that stays the same.

An event is a fact that the status still shows, so two looks at the same fact give the same key, before and after a restart.
"""

import dataclasses
import enum
import hashlib
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any

from serin_services.registry.core import sightings
from serin_services.registry.core.sightings import Running, Sighting

# Of a key, in characters.
MAX_KEY = 253


class Kind(enum.StrEnum):
    """What an event is about."""

    CREATED = "created"
    STARTED = "started"
    PHASE = "phase"
    STEP = "step"
    WEIGHT = "weight"
    VERDICT = "verdict"
    FAILURE = "failure"
    REQUEST = "request"
    REMOVED = "removed"


@dataclasses.dataclass(frozen=True)
class Event:
    """One thing that happened to a ModelDeployment; `version` and `revision` are empty where it is about none."""

    key: str
    at: datetime
    kind: Kind
    version: str
    revision: str
    attempt: int
    message: str
    details: Mapping[str, Any] = dataclasses.field(default_factory=dict)


# The phases that are events by themselves. Pending is told by the start, and Canary step by step.
SENTENCES: dict[str, str] = {
    sightings.STAGING: "version {version} is shown mirrored traffic, and its answers are compared",
    sightings.BAKING: "version {version} has all traffic, and the version before it stays warm",
    sightings.PRODUCTION: "version {version} is in production",
    sightings.PAUSED: "the rollout of version {version} is paused",
    sightings.ROLLING_BACK: "traffic is taken from version {version}",
    sightings.ROLLED_BACK: "version {version} was rolled back",
    sightings.SUPERSEDED: "version {version} gives way to another",
    sightings.STOPPED: "the rollout is stopped",
}
_WITHDRAWING = (sightings.ROLLING_BACK, sightings.SUPERSEDED, sightings.STOPPED)


def make_key(*parts: object) -> str:
    """Join what makes a fact the one it is; what would be too long for a column is hashed."""
    key = ":".join(str(part) for part in parts)
    return key if len(key) <= MAX_KEY else f"{parts[0]}:{hashlib.sha256(key.encode()).hexdigest()}"


def _make(
    sighting: Sighting,
    kind: Kind,
    what: str,
    at: datetime,
    message: str,
    about: Running | None = None,
    **details: object,
) -> Event:
    about = about or Running("", "")
    key = make_key(sighting.uid, sighting.attempt, about.revision, what, at.isoformat())
    return Event(key, at, kind, about.version, about.revision, sighting.attempt, message, details)


def _created(sighting: Sighting) -> Iterator[Event]:
    made = _make(sighting, Kind.CREATED, "created", sighting.created, "the ModelDeployment was created")
    yield dataclasses.replace(made, key=make_key(sighting.uid, "created"), attempt=0)


def _started(sighting: Sighting) -> Iterator[Event]:
    failed = sighting.failure.running if sighting.failure else None
    about, started = sighting.candidate or failed, sighting.started
    # A status that was rebuilt after a failure began later than that.
    if about and started and not (sighting.failure and sighting.failure.at < started):
        again = f", attempt {sighting.attempt}" if sighting.attempt > 1 else ""
        yield _make(sighting, Kind.STARTED, "started", started, f"version {about.version} starts{again}", about)


def _phase(sighting: Sighting) -> Iterator[Event]:
    """Tell the phase, and under a pause the one that it interrupted.

    The key has no revision: a version that has drained is no longer in the status while the phase stays.
    """
    for phase in dict.fromkeys((sighting.testing, sighting.phase)):
        if phase not in SENTENCES:
            continue
        about = sighting.subject or Running("", "")
        at = sighting.paused_at if phase == sightings.PAUSED and sighting.paused_at else sighting.entered
        made = _make(sighting, Kind.PHASE, phase, at, SENTENCES[phase].format(version=about.version), about)
        yield dataclasses.replace(made, key=make_key(sighting.uid, sighting.attempt, phase, at.isoformat()))


def _step(sighting: Sighting) -> Iterator[Event]:
    if sighting.testing == sightings.CANARY and sighting.candidate:
        weight, step = sighting.weight, sighting.step
        message = f"version {sighting.candidate.version} has {weight} % of the traffic, step {step}"
        what = f"weight {weight}"
        yield _make(sighting, Kind.STEP, what, sighting.entered, message, sighting.candidate, weight=weight, step=step)


def _weight(sighting: Sighting) -> Iterator[Event]:
    if sighting.phase in _WITHDRAWING and sighting.weight and sighting.subject:
        weight, about = sighting.weight, sighting.subject
        message = f"{weight} % of the traffic stay with version {about.version} until another can take it"
        yield _make(sighting, Kind.WEIGHT, f"remnant {weight}", sighting.entered, message, about, weight=weight)


def _verdict(sighting: Sighting) -> Iterator[Event]:
    """Tell each verdict once per step: one that flaps must not fill the table."""
    if sighting.verdict and sighting.candidate:
        what, about = f"verdict {sighting.verdict}", sighting.candidate
        message = f"the evidence on version {about.version} at {sighting.weight} % says {sighting.verdict}"
        details = {"verdict": sighting.verdict, "phase": sighting.testing, "weight": sighting.weight}
        yield _make(sighting, Kind.VERDICT, what, sighting.entered, message, about, **details)


def _failure(sighting: Sighting) -> Iterator[Event]:
    if found := sighting.failure:
        details = {"reason": found.reason, "alert": found.alert, "numbers": dict(found.numbers)}
        message = f"version {found.running.version} lost its traffic: {found.message}"
        yield _make(sighting, Kind.FAILURE, "failure", found.at, message, found.running, **details)


def _request(sighting: Sighting) -> Iterator[Event]:
    """Tell the last request; its key has no attempt, because it stays in the status when the next one begins."""
    if found := sighting.request:
        message = f"{found.verb} was {'carried out' if found.accepted else 'refused'}: {found.message}"
        details = {"id": found.id, "verb": found.verb, "accepted": found.accepted}
        made = _make(sighting, Kind.REQUEST, "request", found.at, message, sighting.subject, **details)
        yield dataclasses.replace(made, key=make_key(sighting.uid, "request", found.id, found.at.isoformat()))


_WITNESSES: tuple[Callable[[Sighting], Iterator[Event]], ...] = (
    _started,
    _phase,
    _step,
    _weight,
    _verdict,
    _failure,
    _request,
)


def tell(sighting: Sighting) -> tuple[Event, ...]:
    """Give all events that a look bears witness to, in the order of their times."""
    found = [event for witness in _WITNESSES if sighting.phase for event in witness(sighting)]
    return (*_created(sighting), *sorted(found, key=lambda event: event.at))


def tell_removal(uid: str, at: datetime) -> Event:
    """Give the event of a ModelDeployment that is gone."""
    return Event(make_key(uid, "removed"), at, Kind.REMOVED, "", "", 0, "the ModelDeployment was removed")
