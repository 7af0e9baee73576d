"""The zip of an export, from a real database: every file, what is in it, and what must not be."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
import shutil
import zipfile
from collections.abc import Callable
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import study_of_values
from cohort_frames import simulated
from db_rows import add_run, add_scan, add_visit
from sqlalchemy import select
from sqlalchemy.orm import Session

from db.engine import Database, open_database
from db.export import Choice, main, write_export
from db.histograms import histogram_row
from db.models import ComparedValue, Comparison, Reading, Review, Run, Scan
from db.models import Histogram as HistogramRow
from thighseg_core import export_redcap
from thighseg_core.errors import InputError
from thighseg_core.export_bundle import FORMATS, Options
from thighseg_core.histogram import Histogram

ALL = Choice(study_id=1, formats=FORMATS)
TABLES = ("long", "wide", "scans", "histograms", "normalised", "agreement")
PLAIN = Choice(study_id=1, formats=("csv", "redcap"))


@pytest.fixture(scope="module")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three people with two visits each; run 1 is corrected by =JK, run 2 approved, run 3 rejected."""
    path = tmp_path_factory.mktemp("study") / "thighseg.sqlite"
    database = open_database(path)
    study_of_values.fill(database, simulated(n_subjects=3, visits=2))
    with database.write() as session:
        first = session.get(Run, 1)
        assert first is not None
        corrected = add_run(session, first.scan, 2, kind="corrected", volume=500.25, lean_attenuation=50.0)
        corrected.author, corrected.hu_preset = "=JK", "long_dennis_150"
        session.add(Review(run_id=2, decision="approved", reviewer="AB"))
        session.add(Review(run_id=3, decision="rejected", reviewer="AB"))
        for run_id in (2, 3):
            _counted(session, run_id)
            _compared(session, run_id)
    database.close()
    return path


def _counted(session: Session, run_id: int) -> None:
    """Three voxels of left extensor at -1 HU, none at 0, two at 1 HU, of 2 mm3 each."""
    histogram = Histogram("extensor", "left", "full", -1, np.array([3.0, 0.0, 2.0]), 0.002)
    session.add(HistogramRow(**histogram_row(histogram, run_id=run_id)))


def _compared(session: Session, run_id: int) -> None:
    run = session.get_one(Run, run_id)
    path = f"readings/{run_id}.nii.gz"
    reading = Reading(
        scan_id=run.scan_id,
        reader="R1",
        session=1,
        source_format="NIfTI",
        label_map_path=path,
        label_map_sha256="0" * 64,
    )
    session.add(reading)
    session.flush()
    comparison = Comparison(
        reference_id=reading.id, test_run_id=run_id, n_slices=4, by_slice=False, hu_preset="long_dennis_150",
        software_version="0.1.0",
    )  # fmt: skip
    session.add(comparison)
    session.flush()
    value = {"region": "extensor", "side": "left", "metric": "dice", "value": 0.9, "unit": "1"}
    session.add(ComparedValue(comparison_id=comparison.id, **value))


@pytest.fixture
def database(made_once: Path, tmp_path: Path) -> Database:
    """A copy for one test."""
    shutil.copy(made_once, tmp_path / made_once.name)
    return open_database(tmp_path / made_once.name)


@pytest.fixture
def unpacked(database: Database, tmp_path: Path) -> Callable[..., dict[str, bytes]]:
    def write(choice: Choice = PLAIN, *, key: bytes | None = None) -> dict[str, bytes]:
        with database.read() as session:
            write_export(session, tmp_path / "out.zip", choice, shift_key=key)
        with zipfile.ZipFile(tmp_path / "out.zip") as archive:
            return {name: archive.read(name) for name in archive.namelist()}

    return write


def lines(content: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content.decode("utf-8"), newline="")))


