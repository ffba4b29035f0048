"""What to do next with one rollout: a chain of checks per phase, each one fact and one reason.

`decide` walks the chain of the state's phase; the first check that has something to say decides. Checks that take
traffic from a version stand before those that wait and those that give it more, and none of them asks whether
Prometheus answers: an outage can hold a version back but never keep a rollback from happening, and never promote.
"""

import dataclasses
from collections.abc import Callable
from datetime import datetime, timedelta

from serin.core import model, requests
from serin.core.evidence import Verdict
from serin.core.model import Decision, Note, Observation, Reason, State
from serin.core.moves import SETTLING, begin, enter, roll_back, stay, supersede, take_over, withdraw
from serin.core.phases import Phase

Check = Callable[[State, Observation, datetime], Decision | None]


def decide(state: State, observation: Observation, now: datetime) -> Decision:
    """Give the next state and why; the same input gives the same answer, and a repeated decision changes nothing."""
    state = _settle(_expire(state, now), observation, now)
    for check in _CHAINS[state.phase]:
        decision = check(state, observation, now)
        if decision is not None:
            return decision
    raise AssertionError(f"the chain of {state.phase} has no last word")


def _expire(state: State, now: datetime) -> State:
    kept = tuple(retained for retained in state.retained if retained.until > now)
    return state if kept == state.retained else dataclasses.replace(state, retained=kept)


def _settle(state: State, observation: Observation, now: datetime) -> State:
    """Start the step's clock once the route is seen to have its weights and mirror."""
    if state.since is not None or not is_in_place(state, observation.route):
        return state
    return dataclasses.replace(state, since=now)


def is_in_place(state: State, route: model.Route) -> bool:
    """Tell whether the route carries the state's weights and mirror and the gateway has accepted it."""
    mirror = state.candidate.slot if state.mirrors and state.candidate else None
    return route.accepted and dict(route.weights) == state.weights() and route.mirror == mirror


# Checks that take traffic away, or refuse to start.


def _request_is_pending(state: State, observation: Observation, now: datetime) -> Decision | None:
    return requests.handle(state, observation, now)


def _spec_names_another_version(state: State, observation: Observation, now: datetime) -> Decision | None:
    candidate, target = state.candidate, observation.target
    if candidate is None or candidate.revision == target.revision:
        return None
    if state.stable is None:
        return begin(state, target, now)
    return _refused_version(state, observation, now) or supersede(state, observation, now)


def _spec_names_previous_version_while_baking(state: State, observation: Observation, now: datetime) -> Decision | None:
    """A revert in Git while the old version is still warm is a rollback."""
    if state.stable and observation.target.revision == state.stable.revision:
        return roll_back(
            state, observation, now, Reason.SPEC_REVERTED, f"the spec names version {state.stable.version} again"
        )
    return None


def _spec_names_third_version_while_baking(state: State, observation: Observation, now: datetime) -> Decision | None:
    """The baking version has passed every step and carries everything: it is what the third is compared with."""
    candidate, target = state.candidate, observation.target
    if candidate is None or target.revision == candidate.revision:
        return None
    return _refused_version(state, observation, now) or take_over(
        state, now, Reason.SUPERSEDED, f"version {target.version} arrived; {candidate.version} becomes stable"
    )


def _route_says_withdrawn(state: State, observation: Observation, now: datetime) -> Decision | None:
    """A crash between the route's patch and the status must not give the traffic back."""
    failure = observation.route.withdrawn
    if failure is None or state.candidate is None or failure.revision != state.candidate.revision:
        return None
    if state.started is not None and failure.at < state.started:
        return None
    return roll_back(state, observation, now, failure.reason, failure.message, alert=failure.alert)


def _alerts_about(state: State, observation: Observation) -> list[model.Alert]:
    return [
        alert for alert in observation.alerts if state.candidate and alert.revision in ("", state.candidate.revision)
    ]


def _is_older_than_rollout(alert: model.Alert, state: State) -> bool:
    return bool(alert.active_at and state.started and alert.active_at < state.started)


def _alert_is_firing(state: State, observation: Observation, now: datetime) -> Decision | None:
    for alert in _alerts_about(state, observation):
        if not _is_older_than_rollout(alert, state):
            message = f"alert {alert.name} is firing: {alert.message}".rstrip(": ")
            return roll_back(state, observation, now, Reason.ALERT, message, alert=alert.name)
    return None


def _candidate_has_no_pods(state: State, observation: Observation, now: datetime) -> Decision | None:
    pods = observation.pods_of(state.candidate)
    if pods.serving:
        return None
    message = f"no pod of version {_version(state)} is ready any more"
    return roll_back(
        state, observation, now, Reason.CANDIDATE_LOST, f"{message}: {pods.message}" if pods.message else message
    )


