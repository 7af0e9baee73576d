"""Reference tables and scores: by hand, and every reason for which a comparison is refused."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from cohort_frames import MEASURE

from thighseg_core.cohort_statistics.reference import (
    REQUIRED,
    hu_range_of,
    load_reference,
    shipped_references,
    young_reference,
)
from thighseg_core.cohort_statistics.scores import COLUMNS, reference_scores
from thighseg_core.errors import InputError
from thighseg_core.metrics import METRICS

LINE = {
    "region": "extensor", "metric": "lean_volume", "unit": "cm3", "site": "femur_20_80", "side_basis": "one_thigh",
    "sex": "male", "age_min": "70", "age_max": "79", "n": "100", "population": "made up", "modality": "CT",
    "hu_lo": "-29", "hu_hi": "150", "kvp": "120", "contrast": "no", "citation": "Nobody 2020", "doi": "NA",
    "verified_by": "test", "verified_on": "2026-01-01", "role": "NA", "mean": "1000", "sd": "200",
}  # fmt: skip


def table_text(*lines: dict[str, str]) -> str:
    columns = list(dict.fromkeys(key for line in lines for key in line))
    return "\n".join([",".join(columns), *(",".join(line.get(c, "NA") for c in columns) for line in lines)]) + "\n"


def values(**changed: object) -> pd.DataFrame:
    """One value: 1100 cm3 of lean extensor on the left of a man of 79.5 years."""
    facts = {
        "metric": "lean_volume",
        "extent": "femur_20_80",
        "subject_id": 1,
        "subject": "S1",
        "scan_id": 1,
        "visit": 1,
    }
    return pd.DataFrame([MEASURE | facts | {"sex": "male", "age_years": 79.5, "value": 1100.0} | changed])


def test_z_is_the_distance_from_the_mean_in_standard_deviations_and_t_the_same_from_the_young() -> None:
    young = LINE | {"age_min": "20", "age_max": "39", "role": "young", "mean": "1300", "citation": "Young 2021"}
    table = load_reference(table_text(LINE, young), name="made up")
    row = reference_scores(values(), table).iloc[0]
    assert tuple(row.index) == COLUMNS
    assert (row["z_score"], row["z_citation"], row["z_reason"]) == (0.5, "Nobody 2020", None)  # (1100 - 1000) / 200
    assert (row["t_score"], row["t_citation"], row["t_reason"]) == (-1.0, "Young 2021", None)  # (1100 - 1300) / 200


def test_lms_values_give_the_score_of_cole_and_green() -> None:
    """L = 2, M = 1000, S = 0.1: ((1.1)^2 - 1) / (2 x 0.1) = 1.05; L = 0: ln(1.1) / 0.1."""
    line = {key: value for key, value in LINE.items() if key not in ("mean", "sd")}
    square = load_reference(table_text(line | {"lms_l": "2", "lms_m": "1000", "lms_s": "0.1"}), name="x")
    log = load_reference(table_text(line | {"lms_l": "0", "lms_m": "1000", "lms_s": "0.1"}), name="x")
    assert reference_scores(values(), square)["z_score"].iloc[0] == pytest.approx(1.05)
    assert reference_scores(values(), log)["z_score"].iloc[0] == pytest.approx(np.log(1.1) / 0.1)


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"region": "flexor"}, "no lean_volume of flexor"),
        ({"metric": "volume"}, "no volume of extensor"),
        ({"extent": "full"}, "it is of femur_20_80, the value of full"),
        ({"side": "both"}, "its side basis is one thigh, the value's both"),
        ({"hu_preset": "dennis_200"}, "its Hounsfield range is -29 to 150 HU, the value's -29 to 200 HU"),
        ({"unit": "ml"}, "its unit is cm3"),
        ({"sex": "female"}, "of male subjects"),
        ({"age_years": 80.0}, "no age, or none that the reference covers"),
        ({"age_years": None}, "no age, or none that the reference covers"),
        ({"value": None}, "no value"),
    ],
)
def test_what_differs_from_the_table_gets_no_score_but_the_reason(changed: dict[str, object], reason: str) -> None:
    row = reference_scores(values(**changed), load_reference(table_text(LINE), name="made up")).iloc[0]
    assert np.isnan(row["z_score"])
    assert reason in row["z_reason"]
    assert row["z_citation"] is None
    assert np.isnan(row["t_score"])
    assert "no values of young adults" in row["t_reason"] or row["t_reason"] == "no value"


def test_what_a_table_does_not_state_is_accepted_only_on_purpose() -> None:
    unstated = LINE | {"side_basis": "not stated", "hu_lo": "not stated", "hu_hi": "not stated"}
    table = load_reference(table_text(unstated), name="made up")
    refused = reference_scores(values(), table).iloc[0]
    assert "does not state its side basis and Hounsfield range" in refused["z_reason"]
    assert reference_scores(values(), table, accept_not_stated=True)["z_score"].tolist() == [0.5]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"citation": "NA"}, "line 2 of made up: citation is empty; no number is used without its source"),
        ({"sd": "0"}, "needs mean and an sd above 0"),
        ({"mean": "about 3"}, "mean must be a number"),
        ({"site": "calf"}, "site must be one of full, femur_20_80"),
        ({"side_basis": "legs"}, "side_basis must be one of"),
        ({"modality": "MRI"}, "another modality than CT"),
        ({"age_min": "80"}, "above age_max"),
        ({"hu_lo": "low"}, "hu_lo and hu_hi must be"),
    ],
)
def test_a_line_that_cannot_be_is_refused_with_its_number(changed: dict[str, str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        load_reference(table_text(LINE | changed), name="made up")


def test_a_table_with_missing_or_unknown_columns_or_without_rows_is_refused() -> None:
    with pytest.raises(InputError, match="lacks the columns citation"):
        load_reference(table_text({key: value for key, value in LINE.items() if key != "citation"}), name="x")
    with pytest.raises(InputError, match="unknown columns colour"):
        load_reference(table_text(LINE | {"colour": "red"}), name="x")
    with pytest.raises(InputError, match="no rows"):
        load_reference(",".join([*REQUIRED, "mean", "sd"]) + "\n", name="x")


def test_the_shipped_table_says_where_it_comes_from_and_is_not_used_unasked() -> None:
    (table,) = shipped_references()
    assert {row.citation for row in table.rows} == {"Goodpaster BH et al. J Appl Physiol 2001;90(6):2157"}
    men = values(region="thigh_muscle", metric="csa", unit="cm2", extent="midthigh", value=110.3, age_years=75.0)
    assert reference_scores(men, table)["z_score"].isna().all()
    assert reference_scores(men, table, accept_not_stated=True)["z_score"].iloc[0] == pytest.approx(-1.0)


def test_the_young_of_the_cohort_make_a_reference_by_sex() -> None:
    """Twenty women of 30 years with 990 and 1010 in turn: mean 1000, SD 10 x sqrt(20 / 19)."""
    young = pd.concat(
        [values(subject_id=i, scan_id=i, sex="female", age_years=30.9, value=990.0 + 20 * (i % 2)) for i in range(20)]
    )
    old = values(subject_id=99, scan_id=99, sex="female", age_years=70.0, value=980.0)
    cohort = pd.concat([young, old, values(subject_id=100, scan_id=100)], ignore_index=True)
    scores = reference_scores(cohort, young_reference(cohort))
    assert scores["t_score"].iloc[20] == pytest.approx(-20 / (10 * np.sqrt(20 / 19)))
    assert scores["t_citation"].iloc[20] == "This cohort: 20 female subjects of 20 to 39 years"
    assert "of female subjects" in scores["t_reason"].iloc[21]


def test_nineteen_young_are_no_reference_and_a_second_visit_is_no_second_person() -> None:
    young = pd.concat([values(subject_id=i, scan_id=i, age_years=30.0, value=900.0 + i) for i in range(19)])
    again = values(subject_id=0, scan_id=50, visit=2, age_years=31.0, value=1.0)
    with pytest.raises(InputError, match="no sex has 20 subjects"):
        young_reference(pd.concat([young, again]))


def test_every_metric_that_a_preset_changes_is_known_to_depend_on_its_range() -> None:
    """By their names: lean, fat, low- and normal-attenuation metrics depend on a range, sizes of whole masks do not."""
    for name in METRICS:
        depends = name.startswith(("lean_", "eroded_", "intramuscular_fat_", "imat_", "fat_", "low_", "normal_"))
        assert (hu_range_of(name, hu_preset="long_dennis_150") is not None) == depends, name
    assert hu_range_of("imat_csa", hu_preset="long_dennis_150") == (-190, -30)
    assert hu_range_of("low_attenuation_csa", hu_preset="nama_lama") == (-29, 29)
