import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serin_services.registry.core import stages
from serin_services.registry.core.stages import IllegalMoveError, Mover, Stage

DEPLOYED = (Stage.STAGING, Stage.CANARY, Stage.PRODUCTION)
STAGES = st.sampled_from(Stage)


@pytest.mark.parametrize(
    ("way", "mover"),
    [
        pytest.param("DRAFT TRAINING TESTING", Mover.CALLER, id="a pipeline trains and tests a draft"),
        pytest.param("DRAFT TESTING DRAFT", Mover.CALLER, id="a model that was trained elsewhere fails its test"),
        pytest.param("TRAINING DRAFT", Mover.CALLER, id="training that fails leads back to the draft"),
        pytest.param(
            "TESTING STAGING CANARY PRODUCTION ARCHIVED", Mover.CLUSTER, id="a rollout leads through all stages"
        ),
        pytest.param("CANARY DRAFT", Mover.CLUSTER, id="a rolled-back candidate is a draft again"),
        pytest.param("DRAFT PRODUCTION", Mover.CLUSTER, id="kubectl can deploy what nobody tested"),
        pytest.param("ARCHIVED STAGING", Mover.CLUSTER, id="an archived version can be rolled out again"),
        pytest.param("TESTING ARCHIVED DRAFT", Mover.CALLER, id="a retired version can be taken up again"),
    ],
)
def test_moves_of_the_table(way: str, mover: Mover) -> None:
    passed = [Stage(name) for name in way.split()]
    for source, target in itertools.pairwise(passed):
        assert stages.move(source, target, mover) is target


@pytest.mark.parametrize(
    ("source", "target", "mover", "said"),
    [
        pytest.param(
            "TESTING",
            "PRODUCTION",
            Mover.CALLER,
            "only the cluster makes it",
            id="nobody declares a version to be in production",
        ),
        pytest.param(
            "PRODUCTION",
            "ARCHIVED",
            Mover.CALLER,
            "only the cluster makes it",
            id="what serves cannot be retired by hand",
        ),
        pytest.param("PRODUCTION", "TRAINING", Mover.CALLER, "there is no such move", id="what serves is not trained"),
        pytest.param(
            "ARCHIVED", "TRAINING", Mover.CALLER, "it can go to DRAFT", id="an archived version is taken up again first"
        ),
        pytest.param("DRAFT", "DRAFT", Mover.CALLER, "there is no such move", id="staying is not a move"),
    ],
)
def test_other_moves_are_refused_with_the_ways_there_are(source: str, target: str, mover: Mover, said: str) -> None:
    with pytest.raises(IllegalMoveError, match=said) as refused:
        stages.move(Stage(source), Stage(target), mover)
    assert f"a version in {source} cannot move to {target}" in str(refused.value)


def test_no_move_stands_in_the_table_twice() -> None:
    pairs = [(transition.source, transition.target) for transition in stages.TRANSITIONS]
    assert len(pairs) == len(set(pairs))
    assert all(transition.when for transition in stages.TRANSITIONS)


@given(source=STAGES, target=st.sampled_from(DEPLOYED))
def test_no_caller_puts_a_version_where_only_the_cluster_can(source: Stage, target: Stage) -> None:
    with pytest.raises(IllegalMoveError):
        stages.move(source, target, Mover.CALLER)


@given(source=STAGES, target=STAGES)
def test_the_cluster_can_record_whatever_it_sees(source: Stage, target: Stage) -> None:
    """A deployment can have any version in any stage from staging to production, and lose it from there."""
    arrives = target in DEPLOYED and source is not target and source not in DEPLOYED
    leaves = source in DEPLOYED and target in (Stage.DRAFT, Stage.ARCHIVED)
    if arrives or leaves:
        assert stages.move(source, target, Mover.CLUSTER) is target


@given(found=st.lists(st.sampled_from([stage for stage in Stage if stage is not Stage.ARCHIVED]), min_size=1))
def test_the_furthest_stage_is_one_of_them_and_none_is_further(found: list[Stage]) -> None:
    order = list(Stage)
    assert order.index(stages.furthest(found)) == max(map(order.index, found))


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        pytest.param([], None, id="no deployment says nothing"),
        pytest.param(
            [Stage.CANARY, Stage.PRODUCTION, Stage.STAGING], Stage.PRODUCTION, id="production comes before all"
        ),
    ],
)
def test_furthest(found: list[Stage], expected: Stage | None) -> None:
    assert stages.furthest(found) is expected
