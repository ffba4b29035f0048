"""Tenants: which there are is for the identity provider to say; the registry keeps what each asks for."""

import datetime as dt
from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy import orm

from serin_services.registry import errors
from serin_services.registry.core.access import Caller, Operation
from serin_services.registry.database import tables
from serin_services.registry.records import audits, guards, heads


def find(session: orm.Session, caller: Caller, tenant: str, now: dt.datetime) -> tables.Tenant:
    """Give the caller's own tenant, as it is, or as it is before it first writes.

    Raises:
        errors.NotFoundError: it is another one.
    """
    guards.require(caller, Operation.READ)
    if tenant != caller.tenant:
        raise errors.NotFoundError(f"there is no tenant {tenant!r} that you are of; yours is {caller.tenant!r}")
    return session.get(tables.Tenant, tenant) or tables.Tenant(id=tenant, sign_off=[], created_at=now)


def list_tenants(session: orm.Session, caller: Caller, now: dt.datetime) -> Sequence[tables.Tenant]:
    """Give the tenants that the caller is of: one, or all for the registry itself."""
    if not caller.system:
        return [find(session, caller, caller.tenant, now)]
    return session.scalars(sa.select(tables.Tenant).order_by(tables.Tenant.id)).all()


def ask_sign_off(
    session: orm.Session, caller: Caller, tenant: str, offices: Sequence[str], now: dt.datetime
) -> tables.Tenant:
    """Say which offices must approve a version before it goes into production; none to ask for no sign-off.

    Raises:
        errors.InvalidError: an office stands twice.
    """
    guards.require(caller, Operation.ADMINISTER)
    find(session, caller, tenant, now)
    if len(set(offices)) != len(offices):
        raise errors.InvalidError(
            "sign_off: each office stands once", errors.Fault("sign_off", "an office stands twice")
        )
    heads.ensure(session, tenant, now)
    found = session.get(tables.Tenant, tenant, with_for_update=True, populate_existing=True)
    assert found is not None  # noqa: S101 - it is ensured
    before = list(found.sign_off)
    if before != list(offices):
        found.sign_off = list(offices)
        audits.append(session, caller, "tenant.sign_off", found, {"before": before, "after": list(offices)}, now)
    return found
