"""The database by itself: what holds even where a statement comes past the session, on the real servers."""

import secrets
import time
import traceback
from collections.abc import Callable, Iterator
from concurrent import futures
from pathlib import Path
from typing import Any

import alembic.autogenerate
import alembic.migration
import pytest
import sqlalchemy as sa

from serin_services.registry import errors
from serin_services.registry.core.access import PLATFORM, SYSTEM, Caller, Role, Visibility
from serin_services.registry.core.stages import Stage
from serin_services.registry.database import sessions, tables, views, visibility
from support import postgres, registry, registry_rows, server_process
from support.registry_rows import Filled, make, make_model, make_version

ANN, BOB = Caller("ann", "acme", Role.ADMIN), Caller("bob", "globex", Role.ADMIN)
CALLERS = [
    Caller(subject, tenant, Role.ADMIN) for tenant in (*registry_rows.TENANTS, "nobody") for subject in ("ann", "bob")
]


# A registry with a model of each kind and rows in every table. The tests share it: none leaves a row behind.
@pytest.fixture(scope="module")
def on_server() -> Iterator[Filled]:
    """Give it on PostgreSQL, where alone there are policies."""
    with registry.copy_on_server() as database:
        yield fill(database)


@pytest.fixture(scope="module")
def in_file(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Filled]:
    """Give it in a file."""
    with registry.copy_file(sqlite_template, tmp_path_factory.mktemp("filled")) as database:
        yield fill(database)


@pytest.fixture(params=["in_file", "on_server"])
def filled(request: pytest.FixtureRequest) -> Filled:
    """Give one of each kind."""
    given: Filled = request.getfixturevalue(request.param)
    return given


def fill(database: sessions.Database) -> Filled:
    return Filled(
        database,
        [
            make_model(PLATFORM, Visibility.PLATFORM),
            make_model(PLATFORM),
            make_model("acme"),
            make_model("acme", Visibility.USER, "ann"),
            make_model("acme", Visibility.USER, "bob"),
            make_model("globex"),
        ],
    )


# Migrations.


def test_the_migrated_tables_are_those_that_the_code_names(database: sessions.Database) -> None:
    with database.owner.connect() as connection:
        context = alembic.migration.MigrationContext.configure(connection)
        assert alembic.autogenerate.compare_metadata(context, tables.Base.metadata) == []


def test_the_migrated_checks_are_those_that_the_code_names(database: sessions.Database) -> None:
    """What Alembic does not compare."""
    with database.owner.connect() as connection:
        for name, table in tables.Base.metadata.tables.items():
            found = {check["name"] for check in sa.inspect(connection).get_check_constraints(name)}
            assert found == {each.name for each in table.constraints if isinstance(each, sa.CheckConstraint)}, name


def test_each_view_has_the_columns_of_its_class(database: sessions.Database) -> None:
    with database.owner.connect() as connection:
        inspector = sa.inspect(connection)
        assert set(inspector.get_view_names()) == set(views.View.metadata.tables)
        for name, view in views.View.metadata.tables.items():
            assert {column["name"] for column in inspector.get_columns(name)} == set(view.columns.keys()), name


def test_the_policies_are_those_that_the_rule_makes(postgresql_database: sessions.Database) -> None:
    def read(connection: sa.Connection) -> list[Any]:
        policies = "SELECT * FROM pg_policies WHERE schemaname = 'public' ORDER BY tablename, policyname"
        return list(connection.exec_driver_sql(policies).all())

    with postgresql_database.owner.connect() as connection:
        migrated = read(connection)
        for statement in visibility.policies(tables.Base.metadata.tables):
            connection.execute(sa.text(statement))
        made_now = read(connection)

    assert migrated == made_now
    assert {policy.tablename for policy in migrated} == set(tables.Base.metadata.tables)


