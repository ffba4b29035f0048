"""Backup and restore: every row and every byte, between databases and stores of either kind; or nothing."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from serin_services.registry import errors
from serin_services.registry.artifacts import encryption, folder
from serin_services.registry.artifacts.bucket import Bucket
from serin_services.registry.artifacts.store import Store
from serin_services.registry.backup import making, restoring
from serin_services.registry.core.access import SYSTEM
from serin_services.registry.database import tables
from serin_services.registry.database.sessions import Database
from support import postgres, registry_filling, versitygw
from support.registry_filling import NOW, fill, read_all, read_artifacts


@pytest.fixture(scope="module")
def gateway(tmp_path_factory) -> Iterator[versitygw.Server]:
    with versitygw.run(tmp_path_factory.mktemp("s3")) as server:
        yield server


@pytest.fixture
def bucket_store(gateway, request) -> Store:
    # A bucket of the test's own: a folder at the top is one.
    name = f"b{abs(hash(request.node.nodeid)):x}"[:40]
    (gateway.folder / "data" / name).mkdir()
    return Store(Bucket(versitygw.bucket.Address(**{**vars(gateway.address), "bucket": name})))


@pytest.fixture
def folder_store(tmp_path) -> Store:
    return Store(folder.Folder(tmp_path / "artifacts"))


@pytest.fixture
def new_sqlite(sqlite_template, tmp_path) -> Iterator[Database]:
    path = tmp_path / "restored.db"
    path.write_bytes(sqlite_template.read_bytes())
    database = Database(f"sqlite:///{path}")
    yield database
    database.close()


@pytest.fixture
def small_members(monkeypatch) -> None:
    """Let a table have several members, as a large one has."""
    monkeypatch.setattr(making, "_MEMBER_BYTES", 1000)
    monkeypatch.setattr(restoring, "_BATCH", 3)


@pytest.mark.usefixtures("small_members")
def test_a_registry_comes_back_whole_on_another_database_and_store_and_back_again(
    postgresql_database, bucket_store, new_sqlite, folder_store, tmp_path
):
    fill(postgresql_database, bucket_store)
    rows, files = read_all(postgresql_database), read_artifacts(bucket_store)
    assert all(rows.values()), "every table has rows"

    made = making.make(postgresql_database, bucket_store, tmp_path / "one.tar", NOW)
    restored = restoring.restore(new_sqlite, folder_store, tmp_path / "one.tar")
    assert made == restored
    assert made.rows == {name: len(found) for name, found in rows.items()}
    assert read_all(new_sqlite) == rows
    assert read_artifacts(folder_store) == files

    server, name = postgres.share(), f"back_{os.getpid()}"
    server.make_database(name, postgres.TEMPLATE)
    with contextlib.closing(server.open(name)) as again:
        making.make(new_sqlite, folder_store, tmp_path / "two.tar", NOW)
        other = Store(folder.Folder(tmp_path / "other"))
        restoring.restore(again, other, tmp_path / "two.tar")
        assert read_all(again) == rows
        assert read_artifacts(other) == files
    server.execute(f"DROP DATABASE {name} WITH (FORCE)")


def test_encrypted_artifacts_stay_encrypted_and_need_their_key(sqlite_database, new_sqlite, tmp_path):
    key = encryption.generate(NOW)
    sealed = Store(folder.Folder(tmp_path / "sealed"), encryption.Keys.parse(key, "key"))
    fill(sqlite_database, sealed)
    contents = making.make(sqlite_database, sealed, tmp_path / "one.tar", NOW)
    assert contents.encrypted == contents.artifacts > 0
    assert registry_filling.make_content(2)[:64] not in (tmp_path / "one.tar").read_bytes()
    # Neither making nor restoring knows the key.
    blind = Store(folder.Folder(tmp_path / "blind"))
    restoring.restore(new_sqlite, blind, tmp_path / "one.tar")
    assert read_artifacts(blind) == read_artifacts(sealed)
    opened = Store(folder.Folder(tmp_path / "blind"), encryption.Keys.parse(key, "key"))
    artifacts = read_all(new_sqlite)["artifacts"]
    assert all(len(b"".join(opened.open(row["key"]))) == row["size"] for row in artifacts)


@pytest.fixture
def backup(sqlite_database, folder_store, tmp_path) -> Path:
    fill(sqlite_database, folder_store)
    making.make(sqlite_database, folder_store, tmp_path / "backup.tar", NOW)
    return tmp_path / "backup.tar"


@pytest.fixture
def new_store(tmp_path) -> Store:
    return Store(folder.Folder(tmp_path / "new"))


def is_empty(database: Database, store: Store) -> bool:
    return not any(read_all(database).values()) and not list(store.keys())


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda content: content[: len(content) // 2], id="cut off"),
        pytest.param(lambda content: content[:-20480], id="without its end"),
        pytest.param(lambda content: content.replace(b'"rows":', b'"rowz":', 1), id="with another manifest"),
        pytest.param(
            lambda content: content[:4000000] + bytes([content[4000000] ^ 1]) + content[4000001:],
            id="with a flipped bit",
        ),
    ],
)
def test_a_backup_that_is_not_whole_is_refused_before_anything_is_written(backup, new_sqlite, new_store, damage):
    backup.write_bytes(damage(backup.read_bytes()))
    with pytest.raises(errors.InvalidError, match="is no whole backup"):
        restoring.restore(new_sqlite, new_store, backup)
    assert is_empty(new_sqlite, new_store)


def test_a_registry_that_has_rows_is_not_restored_over(backup, sqlite_database, folder_store):
    before = read_all(sqlite_database)
    with pytest.raises(errors.ConflictError, match="into an empty registry only"):
        restoring.restore(sqlite_database, folder_store, backup)
    assert read_all(sqlite_database) == before


def test_a_backup_of_other_tables_is_refused(
    sqlite_database, folder_store, new_sqlite, new_store, tmp_path, monkeypatch
):
    monkeypatch.setattr(sqlite_database, "revision", lambda: "earlier")
    making.make(sqlite_database, folder_store, tmp_path / "backup.tar", NOW)
    with pytest.raises(errors.InvalidError, match="revision earlier"):
        restoring.restore(new_sqlite, new_store, tmp_path / "backup.tar")
    assert is_empty(new_sqlite, new_store)


def test_a_broken_audit_log_is_not_restored(sqlite_database, folder_store, new_sqlite, new_store, tmp_path):
    fill(sqlite_database, folder_store)
    with sqlite_database.open(SYSTEM) as session:
        session.execute(sa.update(tables.AuditHead).values(hash="0" * 64))
    making.make(sqlite_database, folder_store, tmp_path / "backup.tar", NOW)
    with pytest.raises(errors.InvalidError, match="audit log of tenant 'acme' is broken"):
        restoring.restore(new_sqlite, new_store, tmp_path / "backup.tar")
    assert not any(read_all(new_sqlite).values())


def test_a_backup_replaces_no_file_and_leaves_no_piece_of_one(sqlite_database, folder_store, tmp_path):
    fill(sqlite_database, folder_store)
    (tmp_path / "there.tar").write_bytes(b"precious")
    with pytest.raises(errors.ConflictError, match="exists"):
        making.make(sqlite_database, folder_store, tmp_path / "there.tar", NOW)
    lost = next(folder_store.keys())
    folder_store.delete(lost)
    with pytest.raises(errors.NotFoundError, match="there is no such artifact"):
        making.make(sqlite_database, folder_store, tmp_path / "backup.tar", NOW)
    assert (tmp_path / "there.tar").read_bytes() == b"precious"
    assert not list(tmp_path.glob("*backup.tar*"))


def test_a_backup_is_for_its_owners_eyes(backup):
    assert backup.stat().st_mode & 0o077 == 0


def test_what_is_written_meanwhile_is_in_the_backup_with_all_that_belongs_to_it_or_not_at_all(
    database, folder_store, new_sqlite, new_store, tmp_path
):
    fill(database, folder_store)
    rows = read_all(database)

    def write(told: str) -> None:
        if told == "table models":
            with database.open(SYSTEM) as session:
                session.execute(sa.delete(tables.Approval))
                session.execute(sa.update(tables.Model).values(description="changed"))

    making.make(database, folder_store, tmp_path / "backup.tar", NOW, write)
    restoring.restore(new_sqlite, new_store, tmp_path / "backup.tar")
    assert read_all(new_sqlite) == rows
    assert read_all(database) != rows


RESTORE = """
import os, signal, sys
from pathlib import Path
from serin_services.registry.artifacts.folder import Folder
from serin_services.registry.artifacts.store import Store
from serin_services.registry.backup import restoring
from serin_services.registry.database.sessions import Database

