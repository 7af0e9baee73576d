from __future__ import annotations

import csv
import io
import re

import numpy as np
import pandas as pd
import pytest

from thighseg_core.errors import InputError
from thighseg_core.export import (
    COLUMN_DESCRIPTIONS,
    LONG_COLUMNS,
    METRIC_DESCRIPTIONS,
    csv_text,
    long_rows,
    scan_id,
    wide_columns,
    wide_name,
    wide_rows,
)
from thighseg_core.manifest import RunManifest
from thighseg_core.measurement import Measurement
from thighseg_core.metrics import METRICS, REGION_DESCRIPTIONS, REGION_SHORT, REGIONS

DIGEST = "12e4567890120000" + "a" * 48
MANIFEST = RunManifest(
    software_version="0.1.0",
    git_commit="123456789012",
    model_name="segformer",
    model_version="1",
    weights_sha256="b" * 64,
    label_scheme="thighseg-1",
    group_map_version=1,
    hu_preset="long_dennis_150",
    device="cpu",
    started_at="2026-11-22T20:00:00+00:00",
)
FACTS = (
    Measurement("extensor", "left", "full", "volume", 1234.5678901234567, "cm3"),
    Measurement("extensor", "left", "full", "mask_attenuation", -3.25, "HU", "flagged", "cut off, at both ends"),
    Measurement("flexor", "right", "full", "volume", None, "cm3", "missing", "no flexor labelled on the right"),
)


def rows(**who: object) -> list[dict[str, object]]:
    return long_rows(FACTS, manifest=MANIFEST, digest_sha256=DIGEST, **who)  # type: ignore[arg-type]


def test_the_long_table_begins_with_the_agreed_columns():
    assert LONG_COLUMNS[:13] == (
        "scan_id", "subject_id", "visit", "visit_date", "side", "region", "extent", "metric", "value", "unit",
        "status", "reason", "hu_preset",
    )  # fmt: skip


def test_every_column_and_metric_and_region_is_described():
    assert set(COLUMN_DESCRIPTIONS) == set(LONG_COLUMNS)
    assert set(METRIC_DESCRIPTIONS) == set(METRICS)
    assert set(REGION_DESCRIPTIONS) == set(REGIONS) == set(REGION_SHORT)
    assert all(len(text) > 10 for text in (*COLUMN_DESCRIPTIONS.values(), *METRIC_DESCRIPTIONS.values()))


def test_rows_hold_the_fact_the_subject_the_limits_and_the_run():
    row = rows(subject_id="S1", visit=2, visit_date="2026-03-01", review_status="approved")[1]
    assert list(row) == list(LONG_COLUMNS)
    assert (row["scan_id"], row["subject_id"], row["visit"], row["visit_date"]) == (
        "ct_12e456789012", "S1", 2, "2026-03-01",
    )  # fmt: skip
    assert (row["region"], row["side"], row["extent"], row["metric"]) == (
        "extensor", "left", "full", "mask_attenuation",
    )  # fmt: skip
    assert (row["value"], row["unit"], row["status"], row["reason"]) == (
        -3.25,
        "HU",
        "flagged",
        "cut off, at both ends",
    )
    assert [row[c] for c in ("lean_low_hu", "lean_high_hu", "fat_low_hu", "fat_high_hu")] == [-29, 150, -190, -30]
    assert row["review_status"] == "approved"
    assert row["run_utc"] == "2026-11-22T20:00:00+00:00"


def test_the_text_is_plain_with_line_feeds_full_precision_and_na():
    text = csv_text(rows())
    assert "\r" not in text
    assert text.endswith("\n")
    lines = list(csv.DictReader(io.StringIO(text)))
    assert len(lines) == 3
    assert lines[0]["value"] == "1234.5678901234567"
    assert lines[0]["reason"] == "NA"
    assert lines[2]["value"] == "NA"
    assert lines[2]["reason"] == "no flexor labelled on the right"
    assert lines[0]["subject_id"] == lines[0]["visit"] == lines[0]["visit_date"] == "NA"
    assert all(cell != "" for line in lines for cell in line.values())


