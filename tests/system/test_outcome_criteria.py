"""The criteria that the guide shows for rollouts, asked of series as the registry exports them."""

import string
from pathlib import Path

import pytest

from serin_services.registry.core import metrics
from support import outcome_criteria, promtool
from support.promtool import Question, Series

CANDIDATE, STABLE = "1.1.0", "1.0.0"
MINUTES = 10
REPLICAS = ("a", "b")


def read_queries() -> dict[str, str]:
    """Give the guide's queries with the versions filled in, as the operator does it."""
    return {
        query["name"]: string.Template(query["query"]).safe_substitute(version=CANDIDATE, stable=STABLE)
        for query in outcome_criteria.read_queries()
    }


def make_series(name: str, samples: list[float], version: str = CANDIDATE, **labels: str) -> list[Series]:
    """Give a series as each replica of the registry tells it."""
    same = {"tenant": outcome_criteria.TENANT, "model": outcome_criteria.MODEL, "version": version, **labels}
    return [Series(name, {**same, "instance": replica}, samples) for replica in REPLICAS]


def count(right: int, wrong: int) -> list[Series]:
    """Give counters that grow by so many each minute; those of right ones began long ago."""
    grown = {
        value: [start + number * minute for minute in range(MINUTES + 1)]
        for value, number, start in (("true", right, 10_000), ("false", wrong, 10_000), ("unknown", 7, 0))
    }
    return [
        series
        for value, samples in grown.items()
        for series in make_series(metrics.OUTCOMES, samples, **{metrics.CORRECT: value})
    ]


def ask(query: str, series: list[Series], folder: Path) -> float | None:
    (answer,) = promtool.ask({"groups": []}, series, [Question(query, 60 * MINUTES)], folder, interval=60)
    return promtool.value_of(answer)


def test_the_accuracy_is_that_of_one_replica_however_many_tell_it(tmp_path: Path) -> None:
    assert ask(read_queries()["accuracy"], count(9, 6), tmp_path) == pytest.approx(0.6)


def test_fewer_than_100_outcomes_give_no_accuracy_and_the_rollout_waits(tmp_path: Path) -> None:
    assert ask(read_queries()["accuracy"], count(5, 4), tmp_path) is None


def test_the_win_rate_is_held_against_that_of_the_stable_version(tmp_path: Path) -> None:
    series = [
        series
        for version, value in ((CANDIDATE, 0.5), (STABLE, 0.52))
        for bound, wide in (("value", 0), ("low", -0.1), ("high", 0.1))
        for series in make_series(metrics.ROLLING_WIN_RATE, [value + wide] * (MINUTES + 1), version, bound=bound)
    ]
    query = read_queries()["win-rate"]
    assert ask(query, series, tmp_path) == pytest.approx(-0.02)
    assert ask(query, series[: len(series) // 2], tmp_path) is None
