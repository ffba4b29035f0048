"""From states and conditions to the status that is stored; the inverse is in `readings`."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from serin.api import status
from serin.core.conditions import Condition
from serin.core.model import Decision, Failure, Handled, Observation, Plan, Revision, State
from serin.core.phases import Phase

# The status has no verdict where no version is under test.
_JUDGED = (Phase.STAGING, Phase.CANARY, Phase.BAKING, Phase.PAUSED)


def make_status(
    decision: Decision,
    observation: Observation,
    conditions: Iterable[Condition],
    previous: Mapping[str, Any],
    generation: int,
    now: datetime,
) -> status.Status:
    """Make the status; a condition keeps its transition time while its status stays."""
    state, analysis = decision.state, observation.analysis
    judged = state.phase in _JUDGED
    serving = state.candidate if state.weight == 100 else state.stable
    return status.Status(
        observed_generation=generation,
        phase=state.phase,
        message=decision.message,
        stable=_write_revision(state.stable),
        candidate=_write_revision(state.candidate),
        leaving=_write_revision(state.leaving),
        retained=[
            status.RetainedStatus(revision=revision, until=kept.until.isoformat())
            for kept in state.retained
            if (revision := _write_revision(kept.revision))
        ],
        step=describe_step(state, observation.plan),
        weight=state.weight,
        verdict=analysis.verdict if judged else "",
        assessments=[
            status.AssessmentStatus(name=item.name, verdict=item.verdict, message=item.message)
            for item in (analysis.assessments if judged else ())
        ],
        failure=_write_failure(state.failure),
        request=_write_request(state.request),
        conditions=_write_conditions(conditions, previous, generation, now),
        started=_write_time(state.started),
        entered=_write_time(state.entered),
        since=_write_time(state.since),
        resume=state.resume,
        paused_at=_write_time(state.paused_at),
        attempt=state.attempt,
        replicas=observation.pods_of(serving).ready,
        selector=f"serin.dev/revision={serving.revision}" if serving else "",
    )


def step_number(state: State, plan: Plan) -> int:
    """Give the number of the step under way, counted from 1; 0 before the first."""
    return sum(step.weight <= state.weight for step in plan.steps)


def describe_step(state: State, plan: Plan) -> str:
    """Give the step under way and how many there are, like 2/4; nothing outside a rollout."""
    if state.candidate is None:
        return ""
    return f"{step_number(state, plan)}/{len(plan.steps)}"


def _write_conditions(
    conditions: Iterable[Condition], previous: Mapping[str, Any], generation: int, now: datetime
) -> list[status.ConditionStatus]:
    before = {found["type"]: found for found in previous.get("conditions", [])}
    written = []
    for condition in conditions:
        known = before.get(condition.type, {})
        kept = known.get("status") == condition.status
        written.append(
            status.ConditionStatus(
                type=condition.type,
                status=condition.status,
                reason=condition.reason,
                message=condition.message,
                last_transition_time=known["lastTransitionTime"] if kept else f"{now:%Y-%m-%dT%H:%M:%SZ}",
                observed_generation=generation,
            )
        )
    return written


def _write_time(time: datetime | None) -> str | None:
    return time.isoformat() if time else None


def _write_revision(revision: Revision | None) -> status.RevisionStatus | None:
    if revision is None:
        return None
    return status.RevisionStatus(
        revision=revision.revision, version=revision.version, image=revision.image, slot=revision.slot
    )


def _write_failure(failure: Failure | None) -> status.FailureStatus | None:
    if failure is None:
        return None
    return status.FailureStatus(
        revision=failure.revision,
        version=failure.version,
        reason=failure.reason,
        message=failure.message,
        at=failure.at.isoformat(),
        alert=failure.alert,
        numbers=dict(failure.numbers),
    )


def _write_request(request: Handled | None) -> status.RequestStatus | None:
    if request is None:
        return None
    return status.RequestStatus(
        id=request.id,
        verb=request.verb,
        accepted=request.accepted,
        message=request.message,
        at=request.at.isoformat(),
    )


_LOUD_FIELDS = ("message", "assessments", "verdict")


def is_only_chatter(new: Mapping[str, Any], old: Mapping[str, Any]) -> bool:
    """Tell whether two statuses differ in nothing but progress messages, which need not be written at once."""
    return _quiet(new) == _quiet(old)


def _quiet(found: Mapping[str, Any]) -> dict[str, Any]:
    kept = {key: value for key, value in found.items() if key not in _LOUD_FIELDS}
    kept["conditions"] = [(c["type"], c["status"], c["observedGeneration"]) for c in found.get("conditions", [])]
    return kept
