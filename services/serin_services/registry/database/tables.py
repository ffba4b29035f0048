"""The tables, once; migrations are checked against them, and everything else names their columns through these classes.

Three kinds of rows, by who sees them: a model, which says so itself; what belongs to a model and is seen with it
(`OfModel`); and what belongs to a tenant as a whole (`OfTenant`). The rule itself stands in `visibility.py`.

Nothing here relies on care where the database can hold it: a row's tenant is its model's tenant and its version one of that
model, by foreign keys, so that no row can be written into another tenant's model under one's own name.
"""

import datetime as dt
import uuid
from typing import Any

import sqlalchemy as sa
from sqlalchemy import orm
from sqlalchemy.dialects import postgresql

from serin_services.registry.core.access import PLATFORM, Visibility
from serin_services.registry.core.stages import Stage

# PostgreSQL can index and search its own kind of JSON; SQLite has the plain one.
Json = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")


class UtcTime(sa.TypeDecorator[dt.datetime]):
    """A moment, aware and in UTC on both databases: SQLite forgets the zone, so it is put back."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: dt.datetime | None, dialect: sa.Dialect) -> dt.datetime | None:  # noqa: ARG002
        """Refuse a moment without a zone: it could be any of 38 hours."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"a time needs its zone, got {value.isoformat()}")
        return value.astimezone(dt.UTC)

    def process_result_value(self, value: dt.datetime | None, dialect: sa.Dialect) -> dt.datetime | None:  # noqa: ARG002
        """Give the moment in UTC."""
        if value is None:
            return None
        return value.replace(tzinfo=dt.UTC) if value.tzinfo is None else value.astimezone(dt.UTC)


class Base(orm.DeclarativeBase):
    """What all tables share: how Python's types are stored, and how constraints are named."""

    type_annotation_map = {  # noqa: RUF012 - SQLAlchemy reads it from the class
        dict[str, Any]: Json,
        list[Any]: Json,
        dt.datetime: UtcTime,
        str: sa.Text,
        Stage: sa.Enum(Stage, native_enum=False, length=16, name="stage"),
        Visibility: sa.Enum(
            Visibility,
            native_enum=False,
            length=16,
            name="visibility",
            values_callable=lambda kind: [str(v) for v in kind],
        ),
    }
    # So that a migration can name what it drops, on both databases.
    metadata = sa.MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


class OfTenant:
    """Rows of one tenant, seen by the whole tenant and written by nobody else."""

    tenant_id: orm.Mapped[str] = orm.mapped_column(sa.ForeignKey("tenants.id"))


class OfSubject(OfTenant):
    """Rows of one subject of a tenant, seen by nobody else."""

    subject: orm.Mapped[str]


class OfModel(OfTenant):
    """Rows of one model, seen by whoever sees the model; the tenant is the model's."""

    # Not the tenant's own foreign key: the model's says it all.
    tenant_id: orm.Mapped[str] = orm.mapped_column()
    model_id: orm.Mapped[uuid.UUID]


class Tenant(Base):
    """A team or customer; `platform` is the one whose models everyone may see."""

    __tablename__ = "tenants"
    # A connection that has not said who is calling is of the tenant '': there must be none.
    __table_args__ = (sa.CheckConstraint("id <> ''", name="named"),)

    id: orm.Mapped[str] = orm.mapped_column(primary_key=True)
    # The offices that must approve a version before it is deployed, such as technical lead and risk manager.
    sign_off: orm.Mapped[list[Any]]
    created_at: orm.Mapped[dt.datetime]


class Model(OfTenant, Base):
    """What has versions; its name is unique among those of its tenant, or of its user."""

    __tablename__ = "models"
    __table_args__ = (
        sa.UniqueConstraint("tenant_id", "owner", "name"),
        # What the rows of a model refer to.
        sa.UniqueConstraint("id", "tenant_id"),
        sa.CheckConstraint("(visibility = 'user') = (owner <> '')", name="user_owns"),
        # No tenant but the platform speaks to all others.
        sa.CheckConstraint(f"visibility <> 'platform' OR tenant_id = '{PLATFORM}'", name="platform_publishes"),
    )

    id: orm.Mapped[uuid.UUID] = orm.mapped_column(primary_key=True)
    name: orm.Mapped[str]
    # The user whose private model it is; empty for one of the tenant's or the platform's.
    owner: orm.Mapped[str]
    visibility: orm.Mapped[Visibility]
    description: orm.Mapped[str]
    labels: orm.Mapped[dict[str, Any]]
    created_at: orm.Mapped[dt.datetime]
    created_by: orm.Mapped[str]
    # Counts the changes: the ETag.
    revision: orm.Mapped[int] = orm.mapped_column()
    __mapper_args__ = {"version_id_col": revision}  # noqa: RUF012 - SQLAlchemy reads it from the class