def _criterion_has_failed(state: State, observation: Observation, now: datetime) -> Decision | None:
    analysis = observation.analysis
    if analysis.verdict is not Verdict.FAIL or analysis.since is None or analysis.since != state.since:
        return None
    return roll_back(state, observation, now, Reason.CRITERION_FAILED, analysis.message)


def _refused_version(state: State, observation: Observation, now: datetime) -> Decision | None:
    """Refuse a version name that already stands for another digest, before anything of it starts."""
    target = observation.target
    known = (state.stable, state.candidate, state.leaving, *(kept.revision for kept in state.retained))
    for revision in known:
        if revision and revision.version == target.version and _digests_differ(revision.image, target.image):
            message = (
                f"version {target.version} is already {revision.image}, and the spec gives it {target.image}: "
                "a changed image needs a new version"
            )
            return stay(state, Reason.VERSION_REUSED, message)
    return None


def _digests_differ(one: str, other: str) -> bool:
    digests = [image.partition("@")[2] for image in (one, other)]
    return all(digests) and digests[0] != digests[1]


# Checks that wait.


def _version(state: State) -> str:
    return state.candidate.version if state.candidate else ""


def _candidate_is_starting(state: State, observation: Observation, now: datetime) -> Decision | None:
    pods, route, plan = observation.pods_of(state.candidate), observation.route, observation.plan
    waiting_for_route = not route.accepted or state.since is None
    enough = pods.full if state.stable else pods.serving
    if enough and not waiting_for_route:
        return None
    waiting = f"{pods.ready} of {pods.wanted} pods of version {_version(state)} are ready"
    message = f"{waiting}: {pods.message}" if pods.message else waiting
    reason = pods.problem or route.problem or (Reason.WAITING_FOR_ROUTE if enough else Reason.WAITING_FOR_PODS)
    if not pods.problem and (enough or route.problem):
        message = _route_message(route)
    deadline = (state.entered or now) + plan.progress_deadline
    if now < deadline:
        return stay(state, reason, message, next_check=deadline - now)
    reason = reason if reason not in _HARMLESS else Reason.DEADLINE_EXCEEDED
    message = f"not ready within {plan.progress_deadline}: {message}"
    if state.stable is None:
        return stay(state, reason, message)
    return roll_back(state, observation, now, reason, message)


_HARMLESS = (Reason.WAITING_FOR_PODS, Reason.WAITING_FOR_ROUTE)


def _route_message(route: model.Route) -> str:
    return route.message or "the gateway has not taken the route over yet"


def _candidate_is_not_measured(state: State, observation: Observation, now: datetime) -> Decision | None:
    """Show a version no request before its metrics are read: a bad one would fail unseen for as long as they are not."""
    analysis = observation.analysis
    if analysis.sampled:
        return None
    if analysis.verdict is Verdict.UNAVAILABLE:
        return stay(state, Reason.ANALYSIS_UNAVAILABLE, f"holding: {analysis.message}")
    return stay(state, Reason.WAITING_FOR_SAMPLES, f"holding: {analysis.message}")


def _stable_cannot_take_over(state: State, observation: Observation, now: datetime) -> Decision | None:
    pods = observation.pods_of(state.stable)
    if pods.full:
        return None
    message = f"{pods.ready} of {pods.wanted} pods of the stable version are ready: it could not take all traffic back"
    return stay(state, Reason.WAITING_FOR_STABLE, message)


def _route_is_not_in_place(state: State, observation: Observation, now: datetime) -> Decision | None:
    if state.since is not None:
        return None
    return stay(state, observation.route.problem or Reason.WAITING_FOR_ROUTE, _route_message(observation.route))


def _time_is_left(state: State, observation: Observation, now: datetime) -> Decision | None:
    duration = _duration(state, observation.plan)
    passed = now - (state.since or now)
    if passed >= duration:
        return None
    left = timedelta(seconds=round((duration - passed).total_seconds()))
    message = f"{_doing(state)} for {left} more; {observation.analysis.message}"
    return stay(state, Reason.WAITING_FOR_DURATION, message, next_check=duration - passed)


def _duration(state: State, plan: model.Plan) -> timedelta:
    if state.phase is Phase.STAGING:
        return plan.staging
    if state.phase is Phase.BAKING:
        return plan.bake
    reached = [step for step in plan.steps if step.weight <= state.weight]
    return reached[-1].duration if reached else timedelta()


def _doing(state: State) -> str:
    match state.phase:
        case Phase.STAGING:
            return f"version {_version(state)} is shown mirrored traffic"
        case Phase.BAKING:
            return f"version {_version(state)} has all traffic and is watched"
        case _:
            return f"version {_version(state)} has {state.weight} % of the traffic"


