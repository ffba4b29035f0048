"""Makes a backup: all rows of one moment, then the artifacts that they name, into one file."""

import contextlib
import datetime as dt
import gzip
import json
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import IO

import sqlalchemy as sa
from sqlalchemy import orm

from serin_services.registry import errors
from serin_services.registry.artifacts.store import Store
from serin_services.registry.backup import archive, rows
from serin_services.registry.core import access
from serin_services.registry.database.sessions import Database

# Of the lines of one member before they are compressed, in bytes: what a backup holds in memory, some times over.
_MEMBER_BYTES = 4 * 1024 * 1024
# Rows that the database sends at once.
_BATCH = 1000

Tell = Callable[[str], None]


def make(
    database: Database, store: Store, path: Path, now: dt.datetime, tell: Tell = lambda _: None
) -> archive.Contents:
    """Write all rows of one moment and all artifacts that they name; the file is there when it is whole.

    Artifacts are copied as they lie: encrypted ones need the same key wherever they are restored.

    Args:
        database: whose rows.
        store: whose artifacts.
        path: the file, which must not exist.
        now: when it is made.
        tell: is told what is being done, in words.

    Raises:
        errors.ConflictError: the file exists.
        errors.UnavailableError: the database, the store or the disk does not do its part.
        errors.NotFoundError: an artifact that a row names is not in the store.
    """
    with _complete(path) as file, tempfile.TemporaryFile() as keys, archive.Writer(file) as writer:
        with database.open(access.SYSTEM, snapshot=True) as session:
            counts = {table.name: _add_table(session, table, writer, keys, tell) for table in rows.TABLES}
        encrypted = [_add_artifact(store, writer, key, tell) for key in _read_back(keys)]
        contents = archive.Contents(
            made_at=now.isoformat(),
            schema=database.revision() or "",
            rows=counts,
            artifacts=len(encrypted),
            encrypted=sum(encrypted),
        )
        writer.finish(contents)
    return contents


@contextlib.contextmanager
def _complete(path: Path) -> Iterator[IO[bytes]]:
    """Give a file beside `path` that takes its name when all went well, and goes away when not.

    Only its owner reads it: it holds every tenant's rows.
    """
    if path.exists():
        raise errors.ConflictError(f"{path} exists; a backup replaces nothing: name another file, or remove this one")
    try:
        number, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    except OSError as error:
        raise errors.UnavailableError(f"{path}: cannot be written: {error.strerror}") from error
    try:
        with os.fdopen(number, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except OSError as error:
        raise errors.UnavailableError(f"{path}: cannot be written: {error.strerror}") from error
    finally:
        Path(name).unlink(missing_ok=True)


def _add_table(session: orm.Session, table: sa.Table, writer: archive.Writer, keys: IO[bytes], tell: Tell) -> int:
    """Add all rows of a table as members of some thousand lines; remember the artifacts' keys."""
    tell(f"table {table.name}")
    found = session.execute(sa.select(table).order_by(*table.primary_key), execution_options={"yield_per": _BATCH})
    count = 0
    for number, lines in enumerate(_gather(rows.dump(row) for row in found.mappings())):
        content = gzip.compress(b"".join(lines), compresslevel=1, mtime=0)
        writer.add(f"{rows.FOLDER}{table.name}/{number:06}.jsonl.gz", len(content), [content])
        count += len(lines)
        if table.name == rows.ARTIFACTS:
            keys.writelines(json.dumps(json.loads(line)["key"]).encode() + b"\n" for line in lines)
    return count


def _gather(lines: Iterable[bytes]) -> Iterator[list[bytes]]:
    """Put lines together to what one member holds."""
    gathered: list[bytes] = []
    size = 0
    for line in lines:
        gathered.append(line)
        size += len(line)
        if size >= _MEMBER_BYTES:
            yield gathered
            gathered, size = [], 0
    if gathered:
        yield gathered


def _read_back(keys: IO[bytes]) -> Iterator[str]:
    keys.seek(0)
    for line in keys:
        yield json.loads(line)


def _add_artifact(store: Store, writer: archive.Writer, key: str, tell: Tell) -> bool:
    """Add an artifact as it lies; say whether it is encrypted."""
    tell(f"artifact {key}")
    stored = store.open_stored(key)
    with contextlib.closing(stored.chunks):
        writer.add(f"{archive.ARTIFACTS}{key}", stored.size, stored.chunks)
    return stored.encrypted
