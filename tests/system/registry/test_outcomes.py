"""Batches of predictions and outcomes: what becomes of their rows, and which batches are refused."""

import dataclasses
import datetime as dt
from typing import Any

import pytest
import sqlalchemy as sa

from serin_services.registry import errors
from serin_services.registry.core.access import Caller, Role
from serin_services.registry.database import tables
from serin_services.registry.database.sessions import Database
from serin_services.registry.records.outcomes.intake import Receipt
from support import outcome_rows as rows
from support.outcome_laws import VERSIONS, Rows, fill, outcome, prediction, read_labels, read_sums, report
from support.outcome_rows import NOW


@pytest.fixture
def database(sqlite_database: Database) -> Database:
    return fill(sqlite_database)


def test_a_receipt_tells_taken_doubled_joined_and_waiting(database: Database) -> None:
    assert report(database, [outcome(1), outcome(2), outcome(1)]) == Receipt(taken=2, doubled=1, joined=0, waiting=2)
    batch = [prediction(1), prediction(3), prediction(1, "1.1.0"), prediction(3)]
    assert report(database, batch) == Receipt(taken=3, doubled=1, joined=2, waiting=1)
    assert report(database, [outcome(3), outcome(2), outcome(4)]) == Receipt(taken=2, doubled=1, joined=1, waiting=1)


def test_an_outcome_counts_for_each_version_that_answered_its_id(database: Database) -> None:
    report(database, [prediction(1), prediction(1, "1.1.0", label="down")])
    report(database, [outcome(1)])
    correct = {version: (found.judged, found.correct) for (version, _), found in read_sums(database).items()}
    assert correct == {"1.0.0": (1, 1), "1.1.0": (1, 0)}


def test_a_return_counts_for_the_answer_that_was_acted_on_and_returns_by_label_for_all(database: Database) -> None:
    report(database, [prediction(number, version) for number in (1, 2) for version in VERSIONS])
    report(database, [outcome(1, returned=0.5), outcome(2, returned=0.5, returns={"up": -0.25})])
    gains = {version: (found.returned, found.gain, found.loss) for (version, _), found in read_sums(database).items()}
    assert gains == {"1.0.0": (2, 0.5, 0.25), "1.1.0": (1, 0.0, 0.25)}


def test_of_two_answers_under_one_id_the_first_counts(database: Database) -> None:
    report(database, [prediction(1, label="up"), prediction(1, label="down")])
    report(database, [prediction(1, label="down")])
    assert {label for _, _, label in read_labels(database)} == {"up"}


def test_a_row_in_any_zone_counts_in_its_hour_of_utc(database: Database) -> None:
    east = dt.timezone(dt.timedelta(hours=5, minutes=45))
    report(database, [prediction(1, at=dt.datetime(2026, 11, 21, 17, 50, tzinfo=east))])
    assert [hour for _, hour in read_sums(database)] == [dt.datetime(2026, 11, 21, 12, tzinfo=dt.UTC)]


WRONG = [
    pytest.param(
        [prediction(1), prediction(2, "9.9.9"), prediction(3, "9.9.9"), prediction(4, "8.0.0")],
        ["predictions.1.version", "predictions.3.version"],
        id="versions that nobody registered, each once",
    ),
    pytest.param(
        [prediction(1), prediction(2, model="nobody")], ["predictions.1.model"], id="a model that there is not"
    ),
    pytest.param(
        [prediction(1, at=NOW + 2 * rows.HOUR), prediction(2), prediction(3, at=NOW - 91 * rows.DAY)],
        ["predictions.0.at", "predictions.2.at"],
        id="times ahead of the clock and older than what is kept",
    ),
    pytest.param(
        [prediction(1, at=dt.datetime(1, 1, 1, tzinfo=dt.timezone(dt.timedelta(hours=14))))],
        ["predictions.0.at"],
        id="a time that no calendar of UTC has",
    ),
    pytest.param(
        [outcome(1), outcome(2, at=NOW - 91 * rows.DAY)], ["outcomes.1.at"], id="an outcome older than what is kept"
    ),
    pytest.param([outcome(1), outcome(2, model="nobody")], ["outcomes.1.model"], id="an outcome of no model"),
]


@pytest.mark.parametrize(("batch", "where"), WRONG)
def test_a_batch_with_a_fault_is_refused_whole_with_every_fault_named(
    database: Database, batch: Rows, where: list[str]
) -> None:
    with pytest.raises(errors.InvalidError) as refused:
        report(database, batch)
    assert [fault.where for fault in refused.value.faults] == where
    assert f"none of {len(batch)} rows" in refused.value.message
    mended: list[Any] = [dataclasses.replace(row, model="momentum", at=NOW) for row in batch]
    mended = [dataclasses.replace(row, version="1.0.0") if hasattr(row, "version") else row for row in mended]
    assert report(database, mended) == Receipt(taken=len(batch), waiting=len(batch))


def test_a_batch_of_too_many_rows_is_refused_with_both_numbers(database: Database) -> None:
    with pytest.raises(errors.TooLargeError, match="at most 10000 rows, got 10001"):
        report(database, [prediction(1)] * 10_001)


def test_a_viewer_may_not_report(database: Database) -> None:
    with pytest.raises(errors.ForbiddenError, match="developer"):
        report(database, [prediction(1)], rows.VIEWER)


def test_another_tenant_is_told_that_there_is_no_such_model(database: Database) -> None:
    stranger = Caller(subject="server", tenant="globex", role=Role.ADMIN)
    with pytest.raises(errors.InvalidError) as refused:
        report(database, [prediction(1)], stranger)
    assert refused.value.faults[0].where == "predictions.0.model"


def test_a_model_named_by_name_and_by_id_is_one_model(database: Database) -> None:
    with database.open(rows.REPORTER) as session:
        id_ = session.scalars(sa.select(tables.Model.id)).one()
    batch = [prediction(1), dataclasses.replace(prediction(1), model=str(id_))]
    assert report(database, batch) == Receipt(taken=1, doubled=1, waiting=1)
