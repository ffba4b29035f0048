"""Who sees and who writes what: the session's rule against the same rule in plain Python, for every table."""

import contextlib
import shutil
from pathlib import Path
from typing import Any

import hypothesis
import pytest
import sqlalchemy as sa
from hypothesis import strategies as st
from sqlalchemy import orm

from serin_services.registry import errors
from serin_services.registry.core.access import PLATFORM, SYSTEM, Caller, Role, Visibility
from serin_services.registry.database import listeners, sessions, tables, upserts, views, visibility
from support import registry_rows
from support.registry_rows import SUBJECTS, TENANTS, Filled, key_of, sees, writes

KINDS = registry_rows.kinds()
OF_MODEL = [kind for kind in KINDS if issubclass(kind, tables.OfModel)]


@st.composite
def models(draw: st.DrawFn) -> tables.Model:
    tenant = draw(st.sampled_from(TENANTS))
    allowed = [kind for kind in Visibility if kind is not Visibility.PLATFORM or tenant == PLATFORM]
    kind = draw(st.sampled_from(allowed))
    owner = draw(st.sampled_from(SUBJECTS)) if kind is Visibility.USER else ""
    return registry_rows.make_model(tenant, kind, owner)


CALLERS = st.builds(
    Caller, st.sampled_from((*SUBJECTS, "")), st.sampled_from((*TENANTS, "nobody")), st.just(Role.ADMIN)
)
REGISTRIES = st.lists(models(), max_size=6)
# A registry takes a while to fill.
slow = hypothesis.settings(
    deadline=None, max_examples=10, suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture]
)


def key_columns(kind: type[tables.Base]) -> list[orm.InstrumentedAttribute[Any]]:
    return [getattr(kind, column.key) for column in sa.inspect(kind).primary_key]


def fill(database: sessions.Database, template: Path, found: list[tables.Model]) -> Filled:
    """Begin anew with an empty file; the statements that SQLAlchemy has compiled stay, which are what takes long."""
    database.close()
    shutil.copy(template, str(database.engine.url.database))
    return Filled(database, found)


def test_the_rows_made_for_the_tests_are_of_every_table(sqlite_database: sessions.Database) -> None:
    filled = Filled(sqlite_database, [registry_rows.make_model("acme")])

    assert {type(row) for row in filled.rows} == set(KINDS)
    assert {kind.__tablename__ for kind in KINDS} == set(tables.Base.metadata.tables)


# Each way to read all rows of a kind, with how the keys come out of it.
def by_select(session: orm.Session, kind: type[tables.Base]) -> set[Any]:
    return {key_of(row) for row in session.scalars(sa.select(kind))}


def by_alias(session: orm.Session, kind: type[tables.Base]) -> set[Any]:
    return {key_of(row) for row in session.scalars(sa.select(orm.aliased(kind)))}


def by_subquery(session: orm.Session, kind: type[tables.Base]) -> set[Any]:
    inner = sa.select(kind).subquery()
    return {key_of(row) for row in session.scalars(sa.select(orm.aliased(kind, inner)))}


def by_columns(session: orm.Session, kind: type[tables.Base]) -> set[Any]:
    return {tuple(row) for row in session.execute(sa.select(*key_columns(kind)))}


def by_union(session: orm.Session, kind: type[tables.Base]) -> set[Any]:
    key = key_columns(kind)
    return {tuple(row) for row in session.execute(sa.union_all(sa.select(*key).where(sa.false()), sa.select(*key)))}


def by_cte(session: orm.Session, kind: type[tables.Base]) -> set[Any]:
    inner = sa.select(kind).cte()
    return {key_of(row) for row in session.scalars(sa.select(orm.aliased(kind, inner)))}


READS = [by_select, by_alias, by_subquery, by_columns, by_union, by_cte]


@slow
@hypothesis.given(found=REGISTRIES, caller=CALLERS)
@hypothesis.example(
    found=[registry_rows.make_model("acme", Visibility.USER, "ann")], caller=Caller("", "acme", Role.ADMIN)
)
def test_whatever_is_read_is_what_the_rule_lets_the_caller_see(
    sqlite_database: sessions.Database, sqlite_template: Path, found: list[tables.Model], caller: Caller
) -> None:
    filled = fill(sqlite_database, sqlite_template, found)
    with sqlite_database.open(caller, read_only=True) as session:
        for kind in KINDS:
            seen = filled.keys(caller, kind)
            for read in READS:
                session.expunge_all()
                assert read(session, kind) == seen, (kind, read)
            assert session.scalar(sa.select(sa.func.count()).select_from(kind)) == len(seen), kind


