"""The phases of a rollout and every transition between them; the README's diagram is drawn from this table.

A transition that is not in the table cannot happen: `move` refuses it. So whoever reads the table has read every
way in which traffic can come to a version.
"""

import enum
from dataclasses import dataclass


class Phase(enum.StrEnum):
    """Where a rollout stands; each value is what `status.phase` shows."""

    PENDING = "Pending"
    STAGING = "Staging"
    CANARY = "Canary"
    BAKING = "Baking"
    PRODUCTION = "Production"
    PAUSED = "Paused"
    ROLLING_BACK = "RollingBack"
    ROLLED_BACK = "RolledBack"
    SUPERSEDED = "Superseded"
    STOPPED = "Stopped"


@dataclass(frozen=True)
class Transition:
    """One way from a phase to another, and the facts that lead there."""

    source: Phase
    target: Phase
    when: str


_UNDER_TEST = (Phase.STAGING, Phase.CANARY, Phase.BAKING)

TRANSITIONS: tuple[Transition, ...] = (
    Transition(Phase.PENDING, Phase.PRODUCTION, "the first version is ready"),
    Transition(Phase.PENDING, Phase.STAGING, "the candidate is ready"),
    Transition(Phase.PENDING, Phase.CANARY, "ready, and no staging asked for"),
    Transition(Phase.STAGING, Phase.CANARY, "time is up and the verdict is Pass"),
    Transition(Phase.CANARY, Phase.BAKING, "the last step, 100 %"),
    Transition(Phase.BAKING, Phase.PRODUCTION, "time is up and the verdict is Pass, or a third version arrives"),
    *(
        Transition(source, Phase.BAKING, "promote is asked for, or no step is below 100 %")
        for source in (Phase.PENDING, Phase.STAGING, Phase.PAUSED)
    ),
    *(Transition(source, Phase.PAUSED, "pause is asked for") for source in _UNDER_TEST),
    *(Transition(Phase.PAUSED, target, "resume is asked for") for target in _UNDER_TEST),
    Transition(Phase.PAUSED, Phase.PRODUCTION, "promote is asked for in a paused bake"),
    Transition(Phase.PENDING, Phase.ROLLING_BACK, "the deadline has passed, or a person asks"),
    *(
        Transition(source, Phase.ROLLING_BACK, "an alert, a Fail, lost pods, or a person")
        for source in (*_UNDER_TEST, Phase.PAUSED)
    ),
    Transition(Phase.ROLLING_BACK, Phase.ROLLED_BACK, "the drain is verified"),
    *(
        Transition(source, Phase.SUPERSEDED, "the spec names another version")
        for source in (Phase.PENDING, Phase.STAGING, Phase.CANARY, Phase.PAUSED)
    ),
    Transition(Phase.SUPERSEDED, Phase.PENDING, "the drain is verified"),
    Transition(Phase.SUPERSEDED, Phase.PRODUCTION, "drained, and the spec names the stable version"),
    Transition(Phase.PRODUCTION, Phase.PENDING, "the spec names a new version"),
    Transition(Phase.ROLLED_BACK, Phase.PENDING, "a new version, or retry is asked for"),
    Transition(Phase.ROLLED_BACK, Phase.PRODUCTION, "the spec names the stable version"),
    *(Transition(source, Phase.STOPPED, "stop is asked for") for source in Phase if source is not Phase.STOPPED),
    Transition(Phase.STOPPED, Phase.PENDING, "resume is asked for"),
    Transition(Phase.STOPPED, Phase.PRODUCTION, "resume, and the spec names the stable version"),
    Transition(Phase.STOPPED, Phase.ROLLED_BACK, "resume, and the spec names the version that was rolled back"),
)

_ALLOWED = frozenset((transition.source, transition.target) for transition in TRANSITIONS)


class IllegalTransitionError(ValueError):
    """A move between phases that the table does not hold."""


def move(source: Phase, target: Phase) -> Phase:
    """Give the target phase, or refuse it: nothing but the table decides which moves exist.

    Raises:
        IllegalTransitionError: the table has no such transition.
    """
    if source is not target and (source, target) not in _ALLOWED:
        raise IllegalTransitionError(f"no transition leads from {source} to {target}")
    return target


# Drawn as notes: their arrows come from everywhere and would hide the way of a version.
_BESIDE_THE_WAY = (Phase.PAUSED, Phase.STOPPED)
_NOTES = (
    "pause holds Staging, Canary and Baking until resume",
    "stop leads from every phase to Stopped, and resume back",
)


def make_diagram() -> str:
    """Draw the table as a Mermaid state diagram, one arrow per pair of phases."""
    arrows: dict[tuple[Phase, Phase], list[str]] = {}
    for transition in TRANSITIONS:
        if transition.source not in _BESIDE_THE_WAY and transition.target not in _BESIDE_THE_WAY:
            arrows.setdefault((transition.source, transition.target), []).append(transition.when)
    lines = [f"  {source} --> {target}: {' / '.join(when)}" for (source, target), when in arrows.items()]
    note = ["  note right of Canary", *(f"    {line}" for line in _NOTES), "  end note"]
    return "\n".join(["stateDiagram-v2", "  direction LR", "  [*] --> Pending", *lines, *note])
