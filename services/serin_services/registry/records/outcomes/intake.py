"""Predictions and what came of them: taken in batches, joined by id, and added up by version and hour.

The two halves of a row come in any order, late, doubled and at once from several writers. Each is a row of its own that is
only ever inserted; who inserts the second half of a pair adds it to the sums, in the same transaction. A writer holds
the model's row while it looks for other halves, so that of two writers the second sees what the first has written.
"""

import collections
import dataclasses
import datetime as dt
import uuid
from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy import orm

from serin_services.registry.core import performance
from serin_services.registry.core.access import Caller, Operation
from serin_services.registry.core.stages import Stage
from serin_services.registry.database import tables, upserts
from serin_services.registry.records import guards
from serin_services.registry.records.outcomes import batches, sums
from serin_services.registry.records.outcomes.rows import OutcomeRow, PredictionRow

# A prediction within its model: its id and its version.
Key = tuple[str, uuid.UUID]
# Columns of a row by their names.
Values = dict[str, Any]
# What is to be added to each version's hour.
Parts = dict[sums.Slot, list[performance.Sums]]


@dataclasses.dataclass(frozen=True)
class Receipt:
    """What became of a batch: each row was either new or there already; of the new ones some found their other half."""

    taken: int = 0
    doubled: int = 0
    joined: int = 0
    waiting: int = 0

    def __add__(self, other: "Receipt") -> "Receipt":
        return Receipt(
            self.taken + other.taken,
            self.doubled + other.doubled,
            self.joined + other.joined,
            self.waiting + other.waiting,
        )


def take_predictions(
    session: orm.Session, caller: Caller, rows: Sequence[PredictionRow], now: dt.datetime, keep: dt.timedelta
) -> Receipt:
    """Take what versions answered; of two answers of one version under one id the first counts.

    Args:
        session: of the caller.
        caller: who sends them.
        rows: of any models and versions.
        now: the time.
        keep: how long a row is kept; an older one is refused, because nobody could know whether it was counted before.

    Raises:
        errors.InvalidError: rows are wrong, each with its index; then none of them is taken.
        errors.TooLargeError: there are more rows than a batch may have.
        errors.ForbiddenError: the caller may not report, or the model is another tenant's.
    """
    guards.require(caller, Operation.REPORT)
    found, faults = batches.find_models(session, caller, "predictions", rows)
    versions = batches.find_versions(session, found.values(), rows)
    faults += batches.find_unknown_versions(found, versions, rows)
    faults += batches.find_wrong_times("predictions", rows, now, keep)
    batches.refuse(faults, len(rows))
    receipt = Receipt()
    for model, group in batches.group(rows, found):
        known = [(row, versions[model.id, row.version]) for row in group]
        receipt += _add_predictions(session, model, known, keep)
    return receipt


def take_outcomes(
    session: orm.Session, caller: Caller, rows: Sequence[OutcomeRow], now: dt.datetime, keep: dt.timedelta
) -> Receipt:
    """Take what came of predictions; an outcome counts for every version that answered its id, and the first counts.

    Arguments and errors are those of `take_predictions`.
    """
    guards.require(caller, Operation.REPORT)
    found, faults = batches.find_models(session, caller, "outcomes", rows)
    faults += batches.find_wrong_times("outcomes", rows, now, keep)
    batches.refuse(faults, len(rows))
    receipt = Receipt()
    for model, group in batches.group(rows, found):
        receipt += _add_outcomes(session, model, group, keep)
    return receipt


def _add_predictions(
    session: orm.Session,
    model: tables.Model,
    group: Sequence[tuple[PredictionRow, tables.ModelVersion]],
    keep: dt.timedelta,
) -> Receipt:
    """Insert the predictions of one model that are new, and count them with the outcomes that are there."""
    chosen: dict[Key, Values] = {
        (row.id, version.id): _read_prediction(row, version, keep) for row, version in reversed(group)
    }
    _hold(session, model)
    new = upserts.insert_new(
        session, tables.Prediction, _of(model), [chosen[key] for key in sorted(chosen)], ("id", "version_id")
    )
    outcomes = _find_outcomes(session, model, {id_ for id_, _ in new})
    parts: Parts = collections.defaultdict(list)
    labels: collections.Counter[tuple[uuid.UUID, dt.datetime, str]] = collections.Counter()
    for id_, version_id in new:
        values = chosen[id_, version_id]
        slot = (version_id, sums.find_hour(values["at"]))
        judged = judge(values["label"], values["value"], values["shadow"], outcomes.get(id_))
        parts[slot].append(performance.of(seconds=values["seconds"], confidence=values["confidence"], **judged))
        if values["label"] is not None:
            labels[*slot, values["label"]] += 1
    sums.add(session, model, {slot: performance.total(added) for slot, added in parts.items()})
    sums.add_labels(session, model, labels)
    joined = sum(id_ in outcomes for id_, _ in new)
    return Receipt(len(new), len(group) - len(new), joined, len(new) - joined)


