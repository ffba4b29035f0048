import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serin_services.registry.core import differences
from serin_services.registry.core.configuration import ABSENT, Changed, Configuration, Data, Feature, find_changes
from serin_services.registry.core.differences import Better, Line, Snapshot
from serin_services.registry.core.semver import Part

OLD = Snapshot(
    "1.0.0",
    Configuration(
        "xgboost",
        {"depth": 6},
        {"eta": 0.1},
        (Feature("close"), Feature("volume"), Feature("rsi")),
        "7",
        {"name": "up"},
        Data({"train": ("2026-01-01", "2026-03-31")}, {"train": 100}),
        "a" * 64,
    ),
    {"accuracy": 0.6, "log_loss": 0.5, "rows": 10.0, "auc": 0.7},
    (Line(datetime(2026, 4, 2, tzinfo=UTC), "in production"), Line(datetime(2026, 4, 1, tzinfo=UTC), "in staging")),
)
NEW = Snapshot(
    "2.0.0",
    Configuration(
        "xgboost",
        {"depth": 8},
        {"eta": 0.1},
        (Feature("volume"), Feature("close", "float32"), Feature("macd")),
        "8",
        {"name": "up"},
        Data({"train": ("2026-01-01", "2026-06-30")}, {"train": 200}),
        "b" * 64,
    ),
    {"accuracy": 0.66, "log_loss": 0.6, "rows": 20.0, "f1": 0.5},
)


def test_two_versions_side_by_side() -> None:
    found = differences.compare(OLD, NEW)
    assert (found.old, found.new, found.change.part) == ("1.0.0", "2.0.0", Part.MAJOR)
    assert [str(changed) for changed in found.configuration] == [
        f"digest: '{'a' * 64}' became '{'b' * 64}'",
        "feature_version: '7' became '8'",
        "structure.depth: 6 became 8",
    ]
    assert found.features.added == ("macd",)
    assert found.features.removed == ("rsi",)
    assert found.features.moved == ("volume", "close")
    assert found.features.retyped == (Changed("close.dtype", "float64", "float32"),)
    assert [changed.path for changed in found.data] == ["ranges.train", "samples.train"]
    assert [line.what for line in found.history["1.0.0"]] == ["in staging", "in production"]
    assert found.history["2.0.0"] == ()


def test_metrics_have_their_change_and_whether_it_is_better() -> None:
    found = {metric.name: metric for metric in differences.compare(OLD, NEW).metrics}
    assert list(found) == sorted(found)
    accuracy = found["accuracy"]
    assert accuracy.absolute == pytest.approx(0.06)
    assert accuracy.relative == pytest.approx(0.1)
    assert accuracy.better is True
    assert found["log_loss"].better is False
    assert found["rows"].better is None
    assert (found["auc"].after, found["auc"].absolute, found["auc"].better) == (None, None, None)
    assert (found["f1"].before, found["f1"].relative) == (None, None)


@pytest.mark.parametrize(
    ("before", "after", "relative", "better"),
    [
        pytest.param(0.0, 0.5, None, True, id="there is no share of nothing"),
        pytest.param(-2.0, -1.0, 0.5, True, id="of a negative number the change counts by its size"),
        pytest.param(0.5, 0.5, 0.0, None, id="what is the same is neither better nor worse"),
    ],
)
def test_changes_of_a_metric(before: float, after: float, relative: float | None, better: bool | None) -> None:
    old, new = Snapshot("1", OLD.configuration, {"sharpe": before}), Snapshot("2", OLD.configuration, {"sharpe": after})
    (metric,) = differences.compare(old, new).metrics
    assert (metric.relative, metric.better) == (relative, better)


