"""A slot never loses its endpoints while any version has pods, because the gateway drops requests at that change."""

import pytest

from serin.core import slots
from serin.core.model import Pods, Revision, Slot, State
from serin.core.phases import Phase

STABLE = Revision("r1", "1.0.0", "image:1", Slot.A)
GUEST = Revision("r2", "1.1.0", "image:2", Slot.B)
UP, DOWN = Pods(1, ready=1, endpoints=1), Pods(1)


@pytest.mark.parametrize(
    ("state", "pods", "expected"),
    [
        pytest.param(
            State(Phase.PENDING, candidate=STABLE), {}, {"a": "r1", "b": "r1"}, id="the first version has both"
        ),
        pytest.param(
            State(Phase.PRODUCTION, stable=STABLE), {"r1": UP}, {"a": "r1", "b": "r1"}, id="an empty slot is lent"
        ),
        pytest.param(
            State(Phase.PENDING, stable=STABLE, candidate=GUEST),
            {"r1": UP, "r2": DOWN},
            {"a": "r1", "b": "r1"},
            id="a candidate without ready pods does not have its slot yet",
        ),
        pytest.param(
            State(Phase.PENDING, stable=STABLE, candidate=GUEST),
            {"r1": UP, "r2": UP},
            {"a": "r1", "b": "r2"},
            id="a ready candidate has its slot",
        ),
        pytest.param(
            State(Phase.CANARY, stable=STABLE, candidate=GUEST, weight=25),
            {"r1": UP, "r2": DOWN},
            {"a": "r1", "b": "r2"},
            id="a candidate that lost all its pods keeps its slot while it has a share",
        ),
        pytest.param(
            State(Phase.ROLLING_BACK, stable=STABLE, candidate=GUEST, weight=0),
            {"r1": UP, "r2": DOWN},
            {"a": "r1", "b": "r1"},
            id="a candidate that lost all its pods gives its slot up with its share",
        ),
        pytest.param(
            State(Phase.BAKING, stable=STABLE, candidate=GUEST, weight=100),
            {"r1": UP, "r2": DOWN},
            {"a": "r1", "b": "r1"},
            id="a baking version that lost all its pods has everything answered by stable",
        ),
        pytest.param(
            State(Phase.PRODUCTION, stable=GUEST, leaving=STABLE),
            {"r1": UP, "r2": UP},
            {"a": "r1", "b": "r2"},
            id="a version that is leaving keeps its slot until it is drained",
        ),
        pytest.param(State(Phase.STOPPED), {}, {}, id="nothing is selected before there is a version"),
    ],
)
def test_slots_select(state: State, pods: dict[str, Pods], expected: dict[str, str]) -> None:
    assert slots.choose_revisions(state, pods) == expected
