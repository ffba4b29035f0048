"""Two versions side by side: what they were made from, how they did, and what became of them."""

import dataclasses
import enum
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from serin_services.registry.core import semver
from serin_services.registry.core.configuration import Changed, Configuration, find_changes


class Better(enum.StrEnum):
    """Which way of a metric is the good one."""

    HIGHER = "higher"
    LOWER = "lower"
    UNKNOWN = "unknown"


# By the words of a metric's name; of several that are known the last decides: accuracy_error is an error.
_HIGHER = ("accuracy", "auc", "f1", "r2", "sharpe", "precision", "recall", "win_rate", "profit_factor")
_LOWER = ("error", "loss", "mse", "rmse", "mae", "mape", "latency", "drawdown")
_WAYS = {**dict.fromkeys(_HIGHER, Better.HIGHER), **dict.fromkeys(_LOWER, Better.LOWER)}


@dataclasses.dataclass(frozen=True)
class Line:
    """A line of a version's rollout history."""

    at: datetime
    what: str


@dataclasses.dataclass(frozen=True)
class Snapshot:
    """What is compared of one version."""

    version: str
    configuration: Configuration
    metrics: Mapping[str, float] = dataclasses.field(default_factory=dict)
    history: tuple[Line, ...] = ()


@dataclasses.dataclass(frozen=True)
class MetricChange:
    """One metric of both versions; `relative` is the change as a share of the old value's size, `better` None if unknown."""

    name: str
    before: float | None
    after: float | None
    absolute: float | None
    relative: float | None
    better: bool | None


@dataclasses.dataclass(frozen=True)
class FeatureChanges:
    """How the features of two versions differ."""

    added: tuple[str, ...]
    removed: tuple[str, ...]
    retyped: tuple[Changed, ...]
    moved: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Comparison:
    """All differences of two versions; `change` says what part of the version number they move."""

    old: str
    new: str
    change: semver.Change
    configuration: tuple[Changed, ...]
    features: FeatureChanges
    data: tuple[Changed, ...]
    metrics: tuple[MetricChange, ...]
    history: Mapping[str, tuple[Line, ...]]

    def dump(self) -> dict[str, Any]:
        """Give plain JSON for the API and the command line."""
        features = self.features
        return {
            "old": self.old,
            "new": self.new,
            "change": {"part": self.change.part.name, "reasons": list(self.change.reasons)},
            "configuration": [changed.dump() for changed in self.configuration],
            "features": {
                "added": list(features.added),
                "removed": list(features.removed),
                "retyped": [changed.dump() for changed in features.retyped],
                "moved": list(features.moved),
            },
            "data": [changed.dump() for changed in self.data],
            "metrics": [dataclasses.asdict(metric) for metric in self.metrics],
            "history": {
                version: [{"at": line.at.isoformat(), "what": line.what} for line in lines]
                for version, lines in self.history.items()
            },
        }


def direction(metric: str) -> Better:
    """Tell from a metric's name which way is the good one; a guess would be worse than no answer."""
    words = "_".join(re.findall(r"[a-z0-9]+", re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", metric).lower()))
    found = [(f"_{words}_".rfind(f"_{name}_"), way) for name, way in _WAYS.items() if f"_{name}_" in f"_{words}_"]
    return max(found)[1] if found else Better.UNKNOWN


def compare(old: Snapshot, new: Snapshot) -> Comparison:
    """Compare two versions; the same input gives the same value, whatever the order of any keys."""
    before, after = old.configuration, new.configuration
    names = [{feature.name: None for feature in found.features} for found in (before, after)]
    return Comparison(
        old.version,
        new.version,
        semver.decide(before, after),
        find_changes(_settings(before), _settings(after)),
        FeatureChanges(
            added=tuple(name for name in names[1] if name not in names[0]),
            removed=tuple(name for name in names[0] if name not in names[1]),
            retyped=tuple(semver.find_retyped(before, after)),
            moved=tuple(semver.find_moved(before, after)),
        ),
        find_changes(before.dump()["data"], after.dump()["data"]),
        tuple(
            _compare_metric(name, old.metrics.get(name), new.metrics.get(name))
            for name in sorted(old.metrics.keys() | new.metrics.keys())
        ),
        {found.version: tuple(sorted(found.history, key=lambda line: line.at)) for found in (old, new)},
    )


def _settings(found: Configuration) -> dict[str, Any]:
    return {name: value for name, value in found.dump().items() if name not in ("features", "data")}


def _compare_metric(name: str, before: float | None, after: float | None) -> MetricChange:
    if before is None or after is None:
        return MetricChange(name, before, after, None, None, None)
    absolute = after - before
    relative = absolute / abs(before) if before else None
    better = {Better.HIGHER: absolute > 0, Better.LOWER: absolute < 0}.get(direction(name)) if absolute else None
    return MetricChange(name, before, after, absolute, relative, better)
