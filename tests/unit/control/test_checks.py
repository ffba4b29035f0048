"""What stands before what in each phase's chain, and what each check says."""

import dataclasses
from typing import Any

import pytest

from serin.core import decision
from serin.core.evidence import Assessment, Verdict
from serin.core.model import Decision, Observation, Pods, Reason, Retained, Route, Slot, State, Step, Target
from serin.core.phases import Phase
from support.rollouts import (
    GONE,
    PLAN,
    V1,
    V2,
    V3,
    alert,
    analysis,
    at,
    failure,
    first,
    image,
    observe,
    pods,
    request,
    revision,
    route,
    seconds,
    state,
)

PENDING, STAGING, CANARY, BAKING = map(state, (Phase.PENDING, Phase.STAGING, Phase.CANARY, Phase.BAKING))
PAUSED, ROLLING = state(Phase.PAUSED), state(Phase.ROLLING_BACK)
HALF = Pods(wanted=2, ready=1, endpoints=1)
WITHDRAWN = failure(Reason.CANDIDATE_LOST)
FAIL = {"verdict": Verdict.FAIL, "message": "13 of 100 requests failed"}


def decide(before: State, now: float = 110, **seen: Any) -> Decision:
    return decision.decide(before, observe(before, **seen), at(now))


def measured(before: State, **changes: Any) -> dict[str, Any]:
    return {"analysis": analysis(before, **changes)}


def withdrawn(before: State) -> dict[str, Any]:
    return {"route": route(before, withdrawn=WITHDRAWN)}


# Each row: of two facts that are seen together, which one decides.
ORDER = [
    (
        "what a crash interrupted comes before a request",
        CANARY,
        {**withdrawn(CANARY), "request": request("promote")},
        Reason.CANDIDATE_LOST,
    ),
    ("a request comes before an alert", CANARY, {"request": request("pause"), "alerts": (alert(),)}, Reason.PAUSED),
    (
        "an alert comes before a failed criterion",
        CANARY,
        {"alerts": (alert(),), **measured(CANARY, **FAIL)},
        Reason.ALERT,
    ),
    ("an alert comes before lost pods", CANARY, {"alerts": (alert(),), "pods": pods(v2=GONE)}, Reason.ALERT),
    (
        "lost pods come before a failed criterion",
        CANARY,
        {"pods": pods(v2=GONE), **measured(CANARY, **FAIL)},
        Reason.CANDIDATE_LOST,
    ),
    (
        "a failed criterion comes before a third version",
        CANARY,
        {**measured(CANARY, **FAIL), "target": V3.target},
        Reason.CRITERION_FAILED,
    ),
    ("a third version comes before waiting", CANARY, {"target": V3.target}, Reason.SUPERSEDED),
    (
        "a third version comes before an outage",
        CANARY,
        {"target": V3.target, **measured(CANARY, verdict=Verdict.UNAVAILABLE)},
        Reason.SUPERSEDED,
    ),
    (
        "the route comes before the time",
        dataclasses.replace(CANARY, since=None),
        {"route": Route()},
        Reason.WAITING_FOR_ROUTE,
    ),
    (
        "an alert does not wait for the route",
        dataclasses.replace(CANARY, since=None),
        {"route": Route(), "alerts": (alert(),)},
        Reason.ALERT,
    ),
    ("an alert ends a pause", PAUSED, {"alerts": (alert(),)}, Reason.ALERT),
    ("lost pods end a pause", PAUSED, {"pods": pods(v2=GONE)}, Reason.CANDIDATE_LOST),
    ("a revert in Git is a rollback while baking", BAKING, {"target": V1.target}, Reason.SPEC_REVERTED),
    ("an alert comes before a revert in Git", BAKING, {"target": V1.target, "alerts": (alert(),)}, Reason.ALERT),
    (
        "a pending candidate's problem is named",
        PENDING,
        {"pods": pods(v2=Pods(problem=Reason.IMAGE_PULL_FAILED))},
        Reason.IMAGE_PULL_FAILED,
    ),
    ("pods come before the route", PENDING, {"pods": pods(v2=GONE), "route": Route()}, Reason.WAITING_FOR_PODS),
    ("a missing gateway is named", PENDING, {"route": Route(problem=Reason.GATEWAY_MISSING)}, Reason.GATEWAY_MISSING),
    ("samples come before the first step", PENDING, measured(PENDING, sampled=False), Reason.WAITING_FOR_SAMPLES),
    (
        "an outage comes before the first step",
        PENDING,
        measured(PENDING, sampled=False, verdict=Verdict.UNAVAILABLE),
        Reason.ANALYSIS_UNAVAILABLE,
    ),
    ("stable's capacity comes before the first step", PENDING, {"pods": pods(v1=HALF)}, Reason.WAITING_FOR_STABLE),
    (
        "a reused version is refused before it starts",
        state(Phase.PRODUCTION),
        {"target": Target("x", "1.0.0", image("1.0.0", "f" * 64))},
        Reason.VERSION_REUSED,
    ),
]


