"""What became of a rollout, as anybody with read access sees it: each change of status and route, with its time."""

import contextlib
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Self, TypeVar

from serin_demo import api
from support import world as worlds

T = TypeVar("T")

FOLLOWED = ("ModelDeployment", "HTTPRoute")
# Before a watch that ended is begun again.
PAUSE_SECONDS = 0.1


@dataclass(frozen=True)
class Sight:
    """An object's status and its route's weights, as first seen."""

    at: float
    status: dict[str, Any]
    weights: dict[str, int]
    mirror: bool

    @property
    def phase(self) -> str:
        """The phase."""
        return str(self.status.get("phase", ""))

    @property
    def weight(self) -> int:
        """The candidate's weight by the status."""
        return int(self.status.get("weight", 0))


@dataclass(frozen=True)
class Step:
    """One step that was seen from its first to its last moment, by the operator's own clock."""

    phase: str
    weight: int
    since: datetime
    end: datetime

    @property
    def duration(self) -> timedelta:
        """How long the route carried it."""
        return self.end - self.since


class Recorder:
    """Follows one object and its route, each in a thread of its own: `with Recorder(model) as record:`.

    Watches tell of every change, at some hundredth of what looking ten times a second costs the API server.
    """

    def __init__(self, model: "worlds.Model") -> None:
        self._model = model
        self._stopped = threading.Event()
        self._turn = threading.Lock()
        self._watches: list[api.Watch] = []
        self._seen: dict[str, dict[str, Any]] = {}
        self._threads = [threading.Thread(target=self._run, args=(kind,), daemon=True) for kind in FOLLOWED]
        self.sights: list[Sight] = []

    def __enter__(self) -> Self:
        self._look()
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        with contextlib.suppress(api.ApiError):
            self._look()
        with self._turn:
            self._stopped.set()
            for watch in self._watches:
                watch.end()
        for thread in self._threads:
            thread.join()

    def _look(self) -> None:
        for kind in FOLLOWED:
            self._see(kind, self._model.world.get(kind, self._model.namespace, self._model.name) or {})

    def _run(self, kind: str) -> None:
        while not self._stopped.is_set():
            with contextlib.suppress(api.ApiError):
                self._follow(kind)
            self._stopped.wait(PAUSE_SECONDS)

    def _follow(self, kind: str) -> None:
        watch = self._model.world.where.cluster.watch(worlds.path_of(kind, self._model.namespace), self._model.name)
        with self._turn:
            if self._stopped.is_set():
                watch.end()
            self._watches.append(watch)
        for state in watch:
            self._see(kind, state)

    def _see(self, kind: str, found: dict[str, Any]) -> None:
        with self._turn:
            before = self._seen.get(kind, {})
            if found and before and _version(found) < _version(before):
                return  # a watch begins with what is there, which may be older than what was read by then
            self._seen[kind] = found
            if len(self._seen) < len(FOLLOWED):
                return
            route = self._seen.get("HTTPRoute", {})
            rules = route["spec"]["rules"] if route else []
            weights = {b["name"].rpartition("-")[2]: b["weight"] for b in rules[0]["backendRefs"]} if rules else {}
            mirror = any("requestMirror" in item for rule in rules for item in rule.get("filters", []))
            sight = Sight(time.time(), self._seen.get("ModelDeployment", {}).get("status", {}), weights, mirror)
            last = self.sights[-1] if self.sights else None
            if last is None or (last.status, last.weights, last.mirror) != (sight.status, weights, mirror):
                self.sights.append(sight)

    def route_weights(self, slot: str = "b") -> list[int]:
        """List the weights that a slot had on the route, one after the other, without repetitions."""
        return _squeeze(sight.weights.get(slot, 0) for sight in self.sights)

    def phases(self) -> list[str]:
        """List the phases one after the other, without repetitions."""
        return _squeeze(sight.phase for sight in self.sights)

    def steps(self) -> list[Step]:
        """List the steps that were begun and ended: from the route carrying it to the next one being entered."""
        found = []
        for sight, following in zip(self.sights, self.sights[1:], strict=False):
            since, entered = _read_time(sight, "since"), _read_time(following, "entered")
            if since and entered and entered != _read_time(sight, "entered"):
                found.append(Step(sight.phase, sight.weight, since, entered))
        return found

    def tell(self) -> str:
        """Tell everything that was seen, one line for each change."""
        fields = ("phase", "weight", "entered", "since", "message")
        return "\n".join(
            " ".join([worlds.clock(sight.at), str(sight.weights), *(str(sight.status.get(name)) for name in fields)])
            for sight in self.sights
        )

    def shown_seconds(self, weight: int, slot: str = "b") -> float:
        """Tell how long the route itself gave a slot a weight, the first time that it did."""
        first = next(n for n, sight in enumerate(self.sights) if sight.weights.get(slot) == weight)
        after = next(sight for sight in self.sights[first:] if sight.weights.get(slot) != weight)
        return after.at - self.sights[first].at


def _squeeze(values: Iterable[T]) -> list[T]:
    squeezed: list[T] = []
    for value in values:
        if not squeezed or squeezed[-1] != value:
            squeezed.append(value)
    return squeezed


def _version(found: dict[str, Any]) -> int:
    """Tell the place of a state among all: etcd counts, and Kubernetes promises that order (KEP-5504)."""
    return int(found["metadata"]["resourceVersion"])


def _read_time(sight: Sight, name: str) -> datetime | None:
    """Read a time of the status; None where there is none, or nonsense that a test put there."""
    try:
        return datetime.fromisoformat(sight.status.get(name) or "")
    except ValueError:
        return None
