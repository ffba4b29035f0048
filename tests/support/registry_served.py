"""A registry that answers, for the tests of one module: SQLite and a folder, with a tenant of each test's own."""

import hashlib
import shutil
from collections.abc import Iterator

import pytest

from serin_services.registry.database.sessions import Database
from support import registry_server
from support.registry_server import Served


@pytest.fixture(scope="module")
def served(sqlite_template, tmp_path_factory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("served")
    shutil.copy(sqlite_template, folder / "registry.db")
    database = Database(f"sqlite:///{folder / 'registry.db'}")
    with registry_server.serve(registry_server.make_services(database, folder / "artifacts")) as found:
        yield found
    database.close()


@pytest.fixture
def tenant(request) -> str:
    """A tenant that no other test has."""
    return "t" + hashlib.sha256(request.node.nodeid.encode()).hexdigest()[:12]
