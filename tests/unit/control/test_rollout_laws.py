"""Laws that hold in every world: pods come and go, alerts fire, Prometheus and the operator fail, people interfere.

The machine keeps a small cluster: a route as the renderer makes it, pods per revision, Services, records and the stored
status. `look` gathers, decides and writes in the order of `serin.reconcile`, and may die after any write.
"""

import dataclasses
from collections.abc import Callable
from datetime import datetime
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from serin.api import v1alpha1
from serin.core import conditions, decision, recovery, slots
from serin.core.evidence import Verdict
from serin.core.model import (
    Alert,
    Analysis,
    Decision,
    Observation,
    Plan,
    Pods,
    Request,
    Route,
    Slot,
    State,
    Target,
    Verb,
)
from serin.core.phases import Phase
from serin.render import readings, routes, statuses
from support.rollouts import GONE, PLAN, READY, V1, V2, V3, at, revision, seconds

TARGETS = tuple(found.target for found in (V1, V2, V3, revision("1.3.0", Slot.A)))
TESTED = (Phase.STAGING, Phase.CANARY, Phase.BAKING, Phase.PAUSED)
WITHDRAWING = (Phase.ROLLING_BACK, Phase.SUPERSEDED, Phase.STOPPED)
OWNER = {"metadata": {"name": "momentum", "namespace": "trading", "uid": "u-1"}}
SPEC = v1alpha1.Spec.model_validate(
    {"model": "momentum", "version": "1", "image": "i", "route": {"gateway": {"name": "public"}}}
)
PLANS = (PLAN, Plan(PLAN.steps, bake=PLAN.bake), dataclasses.replace(PLAN, staging=seconds(0), bake=seconds(0)))


