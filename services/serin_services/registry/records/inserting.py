"""Rows that two may make at once: whoever comes second finds that there is one."""

from typing import Any

import sqlalchemy as sa
from sqlalchemy import orm

from serin_services.registry.database import tables, upserts


def insert_missing(session: orm.Session, table: type[tables.Base], **values: Any) -> bool:  # noqa: ANN401 - columns
    """Add a row unless one with its key is there; waits for whoever is just adding it, and tells whether it was added."""
    statement = upserts.insert(session, table).values(**values).on_conflict_do_nothing()
    # The number of rows is not known of every driver; what was added comes back.
    return session.execute(statement.returning(sa.inspect(table).primary_key[0])).first() is not None
