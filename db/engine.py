"""Engines and transactions on the SQLite file. Engines are made by calling, never at import.

Two engines on one file: the writer begins with BEGIN IMMEDIATE (two writers queue instead of one
failing half-way), the reader begins plainly and cannot write. WAL lets readers go on while one writes.
SQLite in WAL mode needs a local disk, not NFS.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from sqlite3 import Connection as SQLiteConnection

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.orm import Session

from thighseg_core.errors import DatabaseError

BUSY_TIMEOUT_MS = 30_000


@dataclass(frozen=True)
class Database:
    """The two engines of one open database file. `close` gives the file handles back."""

    path: Path
    writer: Engine
    reader: Engine

    @contextmanager
    def write(self) -> Iterator[Session]:
        """One writing transaction: commits at the end of the block, rolls back when it raises."""
        with session_scope(self.writer) as session:
            yield session

    @contextmanager
    def read(self) -> Iterator[Session]:
        """One reading transaction: a consistent view for the length of the block."""
        with session_scope(self.reader) as session:
            yield session

    def close(self) -> None:
        self.writer.dispose()
        self.reader.dispose()


def writer_engine(path: Path) -> Engine:
    """Engine whose transactions start with BEGIN IMMEDIATE."""
    return _engine(path, begin="BEGIN IMMEDIATE", pragmas=("foreign_keys=ON",))


def reader_engine(path: Path) -> Engine:
    """Engine that can only read; never waits for a writer."""
    return _engine(path, begin="BEGIN", pragmas=("foreign_keys=ON", "query_only=ON"))


def migration_engine(path: Path) -> Engine:
    """Writer with foreign keys off: rebuilding a table must not cascade its deletion to the rows that point to it."""
    return _engine(path, begin="BEGIN IMMEDIATE", pragmas=("foreign_keys=OFF",))


def _engine(path: Path, *, begin: str, pragmas: tuple[str, ...]) -> Engine:
    engine = create_engine(f"sqlite:///{path}", connect_args={"timeout": BUSY_TIMEOUT_MS / 1000})

    @event.listens_for(engine, "connect")
    def _on_connect(connection: SQLiteConnection, record: object) -> None:
        del record
        connection.isolation_level = None  # the driver starts no transaction of its own; `_on_begin` does
        connection.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")
        for pragma in pragmas:
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _on_begin(connection: Connection) -> None:
        connection.exec_driver_sql(begin)

    return engine


def open_database(path: Path) -> Database:
    """Open the file, creating it or bringing its schema up to date.

    Raises DatabaseError when the file was written by a newer ThighSeg, is no database, or stays locked.
    """
    from db.migrate import upgrade_to_head

    path.parent.mkdir(parents=True, exist_ok=True)
    upgrade_to_head(path)
    return connect_database(path)


def connect_database(path: Path) -> Database:
    """Engines on a file whose schema is known to be up to date."""
    return Database(path=path, writer=writer_engine(path), reader=reader_engine(path))


@contextmanager
def session_scope(engine: Engine) -> Iterator[Session]:
    """One transaction, owned by the caller: functions of db take the session and never commit.

    Database errors come out as DatabaseError in words.
    """
    try:
        with Session(engine, expire_on_commit=False) as session, session.begin():
            session.connection()  # begin now, not at the first statement
            yield session
    except IntegrityError as error:
        raise DatabaseError(f"the database refused the change and nothing was stored: {error.orig}") from error
    except OperationalError as error:
        raise DatabaseError(in_words(error)) from error


def in_words(error: Exception) -> str:
    """What a SQLite error means for the person at the screen."""
    reason = str(getattr(error, "orig", None) or error)
    if "locked" in reason or "busy" in reason:
        return f"the database was busy for more than {BUSY_TIMEOUT_MS // 1000} s; try again in a moment"
    if "full" in reason:
        return "the disk is full; free some space and try again"
    if "readonly" in reason:
        return "the database cannot be written; check the permissions of the data folder"
    return f"the database failed: {reason}"
