"""Batches in the forms in which they may come: what is read of each, and where a fault is said to be."""

import json
from typing import Any

import pytest

from serin_services.registry import errors
from serin_services.registry.api import feeds
from serin_services.registry.api.feeds import Body

LOGGED = "2026-11-21T12:00:00.250000Z"
RECORD = {"id": "r/0", "request_id": "r", "row": 0, "time": LOGGED, "model": "m", "version": "1", "protocol": "http"}
RECORD |= {"seconds": 0.5, "features": {"age": 1.0}, "outputs": {"y": 1.5}}  # type: ignore[dict-item]


def prediction(number: int, **fields: Any) -> dict[str, Any]:
    given = {"model": "momentum", "version": "1.2.0", "id": f"{number}", "at": "2026-11-21T12:10:00Z", "label": "up"}
    return given | fields


def list_of(*predictions: dict[str, Any]) -> str:
    return json.dumps({"predictions": predictions})


@pytest.mark.parametrize(
    ("record", "label", "value", "confidence"),
    [
        pytest.param({"label": "up", "outputs": {"p": [0.2, 0.8]}, "confidence": 0.8}, "up", None, 0.8, id="a class"),
        pytest.param({"label": "up", "confidence": 1.0000001}, "up", None, 1.0, id="a probability of 32 bits above 1"),
        pytest.param({"outputs": {"y": 1.5, "z": 2.0}}, None, 1.5, None, id="a number: the first output"),
        pytest.param({"outputs": {"y": [[2]]}}, None, 2.0, None, id="a number in lists of one"),
        pytest.param({"outputs": {"y": [1.0, 2.0]}}, None, None, None, id="several numbers are none"),
        pytest.param({"outputs": {"y": None}}, None, None, None, id="NaN is none"),
        pytest.param({"outputs": {"y": "Infinity"}}, None, None, None, id="an infinity is none"),
        pytest.param({"outputs": {"y": True}}, None, None, None, id="a truth is no number"),
        pytest.param({"outputs": {"y": 1e300}}, None, None, None, id="a number whose square is infinite is none"),
        pytest.param({"outputs": {}}, None, None, None, id="no output"),
    ],
)
def test_a_record_of_a_model_server_is_read(
    record: dict[str, Any], label: str | None, value: float | None, confidence: float | None
) -> None:
    (row,) = feeds.read(feeds.PREDICTIONS, Body(feeds.LINES, json.dumps(RECORD | record).encode()))
    assert (row.id, row.model, row.version, row.seconds, row.shadow) == ("r/0", "m", "1", 0.5, None)
    assert (row.label, row.value, row.confidence) == (label, value, confidence)


def test_empty_lines_are_none_and_a_media_type_may_have_parameters() -> None:
    body = f"\n{json.dumps(RECORD)}\r\n\n{json.dumps(RECORD)}".encode()
    assert len(feeds.read(feeds.PREDICTIONS, Body("Application/X-NDJSON; charset=utf-8", body))) == 2


@pytest.mark.parametrize(
    ("kind", "body", "where"),
    [
        pytest.param("application/json", "{", "", id="no JSON"),
        pytest.param("application/json", '{"predictions": [{}]}', "predictions.0.model", id="a row without fields"),
        pytest.param(
            "application/json",
            list_of(prediction(1), prediction(2, label=7), prediction(3, colour="red")),
            "predictions.1.label",
            id="a wrong type, named with its row",
        ),
        pytest.param(
            "application/json",
            list_of(prediction(1, id="a\x00b")),
            "predictions.0.id",
            id="a NUL in an id",
        ),
        pytest.param(
            "application/json",
            list_of(prediction(1, model="a\x00b")),
            "predictions.0.model",
            id="a NUL in a model",
        ),
        pytest.param(
            "application/json",
            list_of(prediction(1, label="a\x00b")),
            "predictions.0.label",
            id="a NUL in a label",
        ),
        pytest.param(
            "application/json",
            list_of(prediction(1, at="2026-11-21T12:10:00")),
            "predictions.0.at",
            id="a time without a zone",
        ),
        pytest.param(
            "application/json",
            list_of(prediction(1, value=1e300)),
            "predictions.0.value",
            id="a number whose square is infinite",
        ),
        pytest.param("application/json", list_of(*[prediction(1)] * 10_001), "predictions", id="too many"),
        pytest.param(
            "application/cloudevents-batch+json",
            '[{"type": "com.example.other", "data": {}}]',
            "events.0.type",
            id="another kind of event",
        ),
        pytest.param("application/x-ndjson", '{"id": "1"}', "lines.0.model", id="a line without fields"),
    ],
)
def test_a_malformed_batch_is_refused_with_the_place_of_the_fault(kind: str, body: str, where: str) -> None:
    with pytest.raises(errors.InvalidError) as refused:
        feeds.read(feeds.PREDICTIONS, Body(kind, body.encode()))
    assert refused.value.faults[0].where == where
    assert "no row is taken" in refused.value.message


def test_a_body_of_no_known_kind_is_refused_with_those_there_are() -> None:
    with pytest.raises(errors.InvalidError, match=r"expected one of application/json, .*, got 'text/csv'"):
        feeds.read(feeds.PREDICTIONS, Body("text/csv", b"a,b"))


def test_faults_are_named_up_to_a_number_and_counted() -> None:
    batch = [prediction(number, label=number) for number in range(30)]
    with pytest.raises(errors.InvalidError, match="30 faults; the first 20 are named") as refused:
        feeds.read(feeds.PREDICTIONS, Body(feeds.JSON, list_of(*batch).encode()))
    assert len(refused.value.faults) == 20


@pytest.mark.parametrize("forms", [feeds.PREDICTIONS, feeds.OUTCOMES], ids=["predictions", "outcomes"])
def test_the_description_of_the_bodies_refers_to_nothing_outside_of_itself(forms: dict[str, feeds.Form[Any]]) -> None:
    described = feeds.describe(forms)["requestBody"]["content"]
    assert set(described) == set(forms)
    assert "$" not in json.dumps(described).replace('$"', "")