@pytest.mark.parametrize(("before", "seen", "reason"), [pytest.param(*row[1:], id=row[0]) for row in ORDER])
def test_the_order_of_the_checks(before: State, seen: dict[str, Any], reason: Reason) -> None:
    assert decide(before, **seen).reason is reason


# Each row holds at its due time, and each fact alone is enough to hold it.
HOLDS = [
    ("too few requests", measured(CANARY, verdict=Verdict.INSUFFICIENT), Reason.WAITING_FOR_EVIDENCE),
    ("an outage of Prometheus", measured(CANARY, verdict=Verdict.UNAVAILABLE), Reason.ANALYSIS_UNAVAILABLE),
    ("a Pass of the step before", measured(CANARY, since=at(40)), Reason.WAITING_FOR_EVIDENCE),
    ("a Fail of the step before", measured(CANARY, since=at(40), **FAIL), Reason.WAITING_FOR_EVIDENCE),
    ("an alert from before the rollout", {"alerts": (alert(since=-5),)}, Reason.WAITING_FOR_EVIDENCE),
    ("traffic that does not follow", measured(CANARY, verified=False), Reason.WAITING_FOR_TRAFFIC),
    ("traffic that cannot be told", measured(CANARY, verified=None), Reason.WAITING_FOR_TRAFFIC),
    ("a candidate with pods missing", {"pods": pods(v2=HALF)}, Reason.WAITING_FOR_CAPACITY),
    ("a stable version that could not take it back", {"pods": pods(v1=HALF)}, Reason.WAITING_FOR_STABLE),
]


@pytest.mark.parametrize(("seen", "reason"), [pytest.param(*row[1:], id=row[0]) for row in HOLDS])
def test_a_step_that_is_over_is_held_by(seen: dict[str, Any], reason: Reason) -> None:
    decided = decide(CANARY, now=160, **seen)
    assert (decided.state.phase, decided.state.weight, decided.reason) == (Phase.CANARY, 10, reason)
    assert decide(CANARY, now=160).state.weight == 25


def test_the_bake_does_not_wait_for_the_version_that_it_replaces() -> None:
    assert decide(BAKING, now=140, pods=pods(v1=HALF)).state.phase is Phase.PRODUCTION


@pytest.mark.parametrize(
    ("about", "since", "phase"),
    [
        pytest.param(V2.revision, 50, Phase.ROLLING_BACK, id="the candidate's, in the rollout"),
        pytest.param("", 50, Phase.ROLLING_BACK, id="nobody's, so whatever is tested"),
        pytest.param(V1.revision, 50, Phase.CANARY, id="another revision's"),
        pytest.param(V2.revision, 0, Phase.ROLLING_BACK, id="at the moment the rollout began"),
        pytest.param(V2.revision, -1, Phase.CANARY, id="from before the rollout"),
    ],
)
def test_which_alerts_roll_back(about: str, since: float, phase: Phase) -> None:
    assert decide(CANARY, alerts=(alert(about=about, since=since),)).state.phase is phase


def test_an_alert_counts_however_old_it_is_when_nobody_knows_when_the_rollout_began() -> None:
    assert (
        decide(dataclasses.replace(CANARY, started=None), alerts=(alert(since=-999),)).state.phase is Phase.ROLLING_BACK
    )


def test_a_rollback_keeps_its_reason_alert_and_numbers() -> None:
    found = (Assessment("errorRate", Verdict.FAIL, "", 0.13, 0.05, 100), Assessment("queue", Verdict.PASS, ""))

    decided = decide(CANARY, alerts=(alert(),), analysis=analysis(CANARY, assessments=found))

    assert decided.state.failure is not None
    assert decided.state.failure.reason is Reason.ALERT
    assert decided.state.failure.alert == "TooManyErrors"
    assert decided.state.failure.at == at(110)
    assert decided.state.failure.numbers == {
        "errorRate": "0.13 of 100 requests, limit 0.05",
        "queue": "no value of 0 requests",
    }
    assert decided.notes[0].warning
    assert decided.message == "version 1.1.0 is rolled back: alert TooManyErrors is firing: 13 of 100 requests failed"


