"""People's requests: what each verb does in which phase, and a clear refusal everywhere else."""

import dataclasses
from collections.abc import Callable
from datetime import datetime

from serin.core import phases
from serin.core.model import Decision, Handled, Note, Observation, Reason, State, Verb
from serin.core.moves import begin, enter, roll_back, take_over, withdraw
from serin.core.phases import Phase

Handler = Callable[[State, Observation, datetime], Decision]

UNDER_TEST = (Phase.STAGING, Phase.CANARY, Phase.BAKING)


class RefusedError(Exception):
    """A request that cannot be carried out now; its text says why and what can be done."""


def handle(state: State, observation: Observation, now: datetime) -> Decision | None:
    """Carry a new request out, or refuse it; a request whose id is known is not looked at again."""
    request = observation.request
    if request is None or (state.request and state.request.id == request.id):
        return None
    try:
        decision = _HANDLERS.get(request.verb, _refuse_unknown)(state, observation, now)
    except RefusedError as refusal:
        handled = Handled(request.id, request.verb, accepted=False, message=str(refusal), at=now)
        note = Note(Reason.REQUEST_REFUSED, f"{request.verb} refused: {refusal}", warning=True)
        return Decision(dataclasses.replace(state, request=handled), Reason.REQUEST_REFUSED, note.message, (note,))
    handled = Handled(request.id, request.verb, accepted=True, message=decision.message, at=now)
    return dataclasses.replace(decision, state=dataclasses.replace(decision.state, request=handled))


def _refuse(verb: Verb, state: State, hint: str) -> RefusedError:
    return RefusedError(f"{verb} has nothing to do in phase {state.phase}; {hint}")


def _refuse_unknown(state: State, observation: Observation, now: datetime) -> Decision:
    verbs = ", ".join(verb.value for verb in Verb)
    asked = observation.request.verb if observation.request else ""
    raise RefusedError(f"{asked!r} is not a request; known are {verbs}")


def _promote(state: State, observation: Observation, now: datetime) -> Decision:
    if state.candidate is None or state.stable is None or state.testing not in (Phase.PENDING, *UNDER_TEST):
        raise _refuse(Verb.PROMOTE, state, "it needs a version that is rolling out")
    if not observation.pods_of(state.candidate).full:
        raise RefusedError(f"not all pods of version {state.candidate.version} are ready")
    text = f"version {state.candidate.version} is promoted by request"
    if state.testing is Phase.BAKING:
        return take_over(state, now, Reason.PROMOTED, text)
    return enter(dataclasses.replace(state, weight=100), Phase.BAKING, now, Reason.FULL_WEIGHT, text)


def _pause(state: State, observation: Observation, now: datetime) -> Decision:
    if state.phase not in UNDER_TEST:
        raise _refuse(Verb.PAUSE, state, "it holds Staging, Canary and Baking")
    paused = dataclasses.replace(state, phase=phases.move(state.phase, Phase.PAUSED), resume=state.phase, paused_at=now)
    text = f"paused at {state.weight} % by request"
    return Decision(paused, Reason.PAUSED, text, (Note(Reason.PAUSED, text),))


def _resume(state: State, observation: Observation, now: datetime) -> Decision:
    if state.phase is Phase.STOPPED:
        target, stable = observation.target, state.stable
        if state.weight:
            raise RefusedError("not all traffic is back at the stable version; ask again")
        if stable and stable.revision == target.revision:
            return enter(state, Phase.PRODUCTION, now, Reason.RESUMED, "resumed by request")
        if state.leaving:
            raise RefusedError(f"version {state.leaving.version} is still draining; ask again")
        if state.failure and state.failure.revision == target.revision:
            text = f"resumed by request; version {target.version} stays rolled back"
            return enter(state, Phase.ROLLED_BACK, now, Reason.RESUMED, text)
        return begin(state, target, now, Reason.RESUMED)
    if state.phase is not Phase.PAUSED or state.resume is None:
        raise _refuse(Verb.RESUME, state, "it goes on after pause or stop")
    # The pause does not count towards the step: 40 s into a step, paused for 10 min, the step is 40 s old. A step that
    # was first seen on the route during the pause is as old as nothing.
    since = state.since and min(now, state.since + (now - (state.paused_at or now)))
    resumed = dataclasses.replace(
        state, phase=phases.move(state.phase, state.resume), since=since, resume=None, paused_at=None
    )
    return Decision(resumed, Reason.RESUMED, "resumed by request", (Note(Reason.RESUMED, "resumed by request"),))


def _rollback(state: State, observation: Observation, now: datetime) -> Decision:
    if state.candidate is None or state.stable is None or state.phase is Phase.ROLLING_BACK:
        raise _refuse(Verb.ROLLBACK, state, "to go back to an older version, apply it")
    return roll_back(state, observation, now, Reason.REQUESTED, "a person asked for it")


def _retry(state: State, observation: Observation, now: datetime) -> Decision:
    if state.phase is not Phase.ROLLED_BACK:
        raise _refuse(Verb.RETRY, state, "it starts a version again after its rollback")
    if state.stable and state.stable.revision == observation.target.revision:
        raise RefusedError(f"the spec names version {state.stable.version}, which is the stable one")
    return begin(state, observation.target, now, Reason.RETRIED)


def _stop(state: State, observation: Observation, now: datetime) -> Decision:
    if state.phase is Phase.STOPPED:
        raise _refuse(Verb.STOP, state, "it is stopped already")
    stopped = withdraw(state, observation)
    stopped = dataclasses.replace(stopped, leaving=state.candidate or state.leaving, candidate=None)
    text = "stopped by request: traffic goes to the stable version and nothing rolls out"
    return enter(stopped, Phase.STOPPED, now, Reason.STOPPED, text, Note(Reason.STOPPED, text, warning=True))


_HANDLERS: dict[str, Handler] = {
    Verb.PROMOTE: _promote,
    Verb.PAUSE: _pause,
    Verb.RESUME: _resume,
    Verb.ROLLBACK: _rollback,
    Verb.RETRY: _retry,
    Verb.STOP: _stop,
}
