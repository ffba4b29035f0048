"""The transition table, walked row by row: `decide` makes each of its moves, and none that it does not hold."""

import dataclasses
import itertools
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serin.core import decision, phases
from serin.core.evidence import Verdict
from serin.core.model import Observation, Plan, Reason, Route, Slot, State, Step, Verb
from serin.core.phases import Phase
from serin.core.recovery import is_consistent
from support.rollouts import (
    GONE,
    PLAN,
    READY,
    V1,
    V2,
    V3,
    alert,
    analysis,
    at,
    failure,
    first,
    observe,
    pods,
    request,
    route,
    seconds,
    state,
)

TESTED = (Phase.STAGING, Phase.CANARY, Phase.BAKING)


@dataclass(frozen=True)
class Walk:
    """One way over a transition: where it starts, what is seen at second `now`, and where it ends."""

    sentence: str
    start: State
    target: Phase
    seen: Callable[[State], Observation] = observe
    now: float = 110
    reason: Reason | None = None
    weight: int | None = None

    @property
    def pair(self) -> tuple[Phase, Phase]:
        return self.start.phase, self.target


def seeing(**changes: Any) -> Callable[[State], Observation]:
    return lambda start: observe(start, **changes)


def asking(verb: str, **changes: Any) -> Callable[[State], Observation]:
    return seeing(request=request(verb), **changes)


def describe(start: State) -> str:
    return f"paused {start.resume}" if start.resume else start.phase


PAUSED = {phase: state(Phase.PAUSED, resume=phase, weight=state(phase).weight) for phase in TESTED}
AT_50 = state(Phase.CANARY, weight=50)
NO_STAGING = Plan(PLAN.steps, bake=PLAN.bake)
ONLY_100 = Plan((Step(100),), staging=PLAN.staging)
NEXT = seeing(target=V3.target)
BACK = seeing(target=V1.target)

WALKS = (
    Walk("the first version is ready", first(), Phase.PRODUCTION, reason=Reason.PROMOTED),
    Walk("the candidate is ready and shown mirrored traffic", state(Phase.PENDING), Phase.STAGING, weight=0),
    Walk("ready, and no staging asked for", state(Phase.PENDING), Phase.CANARY, seeing(plan=NO_STAGING), weight=10),
    Walk("staging is over and the verdict is Pass", state(Phase.STAGING), Phase.CANARY, now=120, weight=10),
    Walk("the last step is done", AT_50, Phase.BAKING, now=130, weight=100, reason=Reason.FULL_WEIGHT),
    Walk("the bake is over", state(Phase.BAKING), Phase.PRODUCTION, now=140, weight=0, reason=Reason.PROMOTED),
    Walk("promote while pending", state(Phase.PENDING), Phase.BAKING, asking("promote"), weight=100),
    Walk("promote while staging", state(Phase.STAGING), Phase.BAKING, asking("promote"), weight=100),
    Walk("promote while paused", PAUSED[Phase.CANARY], Phase.BAKING, asking("promote"), weight=100),
    Walk("promote while in canary", state(Phase.CANARY), Phase.BAKING, asking("promote"), weight=100),
    Walk("promote in a paused bake", PAUSED[Phase.BAKING], Phase.PRODUCTION, asking("promote"), weight=0),
    Walk("promote while baking", state(Phase.BAKING), Phase.PRODUCTION, asking("promote"), weight=0),
    Walk("no step below 100 %", state(Phase.STAGING), Phase.BAKING, seeing(plan=ONLY_100), now=120, weight=100),
    *(Walk(f"pause in {phase}", state(phase), Phase.PAUSED, asking("pause")) for phase in TESTED),
    *(Walk(f"resume {phase}", PAUSED[phase], phase, asking("resume"), now=125) for phase in TESTED),
    Walk("not ready in time", state(Phase.PENDING), Phase.ROLLING_BACK, seeing(pods=pods(v2=GONE)), now=700, weight=0),
    Walk("a person rolls a pending version back", state(Phase.PENDING), Phase.ROLLING_BACK, asking("rollback")),
    *(
        Walk(f"{what} in {describe(start)}", start, Phase.ROLLING_BACK, seen, weight=left, reason=reason)
        for start in (*map(state, TESTED), *PAUSED.values())
        for what, seen, reason, left in (
            ("an alert", seeing(alerts=(alert(),)), Reason.ALERT, 0),
            ("a Fail", seeing(analysis=analysis(start, Verdict.FAIL)), Reason.CRITERION_FAILED, 0),
            # In the middle of a split the gateway is given a moment to settle: see decision 10.
            ("lost pods", seeing(pods=pods(v2=GONE)), Reason.CANDIDATE_LOST, int(0 < start.weight < 100)),
            ("a person's rollback", asking("rollback"), Reason.REQUESTED, 0),
        )
    ),
    Walk("a revert in Git while baking", state(Phase.BAKING), Phase.ROLLING_BACK, BACK, reason=Reason.SPEC_REVERTED),
    Walk("the drain of a failed version is verified", state(Phase.ROLLING_BACK), Phase.ROLLED_BACK, weight=0),
    *(
        Walk(f"a third version in {start.phase}", start, Phase.SUPERSEDED, NEXT, weight=0)
        for start in (state(Phase.PENDING), state(Phase.STAGING), state(Phase.CANARY), PAUSED[Phase.CANARY])
    ),
    Walk("a third version while baking", state(Phase.BAKING), Phase.PRODUCTION, NEXT, reason=Reason.SUPERSEDED),
    Walk("a third version in a paused bake", PAUSED[Phase.BAKING], Phase.SUPERSEDED, NEXT, weight=0),
    Walk("the superseded version is drained", state(Phase.SUPERSEDED), Phase.PENDING, NEXT),
    Walk("drained, and back to stable", state(Phase.SUPERSEDED), Phase.PRODUCTION, BACK),
    Walk("a new version", state(Phase.PRODUCTION), Phase.PENDING, seeing(target=V2.target), reason=Reason.STARTING),
    Walk("a new version after a rollback", state(Phase.ROLLED_BACK), Phase.PENDING, NEXT),
    Walk("retry after a rollback", state(Phase.ROLLED_BACK), Phase.PENDING, asking("retry", target=V2.target)),
    Walk("the spec names stable after a rollback", state(Phase.ROLLED_BACK), Phase.PRODUCTION, BACK),
    *(
        Walk(f"stop in {phase}", state(phase), Phase.STOPPED, asking("stop"), weight=0)
        for phase in Phase
        if phase is not Phase.STOPPED
    ),
    Walk("resume after stop", state(Phase.STOPPED, leaving=None), Phase.PENDING, asking("resume", target=V2.target)),
    Walk(
        "resume with the version that was rolled back",
        state(Phase.STOPPED, leaving=None, failure=failure()),
        Phase.ROLLED_BACK,
        asking("resume", target=V2.target),
        reason=Reason.RESUMED,
    ),
    Walk("resume with the stable version", state(Phase.STOPPED, leaving=None), Phase.PRODUCTION, asking("resume")),
)  # fmt: skip


