"""What the cohort page reads from the database."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest
from db_rows import add_run, add_scan, add_visit

from db import cohort
from db.cohort import Quantity
from db.engine import Database, open_database
from db.models import Review, Visit
from db.visit_facts import VisitFacts, record_visit_facts
from thighseg_core.errors import DatabaseError, InputError

VOLUME = Quantity("extensor", "left", "full", "volume")


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = open_database(tmp_path / "thighseg.sqlite")
    yield opened
    opened.close()


def test_a_scan_comes_with_its_latest_run_and_its_value_is_found_by_it(database: Database) -> None:
    with database.write() as session:
        scan = add_scan(session, add_visit(session, "S1", on=date(2026, 3, 1), birth_year=1950), "a")
        add_run(session, scan, volume=1.0)
        latest = add_run(session, scan, version=2, volume=2.0)
        latest_id = latest.id
    with database.read() as session:
        frame, values = cohort.scans_frame(session), cohort.values_frame(session, VOLUME)
    assert list(frame["run_id"]) == [latest_id]
    assert list(frame["age_years"]) == [76]
    assert frame["visit_date"].iloc[0].date() == date(2026, 3, 1)
    assert frame["coverage_mm"].iloc[0] == 150.0  # 30 slices, 5 mm apart
    assert values["value"].to_dict() == {1: 1.0, latest_id: 2.0}


def test_rejected_results_are_not_there_and_later_decisions_count(database: Database) -> None:
    with database.write() as session:
        run = add_run(session, add_scan(session, add_visit(session, "S1"), "a"), volume=1.0)
        session.add(Review(run=run, decision="rejected", reviewer="R"))
    with database.read() as session:
        assert cohort.scans_frame(session).empty
    with database.write() as session:
        session.add(Review(run_id=1, decision="approved", reviewer="R"))
    with database.read() as session:
        assert list(cohort.scans_frame(session)["review"]) == ["approved"]


def test_flags_are_their_codes_once_each_and_information_is_none(database: Database) -> None:
    flags = [("truncated", "warning"), ("truncated", "warning"), ("metal", "error"), ("thick_slices", "info")]
    with database.write() as session:
        run = add_run(session, add_scan(session, add_visit(session, "S1"), "a"))
        run.flags = [{"code": code, "severity": severity} for code, severity in flags]
        add_run(session, add_scan(session, add_visit(session, "S2"), "b"))
    with database.read() as session:
        frame = cohort.scans_frame(session)
    assert set(frame["flags"].iloc[0].replace(",", " ").split()) == {"truncated", "metal"}
    assert frame["flags"].iloc[1] == ""


def test_a_missing_value_is_nan_and_a_flagged_one_is_said_to_be(database: Database) -> None:
    with database.write() as session:
        add_run(session, add_scan(session, add_visit(session, "S1"), "a"), volume=None)
    with database.read() as session:
        values = cohort.values_frame(session, VOLUME)
    assert values["value"].isna().all()
    assert not values["flagged"].any()


def test_values_come_from_the_index_alone(database: Database) -> None:
    """The table is a hundred times larger than one quantity; reading it would take seconds."""
    compiled = cohort.quantity_values(VOLUME).compile(compile_kwargs={"literal_binds": True})
    with database.read() as session:
        plan = session.connection().exec_driver_sql(f"EXPLAIN QUERY PLAN {compiled}").all()
    assert "COVERING INDEX" in str(plan)


def test_an_empty_database_gives_an_empty_frame_with_its_columns(database: Database) -> None:
    with database.read() as session:
        frame = cohort.scans_frame(session)
        assert cohort.measured(session) == []
    assert frame.empty
    assert {"study", "subject", "visit_date", "hu_preset", "flags"} <= set(frame.columns)


def test_what_was_measured_is_told_by_the_newest_run(database: Database) -> None:
    with database.write() as session:
        scan = add_scan(session, add_visit(session, "S1"), "a")
        add_run(session, scan, volume=1.0)
        add_run(session, scan, version=2, attenuation=40.0)
    with database.read() as session:
        assert cohort.measured(session) == [("extensor", "attenuation", "full")]


def test_facts_of_a_visit_are_replaced_and_implausible_ones_refused(database: Database) -> None:
    with database.write() as session:
        visit_id = add_visit(session, "S1", height_cm=170.0).id
    with database.write() as session:
        record_visit_facts(session, VisitFacts(grip_strength_kg=30.0), visit_id=visit_id)
    with database.read() as session:
        visit = session.get_one(Visit, visit_id)
        assert (visit.height_cm, visit.grip_strength_kg) == (None, 30.0)
    with pytest.raises(InputError, match="gait speed"):
        VisitFacts(gait_speed_m_s=12.0)
    with pytest.raises(DatabaseError, match="does not exist"), database.write() as session:
        record_visit_facts(session, VisitFacts(), visit_id=99)
