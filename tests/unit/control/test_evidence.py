"""Counting and judging: against published intervals, by laws, and by simulation."""

import itertools
import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from serin.core import evidence
from serin.core.evidence import Assessment, Counter, Counts, Criterion, Kind, Verdict

ERRORS = Criterion("errorRate", Kind.ERROR_RATE, maximum=0.05)
SLOW = Criterion("latencyP95", Kind.LATENCY, maximum=0.25, quantile=0.95)


def answered(failed: float, total: float) -> Counts:
    return Counts(ok=total - failed, failed=failed)


# Wilson's interval.


@pytest.mark.parametrize(
    ("hits", "total", "z", "low", "high"),
    [
        # Newcombe 1998, Statistics in Medicine 17:857, table I, method 3 (score, no continuity correction).
        pytest.param(81, 263, 1.959964, 0.2553, 0.3662, id="Newcombe 81 of 263"),
        pytest.param(15, 148, 1.959964, 0.0624, 0.1605, id="Newcombe 15 of 148"),
        pytest.param(0, 20, 1.959964, 0.0000, 0.1611, id="Newcombe 0 of 20"),
        pytest.param(1, 29, 1.959964, 0.0061, 0.1718, id="Newcombe 1 of 29"),
        # Brown, Cai and DasGupta 2001, Statistical Science 16:101: 0 of n has the upper bound z² / (n + z²).
        pytest.param(0, 100, 3.0, 0.0, 9 / 109, id="none of 100"),
        pytest.param(100, 100, 3.0, 100 / 109, 1.0, id="all of 100"),
        pytest.param(6, 30, 3.0, 0.0650, 0.4735, id="6 of 30"),
        pytest.param(5, 30, 3.0, 0.0487, 0.4384, id="5 of 30"),
    ],
)
def test_wilson_against_published_values(hits: float, total: float, z: float, low: float, high: float) -> None:
    assert evidence.wilson(hits, total, z) == pytest.approx((low, high), abs=0.00006)


def test_nothing_counted_proves_nothing() -> None:
    assert evidence.wilson(0, 0) == (0.0, 1.0)


@given(st.integers(1, 10_000).flatmap(lambda total: st.tuples(st.integers(0, total), st.just(total))))
def test_the_interval_holds_the_share_and_is_mirrored(counts: tuple[int, int]) -> None:
    hits, total = counts
    low, high = evidence.wilson(hits, total)
    assert 0 <= low <= hits / total + 1e-12
    assert hits / total - 1e-12 <= high <= 1
    assert evidence.wilson(total - hits, total) == pytest.approx((1 - high, 1 - low), abs=1e-9)


@given(st.integers(1, 500), st.integers(2, 50))
def test_more_requests_of_the_same_share_narrow_the_interval(hits: int, factor: int) -> None:
    low, high = evidence.wilson(hits, 2 * hits)
    lower, upper = evidence.wilson(hits * factor, 2 * hits * factor)
    assert low <= lower <= upper <= high


# Counters.

Samples = Sequence[tuple[float, float]]


@pytest.mark.parametrize(
    ("samples", "since", "counted", "grew"),
    [
        pytest.param([(1, 5), (3, 9)], 2, 0, 3, id="what came before the first sample may be of the step before"),
        pytest.param([(1, 5), (3, 9), (4, 12)], 2, 3, 4, id="from the first sample on it counts"),
        pytest.param([(1, 5), (2, 5), (3, 9), (4, 12)], 2, 3, 4, id="a sample at the start is one before it"),
        pytest.param([(3, 4)], 2, 4, 3, id="a series that is new began at 0"),
        pytest.param([(3, 0), (4, 0)], 2, 0, None, id="a series that is new and silent"),
        pytest.param([(1, 5), (3, 5), (4, 9), (5, 2)], 2, 6, 5, id="a restart counts from 0 again: 5, 9, 2 is 4 + 2"),
        pytest.param([(1, 5), (3, 5), (4, 0), (5, 0)], 2, 0, 3, id="a restart without requests"),
        pytest.param([(3, 4), (4, 4), (5, 4)], 2, 4, 3, id="growth is remembered, silence too"),
        pytest.param([(1, 5), (2, 7)], 2, 0, None, id="nothing after the start"),
    ],
)
def test_following_a_counter(samples: Samples, since: float, counted: float, grew: float | None) -> None:
    counter = evidence.follow(None, samples, since)
    assert counter is not None
    assert (counter.counted, counter.grew) == (counted, grew)


