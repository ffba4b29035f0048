"""What an outcome says of a prediction, and which hours a window has: without a database."""

import datetime as dt
from typing import Any

import pytest

from serin_services.registry import errors
from serin_services.registry.records.outcomes.intake import judge
from serin_services.registry.records.outcomes.performance import Window
from serin_services.registry.records.outcomes.rows import OutcomeRow

NOW = dt.datetime(2026, 11, 21, 12, 30, tzinfo=dt.UTC)


def at(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(f"2026-11-{text}+00:00")


@pytest.mark.parametrize(
    ("prediction", "outcome", "expected"),
    [
        pytest.param({"label": "up"}, {"label": "up"}, {"correct": True}, id="the same label is right"),
        pytest.param({"label": "up"}, {"label": "down"}, {"correct": False}, id="another label is wrong"),
        pytest.param({"label": "up"}, {"value": 1.0}, {}, id="a number says nothing of a label"),
        pytest.param({"value": 1.0}, {"label": "up"}, {}, id="a label says nothing of a number"),
        pytest.param({"value": 1.5}, {"value": 1.0}, {"error": -0.5}, id="the error is actual minus predicted"),
        pytest.param({"label": "up"}, {"returned": 0.5}, {"returned": 0.5}, id="a return is that of the given answer"),
        pytest.param({"shadow": True}, {"returned": 0.5}, {}, id="nobody acted on an answer in the shadow"),
        pytest.param(
            {"label": "up", "shadow": True},
            {"returned": 0.5, "returns": {"up": -0.25, "down": 0.25}},
            {"returned": -0.25},
            id="a return by label counts in the shadow, too",
        ),
        pytest.param(
            {"label": "up"},
            {"returned": 0.5, "returns": {"up": -0.25}},
            {"returned": -0.25},
            id="a return by label goes before the plain one",
        ),
        pytest.param(
            {"label": "hold"},
            {"returned": 0.5, "returns": {"up": -0.25}},
            {"returned": 0.5},
            id="a label without a return of its own has the plain one",
        ),
    ],
)
def test_an_outcome_is_held_against_what_was_predicted(
    prediction: dict[str, Any], outcome: dict[str, Any], expected: dict[str, Any]
) -> None:
    answered = {"label": None, "value": None, "shadow": False} | prediction
    nothing = {"outcome": True, "correct": None, "returned": None, "error": None}
    assert judge(**answered, outcome=OutcomeRow("momentum", "1", NOW, **outcome)) == nothing | expected


def test_without_an_outcome_nothing_is_said() -> None:
    assert judge("up", None, False, None) == {"outcome": False}


@pytest.mark.parametrize(
    ("since", "until", "expected"),
    [
        pytest.param(None, None, ("20T12:00", "21T12:30"), id="by default the last 24 hours, until now"),
        pytest.param("21T10:15", None, ("21T10:00", "21T12:30"), id="from the hour in which it begins"),
        pytest.param("21T10:15", "21T10:45", ("21T10:00", "21T11:00"), id="to the end of the hour in which it ends"),
        pytest.param("21T10:00", "21T11:00", ("21T10:00", "21T11:00"), id="full hours are left as they are"),
        pytest.param("21T10:00", "21T12:10", ("21T10:00", "21T12:30"), id="the current hour has come as far as now"),
        pytest.param("21T10:00", "25T00:00", ("21T10:00", "21T12:30"), id="no further than now"),
        pytest.param(None, "20T12:00", ("19T12:00", "20T12:00"), id="24 hours before an end that is given"),
    ],
)
def test_a_window_is_widened_to_full_hours(since: str | None, until: str | None, expected: tuple[str, str]) -> None:
    window = Window.make(since and at(since), until and at(until), NOW)  # type: ignore[arg-type]
    assert (window.since, window.until) == (at(expected[0]), at(expected[1]))


@pytest.mark.parametrize(("since", "until"), [("21T10:45", "21T10:15"), ("21T12:30", None), ("22T00:00", "23T00:00")])
def test_a_window_that_ends_before_it_begins_is_refused(since: str, until: str | None) -> None:
    with pytest.raises(errors.InvalidError, match="ends after it begins"):
        Window.make(at(since), until and at(until), NOW)  # type: ignore[arg-type]