def _old_alert_is_firing(state: State, observation: Observation, now: datetime) -> Decision | None:
    for alert in _alerts_about(state, observation):
        return stay(
            state, Reason.WAITING_FOR_EVIDENCE, f"alert {alert.name} was firing before the rollout and still is"
        )
    return None


def _evidence_does_not_pass(state: State, observation: Observation, now: datetime) -> Decision | None:
    analysis = observation.analysis
    if analysis.verdict is Verdict.PASS and analysis.since == state.since:
        return None
    if analysis.verdict is Verdict.UNAVAILABLE:
        return stay(state, Reason.ANALYSIS_UNAVAILABLE, f"holding: {analysis.message}")
    return stay(state, Reason.WAITING_FOR_EVIDENCE, f"holding: {analysis.message}")


def _traffic_is_not_verified(state: State, observation: Observation, now: datetime) -> Decision | None:
    if observation.analysis.verified:
        return None
    return stay(state, Reason.WAITING_FOR_TRAFFIC, f"holding: {observation.analysis.traffic_message}")


def _candidate_is_not_full(state: State, observation: Observation, now: datetime) -> Decision | None:
    pods = observation.pods_of(state.candidate)
    if pods.full:
        return None
    message = f"holding: {pods.ready} of {pods.wanted} pods of version {_version(state)} are ready"
    return stay(state, Reason.WAITING_FOR_CAPACITY, message)


def _traffic_waits_for_stable(state: State, observation: Observation, now: datetime) -> Decision | None:
    """Give the traffic to the stable version as soon as one of its pods is ready; before, it stays where it is."""
    if state.weight == 0 or state.stable is None:
        return None
    if not observation.pods_of(state.stable).serving:
        return stay(
            state, Reason.WAITING_FOR_STABLE, "no pod of the stable version is ready: traffic stays where it is"
        )
    lowered = withdraw(state, observation).weight
    if lowered == state.weight:
        settled = (state.since or now) + SETTLING
        if now < settled:
            message = "the gateway settles after the loss of the version's pods"
            return stay(state, Reason.WAITING_FOR_DRAIN, message, next_check=settled - now)
        lowered = 0
    note = Note(Reason.DRAINED, f"traffic goes back to version {state.stable.version}")
    less = dataclasses.replace(state, weight=lowered, since=None)
    return stay(less, Reason.WAITING_FOR_DRAIN, note.message, notes=(note,))


def _drain_is_not_verified(state: State, observation: Observation, now: datetime) -> Decision | None:
    leaving = state.leaving or state.candidate
    if leaving is None or is_drained(state, leaving, observation):
        return None
    message = f"version {leaving.version} is at weight 0; {observation.analysis.drain_message or 'its drain is being verified'}"
    return stay(state, Reason.WAITING_FOR_DRAIN, message)


def is_drained(state: State, leaving: model.Revision, observation: Observation) -> bool:
    """Tell whether a revision has no weight, no mirror, and either no pods or no more answers."""
    if state.since is None or observation.route.weights.get(leaving.slot, 0) != 0:
        return False
    if not observation.pods_of(leaving).serving:
        return True
    return observation.analysis.drained and observation.analysis.since == state.since


# Checks that move on; each is its chain's last word.


def _first_version_is_ready(state: State, observation: Observation, now: datetime) -> Decision | None:
    if state.stable is not None:
        return None
    return take_over(state, now, Reason.PROMOTED, f"version {_version(state)} is the first and takes all traffic")


def _show_it_traffic(state: State, observation: Observation, now: datetime) -> Decision:
    plan = observation.plan
    if plan.staging > timedelta():
        message = f"version {_version(state)} is ready and is shown {plan.mirror_percent} % of the traffic, mirrored"
        return enter(state, Phase.STAGING, now, Reason.MIRRORING, message)
    return _next_step(state, observation, now)


def _next_step(state: State, observation: Observation, now: datetime) -> Decision:
    weight = next((step.weight for step in observation.plan.steps if step.weight > state.weight), 100)
    raised = dataclasses.replace(state, weight=weight)
    version = _version(state)
    if weight >= 100:
        warm = f"; {state.stable.version} stays warm" if state.stable else ""
        message = f"version {version} gets all traffic{warm}"
        return enter(raised, Phase.BAKING, now, Reason.FULL_WEIGHT, message)
    return enter(raised, Phase.CANARY, now, Reason.STEP_REACHED, f"version {version} gets {weight} % of the traffic")


def _promote(state: State, observation: Observation, now: datetime) -> Decision:
    message = f"version {_version(state)} is in production; {observation.analysis.message}"
    return take_over(state, now, Reason.PROMOTED, message)