def test_no_samples_leave_a_counter_as_it_was() -> None:
    assert evidence.follow(None, [], 0) is None
    assert evidence.follow(Counter(1, 2, 3), [], 0) == Counter(1, 2, 3)


histories = st.lists(st.integers(0, 9), min_size=1, max_size=30).map(
    lambda values: [(float(time), float(value)) for time, value in enumerate(values)]
)


@given(histories, st.integers(0, 30), st.lists(st.integers(0, 30), max_size=6), st.integers(0, 8))
def test_reading_in_overlapping_parts_counts_the_same(
    history: Samples, since: int, cuts: list[int], overlap: int
) -> None:
    whole = evidence.follow(None, history, since)
    counter = None
    for start, end in itertools.pairwise([0, *sorted(cuts), len(history)]):
        counter = evidence.follow(counter, history[max(0, start - overlap) : end], since)
    assert counter == whole


@given(st.lists(st.integers(0, 9), min_size=2, max_size=20), st.data())
def test_without_restarts_the_count_is_the_difference(growth: list[int], data: st.DataObject) -> None:
    values = list(itertools.accumulate(growth))
    since = data.draw(st.integers(0, len(values) - 1))
    counter = evidence.follow(None, list(enumerate(map(float, values))), since)
    assert counter is not None
    assert counter.counted == values[-1] - values[min(since + 1, len(values) - 1)]


# Verdicts.


@pytest.mark.parametrize(
    ("failed", "total", "verdict"),
    [
        pytest.param(0, 0, Verdict.INSUFFICIENT, id="nothing answered"),
        pytest.param(0, 99, Verdict.INSUFFICIENT, id="one request too few to pass"),
        pytest.param(99, 99, Verdict.INSUFFICIENT, id="one request too few to fail"),
        pytest.param(0, 100, Verdict.PASS, id="none failed"),
        pytest.param(5, 100, Verdict.PASS, id="exactly the limit"),
        pytest.param(6, 100, Verdict.INSUFFICIENT, id="above the limit, but it may be chance"),
        pytest.param(11, 100, Verdict.INSUFFICIENT, id="the most that may be chance"),
        pytest.param(12, 100, Verdict.FAIL, id="the least that is no chance"),
        pytest.param(71, 1000, Verdict.FAIL, id="with more requests a smaller excess is enough"),
        pytest.param(70, 1000, Verdict.INSUFFICIENT, id="and a request less is not"),
    ],
)
def test_error_rates(failed: float, total: float, verdict: Verdict) -> None:
    found = evidence.assess(ERRORS, answered(failed, total), 100)
    assert found.verdict is verdict
    assert (found.value, found.limit, found.requests) == (failed / total if total else None, 0.05, total)


def test_refused_requests_are_answered_but_have_not_failed() -> None:
    assert evidence.assess(ERRORS, Counts(ok=50, refused=50), 100).verdict is Verdict.PASS


@pytest.mark.parametrize(
    ("within", "verdict"),
    [
        pytest.param(95, Verdict.PASS, id="the quantile is kept"),
        pytest.param(94, Verdict.INSUFFICIENT, id="not quite"),
        pytest.param(87, Verdict.FAIL, id="beyond doubt"),
    ],
)
def test_latencies(within: float, verdict: Verdict) -> None:
    found = evidence.assess(SLOW, Counts(ok=100, timed=100, within={0.25: within}), 100)
    assert found.verdict is verdict
    assert "answers took longer than 250 ms" in found.message


@given(st.integers(0, 3000), st.integers(0, 3000), st.integers(1, 500))
def test_a_worse_version_never_has_a_better_verdict(failed: int, more: int, minimum: int) -> None:
    order = [Verdict.PASS, Verdict.INSUFFICIENT, Verdict.FAIL]
    total = 3000
    assume(failed + more <= total)
    better = evidence.assess(ERRORS, answered(failed, total), minimum).verdict
    worse = evidence.assess(ERRORS, answered(failed + more, total), minimum).verdict
    assert order.index(worse) >= order.index(better)


