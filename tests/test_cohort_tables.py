"""Cohort tables and warnings, on a handful of values whose medians and changes are done by hand."""

from __future__ import annotations

from datetime import date

import pandas as pd
import pytest

from pages.parts import cohort


def value(scan: int, subject: str, visit: int, amount: float, **other: object) -> dict[str, object]:
    row = {"scan_id": scan, "subject": subject, "subject_id": ord(subject), "visit": visit, "value": amount}
    row |= {"study_id": 1, "study": "S", "region": "extensor", "side": "left", "extent": "full", "metric": "volume"}
    row |= {"sex": "female", "unit": "cm3", "status": "ok", "visit_date": None, "model_name": "segformer"}
    row |= {"flagged": False, "coverage_mm": 200.0, "tube_voltage_kvp": None, "contrast_agent": None}
    return row | other


def frame(*rows: dict[str, object]) -> pd.DataFrame:
    return pd.DataFrame(list(rows))


def test_the_summary_counts_subjects_once_and_takes_the_median_of_all_their_values() -> None:
    table = cohort.summary_by_sex(
        frame(
            value(1, "A", 1, 10.0),
            value(2, "A", 2, 20.0),
            value(3, "B", 1, 60.0),
            value(4, "C", 1, 100.0, sex="male"),
        )
    ).set_index("sex")
    assert list(table.index) == ["female", "male", "all"]
    assert table.loc["female", "subjects"] == 2
    assert table.loc["female", "values"] == 3
    assert table.loc["female", "median"] == 20.0
    assert table.loc["female", "quartile_1"] == 15.0  # half-way from 10 to 20
    assert table.loc["female", "quartile_3"] == 40.0
    assert table.loc["all", "median"] == 40.0


def test_one_sex_alone_gets_no_row_for_all() -> None:
    assert list(cohort.summary_by_sex(frame(value(1, "A", 1, 1.0)))["sex"]) == ["female"]


def test_change_runs_from_the_first_to_each_later_visit() -> None:
    table = cohort.change_table(
        frame(
            value(3, "A", 3, 150.0, visit_date=date(2026, 3, 1)),
            value(1, "A", 1, 200.0, visit_date=date(2026, 1, 1)),
            value(2, "A", 2, 190.0, visit_date=date(2026, 2, 1)),
            value(4, "B", 1, 70.0),
        )
    )
    assert set(table["subject"]) == {"A"}, "a subject with one visit has no change"
    assert list(table["change"]) == [-10.0, -50.0]
    assert table.iloc[1]["change_percent"] == -25.0
    assert table.iloc[1]["days"] == 59  # 31 days of January, 28 of February
    assert table["same_coverage"].all()


def test_a_change_over_different_lengths_of_leg_is_marked() -> None:
    table = cohort.change_table(frame(value(1, "A", 1, 9.0, coverage_mm=200.0), value(2, "A", 2, 9.0, coverage_mm=260)))
    assert not table.iloc[0]["same_coverage"]


def test_the_length_of_the_scan_whose_value_counts_is_the_one_compared() -> None:
    table = cohort.change_table(
        frame(
            value(1, "A", 1, 9.0, coverage_mm=300.0),
            value(2, "A", 1, 9.0, coverage_mm=200.0),
            value(3, "A", 2, 9.0, coverage_mm=200.0),
        )
    )
    assert table["same_coverage"].all()


def test_the_length_scanned_is_slices_times_their_distance() -> None:
    scans = pd.DataFrame({"scan_id": [4], "n_slices": [30], "slice_spacing_mm": [5.0]})
    scans = scans.assign(tube_voltage_kvp=120.0, contrast_agent=None)
    values = pd.DataFrame({"scan_id": [4, 4], "value": [1.0, 2.0]})
    assert list(cohort.with_scan_facts(values, scans)["coverage_mm"]) == [150.0, 150.0]


@pytest.mark.parametrize(("longest_mm", "warned"), [(209.0, False), (211.0, False), (260.0, True)])
def test_lengths_that_differ_by_more_than_a_tenth_are_warned_of(longest_mm: float, warned: bool) -> None:
    found = cohort.warnings(frame(value(1, "A", 1, 1.0), value(2, "B", 1, 1.0, coverage_mm=longest_mm)))
    assert bool(found) == warned
    if warned:
        assert "20.0 to 26.0 cm" in found[0]


@pytest.mark.parametrize(("unit", "word"), [("cm3", "volume"), ("cm2", "levels"), ("HU", "means"), ("%", "means")])
def test_different_coverage_is_warned_of_for_every_metric_with_its_own_reason(unit: str, word: str) -> None:
    found = cohort.warnings(
        frame(value(1, "A", 1, 4.0, unit=unit), value(2, "B", 1, 4.0, unit=unit, coverage_mm=900.0))
    )
    assert word in found[0]


def test_attenuation_is_warned_of_for_voltage_and_contrast() -> None:
    attenuation = {"unit": "HU", "metric": "lean_attenuation"}
    rows = [value(1, "A", 1, 40.0, **attenuation), value(2, "B", 1, 45.0, **attenuation)]
    assert cohort.warnings(frame(*rows)) == []
    rows[0] |= {"tube_voltage_kvp": 80.0}
    rows[1] |= {"tube_voltage_kvp": 140.0, "contrast_agent": "iohexol"}
    found = cohort.warnings(frame(*rows))
    assert any("80" in text and "140" in text for text in found)
    assert any("contrast" in text for text in found)


def test_numbers_of_several_networks_are_warned_of() -> None:
    found = cohort.warnings(frame(value(1, "A", 1, 1.0), value(2, "B", 1, 1.0, model_name="manet")))
    assert any("manet" in text and "segformer" in text for text in found)
