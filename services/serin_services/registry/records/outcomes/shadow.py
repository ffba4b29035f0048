"""How a version in the shadow does beside the champion: what came of the predictions of both, as it is on record.

It is compared over the same time and, where both answered the same rows, row by row.
Whether a difference is more than chance is not decided here.
"""

import dataclasses
import datetime as dt
import uuid
from typing import Any

import sqlalchemy as sa
from sqlalchemy import orm

from serin_services.registry.core import performance
from serin_services.registry.core.access import Caller, Operation
from serin_services.registry.database import tables
from serin_services.registry.records import audits, guards, paging
from serin_services.registry.records.catalogue import versions
from serin_services.registry.records.outcomes.performance import Window, add_up

# Pairs are read row by row: of more than this, the newest stand for all, so that a comparison takes seconds at most.
MAX_PAIRED = 200_000


@dataclasses.dataclass(frozen=True)
class Result:
    """A comparison that was kept, with the names of both versions."""

    version: str
    champion: str
    row: tables.ShadowTestResult


def compare(
    session: orm.Session, challenger: tables.ModelVersion, champion: tables.ModelVersion, window: Window
) -> dict[str, Any]:
    """Compare what came of both versions' predictions in the same hours, as plain JSON."""
    found = add_up(session, [challenger.id, champion.id], window)
    figures = {
        name: performance.figures(found.get(version.id, performance.Sums()))
        for name, version in (("champion", champion), ("challenger", challenger))
    }
    return {**figures, "paired": _pair(session, challenger, champion, window)}


def record(
    session: orm.Session,
    caller: Caller,
    challenger: tables.ModelVersion,
    champion: tables.ModelVersion,
    since: dt.datetime,
    now: dt.datetime,
) -> tables.ShadowTestResult:
    """Compare both since a moment and keep the result in the challenger's history.

    Raises:
        errors.ForbiddenError: the caller may not report.
        errors.InvalidError: it would end before it begins.
    """
    guards.require(caller, Operation.REPORT, challenger)
    window = Window.make(since, now, now)
    row = tables.ShadowTestResult(
        id=uuid.uuid4(),
        tenant_id=challenger.tenant_id,
        model_id=challenger.model_id,
        version_id=challenger.id,
        champion_id=champion.id,
        at=now,
        since=window.since,
        figures=compare(session, challenger, champion, window),
    )
    session.add(row)
    details = {"version": challenger.version, "champion": champion.version, "since": window.since.isoformat()}
    audits.append(session, caller, "shadow.compare", challenger, details, now)
    session.flush()
    return row


def list_results(
    session: orm.Session, caller: Caller, model: str, version: str, part: paging.Slice
) -> paging.Page[Result]:
    """Give the comparisons that were kept of a version, the newest first.

    Raises:
        errors.NotFoundError: there is no such model or version, as far as the caller sees.
    """
    guards.require(caller, Operation.READ)
    kept = tables.ShadowTestResult
    challenger = versions.find(session, caller, model, version)
    chosen = sa.select(kept).where(kept.version_id == challenger.id)
    page = paging.paginate(session, chosen, (kept.at, kept.id), part)
    row = tables.ModelVersion
    named = sa.select(row.id, row.version).where(row.id.in_({result.champion_id for result in page.items}))
    names = {found.id: found.version for found in session.execute(named)}
    return page.map(lambda result: Result(challenger.version, names[result.champion_id], result))


def _pair(
    session: orm.Session, challenger: tables.ModelVersion, champion: tables.ModelVersion, window: Window
) -> dict[str, Any]:
    """Count in the database what both answered to the same rows, the challenger's newest, and what came of those."""
    prediction, outcome = tables.Prediction, tables.Outcome
    newest = (
        sa.select(prediction)
        .where(prediction.version_id == challenger.id, prediction.at >= window.since, prediction.at < window.until)
        .order_by(prediction.at.desc())
        .limit(MAX_PAIRED)
        .subquery()
    )
    one, other = orm.aliased(prediction, newest), orm.aliased(prediction)
    right, champion_right = one.label == outcome.label, other.label == outcome.label
    wrong, champion_wrong = one.label != outcome.label, other.label != outcome.label
    judged = one.label.is_not(None) & other.label.is_not(None) & outcome.label.is_not(None)
    chosen = (
        sa.select(
            sa.func.count().label("rows"),
            _count(one.label == other.label).label("agreed"),
            _count(judged).label("judged"),
            _count(right & champion_right).label("both_right"),
            _count(right & champion_wrong).label("challenger_alone_right"),
            _count(wrong & champion_right).label("champion_alone_right"),
            sa.func.avg(sa.func.abs(one.value - other.value)).label("mean_difference"),
        )
        .select_from(one)
        .join(other, (other.model_id == one.model_id) & (other.id == one.id) & (other.version_id == champion.id))
        .outerjoin(outcome, (outcome.model_id == one.model_id) & (outcome.id == one.id))
    )
    return dict(session.execute(chosen).mappings().one())


def _count(condition: sa.ColumnElement[bool]) -> sa.ColumnElement[int]:
    return sa.func.count(sa.case((condition, 1)))