@slow
@hypothesis.given(found=REGISTRIES, caller=CALLERS)
def test_a_row_is_got_by_its_key_by_whoever_sees_it_alone(
    sqlite_database: sessions.Database, sqlite_template: Path, found: list[tables.Model], caller: Caller
) -> None:
    filled = fill(sqlite_database, sqlite_template, found)
    with sqlite_database.open(caller, read_only=True) as session:
        for row in filled.rows:
            got = session.get(type(row), key_of(row))
            assert (got is not None) == sees(caller, row, filled.models), row


@slow
@hypothesis.given(found=REGISTRIES, caller=CALLERS)
def test_joins_and_relationships_show_no_row_that_is_not_seen(
    sqlite_database: sessions.Database, sqlite_template: Path, found: list[tables.Model], caller: Caller
) -> None:
    filled = fill(sqlite_database, sqlite_template, found)
    with sqlite_database.open(caller, read_only=True) as session:
        seen = filled.keys(caller, tables.Model)
        for kind in OF_MODEL:
            # Through a table that is joined, from the side that belongs to everyone who reads it.
            inner = sa.select(tables.Model.id, kind).join(kind, kind.model_id == tables.Model.id)
            assert {(id_,) for id_, _ in session.execute(inner)} == seen, kind
            outer = sa.select(kind, tables.Model).outerjoin(tables.Model, tables.Model.id == kind.model_id)
            assert {(model.id,) for _, model in session.execute(outer)} == seen, kind
        session.expunge_all()
        loaded = session.scalars(sa.select(tables.ModelVersion).options(orm.joinedload(tables.ModelVersion.model)))
        assert {(version.model.id,) for version in loaded} == seen
        session.expunge_all()
        lazily = session.scalars(sa.select(tables.ModelVersion).options(orm.lazyload(tables.ModelVersion.model)))
        assert {(version.model.id,) for version in lazily} == seen


@slow
@hypothesis.given(found=REGISTRIES, caller=CALLERS)
def test_an_update_or_delete_reaches_own_rows_that_are_seen_alone(
    sqlite_database: sessions.Database, sqlite_template: Path, found: list[tables.Model], caller: Caller
) -> None:
    filled = fill(sqlite_database, sqlite_template, found)
    with filled.undone(caller) as session:
        session.connection().exec_driver_sql("PRAGMA defer_foreign_keys = ON")
        for kind in KINDS:
            own = filled.keys(caller, kind, writes)
            if kind is not tables.AuditEntry:
                tenant = "tenant_id" if hasattr(kind, "tenant_id") else "id"
                assert session.execute(sa.update(kind).values({tenant: caller.tenant})).rowcount == len(own), kind
                kept = session.begin_nested()
                assert session.execute(sa.delete(kind)).rowcount == len(own), kind
                kept.rollback()


@slow
@hypothesis.given(found=st.lists(models(), min_size=1, max_size=4), caller=CALLERS)
def test_a_row_that_is_changed_through_its_object_is_the_callers_own(
    sqlite_database: sessions.Database, sqlite_template: Path, found: list[tables.Model], caller: Caller
) -> None:
    filled = fill(sqlite_database, sqlite_template, found)
    for model in found:
        with filled.undone(caller) as session:
            row = session.get(tables.Model, model.id)
            if row is None:
                continue
            row.description = "changed"
            with (
                contextlib.nullcontext()
                if writes(caller, model, filled.models)
                else pytest.raises(errors.ForbiddenError)
            ):
                session.flush()


ANN = Caller("ann", "acme", Role.ADMIN)


def test_views_show_what_the_rule_lets_the_caller_see(sqlite_database: sessions.Database) -> None:
    found = [
        registry_rows.make_model(PLATFORM, Visibility.PLATFORM),
        registry_rows.make_model("acme"),
        registry_rows.make_model("acme", Visibility.USER, "bob"),
        registry_rows.make_model("globex"),
    ]
    filled = Filled(sqlite_database, found)
    with sqlite_database.open(SYSTEM) as session:
        session.execute(sa.update(tables.ModelVersion).values(stage="PRODUCTION"))

    with sqlite_database.open(ANN, read_only=True) as session:
        assert {(row.model_id,) for row in session.scalars(sa.select(views.ActiveModel))} == filled.keys(
            ANN, tables.Model
        )


