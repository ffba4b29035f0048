"""The registry's database for tests, of both kinds: migrated, empty, and of the test's own."""

import contextlib
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from serin_services.registry.database import sessions
from support import postgres

# Each test has pools of its own on one server.
POOL_SIZE = 5


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a migrated file to copy, which is faster than to migrate one."""
    file = tmp_path_factory.mktemp("registry") / "template.db"
    database = sessions.Database(f"sqlite:///{file}")
    database.upgrade()
    database.close()
    return file


@contextlib.contextmanager
def copy_file(template: Path, folder: Path) -> Iterator[sessions.Database]:
    """Give a database in a file of the folder."""
    file = folder / "registry.db"
    shutil.copy(template, file)
    database = sessions.Database(f"sqlite:///{file}")
    yield database
    database.close()


@contextlib.contextmanager
def copy_on_server() -> Iterator[sessions.Database]:
    """Give a database on the server of the test run, as the application's unprivileged role; SYSTEM goes as the owner."""
    server, name = postgres.share(), f"test_{secrets.token_hex(8)}"
    server.make_database(name, postgres.TEMPLATE)
    database = server.open(name, pool_size=POOL_SIZE)
    yield database
    database.close()
    server.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def sqlite_database(sqlite_template: Path, tmp_path: Path) -> Iterator[sessions.Database]:
    """Give a database in a file."""
    with copy_file(sqlite_template, tmp_path) as database:
        yield database


@pytest.fixture
def postgresql_database() -> Iterator[sessions.Database]:
    """Give a database on the server of the test run."""
    with copy_on_server() as database:
        yield database


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest) -> sessions.Database:
    """Give one database of each kind."""
    given: sessions.Database = request.getfixturevalue(f"{request.param}_database")
    return given
