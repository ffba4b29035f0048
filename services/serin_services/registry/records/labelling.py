"""Labels, which people and tools put on models and versions to find them again."""

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy import orm

from serin_services.registry import errors

MAX_LABELS = 128
MAX_KEY = 253
MAX_VALUE = 8192


def check(labels: Mapping[str, str]) -> dict[str, Any]:
    """Give the labels, or refuse them.

    Raises:
        errors.InvalidError: there are too many, or one is too long or has a key that cannot be searched for.
    """
    if len(labels) > MAX_LABELS:
        raise _invalid("labels", f"expected at most {MAX_LABELS} labels, got {len(labels)}")
    for key, value in labels.items():
        if problem := _key_problem(key):
            raise _invalid("labels", problem)
        if len(value) > MAX_VALUE or "\0" in value:
            raise _invalid(f"labels.{key}", f"expected text of at most {MAX_VALUE} characters without NUL")
    return dict(labels)


def match(column: orm.InstrumentedAttribute[dict[str, Any]], wanted: Sequence[str]) -> list[sa.ColumnElement[bool]]:
    """Give the conditions for labels as they are asked for, `key:value` or `key` for any value.

    Raises:
        errors.InvalidError: one has a key that no label can have.
    """
    return [_condition(column, text) for text in wanted]


def _condition(column: orm.InstrumentedAttribute[dict[str, Any]], text: str) -> sa.ColumnElement[bool]:
    key, colon, value = text.partition(":")
    if problem := _key_problem(key):
        raise _invalid("label", problem)
    found: sa.ColumnElement[str] = column[key].as_string()
    return found == value if colon else found.is_not(None)


def _key_problem(key: str) -> str | None:
    if 1 <= len(key) <= MAX_KEY and key.isprintable() and not set('"\\:') & set(key):
        return None
    return (
        f"a label's key has 1 to {MAX_KEY} characters that can be printed, none of them \", \\ or :; got {key[:80]!r}"
    )


def _invalid(where: str, message: str) -> errors.InvalidError:
    return errors.InvalidError(f"{where}: {message}", errors.Fault(where, message))