def test_what_the_pods_say_is_in_the_reason_for_losing_them() -> None:
    lost = Pods(problem=Reason.CRASH_LOOP, message="exited with code 137 (OOMKilled), 3 restarts")
    message = decide(CANARY, pods=pods(v2=lost)).message
    assert message == (
        "version 1.1.0 is rolled back: no pod of version 1.1.0 is ready any more: "
        "exited with code 137 (OOMKilled), 3 restarts"
    )


@pytest.mark.parametrize(
    ("at_seconds", "rolls_back"),
    [pytest.param(0, True, id="of this rollout"), pytest.param(-1, False, id="of one before")],
)
def test_the_routes_note_of_a_withdrawal_wins_after_a_crash(at_seconds: float, rolls_back: bool) -> None:
    found = route(dataclasses.replace(CANARY, weight=0), withdrawn=failure(when=at(at_seconds)))
    decided = decide(CANARY, route=found)
    assert (decided.state.phase is Phase.ROLLING_BACK) is rolls_back
    if rolls_back:
        assert decided.state.failure is not None
        assert decided.state.failure.alert == "TooManyErrors"


def test_the_routes_note_about_another_revision_says_nothing() -> None:
    assert decide(CANARY, route=route(CANARY, withdrawn=failure(revision="other"))).state.phase is Phase.CANARY


# Weights, clocks and steps.


def test_all_steps_in_their_time() -> None:
    """10 % for 60 s, 25 % for 30 s, 50 % for 30 s, 100 % for 40 s; each counts from when the route has it."""
    now, seen, found = 0.0, [], state(Phase.PENDING, since=None)
    while found.phase is not Phase.PRODUCTION:
        decided = decide(found, now=now)
        if decided.state.phase is not found.phase or decided.state.weight != found.weight:
            seen.append((now, decided.state.phase.value, decided.state.weight))
        found, now = decided.state, now + 1
    assert seen == [
        (0, "Staging", 0),
        (21, "Canary", 10),
        (82, "Canary", 25),
        (113, "Canary", 50),
        (144, "Baking", 100),
        (185, "Production", 0),
    ]


def test_a_steps_clock_starts_when_the_route_is_seen_to_have_it() -> None:
    waiting = dataclasses.replace(CANARY, since=None)
    old = Route(weights={Slot.A: 100, Slot.B: 0}, accepted=True)
    assert decide(waiting, now=500, route=old).state.since is None
    assert decide(waiting, now=500, route=route(waiting, accepted=False)).state.since is None
    assert decide(waiting, now=500).state.since == at(500)
    assert decide(CANARY, now=130).state.since == at(100)


def test_staging_counts_only_with_its_mirror() -> None:
    waiting = dataclasses.replace(STAGING, since=None)
    assert decide(waiting, route=route(waiting, mirror=None)).reason is Reason.WAITING_FOR_ROUTE
    assert decide(waiting, route=route(waiting, mirror=Slot.A)).reason is Reason.WAITING_FOR_ROUTE
    assert decide(waiting).reason is Reason.WAITING_FOR_DURATION


def test_mirror_and_weight_never_overlap() -> None:
    for phase in Phase:
        found = state(phase)
        assert not (found.mirrors and found.weight)


def test_when_to_look_again() -> None:
    assert decide(CANARY, now=130).next_check == seconds(30)
    assert decide(PENDING, pods=pods(v2=GONE), now=130).next_check == seconds(570)
    assert decide(CANARY, now=160).next_check == seconds(0), "a new step is looked at at once"


def test_steps_that_changed_while_a_rollout_ran_go_on_from_its_weight() -> None:
    plan = dataclasses.replace(PLAN, steps=(Step(5, seconds(1)), Step(40, seconds(1)), Step(100)))
    assert decide(CANARY, now=160, plan=plan).state.weight == 40


# Readiness and its deadline.


def test_the_first_version_takes_all_traffic_with_its_first_pod() -> None:
    decided = decide(first(), pods=pods(v1=HALF))
    assert decided.state.weights() == {Slot.A: 100, Slot.B: 0}
    assert decided.state.phase is Phase.PRODUCTION


def test_before_the_first_version_is_ready_no_slot_has_weight() -> None:
    assert first().weights() == {Slot.A: 0, Slot.B: 0}


def test_the_first_version_has_nothing_to_go_back_to_and_waits_beyond_its_deadline() -> None:
    broken = Pods(problem=Reason.MODEL_LOAD_FAILED, message="features differ")
    decided = decide(first(), now=9999, pods=pods(v1=broken))
    assert (decided.state.phase, decided.reason) == (Phase.PENDING, Reason.MODEL_LOAD_FAILED)
    assert decided.message.startswith("not ready within 0:10:00: ")