url, owner, artifacts, backup, moment = sys.argv[1:]

def tell(text):
    if text == moment:
        os.kill(os.getpid(), signal.SIGKILL)

restoring.restore(Database(url, owner_url=owner), Store(Folder(Path(artifacts))), Path(backup), tell)
"""


@pytest.mark.parametrize(
    ("kind", "moment"),
    [
        pytest.param("sqlite", "table tenants", id="SQLite, when all artifacts are there"),
        pytest.param("sqlite", "checking the audit logs", id="SQLite, when all rows are written"),
        pytest.param("postgresql", "table transitions", id="PostgreSQL, in the middle of the rows"),
        pytest.param("postgresql", "checking the audit logs", id="PostgreSQL, when all rows are written"),
    ],
)
def test_a_restore_that_is_killed_leaves_an_empty_registry_and_may_be_run_again(
    backup, request, kind, moment, new_store, tmp_path, sqlite_database
):
    database: Database = request.getfixturevalue("new_sqlite" if kind == "sqlite" else "postgresql_database")
    urls = [engine.url.render_as_string(hide_password=False) for engine in (database.engine, database.owner)]
    argv = [sys.executable, "-c", RESTORE, *urls, str(tmp_path / "new"), str(backup), moment]
    done = subprocess.run(
        argv, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}, check=False, stderr=subprocess.PIPE
    )
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    assert not any(read_all(database).values())
    restoring.restore(database, new_store, backup)
    assert read_all(database) == read_all(sqlite_database)
    assert not new_store.remove_unfinished(NOW.replace(year=2000))
