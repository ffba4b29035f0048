"""Watches the rollout from outside, as a user could: the resource, its events, and Prometheus' alerts.

One thread polls; a poll that fails is shown, and the next one follows, because a busy API server is no failed demo.
"""

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from serin.api import metrics, names
from serin_demo import api, snapshot, story

_POLL_SECONDS = 0.25
_EVENTS_SHOWN = 6


@dataclass(frozen=True)
class Prometheus:
    """The Service of the Prometheus that evaluates the rules."""

    namespace: str
    service: str
    port: int = 9090


ROLLBACK = "rollback"


@dataclass(frozen=True)
class Alert:
    """One alert about the demo's model, as Prometheus has it."""

    name: str
    active_at: float
    """Unix seconds since which its expression holds."""
    firing: bool
    action: str = ""
    """What the operator does about it; only `rollback` takes traffic away."""


@dataclass(frozen=True)
class Event:
    """One Kubernetes event about the demo's model."""

    at: str
    reason: str
    message: str
    warning: bool


@dataclass(frozen=True)
class Moment:
    """When the rollout was first seen in a phase at a weight."""

    at: float
    version: str
    phase: str
    weight: int
    message: str


@dataclass(frozen=True)
class Sight:
    """All that is known at one moment; what could not be read is as it was."""

    at: float = 0.0
    rollout: snapshot.Snapshot = field(default_factory=snapshot.Snapshot)
    observed: Mapping[str, float] = field(default_factory=dict)
    """Percent of the traffic by version, as the operator sees it at the data plane."""
    alerts: Sequence[Alert] = ()
    events: Sequence[Event] = ()
    trouble: str = ""
    """Why the last poll failed."""


class Watcher:
    """Keeps the newest sight, and everything that changed since the start."""

    def __init__(self, cluster: api.Api, prometheus: Prometheus) -> None:
        self._cluster = cluster
        self._prometheus = prometheus
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)
        self.sight = Sight()
        self.moments: list[Moment] = []
        self.alerts: dict[tuple[str, float], Alert] = {}
        """Each alert that was seen to fire, by name and the time since which it held."""

    def start(self) -> None:
        """Poll from now on."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread."""
        self._stopped.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopped.is_set():
            self._look()
            self._stopped.wait(_POLL_SECONDS)

    def _look(self) -> None:
        before = self.sight
        now = time.time()
        try:
            rollout = self._read_rollout() or snapshot.Snapshot()
            self._note(now, rollout)
            self.sight = Sight(now, rollout, self._read_weights(), self._read_alerts(), self._read_events())
        except api.ApiError as error:
            self.sight = Sight(now, before.rollout, before.observed, before.alerts, before.events, trouble=str(error))
        for alert in self.sight.alerts:
            if alert.firing:
                self.alerts.setdefault((alert.name, alert.active_at), alert)

    def _note(self, now: float, rollout: snapshot.Snapshot) -> None:
        version, phase, weight = rollout.milestone
        last = self.moments[-1] if self.moments else None
        if version and (last is None or (last.version, last.phase, last.weight) != (version, phase, weight)):
            self.moments.append(Moment(now, version, phase, weight, rollout.message))

    def _read_rollout(self) -> snapshot.Snapshot | None:
        path = f"/apis/{names.API_VERSION}/namespaces/{story.NAMESPACE}/{names.PLURAL}/{story.NAME}"
        resource = self._cluster.get(path)
        return snapshot.read(resource) if resource else None

    def _ask_prometheus(self, path: str, **query: str) -> Any:  # noqa: ANN401 -- parsed JSON
        where = self._prometheus
        return self._cluster.query_service(where.namespace, where.service, where.port, path, **query)["data"]

    def _read_weights(self) -> dict[str, float]:
        labels = f'namespace="{story.NAMESPACE}",modeldeployment="{story.NAME}",{metrics.KIND}="observed"'
        data = self._ask_prometheus("/api/v1/query", query=f"{metrics.WEIGHT}{{{labels}}}")
        return {series["metric"][metrics.MODEL_VERSION]: float(series["value"][1]) for series in data["result"]}

    def _read_alerts(self) -> list[Alert]:
        return [alert for raw in self._ask_prometheus("/api/v1/alerts")["alerts"] if (alert := read_alert(raw))]

    def _read_events(self) -> list[Event]:
        selector = f"involvedObject.kind={names.KIND},involvedObject.name={story.NAME}"
        path = f"/api/v1/namespaces/{story.NAMESPACE}/events"
        found = self._cluster.get(path, fieldSelector=selector) or {}
        events = [read_event(raw) for raw in found.get("items", [])]
        return sorted(events, key=lambda event: event.at)[-_EVENTS_SHOWN:]


def read_alert(raw: Mapping[str, Any]) -> Alert | None:
    """Read one entry of Prometheus' alerts API; None for alerts about other things."""
    labels = raw["labels"]
    mine = {metrics.NAMESPACE: story.NAMESPACE, names.OBJECT_ALERT_LABEL: story.NAME}
    if any(labels.get(label) != value for label, value in mine.items()):
        return None
    active_at = datetime.fromisoformat(_cut_to_microseconds(raw["activeAt"])).timestamp()
    return Alert(labels["alertname"], active_at, raw["state"] == "firing", labels.get(names.ACTION_LABEL, ""))


def _cut_to_microseconds(text: str) -> str:
    """Cut Go's nanoseconds, of which Python reads six digits: …:05.123456789Z becomes …:05.123456+00:00."""
    whole, _, fraction = text.removesuffix("Z").partition(".")
    return f"{whole}.{fraction[:6] or '0'}+00:00"


def read_event(raw: Mapping[str, Any]) -> Event:
    """Read a core/v1 event, whichever of its times is set."""
    at = raw.get("eventTime") or raw.get("lastTimestamp") or raw["metadata"].get("creationTimestamp") or ""
    return Event(at, raw.get("reason") or "", raw.get("message") or "", raw.get("type") == "Warning")