def test_the_zip_holds_every_table_in_every_format_and_leaves_nothing_behind(unpacked, tmp_path: Path) -> None:
    files = unpacked(ALL)
    tables = {f"{table}.{kind}" for table in TABLES for kind in ("csv", "parquet", "dta", "sav")}
    others = {"data_dictionary.csv", "redcap_dictionary.csv", "redcap_import.csv", "manifest.json", "README.txt"}
    assert set(files) == tables | others | {"read.R", "read.py", "read.do"}
    left = {path.name for path in tmp_path.iterdir() if not path.name.startswith("thighseg.sqlite")}
    assert left == {"out.zip"}


def test_the_manifest_has_the_hash_of_each_file_and_the_number_of_rows(unpacked) -> None:
    files = unpacked()
    manifest = json.loads(files["manifest.json"])
    assert set(manifest["files"]) == set(files) - {"manifest.json"}
    for name, facts in manifest["files"].items():
        assert facts == {"bytes": len(files[name]), "sha256": hashlib.sha256(files[name]).hexdigest()}
    assert manifest["rows"]["scans"] == manifest["rows"]["wide"] == 5  # six scans, one rejected
    assert manifest["rows"]["long"] == 10  # two metrics each


def test_a_corrected_value_stands_with_its_version_and_author_and_the_rejected_result_is_gone(unpacked) -> None:
    files = unpacked()
    rows = lines(files["long.csv"])
    corrected = [row for row in rows if row["result_version"] == "2" and row["metric"] == "volume"]
    assert [(row["value"], row["result_kind"], row["result_author"]) for row in corrected] == [
        ("500.25", "corrected", "'=JK")
    ]
    assert len({row["scan_id"] for row in rows}) == 5
    assert "ct_000000020000" not in {row["scan_id"] for row in rows}  # of run 3
    assert {(row["subject_id"], row["visit"]) for row in lines(files["scans.csv"])} == {
        (row["subject_id"], row["visit"]) for row in rows
    }


def test_no_cell_is_empty_and_what_is_missing_has_its_reason(unpacked) -> None:
    files = unpacked()
    for name in ("long.csv", "wide.csv", "scans.csv"):
        assert all(cell != "" for row in lines(files[name]) for cell in row.values()), name
    missing = [row for row in lines(files["long.csv"]) if row["value"] == "NA"]
    assert missing
    assert all((row["status"], row["reason"]) == ("missing", "not in the field of view") for row in missing)


def test_every_column_of_every_table_is_in_the_dictionary(unpacked) -> None:
    files = unpacked()
    described = {(row["table"], row["column"]) for row in lines(files["data_dictionary.csv"])}
    for name in (f"{table}.csv" for table in TABLES):
        assert {column for column in lines(files[name])[0] if (name, column) not in described} == set(), name


def test_days_since_baseline_count_from_the_first_visit(unpacked) -> None:
    rows = {(row["subject_id"], row["visit"]): row for row in lines(unpacked()["scans.csv"])}
    first, second = rows["S000", "1"], rows["S000", "2"]
    assert first["days_since_baseline"] == "0"
    apart = (date.fromisoformat(second["visit_date"]) - date.fromisoformat(first["visit_date"])).days
    assert int(second["days_since_baseline"]) == apart > 0


def test_shifted_dates_keep_their_intervals_differ_between_people_and_hide_the_year_of_birth(unpacked) -> None:
    true = {row["scan_id"]: row for row in lines(unpacked(Choice(study_id=1))["scans.csv"])}
    files = unpacked(Choice(study_id=1, shift_dates=True), key=b"secret")
    moved = {row["scan_id"]: row for row in lines(files["scans.csv"])}
    shifts: dict[str, set[int]] = {}
    for scan, row in moved.items():
        days = (date.fromisoformat(true[scan]["visit_date"]) - date.fromisoformat(row["visit_date"])).days
        shifts.setdefault(row["subject_id"], set()).add(days)
        assert 1 <= days <= 365
        assert row["days_since_baseline"] == true[scan]["days_since_baseline"]
    assert all(len(days) == 1 for days in shifts.values())
    assert len({next(iter(days)) for days in shifts.values()}) == 3
    assert {row["birth_year"] for row in moved.values()} == {"NA"}
    assert {row["visit_date"] for row in lines(files["long.csv"])} == {row["visit_date"] for row in moved.values()}
    assert b"Dates are shifted" in files["README.txt"]
    assert lines(unpacked(Choice(study_id=1, shift_dates=True), key=b"secret")["scans.csv"]) == list(moved.values())


