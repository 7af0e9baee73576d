"""Entry point of Alembic: on the connection that db.migrate hands over, or on the file of the settings."""

from __future__ import annotations

from pathlib import Path

from alembic import context
from sqlalchemy import Connection

from db.engine import migration_engine
from db.models import Base
from db.settings import read_settings


def _run(connection: Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        render_as_batch=True,  # SQLite alters a table by rebuilding it
        compare_type=True,
        user_module_prefix="db.types.",
    )
    with context.begin_transaction():
        context.run_migrations()


given: Connection | None = context.config.attributes.get("connection")
if given is not None:
    _run(given)
else:
    named = context.get_x_argument(as_dictionary=True).get("database")
    path = Path(named) if named else read_settings().database_path
    path.parent.mkdir(parents=True, exist_ok=True)
    engine = migration_engine(path)
    with engine.begin() as connection:
        _run(connection)
    engine.dispose()
