"""The conditions of each phase, derived from state and observation alone."""

import dataclasses
from typing import Any

import pytest

from serin.core import conditions, decision
from serin.core.conditions import Condition
from serin.core.evidence import Verdict
from serin.core.model import Observation, Pods, Reason, Route, State, Target
from serin.core.phases import Phase
from support.rollouts import GONE, V2, V3, alert, analysis, at, first, image, observe, pods, route, state

TYPES = (
    "Ready",
    "Promoted",
    "Progressing",
    "Reconciling",
    "Stalled",
    "TrafficVerified",
    "AnalysisAvailable",
    "RolledBack",
    "RouteConflict",
)
T, F, U = "True", "False", "Unknown"


def made(before: State, now: float = 110, **seen: Any) -> dict[str, Condition]:
    observation: Observation = observe(before, **seen)
    decided = decision.decide(before, observation, at(now))
    return {found.type: found for found in conditions.make_conditions(decided, observation)}


SPEC_V2 = {"target": V2.target}
# Each phase in a healthy world with the new version in the spec: the statuses in the order of TYPES.
PHASES = [
    pytest.param(first(), {"pods": pods(v1=GONE)}, (F, F, T, T, F, U, U, F, F), id="the first version starts"),
    pytest.param(state(Phase.PENDING), {"pods": pods(v2=GONE)}, (T, F, T, T, F, U, U, F, F), id="Pending"),
    pytest.param(state(Phase.STAGING), SPEC_V2, (T, F, T, F, F, U, T, F, F), id="Staging"),
    pytest.param(state(Phase.CANARY), SPEC_V2, (T, F, T, F, F, T, T, F, F), id="Canary"),
    pytest.param(state(Phase.BAKING), SPEC_V2, (T, T, T, F, F, T, T, F, F), id="Baking"),
    pytest.param(state(Phase.PRODUCTION, stable=V2), SPEC_V2, (T, T, F, F, F, U, U, F, F), id="Production"),
    pytest.param(state(Phase.PAUSED), SPEC_V2, (T, F, F, F, F, T, T, F, F), id="Paused"),
    pytest.param(
        state(Phase.ROLLING_BACK),
        {**SPEC_V2, "analysis": analysis(state(Phase.ROLLING_BACK), drained=False)},
        (T, F, T, T, F, U, U, T, F),
        id="RollingBack",
    ),
    pytest.param(state(Phase.ROLLED_BACK), SPEC_V2, (T, F, F, F, T, U, U, T, F), id="RolledBack"),
    pytest.param(
        state(Phase.SUPERSEDED),
        {"target": V3.target, "analysis": analysis(state(Phase.SUPERSEDED), drained=False)},
        (T, F, T, T, F, U, U, F, F),
        id="Superseded",
    ),
    pytest.param(state(Phase.STOPPED), SPEC_V2, (T, F, F, F, T, U, U, F, F), id="Stopped"),
]


@pytest.mark.parametrize(("before", "seen", "expected"), PHASES)
def test_the_conditions_of_a_phase(before: State, seen: dict[str, Any], expected: tuple[str, ...]) -> None:
    found = made(before, **seen)
    assert tuple(found) == TYPES
    assert {kind: condition.status for kind, condition in found.items()} == dict(zip(TYPES, expected, strict=True))


@pytest.mark.parametrize(("before", "seen"), [pytest.param(*row.values[:2], id=row.id) for row in PHASES])
def test_each_condition_has_a_reason_and_a_sentence(before: State, seen: dict[str, Any]) -> None:
    for condition in made(before, **seen).values():
        assert condition.reason.isidentifier()
        assert condition.reason[0].isupper()
        assert condition.message


@pytest.mark.parametrize(
    ("seen", "status", "reason"),
    [
        pytest.param({}, T, "Serving", id="all pods"),
        pytest.param({"pods": pods(v1=Pods(2, 1, 1))}, F, Reason.WAITING_FOR_PODS, id="not all pods"),
        pytest.param({"pods": pods(v2=GONE)}, T, "Serving", id="the candidate's pods do not matter"),
        pytest.param({"route": route(state(Phase.CANARY), accepted=False)}, T, "Serving", id="a weight on its way"),
        pytest.param(
            {"route": Route(problem=Reason.GATEWAY_MISSING, message="no")}, F, Reason.GATEWAY_MISSING, id="no gateway"
        ),
        pytest.param(
            {"route": Route(problem=Reason.ROUTE_CONFLICT, message="no")}, F, Reason.ROUTE_CONFLICT, id="a conflict"
        ),
    ],
)
def test_when_an_object_is_ready(seen: dict[str, Any], status: str, reason: str) -> None:
    ready = made(state(Phase.CANARY), **seen)["Ready"]
    assert (ready.status, ready.reason) == (status, reason)


