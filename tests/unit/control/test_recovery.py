"""What is rebuilt when the status is lost: never more traffic for the newer version than it had, and no promotion."""

import dataclasses
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serin.core import decision, recovery
from serin.core.model import Failure, Reason, Request, Revision, Slot, State
from serin.core.phases import Phase
from serin.core.recovery import Record, Traces
from support.rollouts import V1, V2, V3, alert, at, failure, first, observe, request, state

A, B = Slot.A, Slot.B
RECORDS = (Record(V1.target, 1), Record(V2.target, 2))
BOTH = {A: V1.revision, B: V2.revision}
LENT = {A: V1.revision, B: V1.revision}


def recover(
    selected: Mapping[Slot, str] = BOTH,
    weights: Mapping[Slot, int] | None = None,
    withdrawn: Failure | None = None,
    asked: Request | None = None,
    records: tuple[Record, ...] = RECORDS,
) -> State | None:
    return recovery.recover(Traces(records, selected, weights or {}, withdrawn), asked, at(0))


@pytest.mark.parametrize(
    ("selected", "weights", "withdrawn", "phase", "stable", "candidate", "weight"),
    [
        pytest.param(BOTH, {A: 100, B: 0}, None, Phase.PENDING, V1, V2, 0, id="no traffic yet"),
        pytest.param(BOTH, {A: 75, B: 25}, None, Phase.CANARY, V1, V2, 25, id="in the middle of a canary"),
        pytest.param(BOTH, {A: 0, B: 100}, None, Phase.BAKING, V1, V2, 100, id="all traffic: baking, not promoted"),
        pytest.param(BOTH, {A: 100, B: 0}, failure(), Phase.ROLLING_BACK, V1, V2, 0, id="withdrawn"),
        pytest.param(BOTH, {A: 75, B: 25}, failure(), Phase.ROLLING_BACK, V1, V2, 0, id="withdrawn, and edited since"),
        pytest.param(BOTH, {A: 75, B: 25}, failure(revision="x"), Phase.CANARY, V1, V2, 25, id="another was withdrawn"),
        pytest.param(BOTH, {}, None, Phase.PENDING, V1, V2, 0, id="a route that cannot be read"),
        pytest.param(BOTH, {A: 900, B: 100}, None, Phase.CANARY, V1, V2, 10, id="weights of another sum"),
        pytest.param(LENT, {A: 100, B: 0}, None, Phase.PRODUCTION, V1, None, 0, id="one version, the other slot lent"),
        pytest.param(
            LENT, {A: 100, B: 0}, failure(), Phase.ROLLED_BACK, V1, None, 0, id="one version after a rollback"
        ),
        pytest.param(LENT, {}, None, Phase.PENDING, None, V1, 0, id="one version that never had traffic"),
    ],
)
def test_what_the_children_tell(
    selected: Mapping[Slot, str],
    weights: Mapping[Slot, int],
    withdrawn: Failure | None,
    phase: Phase,
    stable: Revision | None,
    candidate: Revision | None,
    weight: int,
) -> None:
    found = recover(selected, weights, withdrawn)
    assert found is not None
    assert (found.phase, found.stable, found.weight) == (phase, stable, weight)
    assert (found.candidate and found.candidate.revision) == (candidate and candidate.revision)
    assert recovery.is_consistent(found)


def test_a_version_in_both_slots_is_where_its_traffic_is() -> None:
    found = recover({A: V2.revision, B: V2.revision}, {A: 0, B: 100})
    assert found is not None
    assert found.stable == V2


def test_the_record_with_the_higher_number_is_the_newer_version() -> None:
    found = recover(records=(Record(V1.target, 5), Record(V2.target, 4)), weights={A: 30, B: 70})
    assert found is not None
    assert found.candidate is not None
    assert (found.candidate.revision, found.weight) == (V1.revision, 30)


@pytest.mark.parametrize("selected", [{}, {A: "none", B: "none"}, {A: V3.revision}])
def test_without_children_there_is_nothing_to_rebuild(selected: Mapping[Slot, str]) -> None:
    assert recover(selected, {A: 100, B: 0}) is None


@given(st.integers(0, 10**6), st.integers(0, 10**6), st.booleans(), st.booleans())
def test_the_newer_version_never_gets_more_than_the_route_gave_it(a: int, b: int, swap: bool, failed: bool) -> None:
    records = (Record(V1.target, 2), Record(V2.target, 1)) if swap else RECORDS
    newer = V1 if swap else V2
    found = recover(
        weights={A: a, B: b}, records=records, withdrawn=failure(revision=newer.revision) if failed else None
    )
    assert found is not None
    had = (a if swap else b) / max(1, a + b)
    assert found.weights()[newer.slot] <= 100 * had
    assert found.stable is not None
    assert found.stable.revision != newer.revision
    assert recovery.is_consistent(found)


