"""Lists by the page: each page begins behind the last row of the one before, so that it costs the same however far in."""

import base64
import binascii
import dataclasses
import datetime as dt
import json
import uuid
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

import sqlalchemy as sa
from sqlalchemy import orm

from serin_services.registry import errors
from serin_services.registry.database import tables

Row = TypeVar("Row")
Other = TypeVar("Other")
Column = orm.InstrumentedAttribute[Any]

# How the values of a row's key are read back from a cursor, by their type.
_READERS: dict[type, Callable[[Any], Any]] = {
    dt.datetime: dt.datetime.fromisoformat,
    uuid.UUID: uuid.UUID,
    str: str,
    int: int,
}


@dataclasses.dataclass(frozen=True)
class Slice:
    """Which part of a list is asked for."""

    limit: int = 50
    cursor: str | None = None


@dataclasses.dataclass(frozen=True)
class Page(Generic[Row]):
    """Rows, the newest first, and the cursor that asks for those behind them, if there are any."""

    items: Sequence[Row]
    next: str | None

    def map(self, make: Callable[[Row], Other]) -> "Page[Other]":
        """Give the page with something made of each row."""
        return Page([make(item) for item in self.items], self.next)


def paginate(session: orm.Session, statement: sa.Select[Row], keys: Sequence[Column], part: Slice) -> Page[Row]:
    """Run a statement for one page, in descending order of the keys, which together name one row.

    Raises:
        errors.InvalidError: the cursor is none of this list's.
    """
    if part.cursor is not None:
        after = [sa.literal(value, key.type) for key, value in zip(keys, _read(part.cursor, keys), strict=True)]
        statement = statement.where(sa.tuple_(*keys) < sa.tuple_(*after))
    statement = statement.order_by(*(key.desc() for key in keys)).limit(part.limit + 1)
    rows = session.scalars(statement).all()
    items = rows[: part.limit]
    more = len(rows) > part.limit
    return Page(items, _write([getattr(items[-1], key.key) for key in keys]) if more else None)


def _write(values: Sequence[object]) -> str:
    texts = [value.isoformat() if isinstance(value, dt.datetime) else str(value) for value in values]
    return base64.urlsafe_b64encode(json.dumps(texts).encode()).decode().rstrip("=")


def _read(cursor: str, keys: Sequence[Column]) -> list[Any]:
    try:
        texts = json.loads(base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True))
        values = [_READERS[_type_of(key)](text) for key, text in zip(keys, texts, strict=True)]
    except (ValueError, TypeError, KeyError, AttributeError, binascii.Error, RecursionError):
        raise _wrong_cursor() from None
    if any(isinstance(value, dt.datetime) and value.tzinfo is None for value in values):
        raise _wrong_cursor()
    return values


def _type_of(key: Column) -> type:
    # SQLAlchemy does not look into a type of one's own.
    return dt.datetime if isinstance(key.type, tables.UtcTime) else key.type.python_type


def _wrong_cursor() -> errors.InvalidError:
    message = "expected what an earlier page of this list gave as `next`; leave it out to begin at the first page"
    return errors.InvalidError(f"cursor: {message}", errors.Fault("cursor", message))
