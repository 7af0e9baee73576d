"""Tables of the export page: the same rows as the command line's, scans.csv, and a dictionary without a gap."""

from __future__ import annotations

from pathlib import Path

import phantom_study
import pytest
from leg_phantom import truth
from phantom_study import TWO_PEOPLE

from db import export_rows, queries
from db.engine import open_database
from db.models import Review
from db.settings import Settings
from thighseg_core import export, export_scans
from thighseg_core.analyse import measure_only
from thighseg_core.labels import LabelMap
from thighseg_core.reading import find_series, load_series


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Two phantom people; the first visit of P01 is approved."""
    settings = Settings(data_dir=tmp_path / "data")
    phantom_study.fill(settings, tmp_path)
    database = open_database(settings.database_path)
    with database.write() as session:
        session.add(Review(run_id=1, decision="approved", reviewer="=JK"))
    return settings


def asked(settings: Settings, statement: queries.Query) -> list[dict[str, object]]:
    with open_database(settings.database_path).read() as session:
        return queries.rows(session, statement)


def test_long_rows_are_those_of_the_command_line_with_subject_visit_and_review_filled_in(
    settings: Settings, tmp_path: Path
) -> None:
    folder = phantom_study.write_dicom(TWO_PEOPLE[0], tmp_path / "again")
    volume = load_series(find_series(folder, work_dir=tmp_path).series[0])
    visit = TWO_PEOPLE[0]
    labels = LabelMap(truth(phantom_study.phantom_grid(visit), phantom_study.legs(visit)).labels, volume.geometry)
    analysis = measure_only(volume, labels)
    from_command_line = export.long_rows(
        analysis.measurements, manifest=analysis.manifest, digest_sha256=volume.info.digest_sha256
    )
    from_page = export_rows.long_rows(asked(settings, queries.measurements(run_id=1)))
    ours = ("subject_id", "visit", "visit_date", "review_status")
    filled = {name: from_page[0][name] for name in ours}
    assert filled == {"subject_id": "P01", "visit": 1, "visit_date": "2026-03-01", "review_status": "approved"}
    result = ("result_version", "result_kind", "result_author")
    assert [from_page[0][name] for name in result] == [1, "automatic", None]
    apart = {*ours, *result, "run_utc", "sex", "age_years"}
    assert [{name: row[name] for name in row if name not in apart} for row in from_page] == [
        {name: row[name] for name in row if name not in apart} for row in from_command_line
    ]


def test_what_nobody_reviewed_is_said_to_be_unreviewed(settings: Settings) -> None:
    rows = export_rows.long_rows(asked(settings, queries.measurements()))
    assert {row["visit"]: row["review_status"] for row in rows if row["subject_id"] == "P01"} == {
        1: "approved",
        2: "unreviewed",
    }


def test_scans_have_one_row_each_with_their_length_and_flags(settings: Settings) -> None:
    rows = export_rows.scan_rows(asked(settings, queries.scans()))
    assert [(row["subject_id"], row["visit"]) for row in rows] == [("P02", 1), ("P01", 2), ("P01", 1)]
    first = rows[-1]
    assert list(first) == list(export_scans.SCAN_COLUMN_DESCRIPTIONS)
    assert first["length_cm"] == 12.0
    assert (first["sex"], first["age_years"], first["visit_date"]) == ("female", 76, "2026-03-01")
    assert "truncated" in first["quality_flags"].split()
    assert str(first["scan_id"]).startswith("ct_")
    assert "'=JK" in export.csv_text(rows, columns=tuple(first)), "no cell may begin a formula"


def test_every_column_metric_and_region_of_every_table_is_in_the_dictionary() -> None:
    described = {(row["table"], row["column"]) for row in export_scans.dictionary_rows()}
    for table, columns in (
        ("long.csv", export.LONG_COLUMNS),
        ("wide.csv", export.wide_columns()),
        ("scans.csv", export_scans.SCAN_COLUMN_DESCRIPTIONS),
        ("long.csv: metric", export.METRIC_DESCRIPTIONS),
    ):
        assert {name for name in columns if (table, name) not in described} == set()
    assert all(row["description"] for row in export_scans.dictionary_rows())
