"""Engines, constraints and migrations, on real SQLite files."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from threading import Event, Thread

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.operations import Operations
from alembic.script import ScriptDirectory
from db_rows import add_run, add_scan, add_visit
from sqlalchemy import delete, func, select, text
from sqlalchemy.exc import IntegrityError

from db import engine as db_engine
from db.engine import Database, migration_engine, open_database
from db.migrate import MIGRATIONS, current_revision, upgrade_to_head
from db.models import Base, DataRevision, Job, Measurement, Review, Run, Scan, Study, Subject, Visit
from thighseg_core.errors import DatabaseError

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = open_database(tmp_path / "thighseg.sqlite")
    yield opened
    opened.close()


def test_every_connection_has_foreign_keys_wal_and_patience(database: Database) -> None:
    for engine in (database.writer, database.reader):
        with engine.connect() as connection:
            values = [
                connection.exec_driver_sql(f"PRAGMA {name}").scalar()
                for name in ("foreign_keys", "journal_mode", "busy_timeout", "synchronous")
            ]
        assert values == [1, "wal", 30_000, 1]


def test_a_row_cannot_point_to_a_parent_that_is_not_there(database: Database) -> None:
    with pytest.raises(DatabaseError, match="FOREIGN KEY") as caught, database.write() as session:
        session.add(Subject(study_id=99, code="S1"))
    assert isinstance(caught.value.__cause__, IntegrityError)


def test_deleting_a_study_takes_all_that_belongs_to_it(database: Database) -> None:
    with database.write() as session:
        scan = add_scan(session, add_visit(session, "S1"), "a")
        run = add_run(session, scan, volume=1.0)
        session.add_all([Review(run=run, decision="approved", reviewer="R"), Job(scan=scan, model="segformer")])
    with database.write() as session:
        session.execute(delete(Study))
    with database.read() as session:
        left = {
            table.__tablename__: session.scalar(select(func.count()).select_from(table))
            for table in (Subject, Visit, Scan, Run, Measurement, Review, Job)
        }
    assert set(left.values()) == {0}


def test_an_exception_in_the_block_takes_everything_back(database: Database) -> None:
    def half_way() -> None:
        with database.write() as session:
            session.add(Study(name="A"))
            session.flush()
            raise RuntimeError("half-way")

    with pytest.raises(RuntimeError, match="half-way"):
        half_way()
    with database.read() as session:
        assert session.scalar(select(func.count()).select_from(Study)) == 0


def test_the_reader_cannot_write(database: Database) -> None:
    with pytest.raises(DatabaseError, match="cannot be written"), database.read() as session:
        session.add(Study(name="A"))


@pytest.mark.parametrize(
    "wrong",
    [
        Subject(code="S2", sex="m"),
        Subject(code="S2", birth_year=950),
        Subject(code="S1"),  # the code is taken
        Visit(subject_id=1, number=0),
        Visit(subject_id=1, number=1),  # the number is taken
        Visit(subject_id=1, number=2, height_cm=1.72),  # metres
        Measurement(run_id=1, region="r", side="left", extent="full", metric="m", value=None, unit="cm3"),
        Measurement(run_id=1, region="r", side="left", extent="full", metric="m", value=0, unit="HU", status="missing"),
        Measurement(run_id=1, region="extensor", side="left", extent="full", metric="volume", value=2.0, unit="cm3"),
        Review(run_id=1, decision="maybe", reviewer="R"),
        Job(scan_id=1, model="segformer", status="running"),  # nobody owns it
        Job(scan_id=1, model="segformer"),  # one is queued already
        Run(id=2, scan_id=1, version=1, kind="automatic"),
    ],
    ids=lambda row: type(row).__name__,
)  # fmt: skip
def test_the_database_itself_refuses_what_cannot_be(database: Database, wrong: Base) -> None:
    with database.write() as session:
        scan = add_scan(session, add_visit(session, "S1"), "a")
        add_run(session, scan, volume=1.0)
        session.add(Job(scan=scan, model="segformer"))
    copy = type(wrong)(**{k: v for k, v in vars(wrong).items() if not k.startswith("_")})
    if isinstance(copy, Subject):
        copy.study_id = 1
    with pytest.raises(DatabaseError, match="refused"), database.write() as session:
        session.add(copy)


def test_times_come_back_as_utc_and_naive_times_are_refused(database: Database) -> None:
    moment = datetime(2026, 11, 22, 20, 15, tzinfo=UTC)
    with database.write() as session:
        session.add(Study(name="A", created_at=moment))
    with database.read() as session:
        assert session.scalar(select(Study.created_at)) == moment
    with pytest.raises(Exception, match="time zone"), database.write() as session:
        session.add(Study(name="B", created_at=datetime(2026, 11, 22)))


def test_an_id_is_never_given_out_twice(database: Database) -> None:
    with database.write() as session:
        session.add(Study(name="A"))
    with database.write() as session:
        session.execute(delete(Study))
    with database.write() as session:
        second = Study(name="B")
        session.add(second)
        session.flush()
        assert second.id == 2


def test_a_reader_goes_on_while_somebody_writes(database: Database) -> None:
    with database.write() as writing:
        writing.add(Study(name="A"))
        writing.flush()
        with database.read() as reading:
            assert reading.scalar(select(func.count()).select_from(Study)) == 0


def test_a_database_that_stays_locked_is_said_in_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(db_engine, "BUSY_TIMEOUT_MS", 50)
    database = open_database(tmp_path / "x.sqlite")
    taken, leave = Event(), Event()

    def hold() -> None:
        with database.write():
            taken.set()
            leave.wait(10)

    thread = Thread(target=hold)
    thread.start()
    taken.wait(10)
    try:
        with pytest.raises(DatabaseError, match="busy"), database.write() as session:
            session.add(Study(name="A"))
    finally:
        leave.set()
        thread.join()
        database.close()


def test_models_and_migrations_agree(database: Database) -> None:
    with database.writer.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Base.metadata) == []


def test_check_constraints_of_models_and_migrations_agree(database: Database) -> None:
    """Alembic does not compare them, so the SQL of both is compared."""
    with database.writer.connect() as connection:
        stored = connection.exec_driver_sql("SELECT group_concat(sql) FROM sqlite_master").scalar_one()
    for table in Base.metadata.tables.values():
        for constraint in table.constraints:
            if hasattr(constraint, "sqltext"):
                assert f"CONSTRAINT {constraint.name} CHECK ({constraint.sqltext})" in stored
        assert "AUTOINCREMENT" in stored


def test_a_file_at_revision_1_upgrades_and_keeps_its_rows(tmp_path: Path) -> None:
    path = tmp_path / "old.sqlite"
    upgrade_to_head(path, revision="0001")
    with sqlite3.connect(path) as connection:
        connection.execute("INSERT INTO study VALUES (7, 'Old', '', '2026-01-01 00:00:00.000000')")
        connection.execute(
            "INSERT INTO subject (id, study_id, code, sex, created_at) VALUES (5, 7, 'S1', 'male', '2026-01-01')"
        )
        connection.execute("INSERT INTO visit (id, subject_id, number, label) VALUES (3, 5, 1, '')")
        _insert(connection, "scan", id=2, study_id=7, visit_id=3, created_at="2026-01-01")
        _insert(connection, "run", id=9, scan_id=2, version=1, kind="automatic", created_at="2026-01-01")
    database = open_database(path)
    with database.read() as session:
        run = session.scalars(select(Run).join(Run.scan).where(Scan.study_id == 7)).one()
        assert (run.id, run.scan.visit.subject.code, run.seconds) == (9, "S1", {})
        assert current_revision(session.connection()) == newest_revision()
    database.close()


def newest_revision() -> str:
    (head,) = ScriptDirectory(str(MIGRATIONS)).get_heads()
    return head


@pytest.mark.parametrize("table", ["study", "subject", "visit", "scan", "run", "review"])
@pytest.mark.parametrize("event", ["insert", "update", "delete"])
def test_every_change_of_what_the_cohort_reads_is_counted(database: Database, table: str, event: str) -> None:
    """Frames are kept under that count; a migration that rebuilds a table has to make its triggers again."""
    with database.write() as session:
        run = add_run(session, add_scan(session, add_visit(session, "S1"), "a"), volume=1.0)
        if (table, event) != ("review", "insert"):
            session.add(Review(run=run, decision="comment", reviewer="R"))
    before = counted(database)
    change = {
        "insert": "INSERT INTO review (run_id, decision, reviewer, comment, created_at) "
        "VALUES (1, 'comment', 'R', '', '2026-01-01')",
        "update": f"UPDATE {table} SET id = id",
        "delete": f"DELETE FROM {table}",
    }[event]
    if event == "insert" and table != "review":
        change = ""
        with database.write() as session:
            {
                "study": lambda: session.add(Study(name="B")),
                "subject": lambda: session.add(Subject(study_id=1, code="S2")),
                "visit": lambda: session.add(Visit(subject_id=1, number=2)),
                "scan": lambda: add_scan(session, session.get(Visit, 1), "b"),
                "run": lambda: add_run(session, session.get(Scan, 1), version=2),
            }[table]()
    if change:
        with database.write() as session:
            session.execute(text(change))
    assert counted(database) > before


def counted(database: Database) -> int:
    with database.read() as session:
        return session.scalars(select(DataRevision.number)).one()


def _insert(connection: sqlite3.Connection, table: str, **values: object) -> None:
    """One row; columns that must not be NULL and are not named get an empty JSON object or 1."""
    columns = connection.execute(f"PRAGMA table_info({table})").fetchall()
    row = {name: "{}" if kind == "JSON" else 1 for _, name, kind, not_null, _, _ in columns if not_null} | values
    marks = ", ".join("?" for _ in row)
    connection.execute(f"INSERT INTO {table} ({', '.join(row)}) VALUES ({marks})", list(row.values()))


def test_rebuilding_a_table_in_a_migration_keeps_the_rows_that_point_to_it(tmp_path: Path) -> None:
    """SQLite alters by copy, drop and rename; with foreign keys on, the drop would cascade to all children."""
    path = tmp_path / "x.sqlite"
    database = open_database(path)
    with database.write() as session:
        add_scan(session, add_visit(session, "S1"), "a")
    database.close()
    engine = migration_engine(path)
    with engine.begin() as connection:
        operations = Operations(MigrationContext.configure(connection))
        with operations.batch_alter_table("study", recreate="always"):
            pass
    engine.dispose()
    with sqlite3.connect(path) as connection:
        counts = [connection.execute(f"SELECT count(*) FROM {t}").fetchone()[0] for t in ("study", "subject", "scan")]
    assert counts == [1, 1, 1]


def test_a_file_of_newer_code_is_refused_unchanged(tmp_path: Path) -> None:
    path = tmp_path / "new.sqlite"
    open_database(path).close()
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(DatabaseError, match="newer ThighSeg"):
        open_database(path)
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT version_num FROM alembic_version").fetchall() == [("9999",)]


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.sqlite"
    path.write_text("patients.csv, once more and long enough to be read as a header of something else" * 20)
    with pytest.raises(DatabaseError, match="not a SQLite database"):
        open_database(path)


def test_several_processes_may_open_a_new_file_at_once(tmp_path: Path) -> None:
    code = (
        f"from pathlib import Path; from db.engine import open_database; open_database(Path({str(tmp_path / 'x')!r}))"
    )
    started = [subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stderr=subprocess.PIPE) for _ in range(3)]
    assert [(process.communicate()[1], process.returncode) for process in started] == [(b"", 0)] * 3


def test_the_alembic_command_line_works(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "alembic", "-c", "db/alembic.ini", "-x", f"database={tmp_path / 'x.sqlite'}"]
    subprocess.run([*command, "upgrade", "head"], cwd=ROOT, check=True, capture_output=True)
    shown = subprocess.run([*command, "current"], cwd=ROOT, check=True, capture_output=True, text=True)
    assert "(head)" in shown.stdout
    subprocess.run([*command, "check"], cwd=ROOT, check=True, capture_output=True)
    subprocess.run([*command, "downgrade", "base"], cwd=ROOT, check=True, capture_output=True)
    with sqlite3.connect(tmp_path / "x.sqlite") as connection:
        tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    assert tables <= {"alembic_version", "sqlite_sequence"}


def test_a_failed_migration_leaves_the_old_schema(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.sqlite"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE review (id INTEGER)")  # in the way of the last table of 0001
    with pytest.raises(DatabaseError, match="could not be brought up to date"):
        open_database(path)
    with sqlite3.connect(path) as connection:
        tables = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    assert tables == ["review"]


def test_raw_sql_in_a_session_begins_immediately(database: Database) -> None:
    with database.write() as session:
        assert session.execute(text("SELECT 1")).scalar_one() == 1
        other = sqlite3.connect(database.path, timeout=0)
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            other.execute("INSERT INTO study VALUES (1, 'A', '', '2026-01-01')")
        other.close()
