"""What has to hold of a batch before any of its rows is taken, each fault named with its row."""

import datetime as dt
import itertools
import uuid
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

import sqlalchemy as sa
from sqlalchemy import orm

from serin_services.registry import errors
from serin_services.registry.core.access import Caller, Operation
from serin_services.registry.database import tables
from serin_services.registry.records import guards
from serin_services.registry.records.catalogue import models
from serin_services.registry.records.outcomes.rows import MAX_ROWS, OutcomeRow, PredictionRow

# How far a sender's clock may be ahead.
AHEAD = dt.timedelta(hours=1)
# Of the rows that are wrong, so many are named: as many as the API tells.
MAX_FAULTS = 20

Row = TypeVar("Row", PredictionRow, OutcomeRow)
# Versions by model and version.
Versions = dict[tuple[uuid.UUID, str], tables.ModelVersion]


def find_models(
    session: orm.Session, caller: Caller, what: str, rows: Sequence[Row]
) -> tuple[dict[str, tables.Model], list[errors.Fault]]:
    """Find each model that the rows name, and name those that there are not."""
    if len(rows) > MAX_ROWS:
        raise errors.TooLargeError(f"{what}: a batch has at most {MAX_ROWS} rows, got {len(rows)}; send several")
    first: dict[str, int] = {}
    for index, row in enumerate(rows):
        first.setdefault(row.model, index)
    found, faults = {}, []
    for name, index in first.items():
        try:
            found[name] = models.find(session, caller, name)
        except errors.NotFoundError as error:
            faults.append(errors.Fault(f"{what}.{index}.model", error.message))
        else:
            guards.require(caller, Operation.REPORT, found[name])
    return found, faults


def find_versions(session: orm.Session, found: Iterable[tables.Model], rows: Sequence[PredictionRow]) -> Versions:
    """Find the versions that rows name, by model and version."""
    version = tables.ModelVersion
    chosen = sa.select(version).where(
        version.model_id.in_({model.id for model in found}), version.version.in_({row.version for row in rows})
    )
    return {(row.model_id, row.version): row for row in session.scalars(chosen)}


def find_unknown_versions(
    found: Mapping[str, tables.Model],
    versions: Versions,
    rows: Sequence[PredictionRow],
) -> list[errors.Fault]:
    """Name each version that there is not, once, where it first stands."""
    unknown: dict[tuple[str, str], int] = {}
    for index, row in enumerate(rows):
        if row.model in found and (found[row.model].id, row.version) not in versions:
            unknown.setdefault((row.model, row.version), index)
    return [
        errors.Fault(
            f"predictions.{index}.version",
            f"expected a version of {model} that is registered, got {version!r}; register it first",
        )
        for (model, version), index in unknown.items()
    ]


def find_wrong_times(what: str, rows: Sequence[Row], now: dt.datetime, keep: dt.timedelta) -> list[errors.Fault]:
    """Name the rows that are from the future, or so old that they would no longer be kept."""
    earliest, latest = now - keep, now + AHEAD
    return [
        errors.Fault(
            f"{what}.{index}.at",
            f"expected a time from {earliest:%Y-%m-%dT%H:%MZ} to {latest:%Y-%m-%dT%H:%MZ}, got {row.at.isoformat()}",
        )
        for index, row in enumerate(rows)
        if not earliest < row.at <= latest
    ]


def refuse(faults: Sequence[errors.Fault], count: int) -> None:
    """Refuse a batch with any fault as a whole: a sender that mends it may then send it again as it is."""
    if faults:
        more = f"; the first {MAX_FAULTS} are named" if len(faults) > MAX_FAULTS else ""
        raise errors.InvalidError(
            f"none of {count} rows is taken, because of {len(faults)} faults{more}", *faults[:MAX_FAULTS]
        )


def group(rows: Sequence[Row], found: Mapping[str, tables.Model]) -> Iterable[tuple[tables.Model, list[Row]]]:
    """Give the rows of each model, in the order of the models' ids: every writer takes them in this order."""
    by_id = {model.id: model for model in found.values()}
    ordered = sorted(rows, key=lambda row: found[row.model].id)
    for model_id, group in itertools.groupby(ordered, key=lambda row: found[row.model].id):
        yield by_id[model_id], list(group)