def test_another_image_for_a_first_version_that_does_not_start_begins_at_once() -> None:
    decided = decide(first(), pods=pods(v1=GONE), target=V2.target)
    assert decided.state.phase is Phase.PENDING
    assert decided.state.candidate == dataclasses.replace(V2, slot=Slot.A)


@pytest.mark.parametrize(
    "reason",
    [Reason.IMAGE_PULL_FAILED, Reason.CRASH_LOOP, Reason.MODEL_LOAD_FAILED, Reason.UNSCHEDULABLE, Reason.POD_REFUSED],
)
def test_a_pod_problem_is_told_at_once_and_rolls_back_at_the_deadline(reason: Reason) -> None:
    broken = pods(v2=Pods(problem=reason, message="because"))
    early, late = decide(PENDING, now=699, pods=broken), decide(PENDING, now=700, pods=broken)
    assert (early.state.phase, early.reason) == (Phase.PENDING, reason)
    assert early.message == "0 of 1 pods of version 1.1.0 are ready: because"
    assert (late.state.phase, late.reason) == (Phase.ROLLING_BACK, reason)


@pytest.mark.parametrize(
    "seen", [pytest.param({"pods": pods(v2=GONE)}, id="pods"), pytest.param({"route": Route()}, id="the route")]
)
def test_without_a_problem_the_deadline_is_the_reason(seen: dict[str, Any]) -> None:
    waiting = dataclasses.replace(PENDING, since=None)
    assert decide(waiting, now=700, **seen).reason is Reason.DEADLINE_EXCEEDED


# Other versions.


def test_a_reused_version_name_is_refused_with_both_images() -> None:
    reused = Target("other", V2.version, image(V2.version, "f" * 64))
    decided = decide(CANARY, target=reused)
    assert decided.reason is Reason.VERSION_REUSED
    assert decided.state.candidate == V2
    assert V2.image in decided.message
    assert reused.image in decided.message


def test_a_version_of_a_failed_revision_still_kept_cannot_be_reused_either() -> None:
    found = state(Phase.ROLLED_BACK, retained=(Retained(V2, at(9999)),))
    reused = Target("other", V2.version, image(V2.version, "f" * 64))
    assert decide(found, target=reused).reason is Reason.VERSION_REUSED


def test_another_template_with_the_same_image_is_a_revision_of_its_own() -> None:
    assert decide(CANARY, target=Target("other", V2.version, V2.image)).state.phase is Phase.SUPERSEDED


def test_a_third_version_while_baking_is_compared_with_the_one_that_bakes() -> None:
    decided = decide(BAKING, target=V3.target)
    assert decided.state.stable == V2
    assert decided.state.leaving == V1
    assert decided.state.weights() == BAKING.weights()


def test_a_third_version_while_rolling_back_begins_after_the_drain() -> None:
    draining = decide(ROLLING, target=V3.target, analysis=analysis(ROLLING, drained=False))
    assert draining.reason is Reason.WAITING_FOR_DRAIN
    done = decide(ROLLING, target=V3.target)
    assert done.state.phase is Phase.ROLLED_BACK
    assert done.next_check == seconds(0)
    begun = decide(done.state, target=V3.target)
    assert begun.state.candidate == V3
    assert [kept.revision for kept in begun.state.retained] == [V2], "the failed version is still kept for inspection"


def test_a_superseded_version_is_not_kept() -> None:
    superseded = decide(CANARY, target=V3.target).state
    assert (superseded.leaving, superseded.retained) == (V2, ())


# Withdrawal and drain.


@pytest.mark.parametrize("phase", [Phase.ROLLING_BACK, Phase.SUPERSEDED, Phase.STOPPED])
def test_a_version_that_lost_its_pods_keeps_a_remnant_until_the_gateway_has_settled(phase: Phase) -> None:
    lost = state(phase, weight=25)

    lowered = decide(lost, pods=pods(v2=GONE)).state
    settling = decide(lowered, pods=pods(v2=GONE), now=120)
    settled = decide(settling.state, pods=pods(v2=GONE), now=123)

    assert (lowered.weight, lowered.since) == (1, None)
    assert (settling.state.weight, settling.state.since, settling.next_check) == (1, at(120), seconds(3))
    assert settled.state.weight == 0


