"""One look at a ModelDeployment: what of the object the registry reads, and where it puts which version.

The object is read field by field and not through the operator's own types: an operator that is newer than the registry
may write fields that this one does not know, and must not become invisible by that.
"""

import dataclasses
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from serin_services.registry.core import stages
from serin_services.registry.core.stages import Stage

Object = Mapping[str, Any]

# The phases of `status.phase`; the operator's own table of them is not part of its API.
PENDING, STAGING, CANARY, BAKING = "Pending", "Staging", "Canary", "Baking"
PRODUCTION, PAUSED, STOPPED = "Production", "Paused", "Stopped"
ROLLING_BACK, ROLLED_BACK, SUPERSEDED = "RollingBack", "RolledBack", "Superseded"

# Where a candidate stands by the phase; in the phases that are not here there is none, or it has failed.
PLACES: dict[str, Stage] = {
    # It runs and has no traffic that anyone sees the answers of.
    PENDING: Stage.STAGING,
    STAGING: Stage.STAGING,
    CANARY: Stage.CANARY,
    # It has all traffic, but the version before it can still take it back.
    BAKING: Stage.CANARY,
}


@dataclasses.dataclass(frozen=True)
class Running:
    """One version as it runs: `revision` also tells apart the same version with other pod settings."""

    version: str
    revision: str


@dataclasses.dataclass(frozen=True)
class Failure:
    """Why a version lost its traffic, with what was measured then."""

    running: Running
    at: datetime
    reason: str
    message: str
    alert: str
    numbers: Mapping[str, str]

    @property
    def id(self) -> str:
        """What tells this failure from others, of the same version, too."""
        return f"{self.running.revision}@{self.at.isoformat()}"


@dataclasses.dataclass(frozen=True)
class Request:
    """What a person asked for last, and what became of it."""

    id: str
    verb: str
    accepted: bool
    message: str
    at: datetime


@dataclasses.dataclass(frozen=True)
class Sighting:
    """What one observation of a ModelDeployment says; `phase` is empty where the operator has not looked at it yet.

    `testing` is the phase, looked at through a pause. `retained` gives failed versions by revision and end of retention.
    """

    uid: str
    namespace: str
    name: str
    model: str
    created: datetime
    deleted: datetime | None
    phase: str
    testing: str
    stable: Running | None
    candidate: Running | None
    leaving: Running | None
    failure: Failure | None
    request: Request | None
    retained: Mapping[str, Running]
    started: datetime | None
    entered: datetime
    since: datetime | None
    paused_at: datetime | None
    attempt: int
    step: str
    weight: int
    verdict: str

    @property
    def subject(self) -> Running | None:
        """The version that the phase is about."""
        failed = self.failure.running if self.failure and self.phase in (ROLLING_BACK, ROLLED_BACK) else None
        departing = self.leaving if self.phase in (SUPERSEDED, STOPPED) else None
        return self.candidate or failed or departing or self.stable

    @property
    def may_have_resumed(self) -> bool:
        """Whether the phase may have been entered by resuming, and not by what usually leads to it.

        Only the last request is known: a later one hides which came before.
        """
        request = self.request
        return request is not None and (request.at, request.verb == "resume") >= (self.entered, True)

    @property
    def latest(self) -> datetime:
        """The latest time at which what is gone can have gone: before the present attempt began, or the phase."""
        attempt = self.candidate or self.failure or (self.leaving if self.phase == SUPERSEDED else None)
        return self.started if attempt and self.started else self.entered


def look(found: Object) -> Sighting:
    """Read a ModelDeployment as the API server gives it."""
    metadata, spec, status = found["metadata"], found.get("spec") or {}, found.get("status") or {}
    phase = status.get("phase") or ""
    created = datetime.fromisoformat(metadata["creationTimestamp"])
    return Sighting(
        uid=metadata["uid"],
        namespace=metadata["namespace"],
        name=metadata["name"],
        model=spec.get("model", ""),
        created=created,
        deleted=_read_time(metadata.get("deletionTimestamp")),
        phase=phase,
        testing=(status.get("resume") or phase) if phase == PAUSED else phase,
        stable=_read_running(status.get("stable")),
        candidate=_read_running(status.get("candidate")),
        leaving=_read_running(status.get("leaving")),
        failure=_read_failure(status.get("failure")),
        request=_read_request(status.get("request")),
        retained=_read_retained(status.get("retained") or []),
        started=_read_time(status.get("started")),
        entered=_read_time(status.get("entered")) or created,
        since=_read_time(status.get("since")),
        paused_at=_read_time(status.get("pausedAt")),
        attempt=status.get("attempt") or 1,
        step=status.get("step") or "",
        weight=status.get("weight") or 0,
        verdict=status.get("verdict") or "",
    )


def _read_time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _read_running(found: Object | None) -> Running | None:
    return Running(found["version"], found["revision"]) if found else None


def _read_failure(found: Object | None) -> Failure | None:
    if not found:
        return None
    return Failure(
        Running(found["version"], found["revision"]),
        datetime.fromisoformat(found["at"]),
        found["reason"],
        found["message"],
        found.get("alert") or "",
        found.get("numbers") or {},
    )


def _read_request(found: Object | None) -> Request | None:
    if not found:
        return None
    at = datetime.fromisoformat(found["at"])
    return Request(found["id"], found["verb"], found["accepted"], found["message"], at)


def _read_retained(found: list[Object]) -> dict[str, Running]:
    kept = [(Running(item["revision"]["version"], item["revision"]["revision"]), item["until"]) for item in found]
    return {f"{running.revision}@{until}": running for running, until in kept}


def place(sighting: Sighting) -> dict[str, Stage]:
    """Say where the object has which version: a function of this one look, so that no missed one can falsify it.

    At most one version is in PRODUCTION; one that has a candidate with other pod settings beside it stays there.
    """
    found: dict[str, Stage] = {}
    candidate, stage = sighting.candidate, PLACES.get(sighting.testing)
    if candidate and stage:
        found[candidate.version] = stage
    if sighting.stable:
        standing = [Stage.PRODUCTION, *filter(None, [found.get(sighting.stable.version)])]
        found[sighting.stable.version] = stages.furthest(standing) or Stage.PRODUCTION
    return {} if sighting.deleted else found
