"""What is taken away or put away by age, on both databases."""

import datetime as dt
import time
from collections.abc import Callable
from concurrent import futures
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from serin_services.registry import upkeep
from serin_services.registry.artifacts import folder
from serin_services.registry.artifacts.store import Store
from serin_services.registry.core.access import SYSTEM
from serin_services.registry.core.stages import Stage
from serin_services.registry.database import sessions, tables
from serin_services.registry.records import audits, maintenance
from serin_services.registry.settings import Settings
from support.registry_rows import NOW, make, make_model, make_version

DAY = dt.timedelta(days=1)
SETTINGS = Settings(jwt_issuer="tests", jwks_url="https://issuer.example/keys")


@pytest.fixture
def version(database: sessions.Database) -> tables.ModelVersion:
    """Give a version that nothing is to be done about."""
    model = make_model("acme")
    row = make_version(model)
    with database.open(SYSTEM) as session:
        session.add(make(tables.Tenant, id="acme"))
        session.flush()
        session.add(model)
        session.flush()
        session.add(row)
    return row


def of(version: tables.ModelVersion, kind: type[tables.Base], **known: Any) -> Any:
    names = sa.inspect(kind).columns.keys()
    same = {"tenant_id": version.tenant_id, "model_id": version.model_id}
    for name in ("version_id", "champion_id"):
        same |= {name: version.id} if name in names else {}
    return make(kind, **{name: value for name, value in same.items() if name in names}, **known)


def add(database: sessions.Database, *rows: tables.Base) -> None:
    with database.open(SYSTEM) as session:
        session.add_all(rows)


# Each with what makes a row of an age.
DROPPED: dict[str, tuple[type[tables.Base], str, dt.timedelta]] = {
    "shadow_results": (tables.ShadowTestResult, "at", 90 * DAY),
    "predictions": (tables.Prediction, "kept_until", 0 * DAY),
    "outcomes": (tables.Outcome, "kept_until", 0 * DAY),
    "idempotency_keys": (tables.IdempotencyKey, "created_at", DAY),
}


@pytest.mark.parametrize("rule", DROPPED)
def test_what_is_old_is_dropped_and_what_is_not_stays(
    database: sessions.Database, version: tables.ModelVersion, rule: str
) -> None:
    kind, column, age = DROPPED[rule]
    second = dt.timedelta(seconds=1)
    old = [of(version, kind, **{column: NOW - age - second * number}) for number in range(1, 8)]
    young = [of(version, kind, **{column: NOW - age + second * number}) for number in range(3)]
    add(database, *old, *young)

    assert maintenance.run(database, NOW, batch=3) == {**dict.fromkeys(names(), 0), rule: 7}

    with database.open(SYSTEM) as session:
        left = session.scalars(sa.select(kind)).all()
    assert {key_of(row) for row in left} == {key_of(row) for row in young}


def names() -> list[str]:
    return [rule.name for rule in maintenance.RULES]


def key_of(row: tables.Base) -> tuple[Any, ...]:
    return tuple(sa.inspect(row).mapper.primary_key_from_instance(row))


LONG_AGO, LATELY = NOW - 181 * DAY, NOW - 179 * DAY
VERSIONS: dict[str, tuple[Callable[[], dict[str, Any]], bool]] = {
    "rolled back and left alone for 180 days": (
        lambda: {"stage": Stage.DRAFT, "stage_since": LONG_AGO, "deployed_at": LONG_AGO - DAY},
        True,
    ),
    "rolled back since then": (
        lambda: {"stage": Stage.DRAFT, "stage_since": LATELY, "deployed_at": LONG_AGO},
        False,
    ),
    "a draft that never ran": (lambda: {"stage": Stage.DRAFT, "stage_since": LONG_AGO}, False),
    "in production for years": (
        lambda: {"stage": Stage.PRODUCTION, "stage_since": LONG_AGO, "deployed_at": LONG_AGO},
        False,
    ),
    "archived already": (
        lambda: {"stage": Stage.ARCHIVED, "stage_since": LONG_AGO, "deployed_at": LONG_AGO, "archived_at": LONG_AGO},
        False,
    ),
}


@pytest.mark.parametrize(("known", "archived"), VERSIONS.values(), ids=VERSIONS)
def test_versions_that_went_out_of_use_are_archived(
    database: sessions.Database, version: tables.ModelVersion, known: Callable[[], dict[str, Any]], archived: bool
) -> None:
    row = make(tables.ModelVersion, model_id=version.model_id, tenant_id=version.tenant_id, **known())
    add(database, row)

    counts = maintenance.run(database, NOW)

    assert counts["retired_versions"] == int(archived)
    with database.open(SYSTEM) as session:
        after = session.get_one(tables.ModelVersion, row.id)
        moves = session.scalars(sa.select(tables.Transition).filter_by(version_id=row.id)).all()
        entries = session.scalars(sa.select(tables.AuditEntry)).all()
        assert audits.verify(session, SYSTEM, "acme").ok
    assert [(move.source, move.target, move.at, move.by) for move in moves] == (
        [(Stage.DRAFT, Stage.ARCHIVED, NOW, SYSTEM.subject)] if archived else []
    )
    assert len(entries) == int(archived)
    if archived:
        assert (after.stage, after.archived_at) == (Stage.ARCHIVED, NOW)


def test_the_settings_say_how_long_things_are_kept() -> None:
    ages = upkeep.make_ages(SETTINGS.model_copy(update={"shadow_days": 3, "retired_days": 7, "idempotency_hours": 2}))

    assert (ages.shadow_results, ages.retired_versions, ages.idempotency_keys) == (3 * DAY, 7 * DAY, DAY / 12)
    assert upkeep.make_ages(SETTINGS) == maintenance.USUAL


def test_a_running_registry_keeps_house_again_and_again(
    database: sessions.Database, version: tables.ModelVersion, tmp_path: Path
) -> None:
    store = Store(folder.Folder(tmp_path / "artifacts"))
    begun = upkeep.Upkeep(database, store, SETTINGS, lambda: NOW, every=dt.timedelta(milliseconds=20))
    begun.start()
    try:
        for _ in range(2):
            add(database, of(version, tables.Prediction, kept_until=NOW - DAY))
            deadline = time.monotonic() + 20
            while count(database) and time.monotonic() < deadline:
                time.sleep(0.01)
            assert count(database) == 0
    finally:
        begun.stop()
        begun.wait()


def count(database: sessions.Database) -> int:
    with database.open(SYSTEM, read_only=True) as session:
        return len(session.scalars(sa.select(tables.Prediction)).all())


def test_replicas_may_keep_house_at_the_same_time(database: sessions.Database, version: tables.ModelVersion) -> None:
    add(database, *(of(version, tables.Prediction, kept_until=NOW - DAY) for _ in range(60)))

    with futures.ThreadPoolExecutor(3) as pool:
        runs = [pool.submit(maintenance.run, database, NOW, batch=7) for _ in range(3)]
        assert sum(done.result()["predictions"] for done in runs) == 60

    with database.open(SYSTEM) as session:
        assert session.scalars(sa.select(tables.Prediction)).all() == []
