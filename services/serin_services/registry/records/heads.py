"""The rows that a tenant needs before anything else of it can be written: its own, and the end of its audit log."""

import datetime as dt

import sqlalchemy as sa
from sqlalchemy import orm

from serin_services.registry.core import chain
from serin_services.registry.database import tables
from serin_services.registry.database.upserts import insert_missing


def ensure(session: orm.Session, tenant: str, now: dt.datetime) -> None:
    """Make the rows of a tenant that writes for the first time: which tenants there are, the tokens' issuer says."""
    if session.get(tables.AuditHead, tenant) is None:
        insert_missing(session, tables.Tenant, id=tenant, sign_off=[], created_at=now)
        insert_missing(session, tables.AuditHead, tenant_id=tenant, seq=chain.START.seq, hash=chain.START.digest)


def lock(session: orm.Session, tenant: str, now: dt.datetime) -> tables.AuditHead:
    """Give the end of a tenant's audit log, kept from all others until the transaction ends."""
    ensure(session, tenant, now)
    statement = sa.select(tables.AuditHead).where(tables.AuditHead.tenant_id == tenant).with_for_update()
    return session.scalars(statement, execution_options={"populate_existing": True}).one()
