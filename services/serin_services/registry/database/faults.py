"""What a database's error means to a caller, as a table: one kind of `errors.RegistryError`, or a fault of ours."""

import contextlib
from collections.abc import Iterator

import sqlalchemy as sa
from sqlalchemy import orm

from serin_services.registry import errors

_AGAIN = "the same request may work in a moment"

# PostgreSQL's SQLSTATE, the longest prefix first; SQLite's names of its result codes.
# https://www.postgresql.org/docs/current/errcodes-appendix.html and https://sqlite.org/rescode.html
_MEANINGS: tuple[tuple[tuple[str, ...], type[errors.RegistryError], str], ...] = (
    (("23505", "SQLITE_CONSTRAINT_UNIQUE", "SQLITE_CONSTRAINT_PRIMARYKEY"), errors.ConflictError,
     "it exists already, perhaps since a moment ago; read it again"),
    (("42501", "SQLITE_CONSTRAINT_TRIGGER"), errors.ForbiddenError, "the database refuses: these rows are not yours to change"),
    (("57014",), errors.UnavailableError, f"the database took too long and was stopped; {_AGAIN}, or with a smaller page"),
    (("55P03", "40", "SQLITE_BUSY", "SQLITE_LOCKED"), errors.UnavailableError, f"others are changing the same rows; {_AGAIN}"),
    (("25P03", "57P"), errors.UnavailableError, f"the database ended the connection; {_AGAIN}"),
    (("53", "SQLITE_FULL"), errors.UnavailableError, "the database has no connection, memory or disk left; look at its server"),
    (("25006", "SQLITE_READONLY"), errors.UnavailableError,
     "it may only be read; check that it is no standby, and that the registry may write its file and folder"),
    (("SQLITE_CANTOPEN", "SQLITE_IOERR"), errors.UnavailableError,
     "its file cannot be opened; check that the folder exists and that the registry may write there"),
    (("08",), errors.UnavailableError, f"it does not answer; check that it runs, its address, user and password; {_AGAIN}"),
)  # fmt: skip


@contextlib.contextmanager
def translated(address: str) -> Iterator[None]:
    """Raise what a caller can act on in place of the database's own errors; `address` is the URL without its password.

    Raises:
        errors.RegistryError: of the kind that the table gives; whatever the table does not know is raised as it is.
    """
    try:
        yield
    except orm.exc.StaleDataError as error:
        raise errors.PreconditionError("somebody else has changed it meanwhile; read it again, then repeat") from error
    except sa.exc.TimeoutError as error:
        message = f"all connections to the database at {address} are in use; {_AGAIN}"
        raise errors.UnavailableError(message) from error
    except sa.exc.DBAPIError as error:
        meaning = _meaning_of(error)
        if meaning is None:
            raise
        kind, message = meaning
        if kind is errors.UnavailableError:
            message = f"the database at {address}: {message} ({_first_line_of(error)})"
        raise kind(message) from error


def _meaning_of(error: sa.exc.DBAPIError) -> tuple[type[errors.RegistryError], str] | None:
    code = _code_of(error)
    for prefixes, kind, message in _MEANINGS:
        if code.startswith(prefixes):
            return kind, message
    return None


def _first_line_of(error: sa.exc.DBAPIError) -> str:
    # What the server or the driver says; neither repeats a password, and rows stand behind the first line.
    return (str(error.orig).splitlines() or ["it says nothing"])[0]


def _code_of(error: sa.exc.DBAPIError) -> str:
    code: str | None = getattr(error.orig, "sqlstate", None) or getattr(error.orig, "sqlite_errorname", None)
    if code:
        return code
    # A connection that never came about, or broke, has no code: the class of those that the standard has for it.
    return "08" if error.connection_invalidated or isinstance(error, sa.exc.OperationalError) else ""