def test_while_baking_the_new_version_is_the_one_that_must_be_ready() -> None:
    assert made(state(Phase.BAKING), pods=pods(v1=GONE))["Ready"].status == T
    assert made(state(Phase.BAKING), pods=pods(v2=Pods(2, 1, 1)))["Ready"].status == F


def test_the_first_versions_problem_is_why_it_is_not_ready() -> None:
    broken = Pods(problem=Reason.MODEL_LOAD_FAILED, message="the artifact's digest differs")
    ready = made(first(), pods=pods(v1=broken))["Ready"]
    assert (ready.status, ready.reason, ready.message) == (F, Reason.MODEL_LOAD_FAILED, "the artifact's digest differs")


@pytest.mark.parametrize(
    ("before", "seen", "now", "reason"),
    [
        pytest.param(first(), {"pods": pods(v1=GONE)}, 9999, Reason.DEADLINE_EXCEEDED, id="the first version is late"),
        pytest.param(
            state(Phase.CANARY),
            {"target": Target("x", "1.1.0", image("1.1.0", "f"))},
            110,
            Reason.VERSION_REUSED,
            id="a reused version",
        ),
        pytest.param(state(Phase.CANARY), {"pods": pods(v1=GONE)}, 160, Reason.WAITING_FOR_STABLE, id="no way back"),
        pytest.param(
            state(Phase.CANARY),
            {"pods": pods(v1=GONE), "alerts": (alert(),)},
            110,
            Reason.ALERT,
            id="a rollback is under way",
        ),
    ],
)
def test_stalled_has_the_decisions_reason(before: State, seen: dict[str, Any], now: float, reason: Reason) -> None:
    stalled = made(before, now, **seen)["Stalled"]
    assert stalled.reason == reason
    assert (stalled.status == T) is (reason is not Reason.ALERT)


def test_an_outage_shows_in_the_condition_of_the_analysis() -> None:
    before = state(Phase.CANARY)
    found = made(before, analysis=analysis(before, Verdict.UNAVAILABLE, message="Prometheus does not answer"))
    available = found["AnalysisAvailable"]
    assert (available.status, available.reason, available.message) == (
        F,
        Reason.ANALYSIS_UNAVAILABLE,
        "Prometheus does not answer",
    )


@pytest.mark.parametrize(
    ("verified", "status", "reason"),
    [(True, T, "FollowsWeight"), (False, F, "DiffersFromWeight"), (None, U, Reason.WAITING_FOR_TRAFFIC)],
)
def test_traffic_verified(verified: bool | None, status: str, reason: str) -> None:
    before = state(Phase.CANARY)
    found = made(before, analysis=analysis(before, verified=verified))["TrafficVerified"]
    assert (found.status, found.reason) == (status, reason)


def test_a_route_conflict_is_told_twice_so_that_wait_and_people_find_it() -> None:
    found = made(first(), route=Route(problem=Reason.ROUTE_CONFLICT, message="trading/older has the same path"))
    assert found["RouteConflict"].status == found["Stalled"].status == T
    assert found["RouteConflict"].message == "trading/older has the same path"


def test_a_failure_shows_until_another_version_begins() -> None:
    before = state(Phase.ROLLED_BACK)
    rolled = made(before, **SPEC_V2)["RolledBack"]
    assert (rolled.status, rolled.reason) == (T, Reason.ALERT)
    assert rolled.message == "version 1.1.0: alert TooManyErrors is firing"
    assert made(before, target=V3.target)["RolledBack"].status == F


def test_conditions_come_from_state_and_observation_alone() -> None:
    before = state(Phase.CANARY)
    seen = observe(before)
    decided = decision.decide(before, seen, at(110))
    assert conditions.make_conditions(decided, seen) == conditions.make_conditions(dataclasses.replace(decided), seen)
