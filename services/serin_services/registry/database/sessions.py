"""The registry's database: its connections, and sessions that see and write what their caller may.

PostgreSQL, 15 or later, is used through up to two logins. The application's serves requests; the owner's migrates and does
the registry's own work, and its policy alone is freed by `serin.system` (see `visibility.py`). With one login the two are the
same: enough where one person runs everything. SQLite is a file, for that one person.
"""

import contextlib
from collections.abc import Iterator
from typing import Any

import pydantic_core
import sqlalchemy as sa
from sqlalchemy import orm

from serin_services.registry import errors
from serin_services.registry.core.access import Caller
from serin_services.registry.database import faults, listeners

# How long a connection, a lock, or the rest of a forgotten transaction is waited for, in seconds.
CONNECT_SECONDS = 5
LOCK_SECONDS = 10
IDLE_SECONDS = 60
# How long a writer of SQLite waits for the one before it, in seconds.
BUSY_SECONDS = 10
# A connection is made anew after this time, in seconds, so that a server that moved is found.
RECYCLE_SECONDS = 1800
APPLICATION = "serin-registry"


class Database:
    """The tables, for as long as the process runs; safe to share between threads."""

    def __init__(
        self, url: str, *, owner_url: str | None = None, pool_size: int = 10, statement_timeout: float = 30.0
    ) -> None:
        """Prepare the connections; the first is made when it is needed.

        Args:
            url: Of the application's login: `postgresql://user:password@host/name` or `sqlite:///folder/file.db`.
            owner_url: Of the login that owns the tables; the same as `url` without one.
            pool_size: Connections that are kept; twice as many serve a rush.
            statement_timeout: After this many seconds PostgreSQL gives a statement up.

        Raises:
            errors.InvalidError: a URL is not one of these.
        """
        address = _parse(url)
        self.engine = _make_engine(address, pool_size, statement_timeout)
        self.owner = self.engine
        if owner_url and _parse(owner_url) != address:
            self.owner = _make_engine(_parse(owner_url), max(2, pool_size // 2), statement_timeout)

    @property
    def dialect(self) -> str:
        """`postgresql` or `sqlite`."""
        return self.engine.dialect.name

    @property
    def address(self) -> str:
        """The URL, without its password."""
        return self.engine.url.render_as_string(hide_password=True)

    @contextlib.contextmanager
    def open(self, caller: Caller, *, read_only: bool = False, snapshot: bool = False) -> Iterator[orm.Session]:
        """Open one transaction of a caller: kept at the end, undone by any exception.

        A transaction that only reads says so: the database then refuses writes, and SQLite lets it run beside a writer. One
        that reads a `snapshot` sees all tables as they were at one moment, for as long as it takes.

        Raises:
            errors.RegistryError: what `faults.py` makes of the database's errors.
        """
        engine = self.owner if caller.system else self.engine
        options: dict[str, Any] = {listeners.READ_ONLY: read_only or snapshot, listeners.PATIENT: snapshot}
        if snapshot and self.dialect == "postgresql":
            # Where SQLite begins a transaction, it is one anyhow.
            options["isolation_level"] = "REPEATABLE READ"
        bind = engine.execution_options(**options)
        with (
            faults.translated(engine.url.render_as_string(hide_password=True)),
            # Rows stay readable after the end: answers are made of them.
            listeners.CallerSession(bind, info={listeners.CALLER: caller}, expire_on_commit=False) as session,
            session.begin(),
        ):
            yield session

    def upgrade(self) -> None:
        """Bring the tables to the newest revision; of several that start together one does it, and the others wait.

        Raises:
            errors.InvalidError: requests would come as a role that no policy holds.
            errors.UnavailableError: the database does not answer.
        """
        from serin_services.registry.database import migrations  # noqa: PLC0415 - Alembic is for this alone

        with faults.translated(self.address):
            self._require_held()
            migrations.upgrade(self.owner, application=self.engine.url.username)

    def revision(self) -> str | None:
        """Give the revision of the tables; None before the first `upgrade`.

        Raises:
            errors.UnavailableError: the database does not answer.
        """
        from serin_services.registry.database import migrations  # noqa: PLC0415 - Alembic is for this alone

        with faults.translated(self.address):
            return migrations.revision(self.owner)

    def health(self) -> str:
        """Ask the database for an answer and give its name and version.

        Raises:
            errors.UnavailableError: there was none.
        """
        version = "sqlite_version()" if self.dialect == "sqlite" else "current_setting('server_version')"
        with faults.translated(self.address), self.engine.connect() as connection:
            answer = connection.execute(sa.text(f"SELECT {version}")).scalar_one()
        return f"{self.dialect} {answer}"

    def _require_held(self) -> None:
        if self.dialect != "postgresql":
            return
        with self.engine.connect() as connection:
            free = connection.execute(
                sa.text("SELECT rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = current_user")
            )
            if free.scalar_one():
                raise errors.InvalidError(
                    f"the role {self.engine.url.username!r} of the database's URL is a superuser or has BYPASSRLS, which no "
                    "row-level security holds; make the registry a role with LOGIN alone"
                )

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()
        self.owner.dispose()


def _parse(url: str) -> sa.URL:
    try:
        parsed = sa.make_url(url)
    except sa.exc.ArgumentError:
        # The message must not repeat it: a password may stand in what could not be read.
        parsed = None
    match parsed.get_backend_name() if parsed else None:
        case "postgresql" if parsed:
            return parsed.set(drivername="postgresql+psycopg")
        case "sqlite" if parsed and parsed.database not in (None, "", ":memory:"):
            return parsed.set(drivername="sqlite+pysqlite")
    raise errors.InvalidError(
        "the database's URL is neither postgresql://user:password@host/name nor sqlite:///folder/file.db; "
        f"got one that begins with {url.split(':', maxsplit=1)[0]!r}"
    )


def _make_engine(url: sa.URL, pool_size: int, statement_timeout: float) -> sa.Engine:
    is_sqlite = url.get_backend_name() == "sqlite"
    arguments = {"timeout": BUSY_SECONDS} if is_sqlite else _server_arguments(statement_timeout)
    engine = sa.create_engine(
        url,
        pool_size=pool_size,
        max_overflow=pool_size,
        pool_timeout=CONNECT_SECONDS,
        pool_recycle=RECYCLE_SECONDS,
        pool_pre_ping=not is_sqlite,
        # Parameters are people's data; neither errors nor logs repeat them.
        hide_parameters=True,
        # A page of versions holds hundreds of small documents; Python's own reader takes a fifth of the page's time.
        json_deserializer=pydantic_core.from_json,
        connect_args=arguments,
    )
    if is_sqlite:
        sa.event.listen(engine, "connect", _prepare_file)
        sa.event.listen(engine, "begin", _begin)
    return engine


def _server_arguments(statement_timeout: float) -> dict[str, Any]:
    limits = {
        "statement_timeout": statement_timeout,
        "lock_timeout": LOCK_SECONDS,
        "idle_in_transaction_session_timeout": IDLE_SECONDS,
    }
    options = " ".join(f"-c {name}={round(seconds * 1000)}" for name, seconds in limits.items())
    return {
        "application_name": APPLICATION,
        "connect_timeout": CONNECT_SECONDS,
        "options": f"{options} -c timezone=UTC",
    }


def _prepare_file(connection: sa.engine.interfaces.DBAPIConnection, record: object) -> None:  # noqa: ARG001 - the signature is SQLAlchemy's
    # Transactions are begun by `_begin`, not by Python's module, which would begin them too late.
    connection.isolation_level = None
    for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
        connection.execute(f"PRAGMA {pragma}")


def _begin(connection: sa.Connection) -> None:
    """Begin a transaction of SQLite; a writer takes its turn at once, since one that reads first would fail midway."""
    read_only = bool(connection.get_execution_options().get(listeners.READ_ONLY))
    connection.exec_driver_sql(f"PRAGMA query_only = {int(read_only)}")
    connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")