def _add_outcomes(
    session: orm.Session, model: tables.Model, group: Sequence[OutcomeRow], keep: dt.timedelta
) -> Receipt:
    """Insert the outcomes of one model that are new, and count them for the predictions that are there."""
    chosen = {row.id: row for row in reversed(group)}
    _hold(session, model)
    rows = [_read_outcome(chosen[id_], keep) for id_ in sorted(chosen)]
    new = upserts.insert_new(session, tables.Outcome, _of(model), rows, ("id",))
    parts: Parts = collections.defaultdict(list)
    joined = set()
    for row in _find_predictions(session, model, {id_ for (id_,) in new}):
        judged = judge(row.label, row.value, row.shadow, chosen[row.id])
        parts[row.version_id, sums.find_hour(row.at)].append(performance.of(**judged))
        joined.add(row.id)
    # The predictions themselves were counted when they came.
    counted = {slot: dataclasses.replace(performance.total(added), predictions=0) for slot, added in parts.items()}
    sums.add(session, model, counted)
    return Receipt(len(new), len(group) - len(new), len(joined), len(new) - len(joined))


def judge(label: str | None, value: float | None, shadow: bool, outcome: Any) -> dict[str, Any]:  # noqa: ANN401 - a row of either kind
    """Say what came of a prediction, in the words of `performance.of`; without an outcome, that none has come."""
    if outcome is None:
        return {"outcome": False}
    labelled = label is not None and outcome.label is not None
    compared = value is not None and outcome.value is not None
    return {
        "outcome": True,
        "correct": label == outcome.label if labelled else None,
        "returned": outcome.returns.get(label, None if shadow else outcome.returned),
        "error": outcome.value - value if compared else None,
    }


def _hold(session: orm.Session, model: tables.Model) -> None:
    """Let one transaction at a time join this model's rows; SQLite has but one writer anyway, and no such clause."""
    chosen = sa.select(tables.Model.id).where(tables.Model.id == model.id)
    session.execute(chosen.with_for_update(key_share=True))


def _of(model: tables.Model) -> Values:
    return {"tenant_id": model.tenant_id, "model_id": model.id}


def _read_prediction(row: PredictionRow, version: tables.ModelVersion, keep: dt.timedelta) -> Values:
    """Give a prediction's columns; where it does not say so, the stage says whether it was mirrored traffic."""
    return {
        "id": row.id,
        "version_id": version.id,
        "at": row.at,
        "label": row.label,
        "value": row.value,
        "confidence": row.confidence,
        "seconds": row.seconds,
        "shadow": version.stage is Stage.STAGING if row.shadow is None else row.shadow,
        "kept_until": row.at + keep,
    }


def _read_outcome(row: OutcomeRow, keep: dt.timedelta) -> Values:
    return {
        "id": row.id,
        "at": row.at,
        "label": row.label,
        "value": row.value,
        "returned": row.returned,
        "returns": dict(row.returns),
        "kept_until": row.at + keep,
    }


def _find_outcomes(session: orm.Session, model: tables.Model, ids: set[str]) -> dict[str, sa.Row[Any]]:
    outcome = tables.Outcome
    chosen = sa.select(outcome.id, outcome.label, outcome.value, outcome.returned, outcome.returns)
    return {
        row.id: row
        for row in session.execute(
            chosen.where(outcome.model_id == model.id, upserts.is_among(session, outcome.id, ids))
        )
    }


def _find_predictions(session: orm.Session, model: tables.Model, ids: set[str]) -> Iterable[sa.Row[Any]]:
    prediction = tables.Prediction
    chosen = sa.select(
        prediction.id, prediction.version_id, prediction.at, prediction.label, prediction.value, prediction.shadow
    )
    return session.execute(chosen.where(prediction.model_id == model.id, upserts.is_among(session, prediction.id, ids)))
