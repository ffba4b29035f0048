"""What the cluster was seen to do, as rows, with who did it; that loss and repetition do no harm is in tests/system."""

import datetime as dt
import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import orm

from serin_services.registry.core.access import SYSTEM
from serin_services.registry.core.stages import Stage
from serin_services.registry.database import tables
from serin_services.registry.database.sessions import Database
from serin_services.registry.records.rollouts import observations
from serin_services.registry.records.rollouts.observations import Observation
from support.histories import V1, V2, number, play, thin
from support.registry import sqlite_database as database
from support.registry import sqlite_template
from support.rollouts import at

__all__ = ["database", "sqlite_template"]

V1S, V2S = V1.version, V2.version
Object = Mapping[str, Any]

# When the registry looks: later than all that it sees.
CLOCK = (at(10_000_000) + dt.timedelta(seconds=n) for n in itertools.count())


def record(database: Database, objects: Sequence[Object], *, removed: bool = False, tenant: str = "desk") -> list[bool]:
    told = []
    for found in objects:
        with database.open(SYSTEM) as session:
            told.append(observations.record(session, Observation("c", tenant, found, removed), next(CLOCK)))
    return told


def read_stages(database: Database) -> dict[str, Stage]:
    with database.open(SYSTEM, read_only=True) as session:
        return {row.version: row.stage for row in session.scalars(sa.select(tables.ModelVersion))}


def read_placements(database: Database) -> dict[str, Stage]:
    with database.open(SYSTEM, read_only=True) as session:
        wanted = sa.select(tables.ModelVersion.version, tables.Placement.stage).join(
            tables.ModelVersion, tables.ModelVersion.id == tables.Placement.version_id
        )
        return {row[0]: row[1] for row in session.execute(wanted)}


def read_keys(session: orm.Session) -> tuple[list[str], list[str | None]]:
    events = session.scalars(sa.select(tables.RolloutEvent.key).order_by(tables.RolloutEvent.key))
    moves = session.scalars(sa.select(tables.Transition.key).order_by(tables.Transition.at, tables.Transition.key))
    return list(events), list(moves)


def dump(database: Database) -> dict[str, list[Any]]:
    """Give all that is on record, but for what is different each time: ids and the time of writing."""
    with database.open(SYSTEM, read_only=True) as session:
        events, moves = read_keys(session)
        audit = session.execute(
            sa.select(tables.AuditEntry.action, tables.AuditEntry.actor).order_by(tables.AuditEntry.seq)
        )
        return {
            "events": events,
            "moves": moves,
            "audit": [tuple(row) for row in audit],
            "stages": sorted((v.version, str(v.stage)) for v in session.scalars(sa.select(tables.ModelVersion))),
        }


WHOLE = number(thin(play("*3", "apply v2", "*9")))
UNDER_WAY = number(thin(play("*3", "apply v2", "*3")))
ROLLED_BACK = number(thin(play("*3", "apply v2", "*3", "alert fires", "*2")))


@pytest.mark.parametrize(
    ("objects", "stages"),
    [
        pytest.param(number(thin(play("*3"))), {V1S: Stage.PRODUCTION}, id="a first version is in production"),
        pytest.param(WHOLE, {V1S: Stage.ARCHIVED, V2S: Stage.PRODUCTION}, id="the version before is archived"),
        pytest.param(ROLLED_BACK, {V1S: Stage.PRODUCTION, V2S: Stage.DRAFT}, id="one that was rolled back is a draft"),
        pytest.param(UNDER_WAY, {V1S: Stage.PRODUCTION, V2S: Stage.CANARY}, id="one under way is a canary"),
    ],
)  # fmt: skip
def test_a_version_that_nobody_registered_is_on_record_with_its_fate(
    database: Database, objects: list[dict[str, Any]], stages: dict[str, Stage]
) -> None:
    record(database, objects)
    assert read_stages(database) == stages
    with database.open(SYSTEM, read_only=True) as session:
        [model] = session.scalars(sa.select(tables.Model))
        images = {row.version: row.image for row in session.scalars(sa.select(tables.ModelVersion))}
    assert (model.tenant_id, model.name, model.description) == (
        "desk",
        "momentum",
        "found in the cluster; nobody registered it",
    )
    assert images[V1S] == V1.image


def test_an_observation_that_comes_again_is_no_news(database: Database) -> None:
    assert all(record(database, WHOLE))
    before = dump(database)
    assert not any(record(database, [*WHOLE, *WHOLE]))
    assert dump(database) == before


def test_an_object_that_is_gone_leaves_its_versions_archived(database: Database) -> None:
    record(database, WHOLE[:-1])
    record(database, WHOLE[-1:], removed=True)
    assert read_stages(database) == {V1S: Stage.ARCHIVED, V2S: Stage.ARCHIVED}
    assert read_placements(database) == {}