@pytest.mark.parametrize("walk", WALKS, ids=lambda walk: f"{walk.start.phase} to {walk.target}: {walk.sentence}")
def test_walk(walk: Walk) -> None:
    decided = decision.decide(walk.start, walk.seen(walk.start), at(walk.now))

    assert decided.state.phase is walk.target
    assert decided.message
    assert decided.notes
    if walk.reason:
        assert decided.reason is walk.reason
    if walk.weight is not None:
        assert decided.state.weight == walk.weight


TABLE = frozenset((row.source, row.target) for row in phases.TRANSITIONS)


def test_every_row_of_the_table_has_a_walk_and_every_walk_a_row() -> None:
    assert {walk.pair for walk in WALKS} == TABLE


@pytest.mark.parametrize("pair", sorted(TABLE), ids=" to ".join)
def test_a_move_of_the_table_is_made(pair: tuple[Phase, Phase]) -> None:
    assert phases.move(*pair) is pair[1]


@pytest.mark.parametrize("phase", Phase)
def test_staying_is_no_transition(phase: Phase) -> None:
    assert phases.move(phase, phase) is phase


def test_no_other_move_is_made() -> None:
    others = [pair for pair in itertools.permutations(Phase, 2) if pair not in TABLE]
    assert len(others) == 90 - len(TABLE)
    for source, target in others:
        with pytest.raises(phases.IllegalTransitionError, match=f"no transition leads from {source} to {target}"):
            phases.move(source, target)


def test_every_phase_is_reached_from_pending_and_leads_to_production() -> None:
    def reach(start: Phase, pairs: set[tuple[Phase, Phase]]) -> set[Phase]:
        found = {start}
        while more := {target for source, target in pairs if source in found} - found:
            found |= more
        return found

    assert reach(Phase.PENDING, set(TABLE)) == set(Phase)
    assert reach(Phase.PRODUCTION, {(target, source) for source, target in TABLE}) == set(Phase)


def test_no_row_stands_twice_and_every_row_says_when() -> None:
    rows = [(row.source, row.target, row.when) for row in phases.TRANSITIONS]
    assert len(rows) == len(set(rows))
    assert all(when for _, _, when in rows)


