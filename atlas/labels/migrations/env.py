"""Environment of Alembic: the steps, on the connection that `atlas.labels.database` hands over."""

from __future__ import annotations

from alembic import context

from atlas.labels.schema import METADATA

context.configure(connection=context.config.attributes["connection"], target_metadata=METADATA, transactional_ddl=True)
context.run_migrations()
