"""Bring a database file to the schema of this code (Alembic, run from the program).

By hand: `alembic -c db/alembic.ini current` (the file of THIGHSEG_DATA, or `-x database=PATH`).
"""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection
from sqlalchemy.exc import DatabaseError as DriverError

from db.engine import in_words, migration_engine
from thighseg_core.errors import DatabaseError

MIGRATIONS = Path(__file__).resolve().parent / "migrations"


def upgrade_to_head(path: Path, *, revision: str = "head") -> None:
    """Create or upgrade the file at `path`. All steps happen in one transaction, or none.

    Raises DatabaseError when the file comes from newer code, is no database of ours, or a step fails.
    """
    with _alone(path):
        engine = migration_engine(path)
        try:
            with engine.begin() as connection:
                _refuse_newer(connection, path)
                config = Config()
                config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
                config.attributes["connection"] = connection
                command.upgrade(config, revision)
                if broken := connection.exec_driver_sql("PRAGMA foreign_key_check").all():
                    raise DatabaseError(f"the upgrade of {path.name} would leave {len(broken)} rows without parent")
        except DriverError as error:
            if "not a database" in str(error):
                raise DatabaseError(f"{path} is not a SQLite database; move it away or name another one") from error
            raise DatabaseError(f"{path.name} could not be brought up to date: {in_words(error)}") from error
        finally:
            engine.dispose()


def current_revision(connection: Connection) -> str | None:
    """Revision the file is at, None when it has no schema yet."""
    return MigrationContext.configure(connection).get_current_revision()


def _refuse_newer(connection: Connection, path: Path) -> None:
    revision = current_revision(connection)
    known = {script.revision for script in ScriptDirectory(str(MIGRATIONS)).walk_revisions()}
    if revision is not None and revision not in known:
        raise DatabaseError(
            f"{path.name} was written by a newer ThighSeg (schema {revision}; this one knows up to {max(known)}). "
            "Update ThighSeg, or open another data folder. Nothing was changed."
        )


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Only one process at a time creates or upgrades the file."""
    with path.with_name(path.name + ".upgrade-lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