@pytest.mark.parametrize(
    ("candidate", "stable", "fails"),
    [
        pytest.param(Counts(refused=200), Counts(ok=200), True, id="it refuses everything that stable takes"),
        pytest.param(Counts(ok=170, refused=30), Counts(ok=200), True, id="it refuses much that stable takes"),
        pytest.param(Counts(ok=195, refused=5), Counts(ok=200), False, id="a few"),
        pytest.param(Counts(refused=200), Counts(refused=200), False, id="the clients are wrong, not the version"),
        pytest.param(Counts(refused=200), Counts(ok=99), False, id="too few requests of stable"),
        pytest.param(Counts(refused=99), Counts(ok=200), False, id="too few requests of the candidate"),
        pytest.param(Counts(refused=200), None, False, id="nothing to compare with"),
    ],
)
def test_refusals_are_held_against_stable(candidate: Counts, stable: Counts | None, fails: bool) -> None:
    found = evidence.assess_refusals(candidate, stable, 100)
    assert (found is not None) is fails
    if found:
        assert (found.name, found.verdict) == ("refusals", Verdict.FAIL)


@pytest.mark.parametrize(
    ("low", "high", "value", "verdict", "limit"),
    [
        pytest.param(None, 5.0, 4.0, Verdict.PASS, 5.0, id="below max"),
        pytest.param(None, 5.0, 5.0, Verdict.PASS, 5.0, id="at max"),
        pytest.param(None, 5.0, 6.0, Verdict.FAIL, 5.0, id="above max"),
        pytest.param(1.0, None, 1.0, Verdict.PASS, 1.0, id="at min"),
        pytest.param(1.0, None, 0.5, Verdict.FAIL, 1.0, id="below min"),
        pytest.param(1.0, 5.0, 0.5, Verdict.FAIL, 1.0, id="below both"),
        pytest.param(1.0, 5.0, 6.0, Verdict.FAIL, 5.0, id="above both"),
        pytest.param(1.0, 5.0, 3.0, Verdict.PASS, 1.0, id="between"),
        pytest.param(None, 5.0, None, Verdict.INSUFFICIENT, None, id="no result"),
        pytest.param(None, 5.0, math.nan, Verdict.INSUFFICIENT, None, id="not a number"),
        pytest.param(None, 5.0, math.inf, Verdict.FAIL, 5.0, id="infinite"),
    ],
)
def test_queries(
    low: float | None, high: float | None, value: float | None, verdict: Verdict, limit: float | None
) -> None:
    criterion = Criterion("queue", Kind.QUERY, maximum=high, minimum=low)
    found = evidence.assess_query(criterion, value, 100, 100)
    assert (found.verdict, found.limit) == (verdict, limit)
    few = evidence.assess_query(criterion, value, 99, 100)
    assert few.verdict is Verdict.INSUFFICIENT


def made(*verdicts: Verdict) -> list[Assessment]:
    return [Assessment(f"c{number}", verdict, f"m{number}") for number, verdict in enumerate(verdicts)]


@pytest.mark.parametrize(
    ("verdicts", "verdict", "message"),
    [
        pytest.param([Verdict.PASS, Verdict.PASS], Verdict.PASS, "c0: m0; c1: m1", id="all pass"),
        pytest.param([Verdict.PASS, Verdict.INSUFFICIENT], Verdict.INSUFFICIENT, "c1: m1", id="one waits"),
        pytest.param([Verdict.INSUFFICIENT, Verdict.FAIL, Verdict.UNAVAILABLE], Verdict.FAIL, "c1: m1", id="one fails"),
        pytest.param([Verdict.INSUFFICIENT, Verdict.UNAVAILABLE], Verdict.UNAVAILABLE, "c1: m1", id="one unavailable"),
    ],
)
def test_the_gravest_verdict_counts(verdicts: list[Verdict], verdict: Verdict, message: str) -> None:
    assert evidence.combine(made(*verdicts), 100, 100) == (verdict, message)


def test_without_criteria_enough_requests_pass() -> None:
    assert evidence.combine([], 100, 100)[0] is Verdict.PASS
    assert evidence.combine([], 99, 100)[0] is Verdict.INSUFFICIENT


# Traffic.


