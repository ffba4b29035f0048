"""Inserts that say what happens to a row that is there already, of one row or of thousands."""

import functools
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy import orm
from sqlalchemy.dialects import postgresql, sqlite

if TYPE_CHECKING:
    from serin_services.registry.database import tables

# SQLAlchemy has `ON CONFLICT` for each dialect alone; the two have the same methods.
_INSERTS: Mapping[str, Any] = {"postgresql": postgresql.insert, "sqlite": sqlite.insert}


def insert(session: orm.Session, table: "type[tables.Base]") -> postgresql.Insert:
    """Begin an insert for the session's database; on both it has `on_conflict_do_nothing` and `on_conflict_do_update`."""
    statement: postgresql.Insert = _INSERTS[_dialect(session)](table)
    return statement


def insert_missing(session: orm.Session, table: "type[tables.Base]", **values: Any) -> bool:  # noqa: ANN401 - columns
    """Add a row unless one with its key is there; waits for whoever is just adding it, and tells whether it was added."""
    statement = insert(session, table).values(**values).on_conflict_do_nothing()
    # The number of rows is not known of every driver; what was added comes back.
    return session.execute(statement.returning(sa.inspect(table).primary_key[0])).first() is not None


def insert_new(
    session: orm.Session,
    table: "type[tables.Base]",
    same: Mapping[str, Any],
    rows: Sequence[Mapping[str, Any]],
    key: Sequence[str],
) -> list[tuple[Any, ...]]:
    """Insert those rows whose keys are not there yet, and give these rows' keys; `same` is what all of them have.

    PostgreSQL gets each column as one array: with a parameter for each value, most of the time went into writing and reading
    the statement.
    """
    if _dialect(session) == "postgresql":
        names = tuple(rows[0])
        statement = _insert_arrays(table, tuple(same), names, tuple(key))
        given = {**same, **{f"every_{name}": [row[name] for row in rows] for name in names}}
        # As it stands: the ORM would make columns of the parameters.
        found = session.execute(statement, given, execution_options={"dml_strategy": "raw"})
    else:
        statement = sqlite.insert(table).on_conflict_do_nothing().returning(*(getattr(table, name) for name in key))
        found = session.execute(statement, [{**same, **row} for row in rows])
    return [tuple(row) for row in found]


def insert_or_add(
    session: orm.Session, table: "type[tables.Base]", rows: Sequence[Mapping[str, Any]], added: Sequence[str]
) -> None:
    """Insert rows of numbers; where one with the same key is, add those numbers to it."""
    if rows:
        session.execute(_insert_or_add(_dialect(session), table, tuple(added)), rows)


def is_among(
    session: orm.Session, column: orm.InstrumentedAttribute[Any], values: Collection[Any]
) -> sa.ColumnElement[bool]:
    """Give the condition that a column has one of thousands of values; see `insert_new` for the reason."""
    if _dialect(session) == "postgresql":
        return column == sa.any_(sa.bindparam(None, list(values), postgresql.ARRAY(column.type)))
    return column.in_(values)


@functools.cache
def _insert_arrays(
    table: "type[tables.Base]", same: tuple[str, ...], names: tuple[str, ...], key: tuple[str, ...]
) -> sa.sql.dml.ReturningInsert[Any]:
    """Make the statement once: it takes as long as to run it."""
    types = {name: getattr(table, name).type for name in (*same, *names)}
    constant = [sa.bindparam(name, type_=types[name]) for name in same]
    arrays = [sa.bindparam(f"every_{name}", type_=postgresql.ARRAY(types[name])) for name in names]
    columns = sa.func.unnest(*(sa.cast(array, array.type) for array in arrays)).table_valued(
        *(sa.column(name, types[name]) for name in names)
    )
    selected = sa.select(*constant, *columns.render_derived().columns)
    statement = postgresql.insert(table).from_select([*same, *names], selected).on_conflict_do_nothing()
    return statement.returning(*(getattr(table, name) for name in key))


@functools.cache
def _insert_or_add(dialect: str, table: "type[tables.Base]", added: tuple[str, ...]) -> postgresql.Insert:
    statement: postgresql.Insert = _INSERTS[dialect](table)
    sums = {name: getattr(table, name) + getattr(statement.excluded, name) for name in added}
    return statement.on_conflict_do_update(index_elements=list(sa.inspect(table).primary_key), set_=sums)


def _dialect(session: orm.Session) -> str:
    return session.get_bind().dialect.name
