"""Rows that tests of outcomes begin with: a tenant, its model, and versions of it, written as the registry itself."""

import datetime as dt
import uuid

from serin_services.registry.core.access import SYSTEM, Caller, Role, Visibility
from serin_services.registry.core.stages import Stage
from serin_services.registry.database import tables
from serin_services.registry.database.sessions import Database

NOW = dt.datetime(2026, 11, 21, 12, 30, tzinfo=dt.UTC)
HOUR, DAY = dt.timedelta(hours=1), dt.timedelta(days=1)
TENANT = "acme"
REPORTER = Caller(subject="server", tenant=TENANT, role=Role.DEVELOPER)
VIEWER = Caller(subject="viewer", tenant=TENANT, role=Role.VIEWER)


def add_model(database: Database, name: str = "momentum", owner: str = "") -> tables.Model:
    """Add a model of the tenant, or with an owner of one of its users."""
    model = tables.Model(
        id=uuid.uuid4(),
        tenant_id=TENANT,
        name=name,
        owner=owner,
        visibility=Visibility.USER if owner else Visibility.TENANT,
        description="",
        labels={},
        created_at=NOW - 30 * DAY,
        created_by="test",
    )
    with database.open(SYSTEM) as session:
        if session.get(tables.Tenant, TENANT) is None:
            session.add(tables.Tenant(id=TENANT, sign_off=[], created_at=NOW - 30 * DAY))
            session.flush()
        session.add(model)
    return model


def add_version(
    database: Database, model: tables.Model, version: str = "1.0.0", stage: Stage = Stage.PRODUCTION
) -> tables.ModelVersion:
    """Add a version of a model."""
    row = tables.ModelVersion(
        id=uuid.uuid4(),
        tenant_id=model.tenant_id,
        model_id=model.id,
        version=version,
        stage=stage,
        stage_since=NOW - 10 * DAY,
        change="MAJOR",
        change_reasons=[],
        family="xgboost",
        architecture={},
        hyperparameters={},
        features=[],
        feature_version="",
        target="",
        data={},
        metrics={},
        labels={},
        artifact_sha256="",
        image="images.example.com/momentum@sha256:" + "0" * 64,
        run_id="",
        created_at=NOW - 10 * DAY,
        created_by="test",
    )
    with database.open(SYSTEM) as session:
        session.add(row)
    return row


def add_deployment(database: Database, model: tables.Model, **placed: tables.ModelVersion) -> tables.Deployment:
    """Add a deployment of a model with versions placed in it, by the name of the stage."""
    row = tables.Deployment(
        id=uuid.uuid4(),
        tenant_id=model.tenant_id,
        model_id=model.id,
        cluster="default",
        namespace="trading",
        name=model.name,
        uid=str(uuid.uuid4()),
        version="",
        phase="Staging",
        step="",
        weight=0,
        verdict="",
        message="",
        seen={},
        observed_at=NOW,
    )
    with database.open(SYSTEM) as session:
        session.add(row)
        session.flush()
        for stage, version in placed.items():
            session.add(
                tables.Placement(
                    deployment_id=row.id,
                    tenant_id=model.tenant_id,
                    model_id=model.id,
                    version_id=version.id,
                    stage=Stage(stage),
                    since=NOW - 5 * HOUR,
                )
            )
    return row
