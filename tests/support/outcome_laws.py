"""What must hold of predictions and outcomes however they come: strategies, and the plain count that ingest is held against."""

import collections
import datetime as dt
from collections.abc import Sequence

import sqlalchemy as sa
from hypothesis import strategies as st

from serin_services.registry.core import performance
from serin_services.registry.core.access import Caller
from serin_services.registry.core.stages import Stage
from serin_services.registry.database import tables
from serin_services.registry.database.sessions import Database
from serin_services.registry.records.outcomes import intake, sums
from serin_services.registry.records.outcomes.intake import Receipt
from serin_services.registry.records.outcomes.rows import OutcomeRow, PredictionRow
from support import outcome_rows as rows
from support.outcome_rows import NOW, REPORTER

KEEP = dt.timedelta(days=90)
VERSIONS = {"1.0.0": Stage.PRODUCTION, "1.1.0": Stage.STAGING}
LABELS = ("up", "down")
Rows = Sequence[PredictionRow] | Sequence[OutcomeRow]
Slot = tuple[str, dt.datetime]


def fill(database: Database) -> Database:
    """Add a model with a champion and a version in its shadow."""
    model = rows.add_model(database)
    for version, stage in VERSIONS.items():
        rows.add_version(database, model, version, stage)
    return database


def report(database: Database, batch: Rows, caller: Caller = REPORTER, now: dt.datetime = NOW) -> Receipt:
    with database.open(caller) as session:
        if isinstance(batch[0], PredictionRow):
            return intake.take_predictions(session, caller, batch, now, KEEP)  # type: ignore[arg-type]
        return intake.take_outcomes(session, caller, batch, now, KEEP)  # type: ignore[arg-type]


def read_sums(database: Database) -> dict[tuple[str, dt.datetime], performance.Sums]:
    with database.open(REPORTER) as session:
        log, version = tables.PerformanceLog, tables.ModelVersion
        found = session.execute(sa.select(log, version.version).join(version, version.id == log.version_id))
        return {(name, row.hour): sums.read(row) for row, name in found}


def read_labels(database: Database) -> dict[tuple[str, dt.datetime, str], int]:
    with database.open(REPORTER) as session:
        count, version = tables.LabelCount, tables.ModelVersion
        found = session.execute(sa.select(count, version.version).join(version, version.id == count.version_id))
        return {(name, row.hour, row.label): row.count for row, name in found}


def prediction(number: int = 0, version: str = "1.0.0", **fields: object) -> PredictionRow:
    given = {"model": "momentum", "version": version, "id": f"order-{number}/0", "at": NOW - rows.HOUR, "label": "up"}
    return PredictionRow(**(given | fields))  # type: ignore[arg-type]


def outcome(number: int = 0, **fields: object) -> OutcomeRow:
    given = {"model": "momentum", "id": f"order-{number}/0", "at": NOW, "label": "up"}
    return OutcomeRow(**(given | fields))  # type: ignore[arg-type]


# Eighths add up exactly in any order.
eighths = st.integers(-80, 80).map(lambda number: number / 8)


@st.composite
def histories(draw: st.DrawFn) -> tuple[list[PredictionRow], list[OutcomeRow]]:
    """Predictions of two versions and outcomes, with ids that some of them share and others do not."""
    ids = st.lists(st.integers(0, 7), unique=True, max_size=8)
    predictions = [
        prediction(
            number,
            version,
            at=NOW - dt.timedelta(minutes=draw(st.integers(0, 180))),
            label=draw(st.sampled_from([*LABELS, None])),
            value=draw(st.none() | eighths),
            confidence=draw(st.sampled_from([None, 0.5, 0.75])),
            seconds=draw(st.sampled_from([None, 0.25])),
        )
        for version in VERSIONS
        for number in draw(ids)
    ]
    results = [
        outcome(
            number,
            label=draw(st.sampled_from([*LABELS, None])),
            value=draw(st.none() | eighths),
            returned=draw(st.none() | eighths),
            returns=draw(st.dictionaries(st.sampled_from(LABELS), eighths)),
        )
        for number in draw(ids)
    ]
    return predictions, results


@st.composite
def deliveries(draw: st.DrawFn) -> tuple[list[PredictionRow], list[OutcomeRow], list[Rows]]:
    """The same rows in any order, some of them several times, cut into batches anywhere."""
    predictions, results = draw(histories())
    everything = [*predictions, *results]
    doubled = draw(st.lists(st.sampled_from(everything), max_size=6)) if everything else []
    order = draw(st.permutations(everything + doubled))
    batches: list[list[PredictionRow | OutcomeRow]] = []
    for row in order:
        if batches and type(batches[-1][-1]) is type(row) and not draw(st.booleans()):
            batches[-1].append(row)
        else:
            batches.append([row])
    return predictions, results, batches  # type: ignore[return-value]


def count_plainly(
    predictions: Sequence[PredictionRow], results: Sequence[OutcomeRow]
) -> dict[tuple[str, dt.datetime], performance.Sums]:
    """Add up everything at once, without a database, batches or an order."""
    came = {row.id: row for row in results}
    found: dict[tuple[str, dt.datetime], performance.Sums] = collections.defaultdict(performance.Sums)
    for row in predictions:
        known = {"seconds": row.seconds, "confidence": row.confidence, "outcome": row.id in came}
        if result := came.get(row.id):
            if row.label and result.label:
                known["correct"] = row.label == result.label
            if row.value is not None and result.value is not None:
                known["error"] = result.value - row.value
            if row.label in result.returns:
                known["returned"] = result.returns[row.label]
            elif VERSIONS[row.version] is not Stage.STAGING:
                known["returned"] = result.returned
        hour = row.at.replace(minute=0, second=0, microsecond=0)
        found[row.version, hour] += performance.of(**known)  # type: ignore[arg-type]
    return dict(found)


def check(database: Database, predictions: list[PredictionRow], results: list[OutcomeRow], batches: list[Rows]) -> None:
    """Report the batches one after the other, and hold what is on record then against the plain count."""
    receipts = [report(database, batch) for batch in batches]
    assert read_sums(database) == count_plainly(predictions, results)
    labels = collections.Counter(
        (row.version, sums.find_hour(row.at), row.label) for row in predictions if row.label is not None
    )
    assert read_labels(database) == dict(labels)
    total = sum(receipts, Receipt())
    assert total.taken == len(predictions) + len(results)
    assert total.taken + total.doubled == sum(len(batch) for batch in batches)
    assert all(receipt.taken == receipt.joined + receipt.waiting for receipt in receipts)
