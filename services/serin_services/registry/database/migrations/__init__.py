"""The tables' history, revision by revision, and how a database comes to the newest."""

import alembic.command
import alembic.config
import alembic.migration
import sqlalchemy as sa

from serin_services.registry.database import visibility

# Any number that nobody else locks by.
_LOCK = 0x5E121


def upgrade(engine: sa.Engine, *, application: str | None) -> None:
    """Bring the tables to the newest revision in one transaction, and give the application's role its rights.

    Of several that come at once the first does it; the others wait for its end and find nothing left to do.
    """
    with engine.begin() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(
                sa.text("SELECT set_config('statement_timeout', '0', true), set_config('lock_timeout', '0', true)")
            )
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))
        alembic.command.upgrade(_configure(connection), "head")
        if connection.dialect.name == "postgresql" and application not in (None, engine.url.username):
            for statement in visibility.grants(application):
                connection.execute(sa.text(statement))


def revision(engine: sa.Engine) -> str | None:
    """Give the revision that the tables are at; None for a database that has none."""
    with engine.connect() as connection:
        return alembic.migration.MigrationContext.configure(connection).get_current_revision()


def _configure(connection: sa.Connection) -> alembic.config.Config:
    config = alembic.config.Config()
    config.set_main_option("script_location", "serin_services.registry.database:migrations")
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config