class ModelVersion(OfModel, Base):
    """One version: what it is made of, where it comes from, and where it stands."""

    __tablename__ = "model_registry"
    __table_args__ = (
        sa.UniqueConstraint("model_id", "version"),
        # What the rows of a version refer to.
        sa.UniqueConstraint("id", "model_id"),
        # A page across models: by time where most rows are the caller's, by tenant where few are.
        sa.Index(None, "created_at", "id"),
        sa.Index(None, "tenant_id", "created_at", "id"),
        sa.Index(None, "model_id", "created_at", "id"),
        sa.Index(None, "stage", "created_at"),
        sa.Index(None, "parent_id"),
        sa.Index(None, "model_id", "run_id"),
    )

    id: orm.Mapped[uuid.UUID] = orm.mapped_column(primary_key=True)
    version: orm.Mapped[str]
    stage: orm.Mapped[Stage]
    stage_since: orm.Mapped[dt.datetime]
    # MAJOR, MINOR or PATCH against the parent, and why.
    change: orm.Mapped[str]
    change_reasons: orm.Mapped[list[Any]]
    family: orm.Mapped[str]
    architecture: orm.Mapped[dict[str, Any]]
    hyperparameters: orm.Mapped[dict[str, Any]]
    # Each with its name, type and unit, in the order of a row.
    features: orm.Mapped[list[Any]]
    feature_version: orm.Mapped[str]
    target: orm.Mapped[str]
    # Ranges of time and counts of samples.
    data: orm.Mapped[dict[str, Any]]
    metrics: orm.Mapped[dict[str, Any]]
    labels: orm.Mapped[dict[str, Any]]
    parent_id: orm.Mapped[uuid.UUID | None] = orm.mapped_column(sa.ForeignKey("model_registry.id"))
    # Of the trained model's file; what a server checks before it parses.
    artifact_sha256: orm.Mapped[str]
    # The version's image with its digest; empty until one is built.
    image: orm.Mapped[str]
    # The run in an experiment tracker that made it.
    run_id: orm.Mapped[str]
    trained_at: orm.Mapped[dt.datetime | None]
    deployed_at: orm.Mapped[dt.datetime | None]
    archived_at: orm.Mapped[dt.datetime | None]
    created_at: orm.Mapped[dt.datetime]
    created_by: orm.Mapped[str]
    revision: orm.Mapped[int] = orm.mapped_column()
    __mapper_args__ = {"version_id_col": revision}  # noqa: RUF012

    model: orm.Mapped[Model] = orm.relationship(lazy="raise")


class Transition(OfModel, Base):
    """A move of a version through its lifecycle: who, when, why."""

    __tablename__ = "transitions"
    __table_args__ = (sa.Index(None, "version_id", "at"),)

    id: orm.Mapped[uuid.UUID] = orm.mapped_column(primary_key=True)
    version_id: orm.Mapped[uuid.UUID]
    deployment_id: orm.Mapped[uuid.UUID | None] = orm.mapped_column(sa.ForeignKey("deployments.id"))
    # What happened in the cluster has a key made of what it is, so that seen twice it is written once.
    key: orm.Mapped[str | None] = orm.mapped_column(unique=True)
    source: orm.Mapped[Stage]
    target: orm.Mapped[Stage]
    at: orm.Mapped[dt.datetime]
    by: orm.Mapped[str]
    why: orm.Mapped[str]


class Approval(OfModel, Base):
    """One office's yes or no to a version; the last word of an office counts."""

    __tablename__ = "approvals"
    __table_args__ = (sa.Index(None, "version_id", "office", "at"),)

    id: orm.Mapped[uuid.UUID] = orm.mapped_column(primary_key=True)
    version_id: orm.Mapped[uuid.UUID]
    office: orm.Mapped[str]
    approved: orm.Mapped[bool]
    at: orm.Mapped[dt.datetime]
    by: orm.Mapped[str]
    why: orm.Mapped[str]


