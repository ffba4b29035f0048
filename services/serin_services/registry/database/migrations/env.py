"""What Alembic runs: the revisions, over the connection that it was given."""

import alembic.context

alembic.context.configure(connection=alembic.context.config.attributes["connection"])
alembic.context.run_migrations()
