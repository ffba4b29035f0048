"""The operator's own metrics: one snapshot per object, so that nothing of a deleted object or revision stays behind."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import GaugeMetricFamily, Metric

from serin.api import metrics

Key = tuple[str, str]
_OBJECT = (metrics.NAMESPACE, metrics.MODELDEPLOYMENT)


@dataclass(frozen=True)
class Threshold:
    """A limit that the alert rules hold a revision against."""

    revision: str
    criterion: str
    bound: str
    value: float


@dataclass(frozen=True)
class Weight:
    """A version's share in percent, as intended on the route or as observed in its answers."""

    version: str
    revision: str
    kind: str
    percent: float


@dataclass(frozen=True)
class Snapshot:
    """What is exported of one object."""

    phase: str
    phases: tuple[str, ...]
    step: int
    verdict: str
    verdicts: tuple[str, ...]
    weights: tuple[Weight, ...] = ()
    thresholds: tuple[Threshold, ...] = ()
    alerts: tuple[str, ...] = ()


@dataclass(eq=False)
class Exporter:
    """Collects snapshots and counts; `registry` is what /metrics renders."""

    registry: CollectorRegistry = field(default_factory=CollectorRegistry)
    snapshots: dict[Key, Snapshot] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Create the counters and register the snapshots."""
        self.rollouts = self._count(metrics.ROLLOUTS, "Rollouts by how they ended", "outcome")
        self.foreign_writes = self._count(metrics.FOREIGN_WRITES, "Changes by others that were put back", "kind")
        self.errors = self._count(metrics.RECONCILE_ERRORS, "Reconciles that failed")
        self.rollback_seconds = Histogram(
            metrics.ROLLBACK_SECONDS,
            "From seeing the alert to the weights being applied",
            _OBJECT,
            buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
            registry=self.registry,
        )
        self.reconcile_seconds = Histogram(
            metrics.RECONCILE_SECONDS,
            "Time of a reconcile",
            buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5),
            registry=self.registry,
        )
        self.registry.register(self)

    def _count(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(name, text, (*_OBJECT, *labels), registry=self.registry)

    def start(self, key: Key, outcomes: Iterable[str]) -> None:
        """Create an object's counters at 0, because a counter that starts at 1 hides its first event."""
        self.errors.labels(*key)
        self.rollback_seconds.labels(*key)
        for outcome in outcomes:
            self.rollouts.labels(*key, outcome)
        self.foreign_writes.labels(*key, "HTTPRoute")

    def forget(self, key: Key) -> None:
        """Drop what was exported of an object."""
        self.snapshots.pop(key, None)
        for counter in (self.rollouts, self.foreign_writes, self.errors):
            counter.remove_by_labels(dict(zip(_OBJECT, key, strict=True)))
        self.rollback_seconds.remove_by_labels(dict(zip(_OBJECT, key, strict=True)))

    def collect(self) -> Iterator[Metric]:
        """Render the snapshots; called by the registry."""
        families = _Families()
        for key, snapshot in list(self.snapshots.items()):
            families.add(key, snapshot)
        yield from families.all()


class _Families:
    def __init__(self) -> None:
        self.phase = _gauge(metrics.PHASE, "1 for the phase that the object is in", "phase")
        self.step = _gauge(metrics.STEP, "Number of the step under way")
        self.verdict = _gauge(metrics.VERDICT, "1 for what the evidence says", "verdict")
        self.weight = _gauge(
            metrics.WEIGHT, "A version's share in percent", metrics.MODEL_VERSION, metrics.REVISION, metrics.KIND
        )
        self.threshold = _gauge(
            metrics.THRESHOLD,
            "Limits of the version under test",
            metrics.REVISION,
            metrics.CRITERION,
            metrics.BOUND,
        )
        self.alert = _gauge(metrics.ALERT_FIRING, "1 for an alert that asks for a rollback", "alertname")

    def add(self, key: Key, snapshot: Snapshot) -> None:
        for phase in snapshot.phases:
            self.phase.add_metric([*key, phase], float(phase == snapshot.phase))
        self.step.add_metric([*key], snapshot.step)
        for verdict in snapshot.verdicts:
            self.verdict.add_metric([*key, verdict], float(verdict == snapshot.verdict))
        for weight in snapshot.weights:
            self.weight.add_metric([*key, weight.version, weight.revision, weight.kind], weight.percent)
        for limit in snapshot.thresholds:
            self.threshold.add_metric([*key, limit.revision, limit.criterion, limit.bound], limit.value)
        for alert in snapshot.alerts:
            self.alert.add_metric([*key, alert], 1.0)

    def all(self) -> Iterable[Metric]:
        return (self.phase, self.step, self.verdict, self.weight, self.threshold, self.alert)


def _gauge(name: str, text: str, *labels: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, text, labels=[*_OBJECT, *labels])