def _finish_rollback(state: State, observation: Observation, now: datetime) -> Decision:
    failed = state.candidate
    until = now + observation.plan.failed_retention
    retained = (*state.retained, *((model.Retained(failed, until),) if failed else ()))
    message = state.failure.message if state.failure else "rolled back"
    return enter(
        dataclasses.replace(state, candidate=None, retained=retained),
        Phase.ROLLED_BACK,
        now,
        state.failure.reason if state.failure else Reason.DRAINED,
        message,
        note=Note(Reason.DRAINED, f"version {failed.version if failed else ''} answers nothing any more"),
    )


def _serve(state: State, observation: Observation, now: datetime) -> Decision:
    """Production: forget what has left, then start what the spec names."""
    if state.leaving and is_drained(state, state.leaving, observation):
        state = dataclasses.replace(state, leaving=None)
    stable, target = state.stable, observation.target
    if stable and stable.revision == target.revision:
        return stay(state, Reason.PROMOTED, f"version {stable.version} has all traffic")
    refused = _refused_version(state, observation, now)
    if refused:
        return refused
    if state.leaving:
        return _drain_is_not_verified(state, observation, now) or stay(state, Reason.DRAINED, "drained")
    return begin(state, target, now)


def _start_what_the_spec_names(state: State, observation: Observation, now: datetime) -> Decision:
    state = dataclasses.replace(state, leaving=None)
    stable, target = state.stable, observation.target
    if stable and stable.revision == target.revision:
        message = f"the spec names the stable version {stable.version}"
        return enter(dataclasses.replace(state, failure=None), Phase.PRODUCTION, now, Reason.SPEC_REVERTED, message)
    return _refused_version(state, observation, now) or begin(state, target, now)


def _stay_rolled_back(state: State, observation: Observation, now: datetime) -> Decision:
    failure = state.failure
    if failure and failure.revision == observation.target.revision:
        hint = "apply another version, or ask for retry"
        return stay(state, failure.reason, f"version {failure.version} was rolled back: {failure.message}; {hint}")
    return _start_what_the_spec_names(state, observation, now)


def _stay_paused(state: State, observation: Observation, now: datetime) -> Decision:
    return stay(state, Reason.PAUSED, f"{_doing(state)}; paused: ask for resume, promote or rollback")


def _stay_stopped(state: State, observation: Observation, now: datetime) -> Decision:
    if state.leaving and is_drained(state, state.leaving, observation):
        state = dataclasses.replace(state, leaving=None)
    return stay(state, Reason.STOPPED, "stopped: nothing rolls out until resume is asked for")


_DANGER: tuple[Check, ...] = (
    _route_says_withdrawn,  # what a crash interrupted comes before everything
    _request_is_pending,
    _alert_is_firing,
    _candidate_has_no_pods,
    _criterion_has_failed,
)
_HOLD: tuple[Check, ...] = (
    _route_is_not_in_place,
    _time_is_left,
    _old_alert_is_firing,
    _evidence_does_not_pass,
)
_CAPACITY: tuple[Check, ...] = (_candidate_is_not_full, _stable_cannot_take_over)

_CHAINS: dict[Phase, tuple[Check, ...]] = {
    Phase.PENDING: (
        _request_is_pending,
        _spec_names_another_version,
        _candidate_is_starting,
        _first_version_is_ready,
        _candidate_is_not_measured,
        _stable_cannot_take_over,
        _show_it_traffic,
    ),
    Phase.STAGING: (*_DANGER, _spec_names_another_version, *_HOLD, *_CAPACITY, _next_step),
    Phase.CANARY: (
        *_DANGER,
        _spec_names_another_version,
        *_HOLD,
        _traffic_is_not_verified,
        *_CAPACITY,
        _next_step,
    ),
    Phase.BAKING: (
        *_DANGER,
        _spec_names_previous_version_while_baking,
        _spec_names_third_version_while_baking,
        *_HOLD,
        _traffic_is_not_verified,
        _candidate_is_not_full,
        _promote,
    ),
    Phase.PAUSED: (*_DANGER, _spec_names_another_version, _stay_paused),
    Phase.ROLLING_BACK: (_request_is_pending, _traffic_waits_for_stable, _drain_is_not_verified, _finish_rollback),
    Phase.SUPERSEDED: (
        _request_is_pending,
        _traffic_waits_for_stable,
        _drain_is_not_verified,
        _start_what_the_spec_names,
    ),
    Phase.PRODUCTION: (_request_is_pending, _serve),
    Phase.ROLLED_BACK: (_request_is_pending, _stay_rolled_back),
    Phase.STOPPED: (_request_is_pending, _traffic_waits_for_stable, _stay_stopped),
}
