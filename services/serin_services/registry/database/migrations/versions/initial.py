"""The tables, views and policies of the first release.

Revision ID: 0001
Revises:
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from serin_services.registry.database import visibility

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

TIME = sa.DateTime(timezone=True)
JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")

# Each with how a moment before now is written, as the database compares it.
SINCE = {
    "postgresql": "now() - interval '{} days'",
    "sqlite": "strftime('%Y-%m-%d %H:%M:%f', 'now', '-{} days')",
}

VIEWS = {
    "active_models": """
        SELECT v.id, v.tenant_id, v.model_id, m.name, m.owner, v.version, v.family, v.metrics, v.artifact_sha256, v.image,
               v.stage_since AS since, v.deployed_at
        FROM model_registry v JOIN models m ON m.id = v.model_id
        WHERE v.stage = 'PRODUCTION'""",
    "shadow_models": """
        SELECT v.id, v.tenant_id, v.model_id, m.name, m.owner, v.version, v.stage_since AS since,
               r.champion_id, r.at AS compared_at, r.figures
        FROM model_registry v JOIN models m ON m.id = v.model_id
        LEFT JOIN shadow_test_results r ON r.id = (
            SELECT newest.id FROM shadow_test_results newest
            WHERE newest.version_id = v.id ORDER BY newest.at DESC, newest.id LIMIT 1)
        WHERE v.stage = 'STAGING'""",
    "recent_drift_events": """
        SELECT e.id, e.tenant_id, e.model_id, m.name, e.version_id, e.feature, e.statistic, e.p_value, e.severity, e.at
        FROM drift_events e JOIN models m ON m.id = e.model_id
        WHERE e.at >= {since_7}""",
    "model_performance_30d": """
        SELECT l.version_id, l.tenant_id, l.model_id, m.name, v.version, v.stage,
               sum(l.predictions) AS predictions, sum(l.outcomes) AS outcomes,
               sum(l.correct) * 1.0 / nullif(sum(l.judged), 0) AS accuracy,
               sum(l.wins) * 1.0 / nullif(sum(l.wins) + sum(l.losses), 0) AS win_rate,
               sum(l.gain) / nullif(sum(l.loss), 0) AS profit_factor,
               sum(l.seconds) / nullif(sum(l.timed), 0) AS mean_seconds
        FROM model_performance_logs l JOIN model_registry v ON v.id = l.version_id JOIN models m ON m.id = l.model_id
        WHERE l.hour >= {since_30}
        GROUP BY l.version_id, l.tenant_id, l.model_id, m.name, v.version, v.stage""",
}

# The audit log only grows, whoever asks: a statement that would change it fails, and does not just find no rows.
TRIGGERS = {
    "postgresql": (
        """CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            RAISE EXCEPTION 'the audit log only grows: % is refused', TG_OP USING ERRCODE = 'insufficient_privilege';
        END $$""",
        """CREATE TRIGGER audit_log_only_grows BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_log
        FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()""",
    ),
    "sqlite": (
        """CREATE TRIGGER audit_log_no_update BEFORE UPDATE ON audit_log
        BEGIN SELECT RAISE(ABORT, 'the audit log only grows: UPDATE is refused'); END""",
        """CREATE TRIGGER audit_log_no_delete BEFORE DELETE ON audit_log
        BEGIN SELECT RAISE(ABORT, 'the audit log only grows: DELETE is refused'); END""",
        # INSERT OR REPLACE deletes without asking the trigger above.
        """CREATE TRIGGER audit_log_no_replace BEFORE INSERT ON audit_log
        WHEN EXISTS (SELECT 1 FROM audit_log WHERE tenant_id = NEW.tenant_id AND seq = NEW.seq)
        BEGIN SELECT RAISE(ABORT, 'the audit log only grows: this number is taken'); END""",
    ),
}

TABLES = (
    "tenants",
    "audit_heads",
    "audit_log",
    "idempotency_keys",
    "models",
    "deployments",
    "model_registry",
    "outcomes",
    "rl_versions",
    "approvals",
    "artifacts",
    "drift_events",
    "evaluations",
    "label_counts",
    "model_performance_logs",
    "placements",
    "predictions",
    "retraining_jobs",
    "rollout_events",
    "shadow_test_results",
    "training_jobs",
    "transitions",
)


def upgrade() -> None:
    """Make everything; on PostgreSQL also the policies, which SQLite does not have."""
    make_tables()
    dialect = op.get_bind().dialect.name
    since = {f"since_{days}": SINCE[dialect].format(days) for days in (7, 30)}
    # With the rights of whoever asks, so that the policies hold for views, too.
    rights = "WITH (security_invoker = true)" if dialect == "postgresql" else ""
    for name, query in VIEWS.items():
        op.execute(f"CREATE VIEW {name} {rights} AS {query.format(**since)}")
    for statement in TRIGGERS[dialect]:
        op.execute(statement)
    if dialect == "postgresql":
        for statement in visibility.policies(TABLES):
            op.execute(statement)


def make_tables() -> None:  # noqa: PLR0915 - one statement for each table and index
    """Make the tables and their indexes."""
    op.create_table(
        "tenants",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("sign_off", JSON, nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.CheckConstraint("id <> ''", name="ck_tenants_named"),
        sa.PrimaryKeyConstraint("id", name="pk_tenants"),
    )
    op.create_table(
        "audit_heads",
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name="fk_audit_heads_tenant_id"),
        sa.PrimaryKeyConstraint("tenant_id", name="pk_audit_heads"),
    )
    op.create_table(
        "audit_log",
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("at", TIME, nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("object_type", sa.Text(), nullable=False),
        sa.Column("object_id", sa.Text(), nullable=False),
        sa.Column("details", JSON, nullable=False),
        sa.Column("previous_hash", sa.Text(), nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name="fk_audit_log_tenant_id"),
        sa.PrimaryKeyConstraint("tenant_id", "seq", name="pk_audit_log"),
    )
    op.create_index("ix_audit_log_tenant_id_at", "audit_log", ["tenant_id", "at"])
    op.create_index(
        "ix_audit_log_tenant_id_object_type_object_id", "audit_log", ["tenant_id", "object_type", "object_id"]
    )
    op.create_table(
        "idempotency_keys",
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("request", sa.Text(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("headers", JSON, nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name="fk_idempotency_keys_tenant_id"),
        sa.PrimaryKeyConstraint("tenant_id", "subject", "key", name="pk_idempotency_keys"),
    )
    op.create_index("ix_idempotency_keys_created_at", "idempotency_keys", ["created_at"])
    op.create_table(
        "models",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("visibility", sa.String(16), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("labels", JSON, nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.CheckConstraint("(visibility = 'user') = (owner <> '')", name="ck_models_user_owns"),
        sa.CheckConstraint("visibility <> 'platform' OR tenant_id = 'platform'", name="ck_models_platform_publishes"),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name="fk_models_tenant_id"),
        sa.PrimaryKeyConstraint("id", name="pk_models"),
        sa.UniqueConstraint("id", "tenant_id", name="uq_models_id_tenant_id"),
        sa.UniqueConstraint("tenant_id", "owner", "name", name="uq_models_tenant_id_owner_name"),
    )
    op.create_table(
        "deployments",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("cluster", sa.Text(), nullable=False),
        sa.Column("namespace", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("uid", sa.Text(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("phase", sa.Text(), nullable=False),
        sa.Column("step", sa.Text(), nullable=False),
        sa.Column("weight", sa.Integer(), nullable=False),
        sa.Column("verdict", sa.Text(), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("seen", JSON, nullable=False),
        sa.Column("observed_at", TIME, nullable=False),
        sa.Column("deleted_at", TIME, nullable=True),
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("model_id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(
            ["model_id", "tenant_id"], ["models.id", "models.tenant_id"], name="fk_deployments_model_id"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_deployments"),
        sa.UniqueConstraint("cluster", "uid", name="uq_deployments_cluster_uid"),
    )
    op.create_index("ix_deployments_cluster_namespace_name", "deployments", ["cluster", "namespace", "name"])
    op.create_index("ix_deployments_model_id", "deployments", ["model_id"])
    op.create_table(
        "model_registry",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("stage", sa.String(16), nullable=False),
        sa.Column("stage_since", TIME, nullable=False),
        sa.Column("change", sa.Text(), nullable=False),
        sa.Column("change_reasons", JSON, nullable=False),
        sa.Column("family", sa.Text(), nullable=False),
        sa.Column("architecture", JSON, nullable=False),
        sa.Column("hyperparameters", JSON, nullable=False),
        sa.Column("features", JSON, nullable=False),
        sa.Column("feature_version", sa.Text(), nullable=False),
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("data", JSON, nullable=False),
        sa.Column("metrics", JSON, nullable=False),
        sa.Column("labels", JSON, nullable=False),
        sa.Column("parent_id", sa.Uuid(), nullable=True),
        sa.Column("artifact_sha256", sa.Text(), nullable=False),
        sa.Column("image", sa.Text(), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("trained_at", TIME, nullable=True),
        sa.Column("deployed_at", TIME, nullable=True),
        sa.Column("archived_at", TIME, nullable=True),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("model_id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(
            ["model_id", "tenant_id"], ["models.id", "models.tenant_id"], name="fk_model_registry_model_id"
        ),
        sa.ForeignKeyConstraint(["parent_id"], ["model_registry.id"], name="fk_model_registry_parent_id"),
        sa.PrimaryKeyConstraint("id", name="pk_model_registry"),
        sa.UniqueConstraint("id", "model_id", name="uq_model_registry_id_model_id"),
        sa.UniqueConstraint("model_id", "version", name="uq_model_registry_model_id_version"),
    )
    op.create_index("ix_model_registry_created_at_id", "model_registry", ["created_at", "id"])
    op.create_index("ix_model_registry_model_id_created_at_id", "model_registry", ["model_id", "created_at", "id"])
    op.create_index("ix_model_registry_model_id_run_id", "model_registry", ["model_id", "run_id"])
    op.create_index("ix_model_registry_parent_id", "model_registry", ["parent_id"])
    op.create_index("ix_model_registry_stage_created_at", "model_registry", ["stage", "created_at"])
    op.create_index("ix_model_registry_tenant_id_created_at_id", "model_registry", ["tenant_id", "created_at", "id"])
    op.create_table(
        "outcomes",
        sa.Column("model_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("at", TIME, nullable=False),
        sa.Column("label", sa.Text(), nullable=True),
        sa.Column("value", sa.Double(), nullable=True),
        sa.Column("returned", sa.Double(), nullable=True),
        sa.Column("returns", JSON, nullable=False),
        sa.Column("kept_until", TIME, nullable=False),
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["model_id", "tenant_id"], ["models.id", "models.tenant_id"], name="fk_outcomes_model_id"
        ),
        sa.PrimaryKeyConstraint("model_id", "id", name="pk_outcomes"),
    )
    op.create_index("ix_outcomes_kept_until", "outcomes", ["kept_until"])
    op.create_table(
        "rl_versions",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("policy", JSON, nullable=False),
        sa.Column("figures", JSON, nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("model_id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(
            ["model_id", "tenant_id"], ["models.id", "models.tenant_id"], name="fk_rl_versions_model_id"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_rl_versions"),
        sa.UniqueConstraint("model_id", "version", name="uq_rl_versions_model_id_version"),
    )
    op.create_table(
        "approvals",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("version_id", sa.Uuid(), nullable=False),
        sa.Column("office", sa.Text(), nullable=False),
        sa.Column("approved", sa.Boolean(), nullable=False),
        sa.Column("at", TIME, nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("model_id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(
            ["model_id", "tenant_id"], ["models.id", "models.tenant_id"], name="fk_approvals_model_id"
        ),
        sa.ForeignKeyConstraint(
            ["version_id", "model_id"], ["model_registry.id", "model_registry.model_id"], name="fk_approvals_version_id"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_approvals"),
    )
    op.create_index("ix_approvals_version_id_office_at", "approvals", ["version_id", "office", "at"])
    op.create_table(
        "artifacts",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("version_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("media_type", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("encrypted", sa.Boolean(), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("model_id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(
            ["model_id", "tenant_id"], ["models.id", "models.tenant_id"], name="fk_artifacts_model_id"
        ),
        sa.ForeignKeyConstraint(
            ["version_id", "model_id"], ["model_registry.id", "model_registry.model_id"], name="fk_artifacts_version_id"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_artifacts"),
        sa.UniqueConstraint("version_id", "name", name="uq_artifacts_version_id_name"),
    )
    op.create_index("ix_artifacts_sha256", "artifacts", ["sha256"])
    op.create_table(
        "drift_events",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("version_id", sa.Uuid(), nullable=True),
        sa.Column("feature", sa.Text(), nullable=False),
        sa.Column("statistic", sa.Double(), nullable=False),
        sa.Column("p_value", sa.Double(), nullable=False),
        sa.Column("severity", sa.Text(), nullable=False),
        sa.Column("details", JSON, nullable=False),
        sa.Column("at", TIME, nullable=False),
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("model_id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(
            ["model_id", "tenant_id"], ["models.id", "models.tenant_id"], name="fk_drift_events_model_id"
        ),
        sa.ForeignKeyConstraint(
            ["version_id", "model_id"],
            ["model_registry.id", "model_registry.model_id"],
            name="fk_drift_events_version_id",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_drift_events"),
    )
    op.create_index("ix_drift_events_at", "drift_events", ["at"])
    op.create_index("ix_drift_events_model_id_at", "drift_events", ["model_id", "at"])
    op.create_table(
        "evaluations",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("version_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("passed", sa.Boolean(), nullable=True),
        sa.Column("figures", JSON, nullable=False),
        sa.Column("at", TIME, nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("model_id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(
            ["model_id", "tenant_id"], ["models.id", "models.tenant_id"], name="fk_evaluations_model_id"
        ),
        sa.ForeignKeyConstraint(
            ["version_id", "model_id"],
            ["model_registry.id", "model_registry.model_id"],
            name="fk_evaluations_version_id",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_evaluations"),
    )
    op.create_index("ix_evaluations_version_id_at", "evaluations", ["version_id", "at"])
    op.create_table(
        "label_counts",
        sa.Column("version_id", sa.Uuid(), nullable=False),
        sa.Column("hour", TIME, nullable=False),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("model_id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(
            ["model_id", "tenant_id"], ["models.id", "models.tenant_id"], name="fk_label_counts_model_id"
        ),
        sa.ForeignKeyConstraint(
            ["version_id", "model_id"],
            ["model_registry.id", "model_registry.model_id"],
            name="fk_label_counts_version_id",
        ),
        sa.PrimaryKeyConstraint("version_id", "hour", "label", name="pk_label_counts"),
    )
    op.create_table(
        "model_performance_logs",
        sa.Column("version_id", sa.Uuid(), nullable=False),
        sa.Column("hour", TIME, nullable=False),
        sa.Column("predictions", sa.BigInteger(), nullable=False),
        sa.Column("outcomes", sa.BigInteger(), nullable=False),
        sa.Column("judged", sa.BigInteger(), nullable=False),
        sa.Column("correct", sa.BigInteger(), nullable=False),
        sa.Column("wins", sa.BigInteger(), nullable=False),
        sa.Column("losses", sa.BigInteger(), nullable=False),
        sa.Column("gain", sa.Double(), nullable=False),
        sa.Column("loss", sa.Double(), nullable=False),
        sa.Column("returned", sa.BigInteger(), nullable=False),
        sa.Column("returns", sa.Double(), nullable=False),
        sa.Column("squares", sa.Double(), nullable=False),
        sa.Column("timed", sa.BigInteger(), nullable=False),
        sa.Column("seconds", sa.Double(), nullable=False),
        sa.Column("confident", sa.BigInteger(), nullable=False),
        sa.Column("confidence", sa.Double(), nullable=False),
        sa.Column("compared", sa.BigInteger(), nullable=False),
        sa.Column("error", sa.Double(), nullable=False),
        sa.Column("squared_error", sa.Double(), nullable=False),
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("model_id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(
            ["model_id", "tenant_id"], ["models.id", "models.tenant_id"], name="fk_model_performance_logs_model_id"
        ),
        sa.ForeignKeyConstraint(
            ["version_id", "model_id"],
            ["model_registry.id", "model_registry.model_id"],
            name="fk_model_performance_logs_version_id",
        ),
        sa.PrimaryKeyConstraint("version_id", "hour", name="pk_model_performance_logs"),
    )
    op.create_index("ix_model_performance_logs_hour", "model_performance_logs", ["hour"])
    op.create_index("ix_model_performance_logs_model_id_hour", "model_performance_logs", ["model_id", "hour"])
    op.create_table(
        "placements",
        sa.Column("deployment_id", sa.Uuid(), nullable=False),
        sa.Column("version_id", sa.Uuid(), nullable=False),
        sa.Column("stage", sa.String(16), nullable=False),
        sa.Column("since", TIME, nullable=False),
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("model_id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(["deployment_id"], ["deployments.id"], name="fk_placements_deployment_id"),
        sa.ForeignKeyConstraint(
            ["model_id", "tenant_id"], ["models.id", "models.tenant_id"], name="fk_placements_model_id"
        ),
        sa.ForeignKeyConstraint(
            ["version_id", "model_id"],
            ["model_registry.id", "model_registry.model_id"],
            name="fk_placements_version_id",
        ),
        sa.PrimaryKeyConstraint("deployment_id", "version_id", name="pk_placements"),
    )
    op.create_index("ix_placements_version_id", "placements", ["version_id"])
    op.create_index(
        "one_production_per_deployment",
        "placements",
        ["model_id", "deployment_id"],
        unique=True,
        postgresql_where=sa.text("stage = 'PRODUCTION'"),
        sqlite_where=sa.text("stage = 'PRODUCTION'"),
    )
    op.create_table(
        "predictions",
        sa.Column("model_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("version_id", sa.Uuid(), nullable=False),
        sa.Column("at", TIME, nullable=False),
        sa.Column("label", sa.Text(), nullable=True),
        sa.Column("value", sa.Double(), nullable=True),
        sa.Column("confidence", sa.Double(), nullable=True),
        sa.Column("seconds", sa.Double(), nullable=True),
        sa.Column("shadow", sa.Boolean(), nullable=False),
        sa.Column("kept_until", TIME, nullable=False),
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["model_id", "tenant_id"], ["models.id", "models.tenant_id"], name="fk_predictions_model_id"
        ),
        sa.ForeignKeyConstraint(
            ["version_id", "model_id"],
            ["model_registry.id", "model_registry.model_id"],
            name="fk_predictions_version_id",
        ),
        sa.PrimaryKeyConstraint("model_id", "id", "version_id", name="pk_predictions"),
    )
    op.create_index("ix_predictions_kept_until", "predictions", ["kept_until"])
    op.create_index("ix_predictions_model_id_at", "predictions", ["model_id", "at"])
    op.create_index("ix_predictions_version_id_at", "predictions", ["version_id", "at"])
    op.create_table(
        "retraining_jobs",
        sa.Column("trigger", sa.Text(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("parameters", JSON, nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("version_id", sa.Uuid(), nullable=True),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("started_at", TIME, nullable=True),
        sa.Column("ended_at", TIME, nullable=True),
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("model_id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(
            ["model_id", "tenant_id"], ["models.id", "models.tenant_id"], name="fk_retraining_jobs_model_id"
        ),
        sa.ForeignKeyConstraint(
            ["version_id", "model_id"],
            ["model_registry.id", "model_registry.model_id"],
            name="fk_retraining_jobs_version_id",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_retraining_jobs"),
    )
    op.create_index("ix_retraining_jobs_model_id_created_at", "retraining_jobs", ["model_id", "created_at"])
    op.create_table(
        "rollout_events",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("deployment_id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("at", TIME, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("details", JSON, nullable=False),
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("model_id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(["deployment_id"], ["deployments.id"], name="fk_rollout_events_deployment_id"),
        sa.ForeignKeyConstraint(
            ["model_id", "tenant_id"], ["models.id", "models.tenant_id"], name="fk_rollout_events_model_id"
        ),
        sa.PrimaryKeyConstraint("key", name="pk_rollout_events"),
    )
    op.create_index("ix_rollout_events_deployment_id_at", "rollout_events", ["deployment_id", "at"])
    op.create_index("ix_rollout_events_model_id_at", "rollout_events", ["model_id", "at"])
    op.create_table(
        "shadow_test_results",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("version_id", sa.Uuid(), nullable=False),
        sa.Column("champion_id", sa.Uuid(), nullable=False),
        sa.Column("at", TIME, nullable=False),
        sa.Column("since", TIME, nullable=False),
        sa.Column("figures", JSON, nullable=False),
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("model_id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(
            ["champion_id", "model_id"],
            ["model_registry.id", "model_registry.model_id"],
            name="fk_shadow_test_results_champion_id",
        ),
        sa.ForeignKeyConstraint(
            ["model_id", "tenant_id"], ["models.id", "models.tenant_id"], name="fk_shadow_test_results_model_id"
        ),
        sa.ForeignKeyConstraint(
            ["version_id", "model_id"],
            ["model_registry.id", "model_registry.model_id"],
            name="fk_shadow_test_results_version_id",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_shadow_test_results"),
    )
    op.create_index("ix_shadow_test_results_at", "shadow_test_results", ["at"])
    op.create_index("ix_shadow_test_results_version_id_at", "shadow_test_results", ["version_id", "at"])
    op.create_table(
        "training_jobs",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("parameters", JSON, nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("version_id", sa.Uuid(), nullable=True),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("started_at", TIME, nullable=True),
        sa.Column("ended_at", TIME, nullable=True),
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("model_id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(
            ["model_id", "tenant_id"], ["models.id", "models.tenant_id"], name="fk_training_jobs_model_id"
        ),
        sa.ForeignKeyConstraint(
            ["version_id", "model_id"],
            ["model_registry.id", "model_registry.model_id"],
            name="fk_training_jobs_version_id",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_training_jobs"),
    )
    op.create_index("ix_training_jobs_model_id_created_at", "training_jobs", ["model_id", "created_at"])
    op.create_table(
        "transitions",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("version_id", sa.Uuid(), nullable=False),
        sa.Column("deployment_id", sa.Uuid(), nullable=True),
        sa.Column("key", sa.Text(), nullable=True),
        sa.Column("source", sa.String(16), nullable=False),
        sa.Column("target", sa.String(16), nullable=False),
        sa.Column("at", TIME, nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("model_id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(["deployment_id"], ["deployments.id"], name="fk_transitions_deployment_id"),
        sa.ForeignKeyConstraint(
            ["model_id", "tenant_id"], ["models.id", "models.tenant_id"], name="fk_transitions_model_id"
        ),
        sa.ForeignKeyConstraint(
            ["version_id", "model_id"],
            ["model_registry.id", "model_registry.model_id"],
            name="fk_transitions_version_id",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_transitions"),
        sa.UniqueConstraint("key", name="uq_transitions_key"),
    )
    op.create_index("ix_transitions_version_id_at", "transitions", ["version_id", "at"])
