"""Who may do what, asked in one place: the role for the operation, and whether the thing is the caller's to change."""

import sqlalchemy as sa
from sqlalchemy import orm

from serin_services.registry import errors
from serin_services.registry.core import access
from serin_services.registry.core.access import Caller, Operation
from serin_services.registry.database import tables


def require(caller: Caller, operation: Operation, owned: tables.OfTenant | None = None) -> None:
    """Refuse the operation where the role is not enough, or where it would change what belongs to another tenant.

    Only the platform's models are seen by those who do not own them, so this refusal tells nobody of anything hidden.

    Raises:
        errors.ForbiddenError: with the role it takes, or whose it is.
    """
    if refusal := access.refusal(caller, operation):
        raise errors.ForbiddenError(refusal)
    if owned is not None and not caller.system and owned.tenant_id != caller.tenant:
        raise errors.ForbiddenError(
            f"it belongs to tenant {owned.tenant_id!r}, which alone may {operation} it; you are of {caller.tenant!r}"
        )


def lock(session: orm.Session, row: tables.Base) -> None:
    """Read a row anew and keep it from other writers until the transaction ends; rows that point to it may still be made."""
    names = [attribute.key for attribute in sa.inspect(row).mapper.column_attrs]
    session.refresh(row, names, with_for_update={"key_share": True})


def find_changed(row: tables.Base) -> list[str]:
    """Give the names of the columns of a row that have changed and are not yet written, in alphabetical order."""
    state = sa.inspect(row)
    names = [attribute.key for attribute in state.mapper.column_attrs]
    return sorted(name for name in names if state.attrs[name].history.has_changes())
