"""What a rollout's state is when its status is lost or makes no sense: read from the children, never from the spec.

A cluster restored from Git in the middle of a canary has the unproven version in its spec. The records' numbers tell
which revision came later, the Services which slot each has, the route how much traffic it has and whether it was
withdrawn. Where these leave a doubt, the answer with less traffic for the newer version is taken.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from serin.core.model import Failure, Handled, Request, Revision, Slot, State, Target, Verb
from serin.core.phases import Phase

_UNDER_TEST = (Phase.STAGING, Phase.CANARY, Phase.BAKING)
_HAS_CANDIDATE = (Phase.PENDING, *_UNDER_TEST, Phase.PAUSED, Phase.ROLLING_BACK)
_NEEDS_STABLE = (*_UNDER_TEST, Phase.PAUSED, Phase.ROLLING_BACK, Phase.ROLLED_BACK, Phase.PRODUCTION)
# The lowest and highest share of the candidate, in percent; the other phases may be waiting to take any share back.
_WEIGHTS = {
    Phase.PENDING: (0, 0),
    Phase.STAGING: (0, 0),
    Phase.CANARY: (1, 99),
    Phase.BAKING: (100, 100),
    Phase.PRODUCTION: (0, 0),
    Phase.ROLLED_BACK: (0, 0),
}
_HOLDING_VERBS = (Verb.STOP, Verb.PAUSE)


@dataclass(frozen=True)
class Record:
    """A revision's record; numbers grow in the order in which rollouts began."""

    target: Target
    number: int


@dataclass(frozen=True)
class Traces:
    """What the children still tell: which revision each slot selects, and what the route does with the slots."""

    records: Sequence[Record] = ()
    selected: Mapping[Slot, str] = field(default_factory=dict)
    weights: Mapping[Slot, int] = field(default_factory=dict)
    withdrawn: Failure | None = None


def is_consistent(state: State) -> bool:
    """Tell whether a stored state can be what this code once wrote."""
    stable, candidate, leaving = state.stable, state.candidate, state.leaving
    lowest, highest = _WEIGHTS.get(state.testing, (0, 100))
    differ = not (stable and candidate) or (stable.slot is not candidate.slot and stable.revision != candidate.revision)
    leaves_elsewhere = not (stable and leaving) or stable.slot is not leaving.slot
    return (
        lowest <= state.weight <= highest
        and differ
        and leaves_elsewhere
        and not (candidate and leaving)
        and (candidate is not None) == (state.phase in _HAS_CANDIDATE)
        and (stable is not None or state.phase not in _NEEDS_STABLE)
        and (state.weight == 0 or stable is not None)
        and (state.phase is not Phase.PAUSED or state.resume in _UNDER_TEST)
    )


def begin_anew(target: Target, baseline: Target | None, now: datetime) -> State:
    """Give the state of an object that has no children: the baseline is stable if one is named, else nothing is."""
    stable = Revision(baseline.revision, baseline.version, baseline.image, Slot.A) if baseline else None
    if stable and stable.revision == target.revision:
        return State(Phase.PRODUCTION, stable=stable, entered=now, started=now)
    slot = stable.slot.other if stable else Slot.A
    candidate = Revision(target.revision, target.version, target.image, slot)
    return State(Phase.PENDING, stable=stable, candidate=candidate, entered=now, started=now)


def recover(traces: Traces, request: Request | None, now: datetime) -> State | None:
    """Rebuild the state from the children, or give None where there are none to rebuild it from.

    A revision that both slots select is in the one with more weight: the other was empty and lent to it.
    """
    records = {record.target.revision: record for record in traces.records}
    placed = {
        revision: _place(records[revision], slot)
        for slot, revision in sorted(traces.selected.items(), key=lambda pair: traces.weights.get(pair[0], 0))
        if revision in records
    }
    if not placed:
        return None
    revisions = sorted(placed.values(), key=lambda revision: records[revision.revision].number)
    request_seen = _remember(request, now)
    if len(revisions) == 1:
        return _recover_single(revisions[0], traces, request_seen, now)
    return _recover_pair(revisions[0], revisions[1], traces, request_seen, now)


def find_overtaken(state: State, numbers: Mapping[str, int]) -> Revision | None:
    """Give the candidate if its record is older than the stable version's: an earlier version that begins once more.

    Its record needs a new number, because a recovery takes the higher number for the unproven version.
    """
    stable, candidate = state.stable, state.candidate
    if stable is None or candidate is None or candidate.revision not in numbers:
        return None
    return candidate if numbers[candidate.revision] < numbers.get(stable.revision, 0) else None


def _place(record: Record, slot: Slot) -> Revision:
    return Revision(record.target.revision, record.target.version, record.target.image, slot)


def _remember(request: Request | None, now: datetime) -> Handled | None:
    """Take a request that stands there as carried out, except one that holds: stopping twice is safe, promoting is not."""
    if request is None or request.verb in _HOLDING_VERBS:
        return None
    return Handled(request.id, request.verb, accepted=False, message="the status was lost: ask again", at=now)


def _recover_single(only: Revision, traces: Traces, request: Handled | None, now: datetime) -> State:
    if not any(traces.weights.values()):
        return State(Phase.PENDING, candidate=only, started=now, entered=now, request=request)
    failure = traces.withdrawn
    if failure and failure.revision != only.revision:
        return State(Phase.ROLLED_BACK, stable=only, failure=failure, entered=now, started=now, request=request)
    return State(Phase.PRODUCTION, stable=only, entered=now, started=now, request=request)


def _recover_pair(older: Revision, newer: Revision, traces: Traces, request: Handled | None, now: datetime) -> State:
    # A route that others wrote may have weights of any sum: 100 beside 900 is 10 %.
    weight = 100 * traces.weights.get(newer.slot, 0) // max(1, sum(traces.weights.values()))
    failure = traces.withdrawn if traces.withdrawn and traces.withdrawn.revision == newer.revision else None
    if failure:
        phase = Phase.ROLLING_BACK
    elif weight >= 100:
        phase = Phase.BAKING
    elif weight > 0:
        phase = Phase.CANARY
    else:
        phase = Phase.PENDING
    return State(
        phase,
        stable=older,
        candidate=newer,
        weight=0 if failure else weight,
        failure=failure,
        # Unknown, so that an alert counts however long it has been firing.
        started=None,
        entered=now,
        request=request,
    )