def test_what_is_written_reads_back_to_the_same_numbers():
    values = [1 / 3, 1e-17, 123456789.123456789, float(np.float64(2) / 7)]
    facts = [Measurement("extensor", "left", "full", "volume", v, "cm3") for v in values]
    text = csv_text(long_rows(facts, manifest=MANIFEST, digest_sha256=DIGEST))
    assert [float(line["value"]) for line in csv.DictReader(io.StringIO(text))] == values


def test_ids_of_digits_are_read_as_text_by_pandas():
    frame = pd.read_csv(io.StringIO(csv_text(rows(subject_id="S1"))))
    assert frame["scan_id"].tolist() == ["ct_12e456789012"] * 3
    assert frame["git_commit"].tolist() == ["g123456789012"] * 3
    assert frame["value"].isna().tolist() == [False, False, True]


@pytest.mark.parametrize("nasty", ["=1+1", "+1", "-2+3", "@SUM(A1)", "\t=1", "  =cmd|' /C calc'!A0", "\r\n=1"])
def test_text_that_a_spreadsheet_would_run_is_disarmed(nasty):
    text = csv_text(rows(subject_id=nasty))
    cell = next(csv.DictReader(io.StringIO(text)))["subject_id"]
    assert cell.startswith("'")
    assert "\n" not in cell
    assert "\r" not in cell


def test_a_negative_number_stays_a_number():
    assert "-3.25" in csv_text(rows()).splitlines()[2].split(",")


def test_numbers_of_numpy_are_written_as_numbers():
    text = csv_text([{"a": np.float64(-0.5), "b": np.int64(-7), "c": float("nan"), "d": True}], columns=list("abcd"))
    assert text == "a,b,c,d\n-0.5,-7,NA,yes\n"


def test_quotes_commas_and_letters_of_any_language_survive():
    text = csv_text(rows(subject_id='김 "Q", x'))
    assert next(csv.DictReader(io.StringIO(text.encode("utf-8").decode("utf-8"))))["subject_id"] == '김 "Q", x'


def test_every_wide_column_fits_a_statistics_package_and_is_unique():
    columns = wide_columns()
    assert len(set(columns)) == len(columns)
    for column in columns:
        assert re.fullmatch(r"[a-z][a-z0-9_]*", column), column
        assert len(column) <= 26, column
    assert wide_name("extensor", "left", "lean_volume") == "ext_l_lean_cm3"


def test_the_wide_table_has_one_row_for_each_scan_with_values_and_worst_status():
    wide = wide_rows(rows(subject_id="S1", visit=1) + rows(subject_id="S1", visit=2))
    assert [(row["subject_id"], row["visit"]) for row in wide] == [("S1", 1), ("S1", 2)]
    assert wide[0]["ext_l_vol_cm3"] == 1234.5678901234567
    assert wide[0]["ext_l_maskma_hu"] == -3.25
    assert wide[0]["ext_l_status"] == "flagged"
    assert wide[0]["flx_r_vol_cm3"] is None
    assert wide[0]["flx_r_status"] == "missing"
    assert wide[0]["add_l_vol_cm3"] is None
    assert list(wide[0]) == list(wide_columns())
    assert (
        csv_text(wide, columns=wide_columns())
        .splitlines()[1]
        .startswith("S1,1,NA,NA,NA,NA,ct_12e456789012,long_dennis_150")
    )


def test_two_runs_of_one_scan_are_not_mixed_into_one_wide_row():
    with pytest.raises(InputError, match="choose one"):
        wide_rows(rows() + rows())


def test_the_scan_id_is_the_same_for_everyone():
    assert scan_id("abcdef0123456789") == "ct_abcdef012345"