def test_an_object_that_nobody_saw_go_is_found_missing_once(database: Database) -> None:
    record(database, WHOLE)
    with database.open(SYSTEM) as session:
        [known] = observations.list_known(session, "c").values()
        assert not known.deleted
        assert observations.record_missing(session, known.id, next(CLOCK))
        assert not observations.record_missing(session, known.id, next(CLOCK))
    assert read_stages(database)[V2S] is Stage.ARCHIVED
    with database.open(SYSTEM) as session:
        [known] = observations.list_known(session, "c").values()
        assert known.deleted


def test_an_object_that_is_made_again_is_another_deployment(database: Database) -> None:
    record(database, WHOLE)
    again = [{**found, "metadata": {**found["metadata"], "uid": "u-2"}} for found in WHOLE]
    record(database, again)
    with database.open(SYSTEM, read_only=True) as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(tables.Deployment)) == 2


def test_a_version_in_two_deployments_stands_where_it_is_furthest(database: Database) -> None:
    record(database, WHOLE)
    other = number(thin(play("*3", "apply v2", "*3")))
    other = [{**found, "metadata": {**found["metadata"], "uid": "u-2", "name": "other"}} for found in other]
    record(database, other)
    assert read_stages(database) == {V1S: Stage.PRODUCTION, V2S: Stage.PRODUCTION}
    # Gone from where it was furthest, it stands where it still is.
    record(database, [{**WHOLE[-1], "metadata": {**WHOLE[-1]["metadata"], "resourceVersion": "9999"}}], removed=True)
    assert read_stages(database) == {V1S: Stage.PRODUCTION, V2S: Stage.CANARY}


def test_a_tenant_does_not_reach_the_model_of_another(database: Database) -> None:
    record(database, WHOLE)
    theirs = [{**found, "metadata": {**found["metadata"], "uid": "u-2"}} for found in WHOLE]
    record(database, theirs, tenant="rivals")
    with database.open(SYSTEM, read_only=True) as session:
        owners = {row.tenant_id: row.id for row in session.scalars(sa.select(tables.Model))}
        by_model = {row.model_id for row in session.scalars(sa.select(tables.Deployment))}
    assert set(owners) == {"desk", "rivals"}
    assert by_model == set(owners.values())


def test_an_annotation_cannot_name_a_model_of_another_tenant(database: Database) -> None:
    record(database, WHOLE)
    with database.open(SYSTEM, read_only=True) as session:
        [model] = session.scalars(sa.select(tables.Model))
    forged = {"serin.dev/registry-model": str(model.id)}
    theirs = [{**found, "metadata": {**found["metadata"], "uid": "u-2", "annotations": forged}} for found in WHOLE]
    record(database, theirs, tenant="rivals")
    with database.open(SYSTEM, read_only=True) as session:
        [row] = session.scalars(sa.select(tables.Deployment).where(tables.Deployment.uid == "u-2"))
    assert (row.tenant_id, row.model_id == model.id) == ("rivals", False)


def test_a_cluster_that_was_set_back_is_believed(database: Database) -> None:
    record(database, WHOLE)
    early = WHOLE[1]
    assert record(database, [early]) == [False]
    with database.open(SYSTEM) as session:
        assert observations.record(session, Observation("c", "desk", early, anew=True), next(CLOCK))
    assert read_stages(database)[V1S] is Stage.PRODUCTION


# ---- who did it


def manage(manager: str, field: Mapping[str, Any]) -> dict[str, Any]:
    return {"manager": manager, "operation": "Apply", "time": "2026-01-01T00:00:00Z", "fieldsV1": field}


WRITES_VERSION: dict[str, Any] = {"f:spec": {"f:version": {}, "f:image": {}}}


@pytest.mark.parametrize(
    ("metadata", "by"),
    [
        pytest.param({"managedFields": [manage("kubectl", WRITES_VERSION)]}, "kubectl", id="kubectl"),
        pytest.param(
            {
                "managedFields": [manage("serin-registry", WRITES_VERSION)],
                "annotations": {"serin.dev/deployed-by": "ada"},
            },
            "ada",
            id="a caller of the registry",
        ),
        pytest.param(
            {
                "managedFields": [manage("kubectl-edit", WRITES_VERSION)],
                "annotations": {"serin.dev/deployed-by": "ada"},
            },
            "kubectl-edit",
            id="kubectl after a caller of the registry",
        ),
        pytest.param({}, "cluster", id="nobody that is known"),
    ],
)  # fmt: skip
def test_a_move_names_who_deployed_the_version(database: Database, metadata: dict[str, Any], by: str) -> None:
    record(database, [{**found, "metadata": {**found["metadata"], **metadata}} for found in WHOLE])
    with database.open(SYSTEM, read_only=True) as session:
        moves = list(session.scalars(sa.select(tables.Transition)))
    assert {move.by for move in moves} == {by}


def test_what_the_evidence_took_back_was_the_operators_doing(database: Database) -> None:
    record(database, ROLLED_BACK)
    with database.open(SYSTEM, read_only=True) as session:
        [move] = session.scalars(sa.select(tables.Transition).where(tables.Transition.target == Stage.DRAFT))
    assert move.by == "serin"
    assert "TooManyErrors" in move.why
