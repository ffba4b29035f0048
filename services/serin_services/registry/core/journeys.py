"""How versions came to where they are: the moves between two looks at a ModelDeployment, by rules in the order of things.

The looks may lie far apart, so each rule tells what the status still shows of what nobody saw, and what it cannot show is
not made up: a candidate that is gone without a trace has ended, and nothing says that it was ever in production.
"""

import dataclasses
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Self

from serin_services.registry.core import events, sightings, stages
from serin_services.registry.core.sightings import Running, Sighting
from serin_services.registry.core.stages import Mover, Stage


@dataclasses.dataclass(frozen=True)
class Move:
    """A version's move in one deployment.

    `source` is None where the deployment did not have the version: it comes from wherever it stood. Where `exact` is false,
    `at` is the latest time at which it can have happened.
    """

    key: str
    version: str
    revision: str
    source: Stage | None
    target: Stage
    at: datetime
    exact: bool
    why: str


@dataclasses.dataclass(frozen=True)
class Seen:
    """What is remembered of an object between two observations; store it beside what was told.

    `revisions` has those of the placed versions, `failure` and `retained` the ids of what was told of failures.
    """

    uid: str
    namespace: str
    name: str
    model: str
    started: str = ""
    failure: str = ""
    retained: tuple[str, ...] = ()
    placements: Mapping[str, Stage] = dataclasses.field(default_factory=dict)
    revisions: Mapping[str, str] = dataclasses.field(default_factory=dict)
    told: tuple[str, ...] = ()
    removed: bool = False

    def dump(self) -> dict[str, Any]:
        """Give plain JSON to store."""
        stored = {name: str(stage) for name, stage in self.placements.items()}
        return {
            **dataclasses.asdict(self),
            "placements": stored,
            "retained": list(self.retained),
            "told": list(self.told),
        }

    @classmethod
    def load(cls, found: Mapping[str, Any]) -> Self:
        """Read what `dump` gave."""
        placed = {name: Stage(stage) for name, stage in found["placements"].items()}
        lists = {name: tuple(found[name]) for name in ("retained", "told")}
        return cls(**{**found, **lists, "placements": placed})


def make_move(
    uid: str, about: Running, source: Stage | None, target: Stage, at: datetime, exact: bool, why: str
) -> Move:
    """Make a move, which the table of the lifecycle has to know."""
    stages.move(source or Stage.DRAFT, target, Mover.CLUSTER)
    key = events.make_key(uid, about.revision, about.version, target, at.isoformat())
    return Move(key, about.version, about.revision, source, target, at, exact, why)


class Journey:
    """The way from what was seen to what is seen now: the stages as they change, and the moves so far."""

    def __init__(self, seen: Seen, now: Sighting) -> None:
        self.seen, self.now = seen, now
        self.after = sightings.place(now)
        self.stages = dict(seen.placements)
        self.moves: list[Move] = []

    def move(self, about: Running, target: Stage, at: datetime, exact: bool, why: str) -> None:
        """Add a move; a version that is there already stays."""
        source = self.stages.get(about.version)
        if source is target:
            return
        self.moves.append(make_move(self.seen.uid, about, source, target, at, exact, why))
        self.stages.pop(about.version, None)
        if target not in (Stage.DRAFT, Stage.ARCHIVED):
            self.stages[about.version] = target

    def known(self, version: str) -> Running:
        """Give a version that was seen before."""
        return Running(version, self.seen.revisions[version])

    @property
    def old(self) -> str | None:
        """The version that was in production."""
        return next((name for name, stage in self.seen.placements.items() if stage is Stage.PRODUCTION), None)

    @property
    def has_replaced(self) -> bool:
        """Whether another version is in production than was seen last."""
        return self.now.stable is not None and self.now.stable.version != self.old

    @property
    def begins_again(self) -> bool:
        """Whether another attempt is under way than was seen last."""
        started = self.now.started
        return bool(self.seen.started and started and datetime.fromisoformat(self.seen.started) != started)

    @property
    def old_stable_leaves(self) -> bool:
        """Whether `leaving` was in production: after a stop it may also be a candidate."""
        return self.now.phase == sightings.PRODUCTION and self.now.leaving is not None and not self.now.may_have_resumed

    @property
    def is_takeover_exact(self) -> bool:
        """Whether the phase's own time is that of the takeover; production is also entered in other ways."""
        now = self.now
        was_under_test = now.stable is not None and self.seen.placements.get(now.stable.version) is not None
        same = was_under_test and self.seen.started != "" and not self.begins_again
        return (same and now.phase == sightings.PRODUCTION and not now.may_have_resumed) or self.old_stable_leaves


def _stable_was_replaced(way: Journey) -> None:
    old, stable = way.old, way.now.stable
    if old and stable and way.has_replaced:
        why = f"version {stable.version} took its place"
        exact = way.is_takeover_exact and not _came_and_went(way)
        way.move(way.known(old), Stage.ARCHIVED, way.now.latest, exact, why)
    elif old and old not in way.after:
        way.move(way.known(old), Stage.ARCHIVED, way.now.latest, False, "the deployment does not have it any more")


