"""Conditions of the status: each derived from state and observation alone, so that none can linger."""

from dataclasses import dataclass

from serin.core.evidence import Verdict
from serin.core.model import Decision, Observation, Reason, Revision, Route, State
from serin.core.phases import Phase

TRUE, FALSE, UNKNOWN = "True", "False", "Unknown"

_ROLLING_OUT = (Phase.PENDING, Phase.STAGING, Phase.CANARY, Phase.BAKING)
_SETTLING = (Phase.PENDING, Phase.ROLLING_BACK, Phase.SUPERSEDED)
_MEASURED = (Phase.STAGING, Phase.CANARY, Phase.BAKING, Phase.PAUSED)
_STUCK_REASONS = (Reason.VERSION_REUSED, Reason.ROUTE_CONFLICT, Reason.WAITING_FOR_STABLE)


@dataclass(frozen=True)
class Condition:
    """One condition without its times, which the status writer keeps."""

    type: str
    status: str
    reason: str
    message: str


def make_conditions(decision: Decision, observation: Observation) -> tuple[Condition, ...]:
    """Derive all conditions of an object from what was decided and seen."""
    return (
        _ready(decision.state, observation),
        _promoted(decision.state, observation),
        _progressing(decision),
        _reconciling(decision),
        _stalled(decision, observation),
        _traffic_verified(decision.state, observation),
        _analysis_available(decision.state, observation),
        _rolled_back(decision.state),
        _route_conflict(observation),
    )


def _is_true(fact: bool) -> str:
    return TRUE if fact else FALSE


def _is_routed(state: State, revision: Revision, route: Route) -> bool:
    """Tell whether requests reach a revision.

    A gateway that has yet to take a new weight still serves the old one; in production there is no old one.
    """
    taken = route.accepted or state.phase is not Phase.PRODUCTION
    return route.problem is None and route.weights.get(revision.slot, 0) > 0 and taken


def _ready(state: State, observation: Observation) -> Condition:
    serving = state.candidate if state.weight == 100 else state.stable
    if serving is None:
        pods, route = observation.pods_of(state.candidate), observation.route
        reason = pods.problem or route.problem or Reason.STARTING
        return Condition("Ready", FALSE, reason, pods.message or route.message or "no version serves yet")
    pods = observation.pods_of(serving)
    if not _is_routed(state, serving, observation.route):
        reason = observation.route.problem or Reason.WAITING_FOR_ROUTE
        return Condition("Ready", FALSE, reason, observation.route.message or "the route is not in place yet")
    message = f"{pods.ready} of {pods.wanted} pods of version {serving.version} serve"
    return Condition("Ready", _is_true(pods.full), "Serving" if pods.full else Reason.WAITING_FOR_PODS, message)


def _promoted(state: State, observation: Observation) -> Condition:
    target = observation.target
    carrier = state.candidate if state.weight == 100 else state.stable
    done = carrier is not None and carrier.revision == target.revision and _is_routed(state, carrier, observation.route)
    message = f"version {target.version} {'has' if done else 'does not have'} all traffic"
    return Condition("Promoted", _is_true(done), Reason.PROMOTED if done else "NotPromoted", message)


def _progressing(decision: Decision) -> Condition:
    moving = decision.state.phase in (*_ROLLING_OUT, Phase.ROLLING_BACK, Phase.SUPERSEDED)
    stuck = decision.reason in _STUCK_REASONS
    return Condition("Progressing", _is_true(moving and not stuck), decision.reason, decision.message)


def _reconciling(decision: Decision) -> Condition:
    settling = decision.state.phase in _SETTLING or decision.state.since is None
    frozen = decision.state.phase in (Phase.ROLLED_BACK, Phase.STOPPED)
    return Condition("Reconciling", _is_true(settling and not frozen), decision.reason, decision.message)


def _stalled(decision: Decision, observation: Observation) -> Condition:
    state = decision.state
    late_first = (
        state.phase is Phase.PENDING and state.stable is None and decision.message.startswith("not ready within")
    )
    stalled = (
        state.phase in (Phase.ROLLED_BACK, Phase.STOPPED)
        or decision.reason in _STUCK_REASONS
        or observation.route.problem is Reason.ROUTE_CONFLICT
        or late_first
    )
    return Condition("Stalled", _is_true(stalled), decision.reason, decision.message)


def _traffic_verified(state: State, observation: Observation) -> Condition:
    analysis = observation.analysis
    if state.phase not in (Phase.CANARY, Phase.BAKING, Phase.PAUSED):
        return Condition("TrafficVerified", UNKNOWN, "NoRollout", "weights are verified while traffic is split")
    if analysis.verified is None:
        message = analysis.traffic_message or "too few answers to tell"
        return Condition("TrafficVerified", UNKNOWN, Reason.WAITING_FOR_TRAFFIC, message)
    reason = "FollowsWeight" if analysis.verified else "DiffersFromWeight"
    return Condition("TrafficVerified", _is_true(analysis.verified), reason, analysis.traffic_message)


def _analysis_available(state: State, observation: Observation) -> Condition:
    if state.phase not in _MEASURED:
        return Condition("AnalysisAvailable", UNKNOWN, "NoRollout", "measurements are read while a version is tested")
    verdict = observation.analysis.verdict
    available = verdict is not Verdict.UNAVAILABLE
    reason = f"Verdict{verdict}" if available else Reason.ANALYSIS_UNAVAILABLE
    return Condition("AnalysisAvailable", _is_true(available), reason, observation.analysis.message)


def _rolled_back(state: State) -> Condition:
    failure = state.failure
    if failure is None:
        return Condition("RolledBack", FALSE, "NoFailure", "no version was rolled back since the last success")
    return Condition("RolledBack", TRUE, failure.reason, f"version {failure.version}: {failure.message}")


def _route_conflict(observation: Observation) -> Condition:
    route = observation.route
    if route.problem is Reason.ROUTE_CONFLICT:
        return Condition("RouteConflict", TRUE, Reason.ROUTE_CONFLICT, route.message)
    return Condition("RouteConflict", FALSE, "NoConflict", "no other object has the same hosts and path")
