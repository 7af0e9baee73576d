"""Tables and figure of the Agreement page from frames made by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from pages.parts import agreement_tables
from pages.parts.drawing import Band, Points, Rule
from pages.parts.drawing_paper import figure_file
from pages.parts.drawing_screen import plotly_figure

WHO = ("Dr A", "manet 1")


def compared(reference: list[float], difference: list[float], *, thighs: int = 1) -> pd.DataFrame:
    """Volumes and Dice of the extensor; `thighs` of each subject, with the same values."""
    rows = []
    for number, (value, off) in enumerate(zip(reference, difference, strict=True)):
        for side in ("left", "right")[:thighs]:
            key = {
                "subject_id": number, "subject": f"S{number}", "visit": 1, "scan_id": 10 + number, "scan": "ct_1",
                "sex": "female", "side": side, "region": "extensor", "reference": WHO[0], "test": WHO[1],
            }  # fmt: skip
            rows.append(
                key
                | {"metric": "volume", "reference_value": value, "test_value": value + off, "value": off, "unit": "cm3"}
            )
            nothing = {"reference_value": np.nan, "test_value": np.nan, "unit": "1"}
            rows.append(key | nothing | {"metric": "dice", "value": 0.9 + 0.01 * number})
    return pd.DataFrame(rows)


FRAME = compared([100.0, 200, 300, 400, 500], [2.0, 0, 4, 2, 12])


def test_overlap_is_a_mean_over_thighs_with_the_worst_named() -> None:
    (row,) = agreement_tables.overlap_rows(FRAME)
    assert (row["Region"], row["Thighs"], row["Subjects"]) == ("Extensor", "5", "5")
    assert row["Dice"] == "0.920"
    assert row["Dice, worst"] == "0.900 (S0, visit 1, left)"
    assert row["HD95 (mm)"] == "–"  # not in the frame


def test_quantities_show_bias_and_limits_by_hand() -> None:
    """Differences 2, 0, 4, 2, 12: mean 4, SD sqrt(22)."""
    (row,) = agreement_tables.agreement_rows(FRAME, "volume")
    assert row["Bias"].startswith("4.00 (")
    assert row["Upper limit"].startswith(f"{4 + 1.96 * np.sqrt(22):.2f} (")
    assert row["ICC(A,1)"].startswith("0.999")
    assert row["Proportional bias"].endswith(", no")


def test_too_few_subjects_have_dashes_and_no_number() -> None:
    few = compared([100.0, 200], [2.0, 0], thighs=2)
    (row,) = agreement_tables.agreement_rows(few, "volume")
    assert (row["Thighs"], row["Subjects"], row["ICC(A,1)"], row["Bias"]) == ("4", "2", "–", "–")
    drawing = agreement_tables.limits_drawing(few, "volume", "extensor", scale="absolute", who=WHO)
    assert "Too few subjects" in drawing.caption
    assert not any(isinstance(mark, Rule) for mark in drawing.marks)


def test_the_figure_has_points_bias_limits_and_their_intervals() -> None:
    drawing = agreement_tables.limits_drawing(FRAME, "volume", "extensor", scale="absolute", who=WHO)
    (points,) = [mark for mark in drawing.marks if isinstance(mark, Points)]
    assert points.y.tolist() == [2, 0, 4, 2, 12]
    assert points.x[0] == 101
    assert points.scan_ids is not None
    assert points.scan_ids.tolist() == [10, 11, 12, 13, 14]
    rules = [mark.value for mark in drawing.marks if isinstance(mark, Rule)]
    assert rules == pytest.approx([4, 4 - 1.96 * np.sqrt(22), 4 + 1.96 * np.sqrt(22)])
    assert sum(isinstance(mark, Band) for mark in drawing.marks) == 3
    assert "exact (Carkeet 2015)" in drawing.caption
    assert len(plotly_figure(drawing).data) > 0
    assert figure_file(drawing, "SVG").startswith(b"<?xml")


def test_the_ratio_is_given_in_percent_away_from_equal() -> None:
    frame = compared([100.0, 200, 300], [10.0, 20, 30])
    drawing = agreement_tables.limits_drawing(frame, "volume", "extensor", scale="log", who=WHO)
    (points,) = [mark for mark in drawing.marks if isinstance(mark, Points)]
    assert points.y == pytest.approx(np.full(3, 10.0))


def test_two_thighs_of_a_subject_make_a_cluster() -> None:
    frame = compared([100.0, 200, 300, 400, 500, 600], [2.0, 0, 4, 2, 12, 1], thighs=2)
    drawing = agreement_tables.limits_drawing(frame, "volume", "extensor", scale="percent", who=WHO)
    assert "from resampling subjects" in drawing.caption
    assert "6 subjects, 6 scans" in drawing.caption


def test_raters_with_most_scans_come_first() -> None:
    other = compared([1.0], [0.0]).assign(test="segformer 1")
    assert agreement_tables.pairs_of_raters(pd.concat([other, FRAME])) == [WHO, ("Dr A", "segformer 1")]


def test_cards_become_the_paper_table() -> None:
    facts = {"n": 29, "dice_mean": 0.96, "dice_worst": 0.9, "icc_a1": 0.99, "icc_a1_low": 0.98, "icc_a1_high": 0.995}
    (row,) = agreement_tables.card_rows({"manet": {"shaft": {"extensor": facts}}}, level="shaft")
    assert (row["Network"], row["Dice"], row["Area ICC(A,1)"]) == ("manet", "0.960", "0.990 (0.980 to 0.995)")
    assert row["HD95 (mm)"] == "–"  # cards of before had no distances
