import dataclasses
import math
import statistics
from datetime import UTC, datetime, timedelta
from fractions import Fraction

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from serin_services.registry.core import performance
from serin_services.registry.core.performance import Sums

START = datetime(2026, 1, 1, tzinfo=UTC)
RETURNS = st.lists(st.floats(-10, 10).map(lambda value: round(value, 6)), max_size=60)
COUNTS = st.integers(0, 2**40)
# Multiples of 1/8 add up without rounding, so that the law is seen as it is.
EIGHTHS = st.integers(-(2**30), 2**30).map(lambda number: number / 8)
BY_TYPE = {"int": COUNTS, "float": EIGHTHS}
SUMS = st.builds(Sums, **{name: BY_TYPE[type(value).__name__] for name, value in dataclasses.asdict(Sums()).items()})


def sums_of(returns: list[float]) -> Sums:
    return performance.total(performance.of(outcome=True, returned=value) for value in returns)


@settings(max_examples=40)
@given(one=SUMS, other=SUMS, third=SUMS)
def test_sums_add_in_any_order(one: Sums, other: Sums, third: Sums) -> None:
    assert one + other == other + one
    assert (one + other) + third == one + (other + third)
    assert one + Sums() == one


@pytest.mark.parametrize(
    ("known", "expected"),
    [
        pytest.param({"outcome": False}, Sums(predictions=1), id="a prediction without an outcome"),
        pytest.param(
            {"outcome": False, "seconds": 0.02}, Sums(predictions=1, timed=1, seconds=0.02), id="with its latency"
        ),
        pytest.param(
            {"outcome": True, "correct": True}, Sums(predictions=1, outcomes=1, judged=1, correct=1), id="a right one"
        ),
        pytest.param({"outcome": True, "correct": False}, Sums(predictions=1, outcomes=1, judged=1), id="a wrong one"),
        pytest.param(
            {"outcome": True, "returned": 2.0},
            Sums(1, 1, wins=1, gain=2.0, returned=1, returns=2.0, squares=4.0),
            id="a win",
        ),
        pytest.param(
            {"outcome": True, "returned": -2.0},
            Sums(1, 1, losses=1, loss=2.0, returned=1, returns=-2.0, squares=4.0),
            id="a loss",
        ),
        pytest.param(
            {"outcome": True, "returned": 0.0}, Sums(1, 1, returned=1), id="a return of nothing is neither win nor loss"
        ),
    ],
)
def test_one_prediction(known: dict[str, object], expected: Sums) -> None:
    assert performance.of(**known) == expected  # type: ignore[arg-type]


@given(hits=st.integers(0, 500), misses=st.integers(0, 500), confidence=st.sampled_from([0.5, 0.9, 0.95, 0.99, 0.9973]))
def test_the_interval_is_wilsons_as_scipy_has_it(hits: int, misses: int, confidence: float) -> None:
    share = performance.win_rate(Sums(wins=hits, losses=misses), confidence)
    if hits + misses == 0:
        assert share is None
        return
    expected = scipy.stats.binomtest(hits, hits + misses).proportion_ci(confidence, method="wilson")
    assert share is not None
    assert (share.low, share.high) == pytest.approx((expected.low, expected.high), abs=1e-9)
    assert 0 <= share.low <= share.value <= share.high <= 1
    assert share.count == hits + misses


def test_an_interval_from_a_textbook() -> None:
    """Newcombe 1998, table I: 81 of 263 at 95 %."""
    share = performance.accuracy(Sums(judged=263, correct=81))
    assert share is not None
    assert (round(share.low, 4), round(share.high, 4)) == (0.2553, 0.3662)


@given(returns=RETURNS)
def test_mean_variance_and_sharpe_are_those_of_numpy(returns: list[float]) -> None:
    sums = sums_of(returns)
    variance = performance.variance(sums)
    if len(returns) < 2:
        assert variance is None
        assert performance.sharpe(sums) is None
        return
    exact = statistics.variance(map(Fraction, returns))
    scale = sum(value * value for value in returns) / len(returns)
    assert variance is not None
    assert variance >= 0
    assert variance == pytest.approx(float(exact), abs=1e-11 * scale + 1e-300)
    assert performance.mean_return(sums) == pytest.approx(np.mean(returns), abs=1e-12)
    if float(exact) > 1e-6 * scale:
        expected = np.mean(returns) / np.std(returns, ddof=1)
        assert performance.sharpe(sums) == pytest.approx(expected, rel=1e-6, abs=1e-9)
        assert performance.sharpe(sums, 252) == pytest.approx(expected * math.sqrt(252), rel=1e-6, abs=1e-9)