def test_a_remnant_waits_for_the_route_that_carries_it() -> None:
    remnant = state(Phase.ROLLING_BACK, weight=1, since=None)

    waiting = decide(remnant, pods=pods(v2=GONE), route=Route(), now=500)

    assert (waiting.state.weight, waiting.next_check) == (1, seconds(3))


@pytest.mark.parametrize(
    ("weight", "seen"),
    [(1, pods()), (25, pods()), (100, pods(v2=GONE))],
    ids=["a remnant whose pods are back", "a version with pods", "a version that had everything"],
)
def test_no_remnant_is_left_to(weight: int, seen: Any) -> None:
    assert decide(state(Phase.ROLLING_BACK, weight=weight), pods=seen).state.weight == 0


def test_without_a_ready_stable_pod_traffic_stays_until_there_is_one() -> None:
    rolling = decide(CANARY, alerts=(alert(),), pods=pods(v1=GONE)).state
    assert (rolling.phase, rolling.weight) == (Phase.ROLLING_BACK, 10)
    waiting = decide(rolling, pods=pods(v1=GONE))
    assert (waiting.state.weight, waiting.reason) == (10, Reason.WAITING_FOR_STABLE)
    back = decide(rolling, pods=pods(v1=HALF))
    assert (back.state.weight, back.reason) == (0, Reason.WAITING_FOR_DRAIN)


@pytest.mark.parametrize(
    ("changes", "seen", "drained"),
    [
        pytest.param({}, {}, True, id="weight 0 and no more answers"),
        pytest.param({"since": None}, {"route": Route()}, False, id="the route does not have it yet"),
        pytest.param(
            {}, {"route": Route(weights={Slot.A: 90, Slot.B: 10}, accepted=True)}, False, id="somebody gave it weight"
        ),
        pytest.param({}, measured(ROLLING, drained=False), False, id="still answering"),
        pytest.param({}, measured(ROLLING, since=at(1)), False, id="measured for another step"),
        pytest.param(
            {}, {"pods": pods(v2=GONE), **measured(ROLLING, drained=False)}, True, id="no pods left to answer"
        ),
    ],
)
def test_when_a_version_is_drained(changes: dict[str, Any], seen: dict[str, Any], drained: bool) -> None:
    before = dataclasses.replace(ROLLING, **changes)
    assert (decide(before, **seen).state.phase is Phase.ROLLED_BACK) is drained


def test_a_failed_version_stays_for_its_retention_and_then_goes() -> None:
    done = decide(ROLLING, now=200).state
    assert done.retained == (Retained(V2, at(3800)),)
    assert decide(done, now=3799, target=V2.target).state.retained == done.retained
    assert decide(done, now=3800, target=V2.target).state.retained == ()


def test_a_retried_version_is_not_kept_twice() -> None:
    done = decide(ROLLING, now=200).state
    retried = decide(done, now=210, target=V2.target, request=request("retry")).state
    assert (retried.retained, retried.attempt, retried.failure) == ((), 2, None)


def test_the_old_version_leaves_production_after_its_drain() -> None:
    promoted = decide(BAKING, now=140).state
    assert (promoted.stable, promoted.leaving) == (V2, V1)
    settled = dataclasses.replace(promoted, since=at(141))
    assert decide(settled, target=V2.target, analysis=analysis(settled, drained=False)).state.leaving == V1
    assert decide(settled, target=V2.target).state.leaving is None


def test_a_new_version_waits_until_the_old_one_has_left_its_slot() -> None:
    settled = state(Phase.PRODUCTION, stable=V2, leaving=V1)
    waiting = decide(settled, target=V3.target, analysis=analysis(settled, drained=False))
    assert waiting.reason is Reason.WAITING_FOR_DRAIN
    assert decide(settled, target=V3.target).state.candidate == revision("1.2.0", Slot.A)


def test_a_rolled_back_version_is_not_started_again_by_itself() -> None:
    decided = decide(state(Phase.ROLLED_BACK), now=99999, target=V2.target)
    assert decided.state.phase is Phase.ROLLED_BACK
    assert "apply another version, or ask for retry" in decided.message


def test_a_decision_does_not_change_what_it_was_given() -> None:
    seen = observe(CANARY, alerts=(alert(),))
    before = dataclasses.replace(CANARY)
    decision.decide(CANARY, seen, at(110))
    assert before == CANARY
    with pytest.raises(dataclasses.FrozenInstanceError):
        CANARY.weight = 100  # type: ignore[misc]


def test_pods_unknown_are_no_pods() -> None:
    assert Observation(V1.target, PLAN).pods_of(V1) == Pods()
    assert Observation(V1.target, PLAN).pods_of(None) == Pods()
