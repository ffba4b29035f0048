"""What every session does by itself: it says to the database who is calling, and keeps each statement to what they may.

A session without a caller runs nothing.
"""

from collections.abc import Iterable, Iterator
from typing import Any

import sqlalchemy as sa
from sqlalchemy import orm

from serin_services.registry import errors
from serin_services.registry.core.access import Caller
from serin_services.registry.database import tables, visibility

CALLER = "caller"
# An option of the engine: the transaction will write nothing.
READ_ONLY = "serin_read_only"
# And another: it takes long, and may.
PATIENT = "serin_patient"

_SETTINGS = sa.text(
    f"SELECT set_config('{visibility.TENANT}', :tenant, true), set_config('{visibility.SUBJECT}', :subject, true),"
    f" set_config('{visibility.SYSTEM}', :system, true), set_config('transaction_read_only', :read_only, true)"
)
_PATIENCE = sa.text(
    "SELECT set_config('statement_timeout', '0', true), set_config('idle_in_transaction_session_timeout', '0', true)"
)


class CallerSession(orm.Session):
    """A session of one caller, named in `info["caller"]`."""


def caller_of(session: orm.Session) -> Caller:
    """Give the session's caller.

    Raises:
        RuntimeError: it has none, and so may see nothing.
    """
    caller: Caller | None = session.info.get(CALLER)
    if caller is None:
        raise RuntimeError("a session needs its caller: open it with Database.open(caller)")
    return caller


@sa.event.listens_for(CallerSession, "after_begin")
def _say_who(session: orm.Session, transaction: orm.SessionTransaction, connection: sa.Connection) -> None:
    caller = caller_of(session)
    if transaction.nested or connection.dialect.name != "postgresql":
        return
    options = connection.get_execution_options()
    if options.get(PATIENT):
        connection.execute(_PATIENCE)
    # For this transaction alone: the connection's next one belongs to somebody else.
    connection.execute(
        _SETTINGS,
        {
            "tenant": caller.tenant,
            "subject": caller.subject,
            "system": "on" if caller.system else "",
            "read_only": "on" if options.get(READ_ONLY) else "off",
        },
    )


@sa.event.listens_for(CallerSession, "do_orm_execute")
def _limit_statement(state: orm.ORMExecuteState) -> None:
    caller = caller_of(state.session)
    if caller.system:
        return
    if not state.is_orm_statement or state.is_from_statement:
        raise RuntimeError(
            "a caller's session runs statements over mapped classes alone: others cannot be kept to what the caller sees; "
            f"write select({tables.Model.__name__}) instead of its table or of text"
        )
    if state.is_insert:
        _require_own(caller, _tenants_inserted(state))
    elif state.is_update or state.is_delete:
        state.statement = state.statement.options(visibility.writing(caller))
    else:
        state.statement = state.statement.options(visibility.reading(caller))


@sa.event.listens_for(CallerSession, "before_flush")
def _limit_flush(session: orm.Session, context: orm.UOWTransaction, instances: object) -> None:  # noqa: ARG001 - the signature is SQLAlchemy's
    caller = caller_of(session)
    if caller.system:
        return
    for row in (*session.new, *session.deleted, *(row for row in session.dirty if session.is_modified(row))):
        _require_own(caller, _tenants_of(row))


def _require_own(caller: Caller, tenants: Iterable[Any]) -> None:
    for tenant in tenants:
        if tenant != caller.tenant:
            raise errors.ForbiddenError(
                f"rows of tenant {tenant!r} are written by it alone; {caller.subject!r} is of {caller.tenant!r}"
            )


def _tenants_of(row: object) -> Iterator[Any]:
    """Give the tenant that the row belongs to, and the one it belonged to before the change."""
    name = "id" if isinstance(row, tables.Tenant) else "tenant_id"
    history = sa.inspect(row, raiseerr=True).attrs[name].history
    yield from history.sum()


def _tenants_inserted(state: orm.ORMExecuteState) -> list[Any]:
    """Give the tenants of the rows that an INSERT brings, in its parameters or in its text.

    Raises:
        RuntimeError: it does not say.
    """
    mapper = state.bind_mapper
    name = "id" if mapper is not None and mapper.class_ is tables.Tenant else "tenant_id"
    given: Any = state.parameters
    statement: Any = state.statement
    rows = given if isinstance(given, list) else [given or statement.compile().params]
    # VALUES of several rows number their parameters: tenant_id_m0, tenant_id_m1.
    tenants = [value for row in rows for key, value in row.items() if key == name or key.startswith(f"{name}_m")]
    if len(tenants) < len(rows):
        raise RuntimeError(f"a caller's INSERT gives {name} with each row, as a value")
    return tenants