def test_every_table_is_held_by_its_policies_and_so_is_its_owner(postgresql_database: sessions.Database) -> None:
    query = """SELECT relname FROM pg_class WHERE relkind IN ('r', 'p') AND relnamespace = 'public'::regnamespace
        AND NOT (relrowsecurity AND relforcerowsecurity)"""
    with postgresql_database.owner.connect() as connection:
        assert [row.relname for row in connection.exec_driver_sql(query)] == ["alembic_version"]


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_replicas_that_start_together_migrate_once(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    url, owner_url = f"sqlite:///{tmp_path}/new.db", None
    if kind == "postgresql":
        server, name = postgres.share(), f"together_{time.monotonic_ns()}"
        server.make_database(name)
        request.addfinalizer(lambda: server.execute(f"DROP DATABASE {name} WITH (FORCE)"))
        url, owner_url = server.url(postgres.APPLICATION, name), server.url(postgres.OWNER, name)
    replicas = [sessions.Database(url, owner_url=owner_url) for _ in range(4)]
    assert replicas[0].revision() is None

    with futures.ThreadPoolExecutor(len(replicas)) as pool:
        assert [done.result() for done in [pool.submit(replica.upgrade) for replica in replicas]] == [None] * 4

    assert {replica.revision() for replica in replicas} == {"0001"}
    with replicas[0].open(SYSTEM) as session:
        assert session.scalars(sa.select(tables.Tenant)).all() == []
    for replica in replicas:
        replica.close()


def test_requests_may_not_come_as_a_role_that_no_policy_holds(postgresql_database: sessions.Database) -> None:
    name = str(postgresql_database.engine.url.database)
    database = sessions.Database(postgres.share().url(database=name))
    with pytest.raises(errors.InvalidError, match=r"'postgres' .* superuser"):
        database.upgrade()
    database.close()


# Row-level security alone: SQL that comes past the session's own rule.


def read_all(connection: sa.Connection, kind: type[tables.Base]) -> set[Any]:
    key = sa.inspect(kind).primary_key
    return {tuple(row) for row in connection.execute(sa.select(*key))}


@pytest.mark.parametrize("caller", CALLERS, ids=lambda caller: f"{caller.subject} of {caller.tenant}")
def test_raw_sql_reads_what_the_rule_lets_the_caller_see(on_server: Filled, caller: Caller) -> None:
    with on_server.database.open(caller) as session:
        for kind in registry_rows.kinds():
            assert read_all(session.connection(), kind) == on_server.keys(caller, kind), kind


@pytest.mark.parametrize("caller", CALLERS, ids=lambda caller: f"{caller.subject} of {caller.tenant}")
def test_raw_sql_changes_own_rows_that_are_seen_alone(on_server: Filled, caller: Caller) -> None:
    for kind in registry_rows.kinds():
        if kind is tables.AuditEntry:
            continue
        table = sa.inspect(kind).local_table
        tenant = table.c.id if kind is tables.Tenant else table.c.tenant_id
        with on_server.undone(caller) as session:
            changed = session.connection().execute(sa.update(table).values({tenant: tenant}))
            assert changed.rowcount == len(on_server.keys(caller, kind, registry_rows.writes)), kind


def test_the_registry_itself_sees_all(filled: Filled) -> None:
    with filled.database.open(SYSTEM) as session:
        for kind in registry_rows.kinds():
            assert read_all(session.connection(), kind) == filled.keys(SYSTEM, kind), kind


@pytest.mark.parametrize("login", ["engine", "owner"])
def test_a_connection_that_did_not_say_who_calls_sees_nothing(on_server: Filled, login: str) -> None:
    # Once after a caller's transaction in the same connection, whose settings ended with it.
    with on_server.database.open(ANN if login == "engine" else SYSTEM) as session:
        assert session.scalars(sa.select(tables.Model)).all()
    with getattr(on_server.database, login).connect() as connection:
        for kind in registry_rows.kinds():
            assert read_all(connection, kind) == set(), kind


def test_an_empty_name_is_nobodys(on_server: Filled) -> None:
    with on_server.database.open(Caller("", "", Role.ADMIN)) as session:
        for kind in registry_rows.kinds():
            assert read_all(session.connection(), kind) == set(), kind


def test_the_applications_role_cannot_set_itself_free(on_server: Filled) -> None:
    with on_server.database.open(ANN) as session:
        connection = session.connection()
        connection.exec_driver_sql("SELECT set_config('serin.system', 'on', true)")
        assert read_all(connection, tables.Model) == on_server.keys(ANN, tables.Model)


@pytest.mark.parametrize(
    "statement",
    [
        "ALTER TABLE models DISABLE ROW LEVEL SECURITY",
        "ALTER TABLE models NO FORCE ROW LEVEL SECURITY",
        "DROP POLICY caller_select ON models",
        "CREATE POLICY open ON models USING (true)",
        "DROP TRIGGER audit_log_only_grows ON audit_log",
        "SET ROLE registry_owner",
        "SELECT set_config('role', 'registry_owner', true)",
        "SET session_replication_role = replica",
        "TRUNCATE predictions",
        "CREATE TABLE mine (id int)",
        "SELECT * FROM alembic_version",
        "COPY models TO PROGRAM 'cat'",
    ],
)
def test_the_applications_role_may_do_its_work_and_nothing_else(on_server: Filled, statement: str) -> None:
    with pytest.raises(errors.ForbiddenError), on_server.database.open(ANN) as session:
        session.connection().exec_driver_sql(statement)


def test_a_policy_refuses_a_row_for_another_tenant(on_server: Filled) -> None:
    row = {"id": "initech", "sign_off": [], "created_at": registry_rows.NOW}
    with pytest.raises(errors.ForbiddenError), on_server.database.open(ANN) as session:
        session.connection().execute(sa.insert(tables.Tenant), row)


@pytest.mark.parametrize("caller", [ANN, SYSTEM], ids=["a caller", "the registry"])
@pytest.mark.parametrize("of", [PLATFORM, "globex"])
def test_a_row_in_another_tenants_model_under_ones_own_name_is_refused(filled: Filled, caller: Caller, of: str) -> None:
    model = next(model for model in filled.models.values() if model.tenant_id == of)
    version = make_version(model)
    version.tenant_id = "acme"
    with pytest.raises((sa.exc.IntegrityError, errors.ForbiddenError)), filled.database.open(caller) as session:
        session.add(version)


def test_a_row_of_a_version_is_of_that_versions_model(filled: Filled) -> None:
    one, other = [model for model in filled.models.values() if model.tenant_id == "acme"][:2]
    with filled.database.open(SYSTEM) as session:
        version = session.scalars(sa.select(tables.ModelVersion).filter_by(model_id=other.id)).one()
    approval = make(tables.Approval, model_id=one.id, tenant_id="acme", version_id=version.id)
    with pytest.raises(sa.exc.IntegrityError), filled.database.open(SYSTEM) as session:
        session.add(approval)


@pytest.mark.parametrize(
    "model",
    [
        pytest.param(
            lambda: make_model("acme", Visibility.PLATFORM), id="for everyone, by another tenant than the platform"
        ),
        pytest.param(lambda: make_model("acme", Visibility.USER), id="a user's, without its user"),
        pytest.param(lambda: make_model("acme", Visibility.TENANT, "ann"), id="the tenant's, with an owner"),
    ],
)
def test_a_model_that_contradicts_itself_is_refused(filled: Filled, model: Callable[[], tables.Model]) -> None:
    with pytest.raises(sa.exc.IntegrityError, match=r"ck_models|CHECK"), filled.database.open(SYSTEM) as session:
        session.add(model())


# The audit log.

CHANGES = {
    "it is changed": "UPDATE audit_log SET actor = 'nobody'",
    "one entry is changed": "UPDATE audit_log SET actor = 'nobody' WHERE seq < 0",
    "it is deleted": "DELETE FROM audit_log",
}


@pytest.mark.parametrize("statement", CHANGES.values(), ids=CHANGES)
@pytest.mark.parametrize("caller", [ANN, SYSTEM], ids=["a caller", "the registry"])
def test_the_audit_log_only_grows(filled: Filled, caller: Caller, statement: str) -> None:
    if "WHERE" in statement and filled.database.dialect == "sqlite":
        statement = statement.replace("seq < 0", "seq >= 0")
    with pytest.raises(errors.ForbiddenError), filled.database.open(caller) as session:
        session.connection().exec_driver_sql(statement)


def test_the_audit_log_only_grows_for_a_superuser_too(on_server: Filled) -> None:
    name = str(on_server.database.engine.url.database)
    server = postgres.share()
    for statement in (*CHANGES.values(), "TRUNCATE audit_log", "TRUNCATE tenants CASCADE"):
        with pytest.raises(Exception, match="the audit log only grows"):
            server.execute(statement, database=name)


def test_no_entry_of_the_audit_log_is_replaced(filled: Filled) -> None:
    with filled.database.open(SYSTEM) as session:
        entry = session.scalars(sa.select(tables.AuditEntry)).first()
        assert entry
        values = {column.key: getattr(entry, column.key) for column in sa.inspect(tables.AuditEntry).columns}
    verb = "OR REPLACE" if filled.database.dialect == "sqlite" else ""
    with pytest.raises((errors.ForbiddenError, errors.ConflictError)), filled.database.open(SYSTEM) as session:
        session.connection().execute(sa.insert(tables.AuditEntry).prefix_with(verb), values)


# What the database itself holds.


def test_a_deployment_has_one_version_in_production(database: sessions.Database) -> None:
    model = make_model("acme")
    Filled(database, [model])
    same = {"model_id": model.id, "tenant_id": model.tenant_id}
    first, second, deployment = make_version(model), make_version(model), make(tables.Deployment, **same)
    with database.open(SYSTEM) as session:
        session.add_all([first, second, deployment])
        session.flush()
        placed = {**same, "deployment_id": deployment.id}
        session.add(make(tables.Placement, **placed, version_id=first.id, stage=Stage.PRODUCTION))
        session.add(make(tables.Placement, **placed, version_id=second.id, stage=Stage.CANARY))

    def promote() -> None:
        with database.open(SYSTEM) as session:
            session.get_one(tables.Placement, (deployment.id, second.id)).stage = Stage.PRODUCTION

    with pytest.raises(errors.ConflictError):
        promote()


def test_a_second_row_with_the_same_name_is_a_conflict(filled: Filled) -> None:
    with pytest.raises(errors.ConflictError, match="exists already"), filled.database.open(ANN) as session:
        session.add_all([make_model("acme", name="momentum"), make_model("acme", name="momentum")])


def test_of_two_that_change_a_row_the_second_has_to_read_it_again(filled: Filled) -> None:
    id_ = next(model.id for model in filled.models.values() if model.tenant_id == "acme")

    def describe(model: tables.Model, description: str) -> None:
        with filled.database.open(ANN) as session:
            session.add(model)
            model.description = description

    copies = []
    for _ in range(2):
        with filled.database.open(ANN, read_only=True) as session:
            copies.append(session.get_one(tables.Model, id_))
    describe(copies[0], "first")
    with pytest.raises(errors.PreconditionError, match="read it again"):
        describe(copies[1], "second")


# Sessions.


def test_an_exception_undoes_everything(database: sessions.Database) -> None:
    def fail() -> None:
        with database.open(ANN) as session:
            session.add(make(tables.Tenant, id="acme"))
            session.flush()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    with database.open(ANN) as session:
        assert session.get(tables.Tenant, "acme") is None


def test_what_only_reads_cannot_write(database: sessions.Database) -> None:
    with pytest.raises(errors.UnavailableError, match="only be read"), database.open(ANN, read_only=True) as session:
        session.add(make(tables.Tenant, id="acme"))
    # Nor does that stay with the connection.
    with database.open(ANN) as session:
        session.add(make(tables.Tenant, id="acme"))


def test_a_reader_does_not_wait_for_a_writer(database: sessions.Database) -> None:
    with database.open(ANN) as writer:
        writer.add(make(tables.Tenant, id="acme"))
        writer.flush()
        with database.open(ANN, read_only=True) as reader:
            assert reader.get(tables.Tenant, "acme") is None


def test_a_snapshot_sees_one_moment(database: sessions.Database) -> None:
    with database.open(SYSTEM, snapshot=True) as snapshot:
        assert snapshot.scalars(sa.select(tables.Tenant)).all() == []
        with database.open(ANN) as session:
            session.add(make(tables.Tenant, id="acme"))
        assert snapshot.scalars(sa.select(tables.Tenant)).all() == []


def test_writers_that_read_first_take_turns(filled: Filled) -> None:
    """On SQLite those that begin as readers would fail midway; on PostgreSQL a lock on the row gives the turn."""

    def add_one() -> None:
        with filled.database.open(ANN) as session:
            head = session.scalars(sa.select(tables.AuditHead).with_for_update()).one()
            head.seq += 1

    with filled.database.open(ANN) as session:
        before = session.scalars(sa.select(tables.AuditHead)).one().seq
    with futures.ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(add_one) for _ in range(20)]:
            done.result()
    with filled.database.open(ANN) as session:
        assert session.scalars(sa.select(tables.AuditHead)).one().seq == before + 20