@pytest.mark.parametrize(
    ("candidate", "stable", "weight", "follows"),
    [
        pytest.param(100, 900, 10, True, id="a tenth at 10 %"),
        pytest.param(0, 0, 10, None, id="no answers"),
        pytest.param(3, 27, 10, None, id="too few to tell"),
        pytest.param(100, 900, 25, False, id="stayed at 10 % when the weight became 25 %"),
        pytest.param(100, 300, 50, False, id="stayed at 25 % when the weight became 50 %"),
        pytest.param(100, 100, 100, False, id="stayed at 50 % when the weight became 100 %"),
        pytest.param(0, 200, 10, False, id="the weight never arrived"),
        pytest.param(500, 0, 100, True, id="everything at 100 %"),
        pytest.param(470, 30, 100, True, id="a few stragglers at 100 %"),
        pytest.param(400, 100, 100, False, id="too many stragglers"),
        pytest.param(1, 199, 1, True, id="a single answer at 1 %, in a narrow interval"),
    ],
)
def test_whether_answers_follow_a_weight(candidate: float, stable: float, weight: int, follows: bool | None) -> None:
    assert evidence.follows_weight(candidate, stable, weight, 100)[0] is follows


@pytest.mark.parametrize(("before", "after"), [(10, 25), (25, 50), (50, 100)])
@given(requests=st.integers(1, 20_000), minimum=st.integers(1, 200))
def test_a_share_that_stayed_where_it_was_is_not_taken_for_the_new_weight(
    before: int, after: int, requests: int, minimum: int
) -> None:
    """However few requests the plan asks for."""
    stable = requests * (100 - before) / before
    assert evidence.follows_weight(requests, round(stable), after, minimum)[0] is not True


@pytest.mark.parametrize(("before", "after"), [(10, 25), (25, 50), (50, 100)])
@given(requests=st.integers(100, 20_000))
def test_a_share_is_told_from_the_next_from_a_hundred_requests_on(before: int, after: int, requests: int) -> None:
    stable = requests * (100 - before) / before
    assert evidence.follows_weight(requests, round(stable), after, 100)[0] is False
    assert evidence.follows_weight(requests, round(stable), before, 100)[0] is True


@pytest.mark.parametrize(
    ("sample", "growth", "drained"),
    [
        pytest.param(None, None, False, id="no samples"),
        pytest.param(101.0, None, False, id="a sample before the gateway has settled"),
        pytest.param(101.1, None, True, id="a sample after it, without any growth"),
        pytest.param(105.0, 105.0, False, id="still growing"),
        pytest.param(110.0, 105.0, True, id="one more scrape without growth"),
        pytest.param(99.0, None, False, id="a sample from before"),
    ],
)
def test_when_a_version_is_drained(sample: float | None, growth: float | None, drained: bool) -> None:
    assert evidence.drained(Counts(last_sample=sample, last_growth=growth), 100.0)[0] is drained


def test_a_version_without_counts_is_not_drained() -> None:
    assert evidence.drained(None, 100.0)[0] is False


# Simulation.


def least_failures(minimum: int, requests: int) -> np.ndarray:
    """How many failures of n requests are a Fail, for each n up to `requests`; beyond reach below the minimum."""
    needed, failed = np.full(requests + 1, requests + 1), 0
    for total in range(minimum, requests + 1):
        while evidence.assess(ERRORS, answered(failed, total), minimum).verdict is not Verdict.FAIL:
            failed += 1
        needed[total] = failed
    return needed[1:]


def test_an_equal_version_with_1_percent_errors_is_not_rolled_back_however_often_one_looks() -> None:
    """20,000 requests, looked at after each of them, 1,000 times: the limit is 5 %, the minimum 100."""
    chance, needed = np.random.default_rng(3), least_failures(100, 20_000)
    condemned = sum(
        bool((chance.random((50, 20_000)) < 0.01).cumsum(axis=1).__ge__(needed).any(axis=1).sum()) for _ in range(20)
    )
    assert condemned < 10


def test_a_version_that_fails_a_fifth_is_condemned_within_300_requests() -> None:
    chance, needed = np.random.default_rng(3), least_failures(100, 300)
    failed = (chance.random((1000, 300)) < 0.2).cumsum(axis=1)
    assert (failed >= needed).any(axis=1).mean() > 0.999


@settings(max_examples=30)
@given(st.integers(100, 5000))
def test_the_least_failures_grow_with_the_requests(total: int) -> None:
    needed = next(k for k in range(total) if evidence.assess(ERRORS, answered(k, total), 100).verdict is Verdict.FAIL)
    assert needed > 0.05 * total
