"""Takes a backup back: into an empty registry, all of it or nothing."""

import collections
import dataclasses
import gzip
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import orm

from serin_services.registry import errors
from serin_services.registry.artifacts.store import Store
from serin_services.registry.backup import archive, reading, rows
from serin_services.registry.core import access
from serin_services.registry.database import tables
from serin_services.registry.database.sessions import Database
from serin_services.registry.records import audits

# Rows that one statement inserts.
_BATCH = 1000

Tell = Callable[[str], None]


def restore(database: Database, store: Store, path: Path, tell: Tell = lambda _: None) -> archive.Contents:
    """Put everything that a backup holds into an empty registry.

    The file is checked from end to end first. Artifacts come before rows, since nobody sees them without; all rows come
    in one transaction, which is committed when their numbers and every tenant's audit log are right.

    Args:
        database: a database whose tables are there and empty.
        store: a store; what it has already stays.
        path: the backup.
        tell: is told what is being done, in words.

    Raises:
        errors.InvalidError: the file is no whole backup, or not for this version of the registry.
        errors.ConflictError: there are rows already.
        errors.UnavailableError: the database or the store does not do its part.
    """
    tell(f"checking {path}")
    contents = reading.check(path)
    _check_schema(database, contents)
    with database.open(access.SYSTEM) as session:
        _check_empty(session)
    for member in reading.read(path, archive.ARTIFACTS):
        tell(member.name)
        store.put_stored(member.name.removeprefix(archive.ARTIFACTS), member.chunks)
    with database.open(access.SYSTEM) as session:
        _check_empty(session)
        _add_rows(session, path, contents, tell)
        tell("checking the audit logs")
        _check_audit(session)
    return contents


def _check_schema(database: Database, contents: archive.Contents) -> None:
    if (found := database.revision()) != contents.schema:
        raise errors.InvalidError(
            f"the backup's rows belong to revision {contents.schema} of the tables, the database has revision {found}; "
            "restore with the version of Serin that made it, into a new database, and upgrade that"
        )


def _check_empty(session: orm.Session) -> None:
    for table in rows.TABLES:
        if session.execute(sa.select(sa.literal(1)).select_from(table).limit(1)).first():
            raise errors.ConflictError(
                f"table {table.name} has rows already; a backup is restored into an empty registry only: name a new "
                "database"
            )


def _add_rows(session: orm.Session, path: Path, contents: archive.Contents, tell: Tell) -> None:
    """Insert all rows, then the references of rows to others of their table, which may stand behind them."""
    counts: collections.Counter[str] = collections.Counter()
    for table in rows.TABLES:
        tell(f"table {table.name}")
        later = rows.find_own_references(table)
        for batch in _read(path, table):
            session.execute(sa.insert(table), [{**row, **dict.fromkeys(later)} for row in batch])
            counts[table.name] += len(batch)
        if later:
            _add_references(session, table, later, path)
    if wrong := {name: count for name, count in contents.rows.items() if counts[name] != count}:
        raise errors.InvalidError(f"expected as many rows as the manifest says, {wrong}, got {dict(counts)}")


def _add_references(session: orm.Session, table: sa.Table, later: list[str], path: Path) -> None:
    keys = [column.name for column in table.primary_key]
    statement = (
        sa.update(table)
        .where(*(table.c[name] == sa.bindparam(f"is_{name}") for name in keys))
        .values({name: sa.bindparam(f"to_{name}") for name in later})
    )
    for batch in _read(path, table):
        found = [
            {**{f"is_{name}": row[name] for name in keys}, **{f"to_{name}": row[name] for name in later}}
            for row in batch
            if any(row[name] is not None for name in later)
        ]
        if found:
            session.connection().execute(statement, found)


def _read(path: Path, table: sa.Table) -> Iterator[list[dict[str, Any]]]:
    """Give a table's rows in batches."""
    read = rows.make_reader(table)
    for member in reading.read(path, f"{rows.FOLDER}{table.name}/"):
        lines = gzip.decompress(b"".join(member.chunks)).splitlines()
        for start in range(0, len(lines), _BATCH):
            yield [read(line) for line in lines[start : start + _BATCH]]


def _check_audit(session: orm.Session) -> None:
    for tenant in session.scalars(sa.select(tables.Tenant.id)).all():
        verdict = audits.verify(session, dataclasses.replace(access.SYSTEM, tenant=tenant))
        if not verdict.ok:
            raise errors.InvalidError(
                f"the audit log of tenant {tenant!r} is broken at entry {verdict.broken}: {verdict.reason}; nothing was "
                "restored"
            )