def test_production_is_reached_only_by_versions_that_carry_everything() -> None:
    """A version in Staging or Canary cannot become stable in one move; of the paused ones, only a bake can."""
    assert {source for source, target in TABLE if target is Phase.PRODUCTION} == {
        Phase.PENDING,
        Phase.BAKING,
        Phase.PAUSED,
        Phase.SUPERSEDED,
        Phase.ROLLED_BACK,
        Phase.STOPPED,
    }


def test_the_diagram_has_every_row_once() -> None:
    diagram = phases.make_diagram()
    assert diagram.startswith("stateDiagram-v2")
    for source, target in TABLE:
        drawn = not {source, target} & {Phase.STOPPED, Phase.PAUSED}
        assert diagram.count(f"  {source} --> {target}: ") == int(drawn)
    labels = [line.partition(": ")[2] for line in diagram.splitlines() if "-->" in line]
    assert not [label for label in labels if ":" in label or ";" in label], "Mermaid ends a label there"


class Chance:
    """Anything that can be seen, likely or not, drawn by hypothesis."""

    @staticmethod
    @st.composite
    def state(draw: st.DrawFn) -> State:
        phase = draw(st.sampled_from(Phase))
        times = st.sampled_from([None, at(0), at(50), at(100)])
        usual = state(phase)
        weight = draw(
            st.sampled_from(
                {
                    Phase.CANARY: [10, 25, 50, 99],
                    Phase.PAUSED: [0, 25, 100],
                    Phase.ROLLING_BACK: [0, 1, 10, 100],
                    Phase.SUPERSEDED: [0, 1, 10, 100],
                    Phase.STOPPED: [0, 1, 10, 100],
                }.get(phase, [usual.weight])
            )
        )
        if phase is Phase.PENDING:
            usual = draw(st.sampled_from([usual, first()]))
        if phase in (Phase.PRODUCTION, Phase.SUPERSEDED, Phase.STOPPED, Phase.ROLLED_BACK):
            usual = dataclasses.replace(usual, leaving=draw(st.sampled_from([None, V2])))
        return dataclasses.replace(
            usual,
            weight=weight,
            started=draw(times),
            since=draw(times),
            paused_at=draw(times),
            resume={0: Phase.STAGING, 25: Phase.CANARY, 100: Phase.BAKING}[weight] if phase is Phase.PAUSED else None,
            failure=draw(st.sampled_from([None, failure()])),
        )

    @staticmethod
    def observation(of: State) -> st.SearchStrategy[Observation]:
        some_pods = st.sampled_from([GONE, READY])
        analyses = st.builds(
            lambda verdict, fresh, rest: analysis(of, verdict, since=of.since if fresh else at(1), **rest),
            st.sampled_from(Verdict),
            st.booleans(),
            st.fixed_dictionaries({"verified": st.sampled_from([None, True, False]), "drained": st.booleans()}),
        )
        routes = st.one_of(
            st.just(route(of)),
            st.just(Route()),
            st.just(route(of, withdrawn=failure(when=at(100)))),
            st.just(route(of, weights={Slot.A: 1, Slot.B: 1})),
        )
        return st.builds(
            Observation,
            target=st.sampled_from([V1.target, V2.target, V3.target]),
            plan=st.sampled_from([PLAN, NO_STAGING, ONLY_100]),
            pods=st.fixed_dictionaries({found.revision: some_pods for found in (V1, V2, V3)}),
            route=routes,
            analysis=analyses,
            alerts=st.sampled_from([(), (), (alert(),), (alert(about=""),), (alert(since=-5),)]),
            request=st.one_of(st.none(), st.sampled_from([*Verb, "nonsense"]).map(request)),
        )  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_whatever_is_seen_a_decision_stays_within_the_table_and_its_state_makes_sense(data: st.DataObject) -> None:
    before = data.draw(Chance.state())
    seen = data.draw(Chance.observation(before))

    decided = decision.decide(before, seen, at(data.draw(st.sampled_from([100, 130, 1000]))))

    after = decided.state
    assert after.phase is before.phase or (before.phase, after.phase) in TABLE
    assert is_consistent(after)
    assert sum(after.weights().values()) == (100 if after.stable else 0)
    assert decided.message
    assert decided.next_check is None or decided.next_check >= timedelta()


def test_the_walks_start_from_states_that_this_code_could_have_written() -> None:
    assert [walk.sentence for walk in WALKS if not is_consistent(walk.start)] == []


def test_durations_of_the_walks_are_those_of_the_plan() -> None:
    assert (PLAN.staging, PLAN.steps[2].duration, PLAN.bake) == (seconds(20), seconds(30), seconds(40))
