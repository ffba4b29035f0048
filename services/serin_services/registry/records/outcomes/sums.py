"""The hours' sums and mixes of labels, from which every figure is made: added to in the transaction that joins a row."""

import datetime as dt
import operator
import uuid
from collections.abc import Mapping
from typing import Any

from sqlalchemy import orm

from serin_services.registry.core import performance
from serin_services.registry.database import tables, upserts

HOUR = dt.timedelta(hours=1)
# A version's hour; it is the prediction's hour for all of its sums, so that they are about the same rows.
Slot = tuple[uuid.UUID, dt.datetime]
_ZERO = vars(performance.Sums())
NAMES = tuple(_ZERO)


def find_hour(at: dt.datetime) -> dt.datetime:
    """Give the hour that a moment lies in, in UTC."""
    return at.astimezone(dt.UTC).replace(minute=0, second=0, microsecond=0)


def add(session: orm.Session, model: tables.Model, parts: Mapping[Slot, performance.Sums]) -> None:
    """Add to the hours' sums, in their order."""
    values = [
        {"tenant_id": model.tenant_id, "model_id": model.id, "version_id": version_id, "hour": hour} | vars(added)
        for (version_id, hour), added in sorted(parts.items(), key=operator.itemgetter(0))
    ]
    upserts.insert_or_add(session, tables.PerformanceLog, values, NAMES)


def add_labels(
    session: orm.Session, model: tables.Model, labels: Mapping[tuple[uuid.UUID, dt.datetime, str], int]
) -> None:
    """Add to the hours' mix of labels, in their order."""
    values = [
        {
            "tenant_id": model.tenant_id,
            "model_id": model.id,
            "version_id": version_id,
            "hour": hour,
            "label": label,
            "count": count,
        }
        for (version_id, hour, label), count in sorted(labels.items())
    ]
    upserts.insert_or_add(session, tables.LabelCount, values, ("count",))


def read(row: Any) -> performance.Sums:  # noqa: ANN401 - a row of the table, or of sums over it
    """Make sums of a row that has their names; PostgreSQL adds up its integers to decimals."""
    return performance.Sums(**{name: type(zero)(getattr(row, name)) for name, zero in _ZERO.items()})
