"""The audit log: every change appended to its tenant's chain, in the transaction that makes the change."""

import dataclasses
import datetime as dt
from collections.abc import Iterator, Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy import orm

from serin_services.registry.core import chain
from serin_services.registry.core.access import Caller, Operation
from serin_services.registry.database import tables
from serin_services.registry.records import guards, heads, paging

# So many entries are read at a time when a chain is checked.
_BATCH = 1000


@dataclasses.dataclass(frozen=True)
class Filters:
    """Which entries are asked for; what is left out limits nothing."""

    object_type: str | None = None
    object_id: str | None = None
    actor: str | None = None
    action: str | None = None
    since: dt.datetime | None = None
    until: dt.datetime | None = None


def append(
    session: orm.Session,
    caller: Caller,
    action: str,
    target: tables.Tenant | tables.OfTenant,
    details: Mapping[str, Any],
    now: dt.datetime,
) -> tables.AuditEntry:
    """Add an entry about one object to the log of the tenant that the object belongs to.

    The head of the chain stays locked until the transaction ends, so entries of one tenant are numbered without a gap.

    Raises:
        ValueError: the details are not plain JSON.
    """
    # What is new has no id, and what is wrong with it is not known, before it is written.
    session.flush()
    tenant = target.id if isinstance(target, tables.Tenant) else target.tenant_id
    head = heads.lock(session, tenant, now)
    entry = chain.link(
        chain.Head(head.seq, head.hash),
        chain.Entry(
            seq=0,
            at=now,
            tenant=tenant,
            actor=caller.subject,
            action=action,
            object_type=str(getattr(target, "__tablename__", type(target).__name__)),
            object_id=str(getattr(target, "id", None) or sa.inspect(target).identity),
            details=details,
        ),
    )
    row = tables.AuditEntry(
        tenant_id=tenant,
        seq=entry.seq,
        at=entry.at,
        actor=entry.actor,
        action=entry.action,
        object_type=entry.object_type,
        object_id=entry.object_id,
        details=dict(entry.details),
        previous_hash=entry.previous,
        hash=entry.digest,
    )
    session.add(row)
    head.seq, head.hash = entry.seq, entry.digest
    session.flush()
    return row


def list_entries(
    session: orm.Session, caller: Caller, filters: Filters, part: paging.Slice
) -> paging.Page[tables.AuditEntry]:
    """Give the entries of the caller's tenant, the newest first."""
    guards.require(caller, Operation.AUDIT)
    entry = tables.AuditEntry
    statement = sa.select(entry).where(entry.tenant_id == caller.tenant)
    for name in ("object_type", "object_id", "actor", "action"):
        if (wanted := getattr(filters, name)) is not None:
            statement = statement.where(getattr(entry, name) == wanted)
    if filters.since is not None:
        statement = statement.where(entry.at >= filters.since)
    if filters.until is not None:
        statement = statement.where(entry.at < filters.until)
    return paging.paginate(session, statement, (entry.seq,), part)


def verify(session: orm.Session, caller: Caller, tenant: str | None = None) -> chain.Verdict:
    """Check the chain of the caller's tenant, or for the registry itself of any, from its first entry to the head."""
    guards.require(caller, Operation.AUDIT)
    wanted = tenant if tenant and caller.system else caller.tenant
    head = session.get(tables.AuditHead, wanted)
    return chain.verify(_read_all(session, wanted), chain.Head(head.seq, head.hash) if head else chain.START)


def _read_all(session: orm.Session, tenant: str) -> Iterator[chain.Entry]:
    entry = tables.AuditEntry
    statement = sa.select(entry).where(entry.tenant_id == tenant).order_by(entry.seq)
    for row in session.scalars(statement.execution_options(yield_per=_BATCH)):
        yield chain.Entry(
            seq=row.seq,
            at=row.at,
            tenant=row.tenant_id,
            actor=row.actor,
            action=row.action,
            object_type=row.object_type,
            object_id=row.object_id,
            details=row.details,
            previous=row.previous_hash,
            digest=row.hash,
        )