class Artifact(OfModel, Base):
    """A file of a version: its name there, and the key under which the store keeps it."""

    __tablename__ = "artifacts"
    __table_args__ = (sa.UniqueConstraint("version_id", "name"), sa.Index(None, "sha256"))

    id: orm.Mapped[uuid.UUID] = orm.mapped_column(primary_key=True)
    version_id: orm.Mapped[uuid.UUID]
    name: orm.Mapped[str]
    sha256: orm.Mapped[str]
    size: orm.Mapped[int] = orm.mapped_column(sa.BigInteger())
    media_type: orm.Mapped[str]
    key: orm.Mapped[str]
    encrypted: orm.Mapped[bool]
    created_at: orm.Mapped[dt.datetime]
    created_by: orm.Mapped[str]


class Deployment(OfModel, Base):
    """A ModelDeployment as it was last seen; one that is deleted and made again is another."""

    __tablename__ = "deployments"
    __table_args__ = (
        sa.UniqueConstraint("cluster", "uid"),
        sa.Index(None, "cluster", "namespace", "name"),
        sa.Index(None, "model_id"),
    )

    id: orm.Mapped[uuid.UUID] = orm.mapped_column(primary_key=True)
    cluster: orm.Mapped[str]
    namespace: orm.Mapped[str]
    name: orm.Mapped[str]
    uid: orm.Mapped[str]
    # The version that the spec asks for.
    version: orm.Mapped[str]
    phase: orm.Mapped[str]
    step: orm.Mapped[str]
    weight: orm.Mapped[int]
    verdict: orm.Mapped[str]
    message: orm.Mapped[str]
    # What `core/fates.py` remembers between two observations.
    seen: orm.Mapped[dict[str, Any]]
    observed_at: orm.Mapped[dt.datetime]
    deleted_at: orm.Mapped[dt.datetime | None]


class Placement(OfModel, Base):
    """Where a version stands in one deployment; a deployment has one version in production, or none."""

    __tablename__ = "placements"
    __table_args__ = (
        sa.Index(
            "one_production_per_deployment",
            "model_id",
            "deployment_id",
            unique=True,
            postgresql_where=sa.text("stage = 'PRODUCTION'"),
            sqlite_where=sa.text("stage = 'PRODUCTION'"),
        ),
        sa.Index(None, "version_id"),
    )

    deployment_id: orm.Mapped[uuid.UUID] = orm.mapped_column(sa.ForeignKey("deployments.id"), primary_key=True)
    version_id: orm.Mapped[uuid.UUID] = orm.mapped_column(primary_key=True)
    stage: orm.Mapped[Stage]
    since: orm.Mapped[dt.datetime]


class RolloutEvent(OfModel, Base):
    """Something that happened to a deployment: a phase, a step, a verdict, a failure, a person's request."""

    __tablename__ = "rollout_events"
    __table_args__ = (sa.Index(None, "deployment_id", "at"), sa.Index(None, "model_id", "at"))

    # Made of what happened, so that seen twice it is written once.
    key: orm.Mapped[str] = orm.mapped_column(primary_key=True)
    deployment_id: orm.Mapped[uuid.UUID] = orm.mapped_column(sa.ForeignKey("deployments.id"))
    version: orm.Mapped[str]
    at: orm.Mapped[dt.datetime]
    kind: orm.Mapped[str]
    reason: orm.Mapped[str]
    message: orm.Mapped[str]
    details: orm.Mapped[dict[str, Any]]


class Prediction(OfModel, Base):
    """What a version answered to one row; two versions may have answered the same id, one of them in the shadow."""

    __tablename__ = "predictions"
    __table_args__ = (
        sa.Index(None, "model_id", "at"),
        sa.Index(None, "version_id", "at"),
        sa.Index(None, "kept_until"),
    )

    model_id: orm.Mapped[uuid.UUID] = orm.mapped_column(primary_key=True)
    id: orm.Mapped[str] = orm.mapped_column(primary_key=True)
    version_id: orm.Mapped[uuid.UUID] = orm.mapped_column(primary_key=True)
    at: orm.Mapped[dt.datetime]
    label: orm.Mapped[str | None]
    value: orm.Mapped[float | None]
    confidence: orm.Mapped[float | None]
    # From the request's arrival to its answer.
    seconds: orm.Mapped[float | None]
    # Whether it was mirrored traffic, whose answer nobody got.
    shadow: orm.Mapped[bool]
    # When maintenance may take the row away; the sums stay.
    kept_until: orm.Mapped[dt.datetime]


