"""Change between visits: every number by hand."""

from __future__ import annotations

import pytest
from cohort_frames import one_subject

from thighseg_core.cohort_statistics.change import COLUMNS, SDC95, changes
from thighseg_core.errors import InputError


def test_change_is_since_the_visit_before_or_since_the_first() -> None:
    cohort = one_subject([(1, "2020-01-01", 100.0), (2, "2021-01-01", 90.0), (4, None, 60.0)])
    previous, baseline = changes(cohort), changes(cohort, since="baseline")
    assert tuple(previous.columns) == COLUMNS
    assert previous[["from_visit", "to_visit", "change"]].values.tolist() == [[1, 2, -10.0], [2, 4, -30.0]]
    assert baseline[["from_visit", "to_visit", "change"]].values.tolist() == [[1, 2, -10.0], [1, 4, -40.0]]
    assert baseline["change_per_year"].isna().tolist() == [False, True]  # the last visit has no date
    assert previous["change_per_year"][0] == pytest.approx(-10.0 * 365.25 / 366)  # 2020 is a leap year


def test_change_from_zero_has_no_percentage_and_the_last_scan_of_a_visit_counts() -> None:
    table = changes(one_subject([(1, "2020-01-01", 5.0), (1, "2020-01-01", 0.0), (2, "2020-01-01", 3.0)]))
    assert table["change"].tolist() == [3.0]
    assert table["change_percent"].isna().all()
    assert table["change_per_year"].isna().all()  # no time between


def test_without_an_sdc95_there_is_no_verdict() -> None:
    table = changes(one_subject([(1, "2020-01-01", 100.0), (2, "2021-01-01", 90.0)]))
    assert table["exceeds_sdc95"].tolist() == [None]
    assert table["sdc95"].isna().all()


@pytest.mark.parametrize(("limit", "unit", "verdict"), [(9.9, "cm3", True), (10.0, "cm3", False), (10.6, "%", False)])
def test_a_change_exceeds_the_sdc95_when_it_is_larger_whatever_its_sign(limit: float, unit: str, verdict: bool) -> None:
    """-10 of a mean of 95 is 10.53 %."""
    given = SDC95(metric="volume", value=limit, unit=unit, source="14 people scanned twice")
    row = changes(one_subject([(1, "2020-01-01", 100.0), (2, "2021-01-01", 90.0)]), sdc95=[given]).iloc[0]
    assert row["exceeds_sdc95"] is verdict
    assert (row["sdc95"], row["sdc95_unit"], row["sdc95_source"]) == (limit, unit, "14 people scanned twice")


def test_percent_of_the_mean_is_not_percent_of_the_start() -> None:
    given = SDC95(metric="volume", value=10.4, unit="%", source="repeat scans")
    table = changes(one_subject([(1, "2020-01-01", 100.0), (2, "2021-01-01", 90.0)]), sdc95=[given])
    assert table["change_percent"].tolist() == [-10.0]
    assert table["exceeds_sdc95"].tolist() == [True]  # 10.53 % of the mean


def test_a_limit_of_another_metric_region_or_unit_says_nothing() -> None:
    cohort = one_subject([(1, "2020-01-01", 100.0), (2, "2021-01-01", 90.0)])
    for given in (
        SDC95(metric="csa_max", value=1.0, unit="cm2", source="x"),
        SDC95(metric="volume", value=1.0, unit="cm3", source="x", region="flexor"),
        SDC95(metric="volume", value=1.0, unit="cm3", source="x", extent="midthigh"),
        SDC95(metric="volume", value=1.0, unit="ml", source="x"),
    ):
        assert changes(cohort, sdc95=[given])["exceeds_sdc95"].tolist() == [None]


def test_a_metric_in_percent_is_judged_in_its_points() -> None:
    cohort = one_subject([(1, "2020-01-01", 10.0), (2, "2021-01-01", 12.0)])
    cohort = cohort.assign(metric="intramuscular_fat_percent", unit="%")
    given = SDC95(metric="intramuscular_fat_percent", value=3.0, unit="%", source="x")
    assert changes(cohort, sdc95=[given])["exceeds_sdc95"].tolist() == [False]  # 2 points, though 18 % of the mean


def test_an_sdc95_without_a_source_or_of_zero_is_refused() -> None:
    with pytest.raises(InputError, match="source"):
        SDC95(metric="volume", value=1.0, unit="cm3", source=" ")
    with pytest.raises(InputError, match="more than 0"):
        SDC95(metric="volume", value=0.0, unit="cm3", source="x")