def test_callers_in_many_threads_never_see_each_others_rows(filled: Filled) -> None:
    """They share connections and compiled statements."""

    def read(caller: Caller) -> bool:
        with filled.database.open(caller, read_only=True) as session:
            found = {(id_,) for id_ in session.scalars(sa.select(tables.ModelVersion.model_id))}
        return found == filled.keys(caller, tables.Model)

    with futures.ThreadPoolExecutor(8) as pool:
        assert all(pool.map(read, CALLERS * 10))


# A database that does not answer.


def unanswering() -> Iterator[tuple[str, str]]:
    port = server_process.free_ports(1)[0]
    yield "nobody listens", f"postgresql://registry:s3cret@127.0.0.1:{port}/registry"
    yield "there is no such host", "postgresql://registry:s3cret@registry.invalid/registry"
    yield "the folder is missing", "sqlite:////nowhere/registry.db"


UNANSWERING = dict(unanswering())


def print_all(error: BaseException) -> str:
    """Give all that a log would show of an error, with those that it came from."""
    return "".join(traceback.format_exception(error))


@pytest.mark.parametrize("url", UNANSWERING.values(), ids=UNANSWERING)
def test_a_database_that_does_not_answer_is_unavailable(url: str, caplog: pytest.LogCaptureFixture) -> None:
    database = sessions.Database(url)

    def read() -> None:
        with database.open(ANN) as session:
            session.get(tables.Tenant, "acme")

    for ask in (database.health, database.upgrade, database.revision, read):
        with pytest.raises(errors.UnavailableError, match="the database at ") as caught:
            ask()
        assert "s3cret" not in f"{print_all(caught.value)}{caplog.text}"
    database.close()