class Outcome(OfModel, Base):
    """What came of a row, by the id of the predictions about it; it counts for each version that answered that id."""

    __tablename__ = "outcomes"
    __table_args__ = (sa.Index(None, "kept_until"),)

    model_id: orm.Mapped[uuid.UUID] = orm.mapped_column(primary_key=True)
    id: orm.Mapped[str] = orm.mapped_column(primary_key=True)
    at: orm.Mapped[dt.datetime]
    label: orm.Mapped[str | None]
    value: orm.Mapped[float | None]
    # What acting on the prediction brought, in the outcome's own unit.
    returned: orm.Mapped[float | None]
    # What acting on each label would have brought, where the sender knows it: so a version in the shadow is judged, too.
    returns: orm.Mapped[dict[str, Any]]
    kept_until: orm.Mapped[dt.datetime]


class PerformanceLog(OfModel, Base):
    """Sums over what one version predicted in an hour, from which every figure is made; named as in `core/performance.py`.

    Added to in the transaction that brings a prediction or an outcome, and never pruned: counters are made of it.
    """

    __tablename__ = "model_performance_logs"
    __table_args__ = (sa.Index(None, "model_id", "hour"), sa.Index(None, "hour"))

    version_id: orm.Mapped[uuid.UUID] = orm.mapped_column(primary_key=True)
    hour: orm.Mapped[dt.datetime] = orm.mapped_column(primary_key=True)
    predictions: orm.Mapped[int] = orm.mapped_column(sa.BigInteger())
    outcomes: orm.Mapped[int] = orm.mapped_column(sa.BigInteger())
    judged: orm.Mapped[int] = orm.mapped_column(sa.BigInteger())
    correct: orm.Mapped[int] = orm.mapped_column(sa.BigInteger())
    wins: orm.Mapped[int] = orm.mapped_column(sa.BigInteger())
    losses: orm.Mapped[int] = orm.mapped_column(sa.BigInteger())
    gain: orm.Mapped[float]
    loss: orm.Mapped[float]
    returned: orm.Mapped[int] = orm.mapped_column(sa.BigInteger())
    returns: orm.Mapped[float]
    squares: orm.Mapped[float]
    timed: orm.Mapped[int] = orm.mapped_column(sa.BigInteger())
    seconds: orm.Mapped[float]
    confident: orm.Mapped[int] = orm.mapped_column(sa.BigInteger())
    confidence: orm.Mapped[float]
    compared: orm.Mapped[int] = orm.mapped_column(sa.BigInteger())
    error: orm.Mapped[float]
    squared_error: orm.Mapped[float]


class LabelCount(OfModel, Base):
    """How often a version gave a label in an hour: the mix of its answers."""

    __tablename__ = "label_counts"

    version_id: orm.Mapped[uuid.UUID] = orm.mapped_column(primary_key=True)
    hour: orm.Mapped[dt.datetime] = orm.mapped_column(primary_key=True)
    label: orm.Mapped[str] = orm.mapped_column(primary_key=True)
    count: orm.Mapped[int] = orm.mapped_column(sa.BigInteger())


class ShadowTestResult(OfModel, Base):
    """A comparison of a version's recorded outcomes with those of the champion beside it."""

    __tablename__ = "shadow_test_results"
    __table_args__ = (sa.Index(None, "version_id", "at"), sa.Index(None, "at"))

    id: orm.Mapped[uuid.UUID] = orm.mapped_column(primary_key=True)
    version_id: orm.Mapped[uuid.UUID]
    champion_id: orm.Mapped[uuid.UUID]
    at: orm.Mapped[dt.datetime]
    since: orm.Mapped[dt.datetime]
    figures: orm.Mapped[dict[str, Any]]


class AuditEntry(OfTenant, Base):
    """One change, linked to the one before by its hash; never changed, never deleted."""

    __tablename__ = "audit_log"
    __table_args__ = (sa.Index(None, "tenant_id", "object_type", "object_id"), sa.Index(None, "tenant_id", "at"))

    tenant_id: orm.Mapped[str] = orm.mapped_column(sa.ForeignKey("tenants.id"), primary_key=True)
    seq: orm.Mapped[int] = orm.mapped_column(sa.BigInteger(), primary_key=True)
    at: orm.Mapped[dt.datetime]
    actor: orm.Mapped[str]
    action: orm.Mapped[str]
    object_type: orm.Mapped[str]
    object_id: orm.Mapped[str]
    details: orm.Mapped[dict[str, Any]]
    previous_hash: orm.Mapped[str]
    hash: orm.Mapped[str]


