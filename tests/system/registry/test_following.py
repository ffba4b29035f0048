"""The follower beside a cluster that forgets, breaks off and is set back: no gaps, no doubles, and one follower at a time."""

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from serin_services.registry.cluster import connection, scope
from serin_services.registry.cluster.follower import Follower
from serin_services.registry.cluster.tenancy import Tenancy
from serin_services.registry.core.access import SYSTEM
from serin_services.registry.core.stages import Stage
from serin_services.registry.database import tables
from serin_services.registry.database.sessions import Database
from support import scripted_cluster
from support.histories import V1, V2, play
from support.scripted_cluster import ScriptedCluster

V1S, V2S = V1.version, V2.version
WHOLE = play("*3", "apply v2", "*9")
UID = WHOLE[0]["metadata"]["uid"]


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[tuple[ScriptedCluster, Path]]:
    with scripted_cluster.serve(tmp_path) as served:
        yield served


@contextlib.contextmanager
def following(kubeconfig: Path, database: Database, *, namespaces: tuple[str, ...] = ()) -> Iterator[Follower]:
    client = connection.connect(str(kubeconfig))
    follower = Follower(client, database, Tenancy(client, "default"), cluster="c", namespaces=namespaces)
    follower.start()
    try:
        yield follower
    finally:
        follower.stop()


def wait(what: str, holds: Callable[[], object], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.02)


def read_keys(database: Database) -> list[str]:
    with database.open(SYSTEM, read_only=True) as session:
        return sorted(session.scalars(sa.select(tables.RolloutEvent.key)))


def read_moves(database: Database) -> list[tuple[str, Stage]]:
    with database.open(SYSTEM, read_only=True) as session:
        wanted = sa.select(tables.ModelVersion.version, tables.Transition.target).join(
            tables.ModelVersion, tables.ModelVersion.id == tables.Transition.version_id
        )
        return [(row[0], row[1]) for row in session.execute(wanted.order_by(tables.Transition.at))]


def read_version(database: Database) -> int:
    """Give the newest resource version that is on record."""
    with database.open(SYSTEM, read_only=True) as session:
        return max((int(row.seen["version"]) for row in session.scalars(sa.select(tables.Deployment))), default=0)


def is_written(database: Database, cluster: ScriptedCluster) -> Callable[[], bool]:
    return lambda: read_version(database) == cluster.version


ALL_MOVES = [
    (V1S, Stage.STAGING),
    (V1S, Stage.PRODUCTION),
    (V2S, Stage.STAGING),
    (V2S, Stage.CANARY),
    (V1S, Stage.ARCHIVED),
    (V2S, Stage.PRODUCTION),
]


def put_all(cluster: ScriptedCluster, objects: list[dict[str, Any]]) -> None:
    for found in objects:
        cluster.put(found)


def test_what_happens_is_on_record_in_its_order(database: Database, cluster: tuple[ScriptedCluster, Path]) -> None:
    api, kubeconfig = cluster
    with following(kubeconfig, database) as follower:
        wait("the first list", lambda: follower.state().synced)
        put_all(api, WHOLE)
        wait("all to be written", is_written(database, api))
        state = follower.state()
    assert (state.leading, state.problem) == (True, "")
    assert state.heard_at is not None
    assert sorted(read_moves(database), key=str) == sorted(ALL_MOVES, key=str)


def test_one_that_was_away_misses_nothing_that_the_cluster_remembers(
    database: Database, cluster: tuple[ScriptedCluster, Path]
) -> None:
    api, kubeconfig = cluster
    with following(kubeconfig, database):
        put_all(api, WHOLE[:6])
        wait("the beginning", is_written(database, api))
    put_all(api, WHOLE[6:-2])
    with following(kubeconfig, database):
        wait("what it missed", is_written(database, api))
        put_all(api, WHOLE[-2:])
        wait("the end", is_written(database, api))
    away = read_keys(database)
    with database.open(SYSTEM) as session:
        for table in (tables.Placement, tables.Transition, tables.RolloutEvent, tables.Deployment):
            session.execute(sa.delete(table))
    with following(kubeconfig, database) as follower:
        wait("the first list", lambda: follower.state().synced)
    # What a list alone shows is less than what was on record.
    assert set(read_keys(database)) < set(away)
    assert len(set(away)) == len(away)


def test_one_that_was_away_for_too_long_has_the_end_and_no_doubles(
    database: Database, cluster: tuple[ScriptedCluster, Path]
) -> None:
    api, kubeconfig = cluster
    with following(kubeconfig, database):
        put_all(api, WHOLE[:6])
        wait("the beginning", is_written(database, api))
    put_all(api, WHOLE[6:])
    api.forget()
    with following(kubeconfig, database):
        wait("the end", is_written(database, api))
        moves = read_moves(database)
    assert len(set(moves)) == len(moves)
    assert moves[-2:] in (
        [(V1S, Stage.ARCHIVED), (V2S, Stage.PRODUCTION)],
        [(V2S, Stage.PRODUCTION), (V1S, Stage.ARCHIVED)],
    )