def test_redcap_names_fit_its_rules_and_the_import_has_the_fields_of_the_dictionary(unpacked) -> None:
    files = unpacked()
    fields = lines(files["redcap_dictionary.csv"])
    assert tuple(fields[0]) == export_redcap.DICTIONARY_COLUMNS
    assert len(fields[0]) == 18
    names = [row["Variable / Field Name"] for row in fields]
    assert names[0] == "subject_id"
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[a-z][a-z0-9_]{0,25}", name) for name in names)
    rows = lines(files["redcap_import.csv"])
    assert list(rows[0]) == ["subject_id", "redcap_event_name", *names[1:]]
    assert {row["redcap_event_name"] for row in rows} == {"visit_1_arm_1", "visit_2_arm_1"}
    assert all("NA" not in row.values() for row in rows)
    checked = {row["Variable / Field Name"]: row["Text Validation Type OR Show Slider Number"] for row in fields}
    for row in rows:
        for name, cell in row.items():
            if cell and checked.get(name) in ("number", "integer"):
                float(cell)
            if cell and checked.get(name) == "date_ymd":
                date.fromisoformat(cell)
    choices = {row["Variable / Field Name"]: row["Choices, Calculations, OR Slider Labels"] for row in fields}
    assert all(
        not cell or not choices.get(name) or f"{cell}, " in choices[name] for row in rows for name, cell in row.items()
    )


def test_two_scans_of_one_visit_are_repeats_in_redcap(database: Database, unpacked) -> None:
    with database.write() as session:
        visit = add_visit(session, "S000", 1)
        add_run(session, add_scan(session, visit, "ff"), volume=1.0).hu_preset = "long_dennis_150"
    rows = lines(unpacked()["redcap_import.csv"])
    first = [row for row in rows if (row["subject_id"], row["redcap_event_name"]) == ("S000", "visit_1_arm_1")]
    assert [(row["redcap_repeat_instrument"], row["redcap_repeat_instance"]) for row in first] == [
        ("thigh_ct", "1"),
        ("thigh_ct", "2"),
    ]


def test_other_formats_hold_the_same_numbers_dates_and_words_as_the_csv(unpacked, tmp_path: Path) -> None:
    import pyreadstat

    files = unpacked(ALL)
    paths = {kind: tmp_path / f"wide.{kind}" for kind in ("parquet", "dta", "sav")}
    for kind, path in paths.items():
        path.write_bytes(files[f"wide.{kind}"])
    spss, meta = pyreadstat.read_sav(str(paths["sav"]))
    plain = lines(files["wide.csv"])
    for table in (pd.read_parquet(paths["parquet"]), pd.read_stata(paths["dta"]), spss):
        assert list(table.columns) == list(plain[0])
        assert table["ext_l_vol_cm3"].tolist() == [float(row["ext_l_vol_cm3"]) for row in plain]
        assert table["ext_r_vol_cm3"].isna().all()
        days = pd.to_datetime(table["visit_date"]).dt.strftime("%Y-%m-%d").tolist()
        assert days == [row["visit_date"] for row in plain]
        assert table["subject_id"].tolist() == [row["subject_id"] for row in plain]
    for labels in (meta.column_names_to_labels, pd.io.stata.StataReader(paths["dta"]).variable_labels()):
        assert labels["ext_l_vol_cm3"].startswith("volume of extensor, left")