class AuditHead(OfTenant, Base):
    """Where a tenant's audit log ends; locked while an entry is added, so that the chain cannot fork."""

    __tablename__ = "audit_heads"

    tenant_id: orm.Mapped[str] = orm.mapped_column(sa.ForeignKey("tenants.id"), primary_key=True)
    seq: orm.Mapped[int] = orm.mapped_column(sa.BigInteger())
    hash: orm.Mapped[str]


class IdempotencyKey(OfSubject, Base):
    """The answer to a request that carried a key, given again to the same request with the same key."""

    __tablename__ = "idempotency_keys"
    __table_args__ = (sa.Index(None, "created_at"),)

    tenant_id: orm.Mapped[str] = orm.mapped_column(sa.ForeignKey("tenants.id"), primary_key=True)
    subject: orm.Mapped[str] = orm.mapped_column(primary_key=True)
    key: orm.Mapped[str] = orm.mapped_column(primary_key=True)
    # A digest of method, path and body.
    request: orm.Mapped[str]
    status: orm.Mapped[int]
    headers: orm.Mapped[dict[str, Any]]
    body: orm.Mapped[str]
    created_at: orm.Mapped[dt.datetime]


class Evaluation(OfModel, Base):
    """What a test, a backtest or a battery of statistics found about a version."""

    __tablename__ = "evaluations"
    __table_args__ = (sa.Index(None, "version_id", "at"),)

    id: orm.Mapped[uuid.UUID] = orm.mapped_column(primary_key=True)
    version_id: orm.Mapped[uuid.UUID]
    kind: orm.Mapped[str]
    passed: orm.Mapped[bool | None]
    figures: orm.Mapped[dict[str, Any]]
    at: orm.Mapped[dt.datetime]
    by: orm.Mapped[str]


class Job:
    """Work that ends in a version: what was asked, how far it is, and what it made."""

    id: orm.Mapped[uuid.UUID] = orm.mapped_column(primary_key=True)
    state: orm.Mapped[str]
    parameters: orm.Mapped[dict[str, Any]]
    message: orm.Mapped[str]
    version_id: orm.Mapped[uuid.UUID | None]
    created_at: orm.Mapped[dt.datetime]
    created_by: orm.Mapped[str]
    started_at: orm.Mapped[dt.datetime | None]
    ended_at: orm.Mapped[dt.datetime | None]


class TrainingJob(Job, OfModel, Base):
    """A training that somebody asked for."""

    __tablename__ = "training_jobs"
    __table_args__ = (sa.Index(None, "model_id", "created_at"),)


class RetrainingJob(Job, OfModel, Base):
    """A training that performance, drift or a schedule asked for."""

    __tablename__ = "retraining_jobs"
    __table_args__ = (sa.Index(None, "model_id", "created_at"),)

    trigger: orm.Mapped[str]


class DriftEvent(OfModel, Base):
    """A feature or target whose distribution moved."""

    __tablename__ = "drift_events"
    __table_args__ = (sa.Index(None, "model_id", "at"), sa.Index(None, "at"))

    id: orm.Mapped[uuid.UUID] = orm.mapped_column(primary_key=True)
    version_id: orm.Mapped[uuid.UUID | None]
    feature: orm.Mapped[str]
    statistic: orm.Mapped[float]
    p_value: orm.Mapped[float]
    severity: orm.Mapped[str]
    details: orm.Mapped[dict[str, Any]]
    at: orm.Mapped[dt.datetime]


class RlVersion(OfModel, Base):
    """A version of a policy learnt by reinforcement, with what it was learnt from."""

    __tablename__ = "rl_versions"
    __table_args__ = (sa.UniqueConstraint("model_id", "version"),)

    id: orm.Mapped[uuid.UUID] = orm.mapped_column(primary_key=True)
    version: orm.Mapped[str]
    policy: orm.Mapped[dict[str, Any]]
    figures: orm.Mapped[dict[str, Any]]
    created_at: orm.Mapped[dt.datetime]


def _tie(table: sa.Table) -> None:
    """Tie a model's row to the model with its tenant, and to versions of that model alone."""
    table.append_constraint(sa.ForeignKeyConstraint(["model_id", "tenant_id"], ["models.id", "models.tenant_id"]))
    for name in ("version_id", "champion_id"):
        if name in table.columns:
            versions = ["model_registry.id", "model_registry.model_id"]
            table.append_constraint(sa.ForeignKeyConstraint([name, "model_id"], versions))


for _mapper in Base.registry.mappers:
    if issubclass(_mapper.class_, OfModel) and isinstance(_mapper.local_table, sa.Table):
        _tie(_mapper.local_table)
