"""The month's performance of all models that answered requests in it, for reports: as rows, and those as CSV."""

import csv
import dataclasses
import datetime as dt
import io
import json
from collections.abc import Callable, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy import orm

from serin_services.registry.core import performance
from serin_services.registry.core.access import Caller, Operation
from serin_services.registry.database import tables
from serin_services.registry.records import guards
from serin_services.registry.records.outcomes.performance import ANSWERING, Performance, Window, measure

# What a spreadsheet would take for a formula at the beginning of a text.
FORMULA = ("=", "+", "-", "@", "\t", "\r")


@dataclasses.dataclass(frozen=True)
class Month:
    """One month's performance; `complete` is false while the month lasts."""

    window: Window
    complete: bool
    rows: Sequence[Performance]


def read_month(session: orm.Session, caller: Caller, first: dt.date, now: dt.datetime) -> Month:
    """Give the performance in a month of every version that answered in it or should have, as far as the caller sees.

    Args:
        session: of the caller.
        caller: who asks.
        first: any day of the month.
        now: the time.
    """
    guards.require(caller, Operation.READ)
    since = dt.datetime(first.year, first.month, 1, tzinfo=dt.UTC)
    until = (since + dt.timedelta(days=31)).replace(day=1)
    window = Window(since, until)
    return Month(window, until <= now, measure(session, _find_versions(session, window), window, now))


def describe(row: Performance) -> dict[str, Any]:
    """Give a version's performance as one flat row."""
    return {name: read(row) for name, read in COLUMNS.items()}


def write_csv(month: Month) -> str:
    """Write the month as CSV (RFC 4180) with a header; what is undefined is empty."""
    text = io.StringIO()
    writer = csv.DictWriter(text, ["month", *COLUMNS])
    writer.writeheader()
    for row in month.rows:
        cells = {name: _make_cell(value) for name, value in describe(row).items()}
        writer.writerow({"month": f"{month.window.since:%Y-%m}"} | cells)
    return text.getvalue()


def _make_cell(value: Any) -> Any:  # noqa: ANN401 - of JSON
    """Keep a text from being read as a formula: names are chosen by users, and reports are opened by others."""
    if isinstance(value, dict):
        return json.dumps(value, ensure_ascii=False)
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value


def _read_share(share: performance.Share | None) -> tuple[float | None, float | None, float | None]:
    return (share.value, share.low, share.high) if share else (None, None, None)


def _find_versions(session: orm.Session, window: Window) -> list[tables.ModelVersion]:
    """Find the versions that answered in a window, and those that stand where they should have."""
    version, log, model = tables.ModelVersion, tables.PerformanceLog, tables.Model
    answered = sa.select(log.version_id).where(log.hour >= window.since, log.hour < window.until)
    standing = version.stage.in_(ANSWERING) & (version.stage_since < window.until)
    chosen = sa.select(version).join(version.model).options(orm.contains_eager(version.model))
    chosen = chosen.where(version.id.in_(answered) | standing)
    return list(
        session.scalars(chosen.order_by(model.tenant_id, model.owner, model.name, version.created_at, version.id))
    )


# The columns in their order, and what stands in each.
COLUMNS: dict[str, Callable[[Performance], Any]] = {
    "tenant": lambda row: row.version.model.tenant_id,
    "owner": lambda row: row.version.model.owner,
    "model": lambda row: row.version.model.name,
    "version": lambda row: row.version.version,
    "stage": lambda row: row.version.stage.value,
    "predictions": lambda row: row.sums.predictions,
    "outcomes": lambda row: row.sums.outcomes,
    "accuracy": lambda row: _read_share(performance.accuracy(row.sums))[0],
    "accuracy_low": lambda row: _read_share(performance.accuracy(row.sums))[1],
    "accuracy_high": lambda row: _read_share(performance.accuracy(row.sums))[2],
    "win_rate": lambda row: _read_share(performance.win_rate(row.sums))[0],
    "win_rate_low": lambda row: _read_share(performance.win_rate(row.sums))[1],
    "win_rate_high": lambda row: _read_share(performance.win_rate(row.sums))[2],
    "mean_return": lambda row: performance.mean_return(row.sums),
    "sharpe": lambda row: performance.sharpe(row.sums),
    "profit_factor": lambda row: performance.profit_factor(row.sums),
    "latency_seconds": lambda row: performance.latency(row.sums),
    "labels": lambda row: dict(row.labels),
}
