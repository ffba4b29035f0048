"""How a state changes: the few moves that every decision is made of."""

import dataclasses
from datetime import datetime, timedelta

from serin.core import phases
from serin.core.evidence import Assessment
from serin.core.model import Decision, Failure, Note, Observation, Reason, Revision, Slot, State, Target
from serin.core.phases import Phase


def stay(
    state: State,
    reason: Reason,
    message: str,
    next_check: timedelta | None = None,
    notes: tuple[Note, ...] = (),
) -> Decision:
    """Keep the phase and say what is waited for."""
    return Decision(state, reason, message, notes, next_check)


def enter(
    state: State, phase: Phase, now: datetime, reason: Reason, message: str, note: Note | None = None
) -> Decision:
    """Move to a phase; its clock starts when the route is seen to follow. What it asks for is looked at at once."""
    moved = dataclasses.replace(
        state,
        phase=phases.move(state.phase, phase),
        entered=now,
        since=None,
        resume=None,
        paused_at=None,
    )
    return Decision(moved, reason, message, (note or Note(reason, message),), next_check=timedelta())


def begin(state: State, target: Target, now: datetime, reason: Reason = Reason.STARTING) -> Decision:
    """Start a version in the slot that the stable one does not have; no traffic yet."""
    slot = state.stable.slot.other if state.stable else Slot.A
    candidate = Revision(target.revision, target.version, target.image, slot)
    retained = tuple(kept for kept in state.retained if kept.revision.revision != target.revision)
    attempt = state.attempt + 1 if reason is Reason.RETRIED else 1
    fresh = dataclasses.replace(
        state,
        candidate=candidate,
        leaving=None,
        retained=retained,
        weight=0,
        started=now,
        failure=None,
        attempt=attempt,
    )
    return enter(fresh, Phase.PENDING, now, reason, f"version {target.version} starts")


# Of 100: what a version without pods keeps until the gateway has settled. Of 100 requests/s three are lost in these 3 s.
REMNANT = 1
# A gateway was seen to need 0.1 to 0.4 s for what follows the loss of a version's last pod, and on a busy machine 1 s was once
# too soon: that costs every request of up to 15 s, each second of waiting one request in a hundred.
SETTLING = timedelta(seconds=3)


def withdraw(state: State, observation: Observation) -> State:
    """Take the version's weight, if a pod of the stable version can take the traffic; else it stays for now.

    A version that has lost its pods in the middle of a split keeps a remnant: see decision 10.
    """
    if not observation.pods_of(state.stable).serving:
        return state
    emptied = 0 < state.weight < 100 and not observation.pods_of(state.candidate or state.leaving).serving
    return dataclasses.replace(state, weight=REMNANT if emptied else 0)


def roll_back(
    state: State, observation: Observation, now: datetime, reason: Reason, message: str, alert: str = ""
) -> Decision:
    """Take all traffic from the candidate and keep why, with the numbers of this moment."""
    candidate = state.candidate
    if candidate is None:
        return stay(state, reason, message)
    numbers = {item.name: _describe(item) for item in observation.analysis.assessments}
    failure = Failure(candidate.revision, candidate.version, reason, message, now, alert, numbers)
    withdrawn = withdraw(dataclasses.replace(state, failure=failure), observation)
    text = f"version {candidate.version} is rolled back: {message}"
    return enter(withdrawn, Phase.ROLLING_BACK, now, reason, text, Note(reason, text, warning=True))


def _describe(assessment: Assessment) -> str:
    value = "no value" if assessment.value is None else f"{assessment.value:.4g}"
    limit = "" if assessment.limit is None else f", limit {assessment.limit:.4g}"
    return f"{value} of {assessment.requests:g} requests{limit}"


def supersede(state: State, observation: Observation, now: datetime) -> Decision:
    """Take the candidate out because the spec names another version; it did not fail and is not kept."""
    candidate, target = state.candidate, observation.target
    withdrawn = withdraw(state, observation)
    message = f"version {candidate.version if candidate else ''} gives way to {target.version}"
    return enter(
        dataclasses.replace(withdrawn, leaving=candidate, candidate=None),
        Phase.SUPERSEDED,
        now,
        Reason.SUPERSEDED,
        message,
    )


def take_over(state: State, now: datetime, reason: Reason, message: str) -> Decision:
    """Make the candidate the stable version; the old one leaves once its drain is verified."""
    promoted = dataclasses.replace(
        state, stable=state.candidate, leaving=state.stable, candidate=None, weight=0, failure=None
    )
    return enter(promoted, Phase.PRODUCTION, now, reason, message)
