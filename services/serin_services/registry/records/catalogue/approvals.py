"""Sign-off: the offices that a tenant asks for say yes or no to a version, and the last word of each counts."""

import datetime as dt
import uuid
from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy import orm

from serin_services.registry import errors
from serin_services.registry.core.access import Caller, Operation
from serin_services.registry.database import tables
from serin_services.registry.records import audits, guards

_ROW = tables.Approval


def approve(
    session: orm.Session,
    caller: Caller,
    version: tables.ModelVersion,
    office: str,
    *,
    approved: bool,
    why: str,
    now: dt.datetime,
) -> tables.Approval:
    """Record what an office says to a version as it is now.

    Raises:
        errors.ForbiddenError: the caller may not, or does not hold the office.
        errors.ConflictError: the version has nothing yet that could be approved.
    """
    guards.require(caller, Operation.APPROVE, version)
    if office not in caller.offices:
        held = ", ".join(sorted(caller.offices)) or "none"
        raise errors.ForbiddenError(f"{caller.subject!r} does not hold the office {office!r}; the token says: {held}")
    # Whoever changes what the version holds takes the same lock.
    guards.lock(session, version)
    if approved and not version.artifact_sha256:
        raise errors.ConflictError(
            f"version {version.version} has no artifact yet, so there is nothing to approve: upload it first"
        )
    row = tables.Approval(
        id=uuid.uuid4(),
        tenant_id=version.tenant_id,
        model_id=version.model_id,
        version_id=version.id,
        office=office,
        approved=approved,
        at=now,
        by=caller.subject,
        why=why,
    )
    session.add(row)
    details = {"version": version.version, "office": office, "approved": approved, "why": why}
    details |= {"artifact_sha256": version.artifact_sha256, "image": version.image}
    audits.append(session, caller, "version.approve" if approved else "version.refuse", version, details, now)
    return row


def list_approvals(session: orm.Session, caller: Caller, version: tables.ModelVersion) -> Sequence[tables.Approval]:
    """Give all that offices said to a version, in the order in which they said it."""
    guards.require(caller, Operation.READ)
    return session.scalars(sa.select(_ROW).where(_ROW.version_id == version.id).order_by(_ROW.at, _ROW.id)).all()


def find_missing(session: orm.Session, version: tables.ModelVersion) -> list[str]:
    """Say in sentences what a version lacks to go into production; nothing, where its tenant asks for no sign-off."""
    tenant = session.get(tables.Tenant, version.tenant_id)
    offices = [str(office) for office in tenant.sign_off] if tenant else []
    statement = sa.select(_ROW).where(_ROW.version_id == version.id).order_by(_ROW.at, _ROW.id)
    last = {row.office: row for row in session.scalars(statement)}
    missing, people = [], dict[str, str]()
    for office in offices:
        row = last.get(office)
        if row is None:
            missing.append(f"{office} has not approved it")
        elif not row.approved:
            missing.append(f"{office} ({row.by}) refused it: {row.why or 'no reason given'}")
        elif row.by in people:
            missing.append(f"{office} was approved by {row.by}, as {people[row.by]} was: another person must")
        else:
            people[row.by] = office
    return missing


def require_sign_off(session: orm.Session, version: tables.ModelVersion) -> None:
    """Refuse to let a version into production before every office that its tenant asks for has approved it.

    Raises:
        errors.ConflictError: with what is missing.
    """
    if missing := find_missing(session, version):
        raise errors.ConflictError(
            f"version {version.version} is not signed off: {'; '.join(missing)}",
            *(errors.Fault("approvals", sentence) for sentence in missing),
        )


def refuse_after_approval(session: orm.Session, version: tables.ModelVersion) -> None:
    """Refuse to change what an office has approved: it would stand for something that nobody looked at.

    Raises:
        errors.ConflictError: an office has approved the version.
    """
    row = tables.ModelVersion
    with session.no_autoflush:
        # Whoever approves takes the same lock.
        session.execute(sa.select(row.id).where(row.id == version.id).with_for_update(key_share=True))
        refuse_approved(session, version)


def refuse_approved(session: orm.Session, version: tables.ModelVersion) -> None:
    """Refuse what would change an approved version, before the work is done; whoever then writes asks once more.

    Raises:
        errors.ConflictError: an office has approved the version.
    """
    if session.scalar(sa.select(_ROW.id).where(_ROW.version_id == version.id, _ROW.approved).limit(1)) is not None:
        raise errors.ConflictError(
            f"version {version.version} has been approved as it is, so it can no longer change; register another version"
        )