def test_an_alert_counts_after_a_recovery_however_long_it_has_been_firing() -> None:
    found = recover(weights={A: 75, B: 25})
    assert found is not None
    seen = observe(found, alerts=(alert(since=-9999),))
    assert decision.decide(found, seen, at(1)).state.phase is Phase.ROLLING_BACK


@pytest.mark.parametrize("verb", ["promote", "resume", "rollback", "retry"])
def test_a_request_that_may_have_been_carried_out_is_not_again(verb: str) -> None:
    found = recover(weights={A: 75, B: 25}, asked=request(verb))
    assert found is not None
    assert found.request is not None
    assert (found.request.id, found.request.accepted) == ("id-1", False)
    assert found.request.message == "the status was lost: ask again"


@pytest.mark.parametrize("verb", ["stop", "pause"])
def test_a_request_that_holds_is_carried_out_again(verb: str) -> None:
    found = recover(weights={A: 75, B: 25}, asked=request(verb))
    assert found is not None
    assert found.request is None


@pytest.mark.parametrize(
    ("numbers", "overtaken"),
    [
        pytest.param({V1.revision: 1, V2.revision: 2}, None, id="the candidate is the newer one"),
        pytest.param({V1.revision: 2, V2.revision: 1}, V2, id="an earlier version begins once more"),
        pytest.param({V1.revision: 2}, None, id="the candidate has no record yet"),
        pytest.param({V2.revision: 1}, None, id="stable has none"),
    ],
)
def test_whose_record_needs_a_new_number(numbers: Mapping[str, int], overtaken: Revision | None) -> None:
    assert recovery.find_overtaken(state(Phase.CANARY), numbers) == overtaken
    assert recovery.find_overtaken(state(Phase.PRODUCTION), numbers) is None


# Objects without children.


def test_a_new_object_begins_with_its_first_version() -> None:
    found = recovery.begin_anew(V1.target, None, at(0))
    assert (found.phase, found.candidate, found.stable) == (Phase.PENDING, V1, None)


def test_the_baseline_is_stable_and_the_spec_a_candidate() -> None:
    found = recovery.begin_anew(V2.target, V1.target, at(0))
    assert (found.phase, found.stable, found.candidate) == (Phase.PENDING, V1, V2)
    assert found.weights() == {A: 100, B: 0}


def test_a_baseline_that_is_the_spec_is_in_production() -> None:
    found = recovery.begin_anew(V1.target, V1.target, at(0))
    assert (found.phase, found.stable, found.candidate) == (Phase.PRODUCTION, V1, None)


# Stored states.


@pytest.mark.parametrize("phase", Phase)
def test_a_state_of_each_phase_makes_sense(phase: Phase) -> None:
    assert recovery.is_consistent(state(phase))
    assert recovery.is_consistent(first())


TWIN = dataclasses.replace(V2, slot=A)


@pytest.mark.parametrize(
    "broken",
    [
        pytest.param(state(Phase.CANARY, weight=101), id="more than everything"),
        pytest.param(state(Phase.CANARY, weight=-1), id="less than nothing"),
        pytest.param(state(Phase.CANARY, weight=0), id="a canary without traffic"),
        pytest.param(state(Phase.BAKING, weight=50), id="baking without all traffic"),
        pytest.param(state(Phase.PRODUCTION, weight=50), id="a share for nobody"),
        pytest.param(state(Phase.STAGING, weight=10), id="mirror and weight at once"),
        pytest.param(state(Phase.PENDING, weight=10), id="weight before it is ready"),
        pytest.param(state(Phase.CANARY, candidate=TWIN), id="two versions in one slot"),
        pytest.param(state(Phase.CANARY, candidate=dataclasses.replace(V1, slot=B)), id="one version against itself"),
        pytest.param(state(Phase.SUPERSEDED, leaving=TWIN), id="the version that leaves has stable's slot"),
        pytest.param(state(Phase.CANARY, candidate=None), id="a canary of nothing"),
        pytest.param(state(Phase.CANARY, stable=None), id="a canary beside nothing"),
        pytest.param(state(Phase.PRODUCTION, stable=None), id="nothing in production"),
        pytest.param(state(Phase.PRODUCTION, candidate=V2), id="a candidate in production"),
        pytest.param(state(Phase.PAUSED, resume=None), id="a pause of nothing"),
        pytest.param(state(Phase.PAUSED, resume=Phase.PRODUCTION), id="a pause of production"),
        pytest.param(state(Phase.SUPERSEDED, stable=None, weight=50), id="weight beside nothing"),
    ],
)
def test_a_state_that_makes_no_sense_is_discarded(broken: State) -> None:
    assert not recovery.is_consistent(broken)


def test_a_recovered_rollback_ends_as_one() -> None:
    found = recover(weights={A: 100, B: 0}, withdrawn=failure())
    assert found is not None
    settled = dataclasses.replace(found, since=at(0))
    done = decision.decide(settled, observe(settled), at(10)).state
    assert done.phase is Phase.ROLLED_BACK
    assert done.failure is not None
    assert done.failure.reason is Reason.ALERT