def test_a_session_without_a_caller_runs_nothing(sqlite_database: sessions.Database) -> None:
    model = registry_rows.make_model("acme")
    with listeners.CallerSession(sqlite_database.engine) as session:
        session.add(model)
        for run in (lambda: session.scalars(sa.select(tables.Tenant)), session.connection, session.flush):
            with pytest.raises(RuntimeError, match="needs its caller"):
                run()


@pytest.mark.parametrize(
    "statement",
    [
        pytest.param(sa.select(tables.Model.__table__), id="a table that is named without its class"),
        pytest.param(sa.text("SELECT * FROM models"), id="text"),
        pytest.param(
            sa.select(tables.Model).from_statement(sa.text("SELECT * FROM models")),
            id="text that gives rows of a class",
        ),
        pytest.param(sa.insert(tables.Tenant.__table__).values(id="acme"), id="an insert into a table"),
    ],
)
def test_a_statement_that_cannot_be_limited_is_refused(
    sqlite_database: sessions.Database, statement: sa.Executable
) -> None:
    with pytest.raises(RuntimeError, match="mapped classes alone"), sqlite_database.open(ANN) as session:
        session.execute(statement)


TENANT_ROW = {"sign_off": [], "created_at": registry_rows.NOW}


@pytest.mark.parametrize(
    ("values", "rows"),
    [
        pytest.param({"id": "globex", **TENANT_ROW}, None, id="one row"),
        pytest.param([{"id": "acme", **TENANT_ROW}, {"id": "globex", **TENANT_ROW}], None, id="the second of two rows"),
        pytest.param(None, {"id": "globex", **TENANT_ROW}, id="one row as a parameter"),
        pytest.param(
            None, [{"id": "acme", **TENANT_ROW}, {"id": "globex", **TENANT_ROW}], id="the second of two parameters"
        ),
    ],
)
def test_an_insert_of_another_tenants_row_is_refused(
    sqlite_database: sessions.Database, values: Any, rows: Any
) -> None:
    with sqlite_database.open(ANN) as session:
        statement = upserts.insert(session, tables.Tenant)
        statement = statement.values(values) if values else statement
        with pytest.raises(errors.ForbiddenError, match="'globex'"):
            session.execute(statement, rows) if rows else session.execute(statement)


@pytest.mark.parametrize("tenant", ["globex", PLATFORM])
def test_a_new_row_of_another_tenant_is_refused(sqlite_database: sessions.Database, tenant: str) -> None:
    Filled(sqlite_database, [])
    with sqlite_database.open(ANN) as session:
        session.add(registry_rows.make_model(tenant))
        with pytest.raises(errors.ForbiddenError, match=f"tenant '{tenant}'"):
            session.flush()
        session.expunge_all()


def test_a_row_that_is_seen_by_everyone_is_not_everyones_to_take_away(sqlite_database: sessions.Database) -> None:
    model = registry_rows.make_model(PLATFORM, Visibility.PLATFORM)
    with sqlite_database.open(SYSTEM) as session:
        session.add(registry_rows.make(tables.Tenant, id=PLATFORM))
        session.flush()
        session.add(model)
    with sqlite_database.open(ANN) as session:
        session.delete(session.get_one(tables.Model, model.id))
        with pytest.raises(errors.ForbiddenError, match="tenant 'platform'"):
            session.flush()
        session.expunge_all()


def test_a_row_may_not_be_given_to_another_tenant(sqlite_database: sessions.Database) -> None:
    Filled(sqlite_database, [])
    with sqlite_database.open(ANN) as session:
        head = session.get(tables.AuditHead, "acme")
        assert head
        head.tenant_id = "globex"
        with pytest.raises(errors.ForbiddenError, match="'globex'"):
            session.flush()
        session.expunge_all()


def test_a_private_model_is_hidden_from_its_tenants_other_users_even_when_its_row_is_changed(
    sqlite_database: sessions.Database,
) -> None:
    Filled(sqlite_database, [registry_rows.make_model("acme", Visibility.USER, "bob")])
    with sqlite_database.open(ANN) as session:
        assert session.execute(sa.update(tables.ModelVersion).values(version="2.0.0")).rowcount == 0


def test_a_table_of_no_kind_has_no_rule() -> None:
    with pytest.raises(TypeError, match="nobody says who sees the rows of Base"):
        visibility.rules_of(tables.Base)
