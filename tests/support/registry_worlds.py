"""A registry with models of everyone's, a tenant's and one user's, each with a version, an artifact and a deployment."""

import contextlib
import dataclasses
import datetime as dt
import secrets
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from serin_services.registry.core.access import SYSTEM
from serin_services.registry.core.stages import Stage
from serin_services.registry.database import tables
from serin_services.registry.database.sessions import Database
from support import postgres
from support.registry_server import Client, Served, make_services, serve

CONTENT = b"a trained model"
OWNER = "dora"
KINDS = ("tenant", "user", "platform")
CHAMPION, VERSION = "1.0.0", "1.0.1"


@dataclasses.dataclass(frozen=True)
class World:
    """What is served, and what there is, by who sees it."""

    served: Served
    models: dict[str, str]
    deployments: dict[str, str]
    trainings: dict[str, str]
    retrainings: dict[str, str]

    def makers(self, kind: str) -> Client:
        """Whoever made the model of a kind."""
        return maker(self.served, kind)


def maker(served: Served, kind: str) -> Client:
    return served.client(tenant="platform", sub="root") if kind == "platform" else served.client(sub=OWNER)


@contextlib.contextmanager
def open_world(database: Database, folder: Path, **settings: Any) -> Iterator[World]:
    """Serve a world until the end of the block."""
    with serve(make_services(database, folder, **settings)) as served:
        models, deployments, trainings, retrainings = {}, {}, {}, {}
        for kind in KINDS:
            client = maker(served, kind)
            # All of one name: which one is meant is for the caller to find out, and no way to another's.
            models[kind] = client.make_model("momentum", visibility=kind)["id"]
            champion = client.register(models[kind], image="registry/momentum@sha256:0")
            version = client.register(models[kind], image="registry/momentum@sha256:1")
            put = client.upload(f"/models/{models[kind]}/versions/{VERSION}/artifacts/model", CONTENT)
            assert put.status_code == 201, put.text
            deployments[kind] = add_deployment(database, champion, version, kind)
            for jobs, noun in ((trainings, "training"), (retrainings, "retraining")):
                jobs[kind] = client.ok("POST", f"/models/{models[kind]}/{noun}-jobs", json={})["id"]
        yield World(served, models, deployments, trainings, retrainings)


def add_deployment(database: Database, champion: dict[str, Any], version: dict[str, Any], name: str) -> str:
    """Write a deployment as the follower does: a champion in production, and a version in its shadow."""
    now = dt.datetime.now(dt.UTC)
    whose = {"tenant_id": version["tenant"], "model_id": uuid.UUID(version["model_id"])}
    row = tables.Deployment(
        **whose,
        id=uuid.uuid4(),
        cluster="default",
        namespace="models",
        name=name,
        uid=uuid.uuid4().hex,
        version=version["version"],
        phase="Production",
        step="",
        weight=100,
        verdict="",
        message="",
        seen={},
        observed_at=now,
    )
    with database.open(SYSTEM) as session:
        session.add(row)
        session.flush()
        for placed, stage in ((champion, Stage.PRODUCTION), (version, Stage.STAGING)):
            where = {"deployment_id": row.id, "version_id": uuid.UUID(placed["id"])}
            session.add(tables.Placement(**whose, **where, stage=stage, since=now))
        return str(row.id)


@contextlib.contextmanager
def open_database(kind: str, template: Path, folder: Path) -> Iterator[Database]:
    """Open a database of a kind for longer than one test."""
    if kind == "sqlite":
        file = folder / "registry.db"
        file.write_bytes(template.read_bytes())
        with contextlib.closing(Database(f"sqlite:///{file}")) as database:
            yield database
        return
    server, name = postgres.share(), f"test_{secrets.token_hex(8)}"
    server.make_database(name, postgres.TEMPLATE)
    with contextlib.closing(server.open(name, pool_size=5)) as database:
        yield database
    server.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def world(
    request: pytest.FixtureRequest, sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[World]:
    """A world of each kind of database, shared by the tests of a module."""
    folder = tmp_path_factory.mktemp("world")
    with (
        open_database(request.param, sqlite_template, folder) as database,
        open_world(database, folder / "artifacts") as world,
    ):
        yield world
