"""From the resource's text to the core's values."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serin.api import metrics, quantities, v1alpha1
from serin.core.evidence import Criterion, Kind
from serin.core.model import Plan, Step
from serin.render import plans
from support.rollouts import seconds

LEAST = {"model": "momentum", "version": "2.1.0", "image": "i@sha256:1", "route": {"gateway": {"name": "public"}}}


def spec(**changes: Any) -> v1alpha1.Spec:
    return v1alpha1.Spec.model_validate(LEAST | changes)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0s", 0),
        ("250ms", 0.25),
        ("10s", 10),
        ("1m", 60),
        ("1h30m", 5400),
        ("1h1m1s1ms", 3661.001),
        ("99999h", 99999 * 3600),
        ("5m5m", 600),
    ],
)
def test_durations(text: str, expected: float) -> None:
    assert quantities.parse_duration(text) == seconds(expected)


@pytest.mark.parametrize("text", ["", "10", "s", "1d", "-1s", "1.5s", "1s ", " 1s", "100000s", "1h1h1h1h1h", "1H", "∞"])
def test_what_is_no_duration_is_refused_with_examples(text: str) -> None:
    with pytest.raises(ValueError, match="is no duration; expected groups of h, m, s or ms"):
        quantities.parse_duration(text)


@given(st.integers(0, 99999), st.integers(0, 59), st.integers(0, 59), st.integers(0, 999))
def test_durations_add_up(h: int, m: int, s: int, ms: int) -> None:
    parsed = quantities.parse_duration(f"{h}h{m}m{s}s{ms}ms")
    assert abs(parsed - timedelta(hours=h, minutes=m, seconds=s, milliseconds=ms)) <= timedelta(microseconds=1)


@given(st.floats(0.001, 1000))
def test_a_limit_is_held_at_the_next_lower_bucket(limit: float) -> None:
    bound = quantities.round_down_to_bucket(limit)
    assert bound in metrics.LATENCY_BUCKETS
    assert bound <= limit
    assert not any(bound < other <= limit for other in metrics.LATENCY_BUCKETS)


def test_a_limit_below_all_buckets_is_held_at_the_lowest() -> None:
    assert quantities.round_down_to_bucket(0.0001) == metrics.LATENCY_BUCKETS[0]


def test_the_defaults_are_the_design() -> None:
    assert plans.make_plan(spec()) == Plan(
        steps=(
            Step(10, timedelta(hours=48)),
            Step(25, timedelta(hours=6)),
            Step(50, timedelta(hours=6)),
            Step(100),
        ),
        staging=timedelta(hours=24),
        mirror_percent=100,
        bake=timedelta(hours=24),
        progress_deadline=timedelta(minutes=10),
        failed_retention=timedelta(hours=1),
    )
    assert plans.make_criteria(spec()) == (
        Criterion("errorRate", Kind.ERROR_RATE, maximum=0.05),
        Criterion("latencyP95", Kind.LATENCY, maximum=0.25, quantile=0.95),
    )


def test_latency_limits_are_rounded_to_what_can_be_counted() -> None:
    criteria = [{"name": "latencyP50", "max": "220ms"}, {"name": "latencyP99", "max": "3s"}]
    assert [(c.maximum, c.quantile) for c in plans.make_criteria(spec(analysis={"criteria": criteria}))] == [
        (0.2, 0.5),
        (2.5, 0.99),
    ]


def test_queries_have_either_bound() -> None:
    queries = [{"name": "queue", "query": "q", "max": "5"}, {"name": "hits", "query": "h", "min": "-0.5"}]
    found = plans.make_queries(spec(analysis={"queries": queries}))
    assert [(q.text, q.criterion.minimum, q.criterion.maximum) for q in found] == [("q", None, 5.0), ("h", -0.5, None)]


def test_a_revision_is_ten_hex_digits_and_depends_on_nothing_else() -> None:
    name = plans.make_target(spec()).revision
    assert len(name) == 10
    int(name, 16)
    assert plans.make_target(spec(replicas=7, failedRetention="2h")).revision == name


@pytest.mark.parametrize(
    "change",
    [
        {"version": "2.1.1"},
        {"image": "i@sha256:2"},
        {"template": {"metadata": {"labels": {"a": "b"}}}},
        {"template": {"spec": {"nodeSelector": {"gpu": "yes"}}}},
    ],
    ids=lambda change: next(iter(change)),
)
def test_whatever_makes_pods_differ_is_a_revision(change: dict[str, Any]) -> None:
    assert plans.make_target(spec(**change)).revision != plans.make_target(spec()).revision


def test_the_order_of_a_templates_keys_is_no_difference() -> None:
    one = spec(template={"spec": {"a": 1, "b": {"c": 2, "d": 3}}})
    other = spec(template={"spec": {"b": {"d": 3, "c": 2}, "a": 1}})
    assert plans.make_target(one) == plans.make_target(other)


def test_a_baseline_that_is_the_specs_version_is_the_specs_revision() -> None:
    same = spec(baseline={"version": "2.1.0", "image": "i@sha256:1"})
    assert plans.make_baseline(same) == plans.make_target(same)
    assert plans.make_baseline(spec()) is None
