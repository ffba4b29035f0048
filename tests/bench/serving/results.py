"""Everything that was measured, kept as JSON, and the questions that the report asks of it: medians over the rounds."""

import dataclasses
import json
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

from serin_local import errors

from .loads import SIXTEEN, SIXTY_FOUR, STRESS, Load
from .measure import Window

# The parts of a run besides the models; each part is measured side by side within itself, and may be measured again alone.
IMAGES_PART, STRESS_PART = "images", "stress"


@dataclasses.dataclass
class Results:
    """Windows of all rounds, and what is measured without a load."""

    windows: list[Window] = dataclasses.field(default_factory=list)
    # Seconds from a server's start to its readiness, by peer and model.
    ready: dict[str, list[float]] = dataclasses.field(default_factory=dict)
    # Microseconds of a bare library call in each round, by model, form and rows.
    library: dict[str, dict[str, dict[str, list[float]]]] = dataclasses.field(default_factory=dict)
    soak: list[Window] = dataclasses.field(default_factory=list)
    # Requests per second as a multiple of those without batches, turn by turn, by peer, dialect and model.
    gains: dict[str, list[float]] = dataclasses.field(default_factory=dict)
    # Figures of images, by name.
    images: dict[str, float] = dataclasses.field(default_factory=dict)
    # Why something has no figures, by peer and model.
    missing: dict[str, str] = dataclasses.field(default_factory=dict)
    # Rows per second of the largest requests as a share of the bare call's right before, by peer, dialect and model.
    shares: dict[str, list[float]] = dataclasses.field(default_factory=dict)
    # When and how long each part was measured, in words.
    plans: dict[str, str] = dataclasses.field(default_factory=dict)

    def median(self, peer: str, dialect: str, model: str, load: Load, what: Callable[[Window], float]) -> float | None:
        """The median of a figure over the rounds, or none where it was not measured."""
        found = [
            what(window)
            for window in self.windows
            if (window.peer, window.dialect, window.model, window.load) == (peer, dialect, model, load.name)
            and window.requests
        ]
        return middle(found)

    def capacity(self, peer: str, dialect: str, model: str) -> float | None:
        """Requests of one row per second at the better of 16 and 64 connections."""
        found = [
            self.median(peer, dialect, model, load, lambda window: window.per_second) for load in (SIXTEEN, SIXTY_FOUR)
        ]
        return max((value for value in found if value), default=None)

    def ready_seconds(self, peer: str, model: str) -> float | None:
        """The median time from start to ready."""
        return middle(self.ready.get(f"{peer}/{model}"))

    def add_library(self, model: str, times: dict[str, dict[str, float]]) -> None:
        """Add the bare calls of one round."""
        for form, by_rows in times.items():
            for rows, micros in by_rows.items():
                self.library.setdefault(model, {}).setdefault(form, {}).setdefault(rows, []).append(micros)

    def form_call(self, model: str, form: str, rows: int) -> float | None:
        """Microseconds of the bare call of one form."""
        return middle(self.library.get(model, {}).get(form, {}).get(str(rows)))

    def library_call(self, model: str, rows: int) -> float | None:
        """Microseconds of the fastest bare call of any form."""
        found = (self.form_call(model, form, rows) for form in self.library.get(model, {}))
        return min((value for value in found if value is not None), default=None)

    def forget(self, part: str) -> None:
        """Drop what was measured of one part."""
        stress = {load.name for load in STRESS}
        self.windows = [w for w in self.windows if part != (STRESS_PART if w.load in stress else w.model)]
        keyed: tuple[dict[str, Any], ...] = (self.ready, self.shares, self.gains, self.missing)
        for kept in keyed:
            for key in [key for key in kept if key.rpartition("/")[2] == part]:
                del kept[key]
        self.library.pop(part, None)
        if part == STRESS_PART:
            self.soak = []
        if part == IMAGES_PART:
            self.images = {}
        self.plans.pop(part, None)

    def gain(self, peer: str, dialect: str, model: str) -> float | None:
        """The median multiple of the requests per second without batches."""
        return middle(self.gains.get(make_key(peer, dialect, model)))

    def row_share(self, peer: str, dialect: str, model: str) -> float | None:
        """The median share of the bare call's rows per second."""
        return middle(self.shares.get(make_key(peer, dialect, model)))

    def asked(self, model: str) -> list[tuple[str, str]]:
        """The peers and dialects of a model in the order in which they were first measured."""
        return list(dict.fromkeys((w.peer, w.dialect) for w in self.windows if w.model == model))

    def save(self, path: Path) -> None:
        """Write all of it."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(dataclasses.asdict(self), indent=1))


def make_key(peer: str, dialect: str, model: str) -> str:
    """Give the name under which the figures of one way to ask one server are kept."""
    return f"{peer}, {dialect}/{model}"


def middle(values: list[float] | None) -> float | None:
    """The median, where anything was measured."""
    return statistics.median(values) if values else None


def load(path: Path) -> Results:
    """Read what `save` wrote. Raises `ClusterError` when nothing did, or another version of the benchmark."""
    if not path.exists():
        raise errors.ClusterError("read the last run", f"there is no {path}", "measure first: `make bench-serving`")
    document = json.loads(path.read_text())
    try:
        document["windows"] = [Window(**window) for window in document["windows"]]
        document["soak"] = [Window(**window) for window in document["soak"]]
        return Results(**document)
    except (KeyError, TypeError) as error:
        advice = "measure all parts: `make bench-serving`"
        raise errors.ClusterError("read the last run", f"{path} is another version's", advice) from error