def test_a_wrong_password_is_said_but_not_shown(postgresql_database: sessions.Database) -> None:
    wrong = secrets.token_hex(8)
    url = postgresql_database.engine.url.set(password=wrong).render_as_string(hide_password=False)
    database = sessions.Database(url)
    with pytest.raises(errors.UnavailableError, match="password authentication failed") as caught:
        database.health()
    assert wrong not in print_all(caught.value)
    database.close()


@pytest.mark.parametrize("url", ["mysql://root:s3cret@host/db", "s3cret", "sqlite://", "sqlite:///:memory:", ""])
def test_a_url_of_another_kind_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(errors.InvalidError, match="neither postgresql://") as caught:
        sessions.Database(url)
    assert "s3cret@" not in str(caught.value)


def test_a_statement_that_takes_too_long_is_stopped(postgresql_database: sessions.Database) -> None:
    url = postgresql_database.engine.url.render_as_string(hide_password=False)
    impatient = sessions.Database(url, statement_timeout=0.05)
    with pytest.raises(errors.UnavailableError, match="took too long"), impatient.open(ANN) as session:
        session.connection().exec_driver_sql("SELECT pg_sleep(5)")
    impatient.close()


def test_when_all_connections_are_in_use_it_is_unavailable(
    postgresql_database: sessions.Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions, "CONNECT_SECONDS", 1)
    small = sessions.Database(postgresql_database.engine.url.render_as_string(hide_password=False), pool_size=1)

    def read() -> None:
        with small.open(ANN) as session:
            session.get(tables.Tenant, "acme")

    with small.open(ANN) as one, small.open(ANN) as other:
        one.connection()
        other.connection()
        with pytest.raises(errors.UnavailableError, match="are in use"):
            read()
    small.close()


def test_after_the_server_was_away_the_same_database_goes_on() -> None:
    with postgres.run() as server:
        server.make_database("registry_data")
        database = server.open("registry_data")
        database.upgrade()
        with database.open(ANN) as session:
            session.add(make(tables.Tenant, id="acme"))
        server.kill()
        with pytest.raises(errors.UnavailableError):
            database.health()
        server.start()
        with database.open(ANN) as session:
            assert session.get(tables.Tenant, "acme")
        database.close()


def test_a_connection_that_is_cut_midway_is_unavailable(postgresql_database: sessions.Database) -> None:
    def work() -> None:
        with postgresql_database.open(ANN) as session:
            pid = session.connection().exec_driver_sql("SELECT pg_backend_pid()").scalar_one()
            postgres.share().execute(f"SELECT pg_terminate_backend({pid})")
            session.get(tables.Tenant, "acme")

    with pytest.raises(errors.UnavailableError, match="ended the connection"):
        work()