def _came_and_went(way: Journey) -> Running | None:
    """Give a version that was in production between two observations and has left it already."""
    leaving = way.now.leaving
    if not (leaving and way.has_replaced and way.old_stable_leaves):
        return None
    return None if leaving.version == way.old or leaving.version in way.after else leaving


def _stable_came_and_went(way: Journey) -> None:
    gone, stable = _came_and_went(way), way.now.stable
    if gone and stable:
        way.move(gone, Stage.PRODUCTION, way.now.latest, False, "it was in production while nobody looked")
        way.move(gone, Stage.ARCHIVED, way.now.entered, True, f"version {stable.version} took its place")


def _attempt_ended(way: Journey) -> None:
    candidate = way.now.candidate.version if way.now.candidate else None
    under_test = [name for name, stage in way.stages.items() if stage is not Stage.PRODUCTION]
    for version in under_test:
        if version not in way.after or (
            version == candidate and way.begins_again and way.after[version] is not Stage.PRODUCTION
        ):
            at, exact, why = _find_end(way, version)
            way.move(way.known(version), Stage.DRAFT, at, exact, why)


def _find_end(way: Journey, version: str) -> tuple[datetime, bool, str]:
    """Give when and why the attempt that was seen ended; of another attempt since, the status says nothing about this one."""
    now = way.now
    left = now.leaving is not None and now.leaving.version == version
    if way.begins_again:
        return now.latest, False, "the rollout ended while nobody looked"
    if now.failure and now.failure.running.version == version:
        return now.failure.at, True, now.failure.message
    if left and now.phase == sightings.SUPERSEDED:
        return now.entered, True, "the spec names another version"
    if left and now.phase == sightings.STOPPED:
        # It may have been leaving already, for another version, when the stop came.
        return now.entered, False, "the rollout was stopped"
    return now.latest, False, "the rollout ended while nobody looked"


def _version_took_over(way: Journey) -> None:
    stable = way.now.stable
    if stable:
        why = f"it took the place of version {way.old}" if way.old else "a ModelDeployment has it in production"
        way.move(stable, Stage.PRODUCTION, way.now.latest, way.is_takeover_exact, why)


def _failed_and_is_kept(way: Journey) -> None:
    """Tell of a failure that the status has forgotten already, while the pods are still kept for inspection."""
    told = {move.version for move in way.moves} | set(way.after)
    kept_before = {found.partition("@")[0] for found in way.seen.retained}
    failed = {found.partition("@")[0] for found in (way.seen.failure,) if found} - kept_before
    failed |= {way.now.failure.running.revision} if way.now.failure else set()
    for found, running in way.now.retained.items():
        if found not in way.seen.retained and running.revision not in failed and running.version not in told:
            way.move(running, Stage.STAGING, way.now.latest, False, "it was rolled out while nobody looked")
            way.move(running, Stage.DRAFT, way.now.latest, False, "it failed, and its pods are kept for inspection")


def _failed_unseen(way: Journey) -> None:
    """Tell of a failure from beginning to end, where the beginning was not seen."""
    failure, started = way.now.failure, way.now.started
    if failure is None or failure.id == way.seen.failure or failure.running.version in way.after:
        return
    if any(move.version == failure.running.version and move.at == failure.at for move in way.moves):
        return
    began = started if started and started <= failure.at else failure.at
    way.move(failure.running, Stage.STAGING, began, began == started, "a ModelDeployment has it as its candidate")
    way.move(failure.running, Stage.DRAFT, failure.at, True, failure.message)


def _candidate_advanced(way: Journey) -> None:
    now, candidate = way.now, way.now.candidate
    target = way.after.get(candidate.version) if candidate else None
    if candidate is None or target is None or target is Stage.PRODUCTION:
        return
    if candidate.version not in way.stages:
        way.move(candidate, Stage.STAGING, now.started or now.entered, bool(now.started), "a ModelDeployment has it")
    is_first_step = now.testing == sightings.CANARY and now.step.startswith("1/")
    why = f"it has {now.weight} % of the traffic" if target is Stage.CANARY else "the rollout began again"
    way.move(candidate, target, now.entered, is_first_step or target is Stage.STAGING, why)


# In the order in which things happen.
RULES: tuple[Callable[[Journey], None], ...] = (
    _stable_was_replaced,
    _stable_came_and_went,
    _attempt_ended,
    _version_took_over,
    _failed_and_is_kept,
    _failed_unseen,
    _candidate_advanced,
)


def find_moves(seen: Seen, now: Sighting) -> tuple[Move, ...]:
    """Give the moves that lead from what was seen to what is seen now, in an order that never has two in production."""
    way = Journey(seen, now)
    for rule in RULES:
        rule(way)
    return tuple(way.moves)