def test_histograms_and_comparisons_of_what_leaves_are_in_the_zip(unpacked) -> None:
    files = unpacked()
    counted = [
        (row["scan_id"], row["attenuation_hu"], row["voxels"], float(row["volume_mm3"]))
        for row in lines(files["histograms.csv"])
    ]
    assert counted == [("ct_000000010000", "-1", "3", 6.0), ("ct_000000010000", "1", "2", 4.0)]
    (compared,) = lines(files["agreement.csv"])
    assert (compared["scan_id"], compared["subject_id"]) == ("ct_000000010000", "S000")
    assert [compared[name] for name in ("reference", "test", "metric", "value")] == ["R1", "segformer 1", "dice", "0.9"]
    assert "histograms.csv" not in unpacked(Choice(study_id=1, histograms=False))


def test_normalised_sizes_stand_beside_the_raw_value(unpacked) -> None:
    """The people are 1.70 m tall and their weight is not known."""
    rows = lines(unpacked()["normalised.csv"])
    corrected = {row["divided_by"]: row for row in rows if row["value"] == "500.25"}
    assert float(corrected["height2"]["normalised_value"]) == pytest.approx(500.25 / 1.7**2)
    assert corrected["height2"]["normalised_unit"] == "cm3/m2"
    assert (corrected["weight"]["normalised_value"], corrected["weight"]["unit"]) == ("NA", "cm3")
    assert corrected["weight"]["reason"] == "weight at the visit is not known"
    assert {row["metric"] for row in rows} == {"volume"}, "attenuation is not divided by anything"


def test_a_choice_of_regions_metrics_visits_and_reviews_is_kept_and_told(unpacked) -> None:
    files = unpacked(Choice(study_id=1, metrics=("volume",), visits=(2,), only_approved=True))
    rows = lines(files["long.csv"])
    assert {(row["metric"], row["visit"], row["review_status"]) for row in rows} == {("volume", "2", "approved")}
    assert len(lines(files["scans.csv"])) == 1
    readme = files["README.txt"].decode()
    for told in ("Only results that a reviewer approved.", "Only these metrics: volume.", "Only these visits: 2."):
        assert told in readme


def test_an_export_of_nothing_is_refused_and_leaves_no_file(database: Database, tmp_path: Path) -> None:
    with database.read() as session, pytest.raises(InputError, match="no result fits"):
        write_export(session, tmp_path / "none.zip", Choice(study_id=1, metrics=("csa_max",)))
    assert not (tmp_path / "none.zip").exists()
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith((".part", "export-"))] == []


def test_excel_gets_its_byte_order_mark_only_when_asked(unpacked) -> None:
    assert unpacked(Choice(study_id=1, byte_order_mark=True))["long.csv"].startswith(b"\xef\xbb\xbfscan_id")
    assert unpacked(Choice(study_id=1))["long.csv"].startswith(b"scan_id")


def test_an_unknown_format_is_refused_in_words() -> None:
    with pytest.raises(InputError, match="not xlsx"):
        Options(formats=("csv", "xlsx"))


def test_the_command_line_writes_the_zip_and_says_which_studies_there_are(
    database: Database, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "by_command.zip"
    data = ["--data", str(tmp_path)]
    assert main(["Study A", str(target), *data, "--formats", "redcap"]) == 0
    assert "5 scans, 10 numbers" in capsys.readouterr().out
    assert "redcap_import.csv" in zipfile.ZipFile(target).namelist()
    assert main(["Nothing", str(target), *data]) == 2
    assert "there are: Study A" in capsys.readouterr().err


def test_a_scan_acquired_otherwise_than_its_study_says_so_in_the_table_of_scans(unpacked, database: Database) -> None:
    with database.write() as session:
        for scan in session.scalars(select(Scan)):
            scan.tube_voltage_kvp = 80.0 if scan.id == 2 else 120.0
    found = {row["subject_id"] + row["visit"]: row["study_flags"] for row in lines(unpacked()["scans.csv"])}
    assert sorted(found.values()) == ["NA", "NA", "NA", "NA", "study_tube_voltage"]