def test_broken_watches_and_refused_requests_are_tried_again(
    database: Database, cluster: tuple[ScriptedCluster, Path]
) -> None:
    api, kubeconfig = cluster
    with following(kubeconfig, database) as follower:
        wait("the first list", lambda: follower.state().synced)
        for start in range(0, len(WHOLE), 12):
            api.break_off(failures=2)
            put_all(api, WHOLE[start : start + 12])
            wait("what came meanwhile", is_written(database, api))
        wait("the problem to be over", lambda: not follower.state().problem)
    assert sorted(read_moves(database), key=str) == sorted(ALL_MOVES, key=str)


def test_what_was_deleted_while_it_was_away_is_archived(
    database: Database, cluster: tuple[ScriptedCluster, Path]
) -> None:
    api, kubeconfig = cluster
    with following(kubeconfig, database):
        put_all(api, WHOLE)
        wait("the whole", is_written(database, api))
    api.delete(UID)
    api.forget()

    def is_gone() -> bool:
        with database.open(SYSTEM, read_only=True) as session:
            return session.scalars(sa.select(tables.Deployment)).one().deleted_at is not None

    with following(kubeconfig, database):
        wait("it to be found missing", is_gone)
    assert read_moves(database)[-1] == (V2S, Stage.ARCHIVED)


def test_a_cluster_that_was_set_back_is_followed_from_where_it_is(
    database: Database, cluster: tuple[ScriptedCluster, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    api, kubeconfig = cluster
    monkeypatch.setattr(scope, "CATCH_UP_SECONDS", 0.2)
    put_all(api, WHOLE[:6])
    early = api.version
    with following(kubeconfig, database):
        put_all(api, WHOLE[6:])
        wait("the whole", is_written(database, api))
        api.set_back(early)
        wait("the past", is_written(database, api))
        put_all(api, WHOLE[6:])
        wait("the future, again", is_written(database, api))
    with database.open(SYSTEM, read_only=True) as session:
        stages = {row.version: row.stage for row in session.scalars(sa.select(tables.ModelVersion))}
    assert stages == {V1S: Stage.ARCHIVED, V2S: Stage.PRODUCTION}


def test_only_one_of_two_follows_and_the_other_takes_over(
    database: Database, cluster: tuple[ScriptedCluster, Path]
) -> None:
    api, kubeconfig = cluster
    with following(kubeconfig, database) as one:
        wait("the first to follow", lambda: one.state().synced)
        with following(kubeconfig, database) as other:
            put_all(api, WHOLE[:6])
            wait("the beginning", is_written(database, api))
            assert (one.state().leading, other.state().leading) == (True, False)
            one.stop()
            put_all(api, WHOLE[6:])
            wait("the other to have written the rest", is_written(database, api))
            assert other.state().leading
    assert sorted(read_moves(database), key=str) == sorted(ALL_MOVES, key=str)


def test_a_follower_whose_lock_the_database_took_stops(
    postgresql_database: Database, cluster: tuple[ScriptedCluster, Path]
) -> None:
    api, kubeconfig = cluster
    with following(kubeconfig, postgresql_database) as follower:
        wait("it to follow", lambda: follower.state().synced)
        with postgresql_database.owner.connect() as connected:
            connected.execute(
                sa.text("SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted")
            )
        wait("it to notice", lambda: not follower.state().leading)
        wait("it to follow again", lambda: follower.state().synced)
        put_all(api, WHOLE)
        wait("the whole", is_written(postgresql_database, api))


def test_an_object_that_makes_no_sense_does_not_hold_up_the_others(
    database: Database, cluster: tuple[ScriptedCluster, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    api, kubeconfig = cluster
    monkeypatch.setattr(scope, "_ATTEMPTS", 1)
    strange = {**WHOLE[-1], "metadata": {**WHOLE[-1]["metadata"], "uid": "strange", "creationTimestamp": "long ago"}}
    with following(kubeconfig, database) as follower:
        api.put(strange)
        put_all(api, WHOLE)
        wait("the others", is_written(database, api))
        assert "trading/momentum: ValueError" in follower.state().problem


@pytest.mark.parametrize(
    ("labels", "tenant"),
    [
        pytest.param({}, "default", id="nobody said"),
        pytest.param({"serin.dev/tenant": "alpha"}, "alpha", id="its namespace says it"),
    ],
)
def test_the_label_of_the_namespace_says_whose_it_is(
    sqlite_database: Database, cluster: tuple[ScriptedCluster, Path], labels: Mapping[str, str], tenant: str
) -> None:
    api, kubeconfig = cluster
    api.labels["trading"] = labels
    with following(kubeconfig, sqlite_database):
        put_all(api, WHOLE)
        wait("the whole", is_written(sqlite_database, api))
    with sqlite_database.open(SYSTEM, read_only=True) as session:
        assert [row.tenant_id for row in session.scalars(sa.select(tables.Model))] == [tenant]
