"""How far a training is, as a table of moves: whoever trains reports them, and the registry keeps them."""

import enum


class State(enum.StrEnum):
    """Where a job stands."""

    PENDING = "PENDING"
    RUNNING = "RUNNING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"


class Trigger(enum.StrEnum):
    """What asked for a retraining."""

    PERFORMANCE = "performance"
    DRIFT = "drift"
    SCHEDULE = "schedule"
    MANUAL = "manual"


MOVES: dict[State, frozenset[State]] = {
    State.PENDING: frozenset({State.RUNNING, State.FAILED, State.CANCELLED}),
    State.RUNNING: frozenset({State.COMPLETED, State.FAILED, State.CANCELLED}),
    State.COMPLETED: frozenset(),
    State.FAILED: frozenset(),
    State.CANCELLED: frozenset(),
}


def find_problem(source: State, target: State, *, has_version: bool) -> str | None:
    """Say why a job cannot go from one state to another, or nothing where it can."""
    if target not in MOVES[source]:
        ways = ", ".join(sorted(MOVES[source])) or "nowhere, it has ended"
        return f"a job that is {source} cannot become {target}: it can go to {ways}"
    if (target is State.COMPLETED) is not has_version:
        return f"a job names the version that it made when it is {State.COMPLETED}, and only then"
    return None
