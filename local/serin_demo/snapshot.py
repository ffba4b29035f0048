"""What the cluster says of the rollout at one moment, read from the ModelDeployment's documented status."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_WITHDRAWN = ("RollingBack", "RolledBack")


@dataclass(frozen=True)
class Failure:
    """Why a version lost its traffic."""

    version: str = ""
    reason: str = ""
    message: str = ""
    alert: str = ""
    at: str = ""


@dataclass(frozen=True)
class Snapshot:
    """The parts of the status that the demo shows and waits for."""

    phase: str = "Pending"
    step: str = ""
    weight: int = 0
    """Percent of the traffic that the candidate is meant to have."""
    verdict: str = ""
    message: str = ""
    stable: str = ""
    candidate: str = ""
    ready: bool = False
    settled: bool = False
    """Whether the status speaks of the spec as it is now."""
    failure: Failure | None = None

    @property
    def weights(self) -> dict[str, int]:
        """The intended percent of each version that takes part."""
        if not self.stable:
            return {self.candidate: 100} if self.candidate else {}
        if not self.candidate or self.candidate == self.stable:
            return {self.stable: 100}
        return {self.stable: 100 - self.weight, self.candidate: self.weight}

    @property
    def subject(self) -> str:
        """The version that the phase is about: the one under way, the one that failed, or the one that serves."""
        if self.phase in _WITHDRAWN and self.failure:
            return self.failure.version
        return self.candidate or self.stable

    @property
    def milestone(self) -> tuple[str, str, int]:
        """Who is in which phase with what weight: a new entry of the timeline when it changes."""
        return self.subject, self.phase, self.weights.get(self.subject, 0)


def read(resource: Mapping[str, Any]) -> Snapshot:
    """Read a ModelDeployment; fields that are not there yet are empty."""
    status = resource.get("status") or {}
    return Snapshot(
        phase=str(status.get("phase") or "Pending"),
        step=str(status.get("step") or ""),
        weight=int(status.get("weight") or 0),
        verdict=str(status.get("verdict") or ""),
        message=str(status.get("message") or ""),
        stable=_version(status.get("stable")),
        candidate=_version(status.get("candidate")),
        ready=_condition_holds(status.get("conditions") or (), "Ready"),
        settled=status.get("observedGeneration") == resource["metadata"].get("generation"),
        failure=_failure(status.get("failure")),
    )


def _version(revision: Mapping[str, Any] | None) -> str:
    return str((revision or {}).get("version") or "")


def _condition_holds(conditions: Any, kind: str) -> bool:  # noqa: ANN401 -- parsed JSON
    return any(condition.get("type") == kind and condition.get("status") == "True" for condition in conditions)


def _failure(failure: Mapping[str, Any] | None) -> Failure | None:
    if not failure:
        return None
    fields = ("version", "reason", "message", "alert", "at")
    return Failure(**{name: str(failure.get(name) or "") for name in fields})