class Rollout(RuleBasedStateMachine):
    """One object in a cluster where anything can happen between two looks."""

    def __init__(self) -> None:
        super().__init__()
        self.now: datetime = at(0)
        self.target, self.plan = TARGETS[0], PLAN
        self.state = recovery.begin_anew(self.target, None, self.now)
        self.status: dict[str, Any] = {}
        self.route: dict[str, Any] = {}
        self.accepted = False
        self.paused = seconds(0)
        self.pods: dict[str, Pods] = {}
        self.selected: dict[Slot, str] = {}
        self.records: dict[str, recovery.Record] = {}
        self.alerts: tuple[Alert, ...] = ()
        self.request: Request | None = None
        self.requests = 0
        self.verdict = Verdict.PASS
        self.verified: bool | None = True
        self.answers = True
        self.edited = False
        self.reached: dict[int, datetime] = {}
        self.condemned: str | None = None

    @initialize(plan=st.sampled_from(PLANS), looks=st.integers(0, 12))
    def begin(self, plan: Plan, looks: int) -> None:
        """Mostly begins in the middle of a rollout, where most can go wrong."""
        self.plan = plan
        if looks:
            self.all_is_well_for_a_while(3)
            self.target = TARGETS[1]
            self.all_is_well_for_a_while(looks)

    # What the world does.

    @rule(wanted=st.sampled_from(TARGETS))
    def people_apply(self, wanted: Target) -> None:
        self.target = wanted

    @rule(verb=st.sampled_from([Verb.PROMOTE, Verb.PAUSE, Verb.RESUME, Verb.RESUME, Verb.ROLLBACK, Verb.RETRY]))
    def people_ask(self, verb: Verb) -> None:
        self.requests += 1
        self.request = Request(f"id-{self.requests}", verb)

    @rule(looks=st.integers(0, 3))
    def people_stop_everything_and_resume(self, looks: int) -> None:
        self.people_ask(Verb.STOP)
        self.look()
        self.all_is_well_for_a_while(looks)
        self.people_ask(Verb.RESUME)

    @rule(a=st.integers(0, 100), b=st.integers(0, 100))
    def people_edit_the_route(self, a: int, b: int) -> None:
        if self.route:
            for found in self.route["spec"]["rules"]:
                for backend, weight in zip(found["backendRefs"], (a, b), strict=True):
                    backend["weight"] = weight
            self.edited = True

    @rule(about=st.sampled_from(["candidate", "candidate", "other", ""]), age=st.sampled_from([0, 0, 30, 5000]))
    def an_alert_fires(self, about: str, age: float) -> None:
        if about == "candidate":
            about = self.state.candidate.revision if self.state.candidate else "other"
        self.alerts = (Alert("TooManyErrors", about, "13 of 100 failed", self.now - seconds(age)),)

    @rule()
    def alerts_resolve(self) -> None:
        self.alerts = ()

    @rule(verdict=st.sampled_from(Verdict), verified=st.sampled_from([None, True, True, False]))
    def measurements_change(self, verdict: Verdict, verified: bool | None) -> None:
        self.verdict, self.verified = verdict, verified

    @rule(answers=st.booleans())
    def prometheus_comes_and_goes(self, answers: bool) -> None:
        self.answers = answers

    @rule(old=st.booleans(), ready=st.sampled_from([GONE, READY, READY, Pods(2, 1, 1), Pods(2, 2, 2)]))
    def pods_change(self, old: bool, ready: Pods) -> None:
        found = self.state.stable if old else self.state.candidate or self.state.leaving
        if found and found.revision in self.pods:
            self.pods[found.revision] = ready

    @rule(length=st.sampled_from([1, 15, 31, 70, 5000]))
    def time_passes(self, length: float) -> None:
        self.now += seconds(length)
        if self.state.phase is Phase.PAUSED:
            self.paused += seconds(length)

    @rule()
    def the_gateway_takes_the_route_over(self) -> None:
        if self.route and not self.accepted and not self.edited:
            self.accepted = True
            if self.state.weight not in self.reached:
                self.reached[self.state.weight] = self.now
                self.paused = seconds(0)

    @rule(looks=st.integers(1, 5))
    def all_is_well_for_a_while(self, looks: int) -> None:
        """Lets the machine see the late phases often enough."""
        self.alerts, self.answers, self.verdict, self.verified = (), True, Verdict.PASS, True
        for _ in range(looks):
            self.look()
            self.the_gateway_takes_the_route_over()
            self.pods = dict.fromkeys(self.pods, READY)
            self.time_passes(31)
            self.look()

    # What the operator does.

    @rule()
    def the_operator_looks(self) -> None:
        self.look()

    @rule()
    def the_operator_looks_again(self) -> None:
        self.look()
        self.look()

    @rule(writes=st.integers(0, 3))
    def the_operator_dies_while_it_writes(self, writes: int) -> None:
        self.look(writes)
        self.restart()

    def restart(self) -> None:
        stored = readings.read_state(self.status)
        if self.status:
            assert stored == self.state, "a stored status gives the state that it was made from"
            assert recovery.is_consistent(self.state)

    @precondition(lambda self: self.status)
    @rule()
    def the_status_is_lost(self) -> None:
        weights = routes.read_weights(self.route, "momentum") if self.route else {}
        withdrawn = routes.read_withdrawn(self.route)
        traces = recovery.Traces(tuple(self.records.values()), dict(self.selected), weights, withdrawn)
        found = recovery.recover(traces, self.request, self.now)
        before, self.state = self.state, found or recovery.begin_anew(self.target, None, self.now)
        self.status, self.reached = {}, {self.state.weight: self.now}
        self.paused = seconds(0)
        self.check_recovery(before, weights)

    def check_recovery(self, before: State, weights: dict[Slot, int]) -> None:
        after = self.state
        assert recovery.is_consistent(after)
        if before.candidate and before.stable and after.stable:
            assert after.stable.revision != before.candidate.revision, "an unproven version is not promoted"
        if before.candidate and after.candidate and after.candidate.revision == before.candidate.revision:
            total = max(1, sum(weights.values()))
            assert after.weights()[before.candidate.slot] <= 100 * weights.get(before.candidate.slot, 0) / total

    def look(self, writes: int = 99) -> None:
        seen = self.observe()
        decided = decision.decide(self.state, seen, self.now)
        self.check_decision(self.state, seen, decided)
        for write in self.plan_writes(self.state, decided, seen)[:writes]:
            write()
            self.check_cluster()

    def observe(self) -> Observation:
        since = self.state.since
        verdict = self.verdict if self.answers else Verdict.UNAVAILABLE
        measured = Analysis(
            verdict, "measured", sampled=True, since=since, verified=self.verified, drained=since is not None
        )
        if not self.answers:
            measured = Analysis(verdict, "Prometheus does not answer", since=since)
        found = Route()
        if self.route:
            found = Route(
                routes.read_weights(self.route, "momentum"),
                routes.read_mirror(self.route, "momentum"),
                self.accepted,
                routes.read_withdrawn(self.route),
            )
        return Observation(self.target, self.plan, dict(self.pods), found, measured, self.alerts, self.request)

    def plan_writes(self, before: State, decided: Decision, seen: Observation) -> list[Callable[[], None]]:
        after = decided.state
        lowers = before.weight > after.weight or (after.phase is not before.phase and after.phase in WITHDRAWING)
        rest = [lambda: self.write_status(decided, seen), lambda: self.write_children(after, seen)]
        own = lambda: self.write_route(after, seen)  # noqa: E731 - one of three writes in a list
        return [own, *rest] if lowers else [*rest, own]

    def write_status(self, decided: Decision, seen: Observation) -> None:
        made = statuses.make_status(
            decided, seen, conditions.make_conditions(decided, seen), self.status, 1, self.now
        ).model_dump(by_alias=True, mode="json")
        # The API server does not keep what is null.
        self.status, self.state = {key: value for key, value in made.items() if value is not None}, decided.state
        if self.state.phase is Phase.PENDING:
            self.condemned, self.reached = None, {}

    def write_children(self, state: State, seen: Observation) -> None:
        kept = {found.revision: found for found in (state.stable, state.candidate, state.leaving) if found}
        kept |= {item.revision.revision: item.revision for item in state.retained}
        number = max((record.number for record in self.records.values()), default=0)
        again = recovery.find_overtaken(state, {name: record.number for name, record in self.records.items()})
        for name, found in kept.items():
            if name not in self.records or found == again:
                number += 1
                self.records[name] = recovery.Record(found.target, number)
        self.select(slots.choose_revisions(state, seen.pods), seen)
        failed = state.failure.revision if state.failure else ""
        self.pods = {name: self.pods.get(name, GONE) for name in kept}
        self.records = {name: record for name, record in self.records.items() if name in kept or name == failed}

    def select(self, chosen: dict[Slot, str], seen: Observation) -> None:
        weights = routes.read_weights(self.route, "momentum") if self.route else {}
        for slot, name in self.selected.items():
            lent = name == self.selected.get(slot.other)
            if chosen.get(slot, name) != name and weights.get(slot) and not lent and not self.edited:
                assert seen.pods.get(name, GONE).ready == 0, "a slot with traffic keeps a version that can answer it"
        self.selected = {**self.selected, **chosen}

    def write_route(self, state: State, seen: Observation) -> None:
        wanted = routes.make_route(OWNER, SPEC, state, PLAN.mirror_percent)
        if wanted == self.route:
            return
        before = routes.read_weights(self.route, "momentum") if self.route else {}
        self.check_route(before, state, seen)
        if not self.route or wanted["spec"] != self.route["spec"]:
            self.accepted = False
        self.route, self.edited = wanted, False
        withdrawn = state.phase is Phase.ROLLING_BACK and state.weight == 0 and self.state.phase in TESTED
        if withdrawn and state.candidate:
            self.condemned = state.candidate.revision

    # The laws.

    def check_decision(self, before: State, seen: Observation, decided: Decision) -> None:
        after = decided.state
        assert sum(after.weights().values()) == (100 if after.stable else 0)
        same = before.candidate is not None and after.candidate == before.candidate
        asked = after.request != before.request
        if same and after.weight > before.weight:
            assert seen.pods_of(after.candidate).full, "no weight on a version that is not ready"
            if not asked:
                assert seen.pods_of(after.stable).full, "no weight away from a version that cannot take it back"
                assert self.answers, "no advance without measurements"
                self.check_step_was_long_enough(before)
        if after.stable != before.stable:
            self.check_promotion(before, after, asked)
        if not asked:
            # A request is looked at before anything else, which is then looked at in the next decision.
            self.check_replay(after, seen)

    def check_step_was_long_enough(self, before: State) -> None:
        if before.phase is not Phase.CANARY:
            return
        reached = [step.duration for step in self.plan.steps if step.weight <= before.weight]
        duration = reached[-1] if reached else seconds(0)
        assert self.now - self.reached[before.weight] - self.paused >= duration

    def check_promotion(self, before: State, after: State, asked: bool) -> None:
        assert after.phase is Phase.PRODUCTION
        assert after.stable == before.candidate
        if before.stable:
            assert before.phase is Phase.BAKING
            assert before.weight == 100
            # A third version makes the baking one stable; else time, evidence or a person does.
            third = before.candidate is not None and self.target.revision != before.candidate.revision
            assert asked or third or self.answers
        assert after.weights()[after.stable.slot] == 100

    def check_replay(self, after: State, seen: Observation) -> None:
        again = decision.decide(after, seen, self.now).state
        # A version that is ready when it begins may have its first step at once: nothing is waited for.
        if again.candidate == after.candidate and after.phase is not Phase.PENDING:
            assert again.weight <= after.weight, "a repeated decision raises nothing"
        if again.phase is after.phase and again.candidate == after.candidate:
            assert decision.decide(again, seen, self.now).state == again, "a decision that stays stays"

    def check_route(self, before: dict[Slot, int], state: State, seen: Observation) -> None:
        candidate = state.candidate
        if candidate is None or self.edited:
            return
        if state.weights()[candidate.slot] > before.get(candidate.slot, 0):
            assert seen.pods_of(candidate).serving, "no traffic to a version without endpoints"
            assert self.condemned != candidate.revision, "a crash gives no traffic back to a version rolled back"

    def check_cluster(self) -> None:
        if not self.route or self.edited:
            return
        weights = routes.read_weights(self.route, "momentum")
        assert sum(weights.values()) in (0, 100)
        for slot, weight in weights.items():
            if weight and self.selected:
                assert self.selected[slot] in self.pods, "a version with traffic keeps its pods"
        candidate, stable = self.state.candidate, self.state.stable
        if candidate and stable and weights.get(candidate.slot):
            assert stable.revision in self.pods, "the version that takes everything back keeps its pods"
            assert self.selected.get(stable.slot) == stable.revision

    @invariant()
    def a_rollback_is_always_possible(self) -> None:
        state = self.state
        if state.phase not in TESTED or not self.observe().pods_of(state.stable).serving:
            return
        seen = dataclasses.replace(self.observe(), request=None)
        fresh = Alert("Fresh", state.candidate.revision if state.candidate else "", "", self.now)
        asked = Request("another", "rollback")
        # A version without pods in the middle of a split goes in two steps: see decision 10.
        remnant = int(0 < state.weight < 100 and not seen.pods_of(state.candidate).serving)
        for danger in (dataclasses.replace(seen, alerts=(fresh,)), dataclasses.replace(seen, request=asked)):
            rolled = decision.decide(state, danger, self.now).state
            assert (rolled.phase, rolled.weight) == (Phase.ROLLING_BACK, remnant)
            assert rolled.failure is not None

    @invariant()
    def the_clock_is_not_ahead(self) -> None:
        assert self.state.since is None or self.state.since <= self.now


TestRollout = Rollout.TestCase
TestRollout.settings = settings(
    # The same worlds in every run, so that a change that is checked is what a failure is about.
    derandomize=True,
    max_examples=80,
    stateful_step_count=35,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
