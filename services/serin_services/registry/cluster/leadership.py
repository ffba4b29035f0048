"""One follower at a time: a lock that ends with the process that holds it, on whatever the registry's database is.

PostgreSQL has advisory locks that belong to a connection (PostgreSQL manual, 13.3.5); for SQLite the lock is on a file beside
the database, which serves one machine alone anyway.
"""

import contextlib
import fcntl
import hashlib
import io
from pathlib import Path

import sqlalchemy as sa

from serin_services.registry.database.sessions import Database


class Leadership:
    """The lock of one cluster's follower; the thread that took it is the one that asks and gives it back."""

    def __init__(self, database: Database, cluster: str) -> None:
        self._database = database
        self._key = int.from_bytes(hashlib.sha256(f"follower of {cluster}".encode()).digest()[:8], "big", signed=True)
        self._connection: sa.Connection | None = None
        self._file: io.TextIOWrapper | None = None

    def take(self) -> bool:
        """Take the lock, if nobody else has it.

        Raises:
            sqlalchemy.exc.SQLAlchemyError: the database does not answer.
        """
        if self._database.dialect == "sqlite":
            return self._take_file()
        connection = self._database.owner.connect().execution_options(isolation_level="AUTOCOMMIT")
        try:
            taken = bool(connection.execute(sa.select(sa.func.pg_try_advisory_lock(self._key))).scalar_one())
        except sa.exc.SQLAlchemyError:
            connection.invalidate()
            connection.close()
            raise
        if not taken:
            connection.close()
            return False
        self._connection = connection
        return True

    def is_held(self) -> bool:
        """Say whether the lock is still ours: with the connection, the server gives it to another."""
        if self._connection is None:
            return self._file is not None
        try:
            self._connection.execute(sa.select(1))
        except sa.exc.SQLAlchemyError:
            return False
        return True

    def give_back(self) -> None:
        """Give the lock back; the connection goes with it, so that no pool can hand it on."""
        connection, file = self._connection, self._file
        self._connection = self._file = None
        if connection is not None:
            with contextlib.suppress(sa.exc.SQLAlchemyError):
                connection.invalidate()
            connection.close()
        if file is not None:
            file.close()

    def _take_file(self) -> bool:
        path = Path(f"{self._database.engine.url.database}-follower")
        file = path.open("w")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            return False
        self._file = file
        return True
