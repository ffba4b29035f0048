"""Drift: what monitors found of features and targets whose distribution moved."""

import dataclasses
import datetime as dt
import uuid
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy import orm

from serin_services.registry.core.access import Caller, Operation
from serin_services.registry.database import tables
from serin_services.registry.records import audits, guards, paging
from serin_services.registry.records.catalogue import models, versions


@dataclasses.dataclass(frozen=True)
class Finding:
    """What a test found: its statistic and p-value for one feature, or for the target."""

    feature: str
    statistic: float
    p_value: float
    severity: str
    version: str | None = None
    at: dt.datetime | None = None
    details: Mapping[str, Any] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Filters:
    """Which findings are asked for; what is left out limits nothing."""

    model: str | None = None
    severity: str | None = None
    since: dt.datetime | None = None
    until: dt.datetime | None = None


def record(
    session: orm.Session, caller: Caller, model: tables.Model, finding: Finding, now: dt.datetime
) -> tables.DriftEvent:
    """Write down what a monitor found.

    Raises:
        errors.ForbiddenError: the caller may not.
        errors.NotFoundError: there is no such version of the model.
    """
    guards.require(caller, Operation.REPORT, model)
    row = tables.DriftEvent(
        id=uuid.uuid4(),
        tenant_id=model.tenant_id,
        model_id=model.id,
        version_id=versions.find_in(session, model, finding.version).id if finding.version else None,
        feature=finding.feature,
        statistic=finding.statistic,
        p_value=finding.p_value,
        severity=finding.severity,
        details=dict(finding.details),
        at=finding.at or now,
    )
    session.add(row)
    details = {"model": model.name, "feature": finding.feature, "severity": finding.severity}
    audits.append(session, caller, "drift.record", row, details, now)
    return row


def list_findings(
    session: orm.Session, caller: Caller, filters: Filters, part: paging.Slice
) -> paging.Page[tables.DriftEvent]:
    """Give what was found, of one model or of all that the caller sees, the newest first.

    Raises:
        errors.NotFoundError: there is no such model.
    """
    guards.require(caller, Operation.READ)
    row = tables.DriftEvent
    statement = sa.select(row)
    if filters.model is not None:
        statement = statement.where(row.model_id == models.find(session, caller, filters.model).id)
    if filters.severity is not None:
        statement = statement.where(row.severity == filters.severity)
    if filters.since is not None:
        statement = statement.where(row.at >= filters.since)
    if filters.until is not None:
        statement = statement.where(row.at < filters.until)
    return paging.paginate(session, statement, (row.at, row.id), part)
