"""The lifecycle of a model version, as a table: every move there is, who may ask for it and what the cluster makes of it.

A move that is not in the table cannot happen. Stages from STAGING to PRODUCTION are where the cluster has put a version:
people ask for a deployment, and the registry records what became of it.
"""

import dataclasses
import enum


class Stage(enum.StrEnum):
    """Where a version stands."""

    DRAFT = "DRAFT"
    TRAINING = "TRAINING"
    TESTING = "TESTING"
    STAGING = "STAGING"
    CANARY = "CANARY"
    PRODUCTION = "PRODUCTION"
    ARCHIVED = "ARCHIVED"


class Mover(enum.StrEnum):
    """Who makes a move: a person or pipeline through the API, or the cluster by what happened there."""

    CALLER = "caller"
    CLUSTER = "cluster"


@dataclasses.dataclass(frozen=True)
class Transition:
    """One move of a version, who may make it, and the fact that leads there."""

    source: Stage
    target: Stage
    movers: frozenset[Mover]
    when: str


_CALLER = frozenset({Mover.CALLER})
_CLUSTER = frozenset({Mover.CLUSTER})
_EITHER = _CALLER | _CLUSTER
_BEFORE = (Stage.DRAFT, Stage.TRAINING, Stage.TESTING)
_DEPLOYED = (Stage.STAGING, Stage.CANARY, Stage.PRODUCTION)

TRANSITIONS: tuple[Transition, ...] = (
    Transition(Stage.DRAFT, Stage.TRAINING, _CALLER, "a training job began"),
    Transition(Stage.TRAINING, Stage.TESTING, _CALLER, "training ended with an artifact"),
    Transition(Stage.TRAINING, Stage.DRAFT, _CALLER, "training failed or was given up"),
    Transition(Stage.DRAFT, Stage.TESTING, _CALLER, "a trained model is to be tested"),
    Transition(Stage.TESTING, Stage.DRAFT, _CALLER, "a test failed"),
    # Someone with kubectl may deploy what nobody tested: the registry records what is, not what should be.
    *(
        Transition(source, target, _CLUSTER, f"a ModelDeployment has it in {target.lower()}")
        for source in (*_BEFORE, Stage.ARCHIVED)
        for target in _DEPLOYED
    ),
    Transition(Stage.STAGING, Stage.CANARY, _CLUSTER, "mirrored traffic gave no reason against it"),
    Transition(Stage.STAGING, Stage.PRODUCTION, _CLUSTER, "it took over without a canary"),
    Transition(Stage.CANARY, Stage.STAGING, _CLUSTER, "the rollout began again"),
    Transition(Stage.CANARY, Stage.PRODUCTION, _CLUSTER, "all steps passed"),
    Transition(Stage.PRODUCTION, Stage.CANARY, _CLUSTER, "it is rolled out anew beside another version"),
    Transition(Stage.PRODUCTION, Stage.STAGING, _CLUSTER, "it is rolled out anew beside another version"),
    *(Transition(source, Stage.DRAFT, _CLUSTER, "it was rolled back or superseded") for source in _DEPLOYED),
    *(Transition(source, Stage.ARCHIVED, _CLUSTER, "another took its place, or it was removed") for source in _DEPLOYED),
    *(Transition(source, Stage.ARCHIVED, _EITHER, "it is retired") for source in _BEFORE),
    Transition(Stage.ARCHIVED, Stage.DRAFT, _CALLER, "it is taken up again"),
)  # fmt: skip

_BY_MOVE = {(transition.source, transition.target): transition for transition in TRANSITIONS}

# How far a version has come; of several deployments the furthest says where it stands.
_RANK: dict[Stage, int] = {stage: rank for rank, stage in enumerate(Stage) if stage is not Stage.ARCHIVED}


class IllegalMoveError(ValueError):
    """A move that the table does not hold, or not for this mover."""


def find(source: Stage, target: Stage) -> Transition | None:
    """Give the transition between two stages, if there is one."""
    return _BY_MOVE.get((source, target))


def move(source: Stage, target: Stage, mover: Mover) -> Stage:
    """Give the target, or refuse it: nothing but the table decides which moves exist.

    Raises:
        IllegalMoveError: the table has no such move, or another mover makes it; the message names the moves there are.
    """
    transition = find(source, target)
    if transition is None or mover not in transition.movers:
        ways = [str(way.target) for way in TRANSITIONS if way.source is source and mover in way.movers]
        reason = "only the cluster makes it" if transition else "there is no such move"
        raise IllegalMoveError(
            f"a version in {source} cannot move to {target}: {reason}; from {source} it can go to "
            f"{', '.join(dict.fromkeys(ways)) or 'nowhere'}"
        )
    return target


def furthest(stages: list[Stage]) -> Stage | None:
    """Of the stages that a version has in several deployments, give the one that says where it stands."""
    return max(stages, key=_RANK.__getitem__, default=None)