@pytest.mark.parametrize(
    ("metric", "way"),
    [
        ("accuracy", Better.HIGHER),
        ("val_accuracy", Better.HIGHER),
        ("valAccuracy", Better.HIGHER),
        ("AUC", Better.HIGHER),
        ("test/f1", Better.HIGHER),
        ("r2", Better.HIGHER),
        ("sharpe", Better.HIGHER),
        ("win_rate", Better.HIGHER),
        ("winRate", Better.HIGHER),
        ("error", Better.LOWER),
        ("log_loss", Better.LOWER),
        ("mse", Better.LOWER),
        ("val.rmse", Better.LOWER),
        ("mae", Better.LOWER),
        ("latency_p95", Better.LOWER),
        ("accuracy_error", Better.LOWER),
        ("glossary", Better.UNKNOWN),
        ("rate", Better.UNKNOWN),
        ("epochs", Better.UNKNOWN),
        ("", Better.UNKNOWN),
    ],
)
def test_which_way_of_a_metric_is_good(metric: str, way: Better) -> None:
    assert differences.direction(metric) is way


def test_a_comparison_is_plain_json() -> None:
    found = differences.compare(OLD, NEW).dump()
    assert json.loads(json.dumps(found)) == found
    assert found["change"]["part"] == "MAJOR"
    assert found["history"]["1.0.0"][0] == {"at": "2026-04-01T00:00:00+00:00", "what": "in staging"}


def test_a_value_that_is_not_there_is_left_out_of_the_json() -> None:
    assert Changed("a", ABSENT, None).dump() == {"path": "a", "after": None}


def test_a_version_does_not_differ_from_itself() -> None:
    found = differences.compare(OLD, OLD)
    assert not found.change.reasons
    assert found.configuration == found.data == ()
    assert set(vars(found.features).values()) == {()}
    assert all(metric.absolute == 0 for metric in found.metrics)


@pytest.mark.parametrize(
    ("old", "new", "paths"),
    [
        pytest.param({"a": {"b": 1}}, {"a": {"b": 2}}, ["a.b"], id="a value inside"),
        pytest.param({"a": 1}, {"a": {"b": 1}}, ["a", "a.b"], id="a value that became a dict"),
        pytest.param({"a": {}}, {}, ["a"], id="an empty dict is something"),
        pytest.param({"a": None}, {}, ["a"], id="null is something"),
        pytest.param({"a": 1}, {"a": True}, ["a"], id="1 is not true"),
        pytest.param({"a": [0, [1]]}, {"a": [0, [True]]}, ["a"], id="not inside a list either"),
        pytest.param({"a": 1}, {"a": 1.0}, [], id="1 is 1.0"),
        pytest.param({"a": [1, 2]}, {"a": (1, 2)}, [], id="a tuple is a list"),
        pytest.param({"a": [1, 2]}, {"a": [2, 1]}, ["a"], id="a list has an order"),
        pytest.param({}, {}, [], id="nothing is nothing"),
    ],
)
def test_changes_by_path(old: dict[str, Any], new: dict[str, Any], paths: list[str]) -> None:
    assert [changed.path for changed in find_changes(old, new)] == paths


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)
DICTS = st.dictionaries(st.text(max_size=3), JSON, max_size=4)


@given(old=DICTS, new=DICTS)
def test_changes_are_the_same_in_both_directions(old: dict[str, Any], new: dict[str, Any]) -> None:
    there, back = find_changes(old, new), find_changes(new, old)
    assert [(changed.path, changed.after, changed.before) for changed in there] == [tuple(changed) for changed in back]
    assert find_changes(old, old) == ()


@given(name=st.sampled_from(["accuracy", "loss", "rows"]), before=st.floats(-1e6, 1e6), after=st.floats(-1e6, 1e6))
def test_better_is_the_opposite_when_the_versions_change_places(name: str, before: float, after: float) -> None:
    one, other = (Snapshot(text, OLD.configuration, {name: value}) for text, value in (("1", before), ("2", after)))
    (there,), (back,) = differences.compare(one, other).metrics, differences.compare(other, one).metrics
    assert there.absolute == -back.absolute  # type: ignore[operator]
    assert {there.better, back.better} in ({True, False}, {None})
