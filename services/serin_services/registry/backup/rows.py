"""Rows as lines of JSON, the same from either database: what a column's Python type is says how it is written."""

import datetime as dt
import enum
import json
import uuid
from collections.abc import Callable
from typing import Any

import pydantic_core
import sqlalchemy as sa

from serin_services.registry.database import tables

# Where a backup has them: the table's name and a number follow.
FOLDER = "tables/"
# The table whose rows name what is in the store.
ARTIFACTS = tables.Artifact.__tablename__
# Each after those that it refers to.
TABLES: list[sa.Table] = list(tables.Base.metadata.sorted_tables)

_READERS: dict[type, Callable[[str], Any]] = {uuid.UUID: uuid.UUID, dt.datetime: dt.datetime.fromisoformat}


def dump(row: sa.RowMapping) -> bytes:
    """Write a row; floats are written so that the same number is read back, infinities and NaN too."""
    return pydantic_core.to_json(dict(row), inf_nan_mode="constants") + b"\n"


def make_reader(table: sa.Table) -> Callable[[bytes], dict[str, Any]]:
    """Make the function that reads the table's rows."""
    readers = {column.name: reader for column in table.columns if (reader := _find_reader(column.type))}

    def read(line: bytes) -> dict[str, Any]:
        row: dict[str, Any] = json.loads(line)
        for name, reader in readers.items():
            if row[name] is not None:
                row[name] = reader(row[name])
        return row

    return read


def _find_reader(kind: sa.types.TypeEngine[Any]) -> Callable[[str], Any] | None:
    """Give what makes a column's value of text; nothing where JSON has the type itself."""
    if isinstance(kind, sa.JSON):
        return None
    # What decorates a type, such as a moment in UTC, does not say what it makes of it.
    python = getattr(kind, "impl_instance", kind).python_type
    return python if issubclass(python, enum.Enum) else _READERS.get(python)


def find_own_references(table: sa.Table) -> list[str]:
    """Name the columns that refer to rows of the same table: a row may come before the one that it refers to."""
    return [
        column.name
        for column in table.columns
        if column.nullable and any(key.column.table is table for key in column.foreign_keys)
    ]
