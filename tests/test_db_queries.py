"""What pages ask of the database."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest
from db_rows import add_run, add_scan, add_visit
from sqlalchemy import select

from db import jobs, queries
from db.engine import Database, open_database
from db.models import Job, Run, Scan
from db.record import add_review
from thighseg_core.cohort_statistics.change import COLUMNS, changes
from thighseg_core.errors import DatabaseError, InputError


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """Two subjects; F1 with two visits, the first visit's scan with two runs, the second run approved."""
    opened = open_database(tmp_path / "thighseg.sqlite")
    with opened.write() as session:
        first = add_scan(session, add_visit(session, "F1", 1, sex="female", birth_year=1950, on=date(2024, 3, 1)), "a")
        second = add_scan(session, add_visit(session, "F1", 2, on=date(2026, 3, 1), age_years=75.5), "b")
        other = add_scan(session, add_visit(session, "M1", 1, sex="male"), "c")
        add_run(session, first, 1, volume=90.0, attenuation=50.0)
        corrected = add_run(session, first, 2, kind="corrected", volume=100.0, attenuation=50.0)
        add_run(session, second, 1, volume=90.0, attenuation=None)
        rejected = add_run(session, other, 1, volume=200.0)
        session.add(Job(scan=other, model="segformer"))
        add_review(session, run_id=corrected.id, decision="rejected", reviewer="A")
        add_review(session, run_id=corrected.id, decision="approved", reviewer="B")
        add_review(session, run_id=corrected.id, decision="comment", reviewer="C", comment="nice")
        add_review(session, run_id=rejected.id, decision="rejected", reviewer="A", comment="motion")
    yield opened
    opened.close()


def test_the_worklist_has_one_row_a_scan_with_its_latest_run_job_and_review(database: Database) -> None:
    with database.read() as session:
        found = queries.rows(session, queries.scans())
    assert [row["subject"] for row in found] == ["M1", "F1", "F1"]
    first = found[2]
    assert (first["run_version"], first["run_kind"], first["review"], first["reviewer"]) == (
        2,
        "corrected",
        "approved",
        "B",
    )
    assert first["scan"] == "ct_aaaaaaaaaaaa"
    assert (found[0]["job_status"], found[1]["job_status"], found[1]["review"]) == ("queued", None, None)


def test_age_is_the_given_one_or_else_the_difference_of_years(database: Database) -> None:
    with database.read() as session:
        found = {(row["subject"], row["visit"]): row["age_years"] for row in queries.rows(session, queries.scans())}
    assert found == {("F1", 1): 74, ("F1", 2): 75.5, ("M1", 1): None}


def test_measurements_come_from_the_latest_run_of_each_scan(database: Database) -> None:
    with database.read() as session:
        found = queries.rows(session, queries.measurements(metric="volume"))
    assert [(row["subject"], row["visit"], row["value"]) for row in found] == [
        ("F1", 1, 100),
        ("F1", 2, 90),
        ("M1", 1, 200),
    ]
    assert found[0]["run_version"] == 2
    assert found[0]["model_name"] == "segformer"


def test_rejected_runs_are_left_out_of_the_cohort(database: Database) -> None:
    with database.read() as session:
        cohort = queries.frame(session, queries.measurements(metric="volume", include_rejected=False))
    assert cohort["subject"].unique().tolist() == ["F1"]


def test_measurements_of_one_older_run_can_be_asked_for(database: Database) -> None:
    with database.read() as session:
        run_id = session.scalars(select(Run.id).where(Run.version == 1).order_by(Run.id)).first()
        found = queries.rows(session, queries.measurements(run_id=run_id))
    assert [(row["metric"], row["value"]) for row in found] == [("volume", 90.0), ("attenuation", 50.0)]


def test_an_empty_result_still_has_its_columns(database: Database) -> None:
    with database.read() as session:
        empty = queries.frame(session, queries.measurements(study_id=99))
    assert empty.empty
    assert {"subject", "sex", "age_years", "metric", "value", "review"} <= set(empty.columns)
    assert changes(empty).columns.tolist() == list(COLUMNS)


def test_change_between_visits_is_absolute_relative_and_per_year(database: Database) -> None:
    with database.read() as session:
        table = changes(queries.frame(session, queries.measurements()))
    assert len(table) == 1  # attenuation is missing at the second visit, M1 has one visit
    row = table.iloc[0]
    assert (row["from_visit"], row["to_visit"], row["days"]) == (1, 2, 730)  # 2024-03-01 to 2026-03-01, no leap day
    assert (row["change"], row["change_percent"]) == (-10.0, -10.0)
    assert row["change_per_year"] == pytest.approx(-10.0 * 365.25 / 730)


def test_reviews_are_kept_in_their_order(database: Database) -> None:
    with database.read() as session:
        scan_id = session.scalars(select(Scan.id).order_by(Scan.id)).first()
        history = queries.rows(session, queries.reviews(scan_id=scan_id))
    assert [row["decision"] for row in history] == ["rejected", "approved", "comment"]


@pytest.mark.parametrize(
    ("change", "words"),
    [({"decision": "fine"}, "one of"), ({"reviewer": " "}, "reviewer"), ({"decision": "comment"}, "empty")],
)
def test_a_review_without_its_parts_is_refused(database: Database, change: dict[str, str], words: str) -> None:
    with pytest.raises(InputError, match=words), database.write() as session:
        add_review(session, **({"run_id": 1, "decision": "approved", "reviewer": "A"} | change))  # type: ignore[arg-type]


def test_a_review_of_a_run_that_is_gone_is_refused(database: Database) -> None:
    with pytest.raises(DatabaseError, match="reload"), database.write() as session:
        add_review(session, run_id=99, decision="approved", reviewer="A")


def test_the_versions_of_a_scan_come_newest_first(database: Database) -> None:
    with database.read() as session:
        found = queries.rows(session, queries.runs(scan_id=1))
    assert [(row["version"], row["kind"], row["review"]) for row in found] == [
        (2, "corrected", "approved"),
        (1, "automatic", None),
    ]


def test_the_job_board_shows_running_then_waiting_in_order_then_ended_newest_first(database: Database) -> None:
    with database.write() as session:
        visit = add_visit(session, "Q1")
        ids = [jobs.enqueue(session, scan_id=add_scan(session, visit, d).id, model="m").id for d in "defg"]
        for ended in ids[:2]:
            jobs.cancel(session, job_id=ended)
        first = jobs.claim(session, owner="w")
    with database.read() as session:
        board = queries.rows(session, queries.jobs())
        live = queries.rows(session, queries.jobs(live_only=True))
    assert first is not None
    assert [row["job_id"] for row in board] == [first.job_id, *ids[2:], ids[1], ids[0]]
    assert [row["job_id"] for row in live] == [first.job_id, *ids[2:]]


def test_counts_of_the_home_page(database: Database) -> None:
    with database.read() as session:
        counts = queries.counts(session)
        studies = queries.rows(session, queries.studies())
        subjects = queries.rows(session, queries.subjects(study_id=1))
    assert counts == {
        "studies": 1, "subjects": 2, "visits": 3, "scans": 3, "runs": 4, "unreviewed": 1,
        "queued": 1, "running": 0, "done": 0, "failed": 0, "cancelled": 0,
    }  # fmt: skip
    assert [(row["study"], row["subjects"], row["visits"], row["scans"]) for row in studies] == [("Study A", 2, 3, 3)]
    assert [(row["subject"], row["visits"], row["last_visit"]) for row in subjects] == [("F1", 2, 2), ("M1", 1, 1)]