@given(value=st.floats(-1e6, 1e6), count=st.integers(2, 300))
def test_equal_returns_have_no_variance_and_no_sharpe(value: float, count: int) -> None:
    sums = sums_of([value] * count)
    assert performance.variance(sums) == 0
    assert performance.sharpe(sums) is None


@given(returns=RETURNS)
def test_profit_factor_and_counts_are_those_of_the_returns(returns: list[float]) -> None:
    sums = sums_of(returns)
    gains, losses = [value for value in returns if value > 0], [-value for value in returns if value < 0]
    assert (sums.wins, sums.losses) == (len(gains), len(losses))
    if losses:
        assert performance.profit_factor(sums) == pytest.approx(sum(gains) / sum(losses))
    else:
        assert performance.profit_factor(sums) is None


ERRORS = st.lists(st.floats(-1e3, 1e3).map(lambda value: round(value, 6)), min_size=1, max_size=60)


@given(errors=ERRORS)
def test_errors_are_those_of_numpy(errors: list[float]) -> None:
    sums = performance.total(performance.of(outcome=True, error=value) for value in errors)
    assert performance.mean_error(sums) == pytest.approx(np.mean(np.abs(errors)))
    assert performance.mean_squared_error(sums) == pytest.approx(np.mean(np.square(errors)))


def test_the_mean_confidence_counts_only_predictions_that_have_one() -> None:
    known = (0.5, None, 0.75)
    sums = performance.total(performance.of(outcome=False, confidence=value) for value in known)
    assert performance.mean_confidence(sums) == 0.625


def test_figures_of_nothing_are_undefined() -> None:
    found = performance.figures(Sums(), periods=252)
    assert (found["predictions"], found["outcomes"]) == (0, 0)
    assert {value for name, value in found.items() if name not in ("predictions", "outcomes")} == {None}


def test_figures_are_plain_numbers() -> None:
    known = [(True, 1.0), (True, 2.0), (False, -1.0)]
    sums = performance.total(performance.of(outcome=True, correct=c, returned=r, seconds=0.1) for c, r in known)
    found = performance.figures(sums, periods=252)
    assert found["accuracy"]["value"] == pytest.approx(2 / 3)
    assert found["win_rate"]["count"] == 3
    assert found["profit_factor"] == 3.0
    assert found["latency_seconds"] == pytest.approx(0.1)
    assert found["sharpe_annualised"] == pytest.approx(found["sharpe"] * math.sqrt(252))


HOURS = st.dictionaries(st.integers(0, 60), SUMS, max_size=30)


@settings(max_examples=40)
@given(hours=HOURS, length=st.integers(1, 70))
def test_a_rolling_window_is_the_sum_of_its_hours(hours: dict[int, Sums], length: int) -> None:
    by_hour = {START + timedelta(hours=hour): sums for hour, sums in hours.items()}
    expected = [
        (
            START + timedelta(hours=hour),
            performance.total(sums for h, sums in hours.items() if hour - length < h <= hour),
        )
        for hour in sorted(hours)
    ]
    assert performance.rolling(by_hour, timedelta(hours=length)) == expected


def test_a_window_leaves_no_rounding_behind() -> None:
    by_hour = {
        START: Sums(returns=1e17),
        START + timedelta(hours=1): Sums(returns=1.0),
        START + timedelta(hours=2): Sums(returns=1.0),
    }
    assert performance.rolling(by_hour, timedelta(hours=2))[-1][1].returns == 2.0


def test_a_window_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="longer than nothing"):
        performance.rolling({}, timedelta())


@settings(max_examples=5, deadline=None)
@given(returns=st.lists(st.floats(-0.05, 0.05), min_size=1000, max_size=1000))
def test_many_small_returns_about_a_large_mean(returns: list[float]) -> None:
    shifted = [100 + value for value in returns]
    variance = performance.variance(sums_of(shifted))
    assert variance == pytest.approx(float(np.var(shifted, ddof=1)), abs=1e-7)
