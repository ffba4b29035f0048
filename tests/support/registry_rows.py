"""Rows of every table, made from the columns, and who sees them, said again in plain Python.

So a table that is added is tried as soon as it is there.
"""

import contextlib
import datetime as dt
import itertools
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import sqlalchemy as sa
from sqlalchemy import orm

from serin_services.registry.core.access import PLATFORM, SYSTEM, Caller, Visibility
from serin_services.registry.core.stages import Stage
from serin_services.registry.database import sessions, tables

TENANTS, SUBJECTS = (PLATFORM, "acme", "globex"), ("ann", "bob")
NOW = dt.datetime(2026, 11, 21, 12, tzinfo=dt.UTC)
_NUMBERS = itertools.count()

# What stands in a column of a type that nobody said anything about.
_FILLERS: tuple[tuple[type, Any], ...] = (
    (tables.UtcTime, lambda: NOW),
    (sa.Enum, lambda: Stage.DRAFT),
    (sa.Uuid, uuid.uuid4),
    (sa.JSON, dict),
    (sa.Boolean, lambda: False),
    (sa.Integer, lambda: next(_NUMBERS)),
    (sa.Float, lambda: 0.0),
    (sa.String, lambda: f"text-{next(_NUMBERS)}"),
)


def make(kind: type[tables.Base], **known: Any) -> Any:
    """Give a row with what is known of it; whatever else it must have is filled in, and what it need not have is empty."""
    for column in sa.inspect(kind).columns:
        if column.key not in known and not column.nullable:
            known[column.key] = next(fill for type_, fill in _FILLERS if isinstance(column.type, type_))()
    return kind(**known)


def make_model(tenant: str, visibility: Visibility = Visibility.TENANT, owner: str = "", **known: Any) -> tables.Model:
    """Give a model of a tenant."""
    model: tables.Model = make(tables.Model, tenant_id=tenant, visibility=visibility, owner=owner, **known)
    return model


def make_version(model: tables.Model, **known: Any) -> tables.ModelVersion:
    """Give a version of a model."""
    version: tables.ModelVersion = make(tables.ModelVersion, model_id=model.id, tenant_id=model.tenant_id, **known)
    return version


def add_model(session: orm.Session, model: tables.Model) -> dict[type, tables.Base]:
    """Add a model with one row in every table whose rows belong to a model, and give them by their kind."""
    same = {"model_id": model.id, "tenant_id": model.tenant_id}
    version, deployment = make_version(model), make(tables.Deployment, **same)
    rows = {tables.Model: model, tables.ModelVersion: version, tables.Deployment: deployment}
    names = {"version_id": version.id, "champion_id": version.id, "deployment_id": deployment.id}
    for kind in kinds():
        if issubclass(kind, tables.OfModel) and kind not in rows:
            columns = sa.inspect(kind).columns.keys()
            rows[kind] = make(kind, **same, **{name: id_ for name, id_ in names.items() if name in columns})
    _add(session, [model], [version, deployment], [row for kind, row in rows.items() if kind not in names])
    return rows


def add_tenant(session: orm.Session, tenant: str, subjects: tuple[str, ...]) -> dict[type, list[tables.Base]]:
    """Add a tenant with rows in every table whose rows belong to a tenant or to a subject, and give them by their kind."""
    rows: dict[type, list[tables.Base]] = {tables.Tenant: [make(tables.Tenant, id=tenant)]}
    for kind in kinds():
        if issubclass(kind, tables.OfSubject):
            rows[kind] = [make(kind, tenant_id=tenant, subject=subject) for subject in subjects]
        elif issubclass(kind, tables.OfTenant) and not issubclass(kind, tables.OfModel | tables.Model):
            rows[kind] = [make(kind, tenant_id=tenant)]
    _add(session, rows[tables.Tenant], *rows.values())
    return rows


def kinds() -> list[type[tables.Base]]:
    """Give the classes of all tables; views are none."""
    mappers = tables.Base.registry.mappers
    return [mapper.class_ for mapper in mappers if mapper.local_table in tables.Base.metadata.tables.values()]


def _add(session: orm.Session, *groups: list[Any]) -> None:
    # One after the other: SQLAlchemy does not know what refers to what.
    for group in groups:
        session.add_all(group)
        session.flush()


def sees_model(caller: Caller, model: tables.Model) -> bool:
    """Say the rule again, in plain Python."""
    if caller.system or model.visibility is Visibility.PLATFORM:
        return True
    own = model.tenant_id == caller.tenant
    return own and (model.visibility is Visibility.TENANT or model.owner == caller.subject)


def sees(caller: Caller, row: Any, by_id: dict[Any, tables.Model]) -> bool:
    """Say the rule again for a row of any table."""
    match row:
        case tables.Model():
            return sees_model(caller, row)
        case tables.OfModel():
            return sees_model(caller, by_id[row.model_id])
        case tables.Tenant():
            return caller.system or row.id == caller.tenant
        case tables.OfSubject():
            return caller.system or (row.tenant_id, row.subject) == (caller.tenant, caller.subject)
    return caller.system or bool(row.tenant_id == caller.tenant)


def writes(caller: Caller, row: Any, by_id: dict[Any, tables.Model]) -> bool:
    """Say the rule for writing again."""
    tenant = row.id if isinstance(row, tables.Tenant) else row.tenant_id
    return sees(caller, row, by_id) and (caller.system or bool(tenant == caller.tenant))


class Filled:
    """A registry with rows of every kind, and what the plain rule says about them."""

    def __init__(self, database: sessions.Database, found: list[tables.Model]) -> None:
        self.database = database
        self.models = {model.id: model for model in found}
        with database.open(SYSTEM) as session:
            groups: list[Any] = [add_tenant(session, tenant, SUBJECTS) for tenant in TENANTS]
            self.rows = [row for group in groups for rows in group.values() for row in rows]
            for model in found:
                self.rows += add_model(session, model).values()

    def keys(self, caller: Caller, kind: type, rule: Callable[..., bool] = sees) -> set[Any]:
        """Give the keys of the rows for which the plain rule holds."""
        return {key_of(row) for row in self.rows if type(row) is kind and rule(caller, row, self.models)}

    @contextlib.contextmanager
    def undone(self, caller: Caller) -> Iterator[orm.Session]:
        """Open a session whose changes are undone."""
        with contextlib.suppress(UndoError), self.database.open(caller) as session:
            yield session
            raise UndoError


class UndoError(Exception):
    """Ends a transaction that nobody wants to keep."""


def key_of(row: Any) -> tuple[Any, ...]:
    return tuple(sa.inspect(row).mapper.primary_key_from_instance(row))
