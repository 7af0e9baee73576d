"""What the cohort's figures draw and say, read back from the drawing; numbers are done by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from figure_frames import VOLUME, cohort, scan

from pages.parts import balance, charts, distributions, strength, trajectories
from pages.parts.cohort_values import by_subject, divisor, joined
from pages.parts.drawing import Band, Bars, Boxes, Drawing, Line, Points, Rule, five_numbers, share_of
from thighseg_core.cohort_statistics.trend import fit_trend
from thighseg_core.labels import COLOURS

FIVE = cohort(
    scan(1, "A", 100.0, age_years=60.0),
    scan(2, "A", 90.0, visit=2, age_years=62.0),
    scan(3, "B", 200.0, sex="male"),
    scan(4, "B", 160.0, visit=2, sex="male", age_years=71.0),
    scan(5, "C", 300.0, sex="male", age_years=50.0),
)


def marks(drawing: Drawing, kind: type) -> list:
    return [mark for mark in drawing.marks if isinstance(mark, kind)]


def test_every_value_is_a_point_and_the_number_of_subjects_stands_under_the_name() -> None:
    drawing = distributions.by_sex(FIVE, VOLUME)
    assert sorted(value for mark in marks(drawing, Points) for value in mark.y) == [90.0, 100.0, 160.0, 200.0, 300.0]
    assert [text for _, text in drawing.x.ticks] == ["female<br>n = 1", "male<br>n = 2"]
    assert drawing.y.title == "Extensor, both: Volume (cm³)"
    assert "3 subjects, 5 scans." in drawing.caption


def test_a_box_is_of_the_values_of_its_sex() -> None:
    (box,) = marks(distributions.by_sex(FIVE, VOLUME), Boxes)
    assert list(box.median) == [95.0, 200.0]
    assert list(box.quartile_1) == [92.5, 180.0]  # half-way to the middle of three


def test_whiskers_end_at_the_furthest_value_within_one_and_a_half_quartile_ranges() -> None:
    # quartiles of 0..8 and 100: 2.25 and 6.75, reach 6.75: from -4.5 to 13.5
    assert five_numbers(np.array([0, 1, 2, 3, 4, 5, 6, 7, 8, 100.0])) == (0.0, 2.25, 4.5, 6.75, 8.0)


def test_points_stay_beside_their_box_and_do_not_move_between_runs() -> None:
    first, second = (marks(distributions.by_sex(FIVE, VOLUME), Points) for _ in range(2))
    for position, (one, other) in enumerate(zip(first, second, strict=True)):
        assert list(one.x) == list(other.x)
        assert all(position < x < position + 0.4 for x in one.x)


def test_sexes_differ_in_shape_and_filling_and_take_the_group_s_colour() -> None:
    drawn = marks(distributions.by_age(FIVE, VOLUME), Points)
    assert [(mark.symbol, mark.filled) for mark in drawn] == [("circle", True), ("diamond", False)]
    assert {mark.colour for mark in drawn} == {COLOURS["extensor"]}


def test_a_value_without_an_age_is_left_out_of_the_age_figure_and_the_caption_says_so() -> None:
    drawing = distributions.by_age(FIVE, VOLUME)
    assert sorted(x for mark in marks(drawing, Points) for x in mark.x) == [50.0, 60.0, 62.0, 71.0]
    assert "1 scan without an age is left out." in drawing.caption


def test_centiles_are_a_curve_for_each_and_the_method_stands_in_the_caption() -> None:
    curves = pd.DataFrame({"sex": "female", "age_years": [50.0, 60, 50, 60], "centile": [5.0, 5, 50, 50]})
    drawing = distributions.by_age(
        FIVE, VOLUME, centiles=curves.assign(value=[1.0, 2, 3, 4]), centile_method="by some method"
    )
    lines = marks(drawing, Line)
    assert [list(line.y) for line in lines] == [[1.0, 2.0], [3.0, 4.0]]
    assert lines[1].width > lines[0].width
    assert "Curves: by some method." in drawing.caption


def test_many_points_are_thinned_evenly_and_it_is_said() -> None:
    many = cohort(*(scan(number, "A", float(number)) for number in range(1, 31)))
    assert len(share_of(many, limit=10)) == 10
    assert list(share_of(many, limit=10).index) == list(share_of(many, limit=10).index)
    assert len(share_of(many, limit=30)) == 30


def test_shares_of_the_groups_add_up_and_stand_under_sex_and_age() -> None:
    frame = FIVE.assign(extensor=50.0, flexor=20.0, adductor=25.0, sartorius=5.0)
    frame.loc[4, "extensor"] = 150.0  # C: 75, 10, 12.5 and 2.5 percent
    drawing = balance.group_shares(frame, VOLUME)
    bars = {mark.name: mark for mark in marks(drawing, Bars)}
    assert bars["Extensor"].colour == COLOURS["extensor"]
    assert [text for _, text in drawing.y.ticks] == [
        "female, 60 to 69 (n = 1)", "male, 50 to 59 (n = 1)", "male, 70 to 79 (n = 1)", "male, age not known (n = 1)",
    ]  # fmt: skip
    assert list(bars["Extensor"].lengths) == [50.0, 75.0, 50.0, 50.0]
    assert np.allclose(sum(bar.lengths for bar in bars.values()), 100.0)


def test_a_scan_that_lacks_a_group_has_no_shares() -> None:
    frame = FIVE.assign(extensor=50.0, flexor=[np.nan, 20, 20, 20, 20], adductor=25.0, sartorius=5.0)
    assert "3 subjects, 4 scans." in balance.group_shares(frame, VOLUME).caption


def test_composition_gives_what_is_in_no_range_to_the_rest() -> None:
    parts = {"normal_attenuation_volume": 60.0, "low_attenuation_volume": 20.0, "intramuscular_fat_volume": 10.0}
    drawing = balance.composition(FIVE.head(1).assign(volume=100.0, **parts), VOLUME)
    assert [float(bar.lengths[0]) for bar in marks(drawing, Bars)] == [60.0, 20.0, 10.0, 10.0]


def test_asymmetry_is_the_difference_in_percent_of_the_mean() -> None:
    left = cohort(scan(1, "A", 110.0), scan(2, "B", 80.0))
    right = cohort(scan(1, "A", 90.0), scan(2, "B", 120.0))
    drawing = balance.left_right(left, right, VOLUME)
    assert list(drawing.data["value"]) == [20.0, -40.0]


def test_the_ratio_of_a_missing_flexor_is_missing() -> None:
    drawing = balance.ratio(
        cohort(scan(1, "A", 100.0), scan(2, "B", 90.0)), cohort(scan(1, "A", 40.0), scan(2, "B", 0.0)), VOLUME
    )
    assert list(drawing.data["value"]) == [2.5]


def test_strength_is_drawn_once_a_subject_with_line_and_correlation() -> None:
    rows = [scan(i, letter, float(i), grip_strength_kg=10.0 + 2 * i) for i, letter in enumerate("ABCDE", start=1)]
    rows.append(scan(9, "A", 900.0, visit=2, grip_strength_kg=1.0))  # a second visit does not count again
    drawing = strength.against_function(cohort(*rows), VOLUME, function="grip_strength_kg")
    (line,) = marks(drawing, Line)
    assert np.allclose(line.x, [1.0, 5.0])
    assert np.allclose(line.y, [12.0, 20.0])
    assert "n = 5, r = 1.00" in drawing.caption


def test_too_few_subjects_get_no_correlation() -> None:
    rows = [scan(i, letter, float(i), grip_strength_kg=10.0 + 2 * i) for i, letter in enumerate("ABC", start=1)]
    drawing = strength.against_function(cohort(*rows), VOLUME, function="grip_strength_kg")
    assert not marks(drawing, Line)
    assert "too few" in drawing.caption


def test_the_quadrant_counts_subjects_that_are_low_in_both() -> None:
    frame = cohort(
        scan(1, "A", 10.0, attenuation_hu=30.0),
        scan(2, "B", 10.0, attenuation_hu=50.0),
        scan(3, "C", 90.0, attenuation_hu=30.0),
        scan(4, "D", 90.0, attenuation_hu=50.0, sex="male"),
    )
    drawing = strength.size_against_attenuation(
        frame, VOLUME, limits=[strength.Limits("female", 50.0, 40.0)], limits_words="by hand"
    )
    assert list(drawing.data["both_low"]) == [True, False, False, False]
    assert "female: below 50 cm³ and 40.0 HU are 1 of 3 subjects" in drawing.caption


def test_young_limits_need_ten_young_subjects_of_a_sex() -> None:
    young = [scan(i, chr(64 + i), 100.0 + i % 2, age_years=30.0, attenuation_hu=50.0) for i in range(1, 11)]
    assert strength.below_young(cohort(*young[:9])) == []
    (limit,) = strength.below_young(cohort(*young))
    # five 100 and five 101: mean 100.5, variance 10 * 0.25 / 9
    assert limit.size == pytest.approx(100.5 - 2 * (2.5 / 9) ** 0.5)
    assert limit.attenuation_hu == 50.0


def test_trajectories_are_a_line_a_subject_with_gaps_between_and_single_visits_left_out() -> None:
    drawing = trajectories.spaghetti(trajectories.with_years(FIVE), VOLUME)
    lines = [mark for mark in marks(drawing, Line) if mark.name.startswith("subjects")]
    assert [list(line.y) for line in lines] == [[100.0, 90.0], [200.0, 160.0]]
    two = trajectories.with_years(FIVE.assign(sex="male"))
    (line,) = [mark for mark in marks(trajectories.spaghetti(two, VOLUME), Line) if mark.name.startswith("subjects")]
    assert np.isnan(line.y[2])
    assert list(line.x[:2]) == [1.0, 2.0], "without dates the visits are the axis"


DATED = cohort(
    *(
        scan(
            3 * number + visit, letter, 100.0 + 10 * number - 2.0 * visit + jitter, visit=visit + 1,
            visit_date=pd.Timestamp(2020 + visit, 1, 1),
        )
        for number, letter in enumerate("ABCDEF")
        for visit, jitter in enumerate((0.1 * number, -0.2, 0.1))
    )
)  # fmt: skip


def test_the_trend_is_drawn_as_the_model_says_and_its_slope_stands_in_the_caption() -> None:
    table = DATED.assign(region="extensor", side="both", extent="full", metric="volume", unit="cm3")
    trend = fit_trend(table)
    drawing = trajectories.spaghetti(trajectories.with_years(DATED), VOLUME, trend=trend)
    (line,) = [mark for mark in marks(drawing, Line) if mark.name == "trend"]
    assert line.y[-1] - line.y[0] == pytest.approx(trend.slope.estimate * (line.x[-1] - line.x[0]))
    assert f"Change per year: {trend.slope.estimate:+.3g} cm³" in drawing.caption
    assert trend.slope.estimate == pytest.approx(-2.0, abs=0.2)
    assert marks(drawing, Band)


def test_a_model_that_did_not_converge_is_said_not_to_be_used() -> None:
    table = DATED.assign(region="extensor", side="both", extent="full", metric="volume", unit="cm3")
    trend = replace(fit_trend(table), converged=False)
    assert "DID NOT CONVERGE" in trajectories.spaghetti(trajectories.with_years(DATED), VOLUME, trend=trend).caption


def test_change_is_drawn_in_percent_of_the_mean_with_the_band_of_error() -> None:
    pairs = pd.DataFrame(
        {
            "subject_id": [1, 2], "subject": ["A", "B"], "sex": "female", "from_visit": 1, "to_visit": 2,
            "days": [365.25, 730.5], "from_value": [110.0, 100.0], "to_value": [90.0, 101.0], "change": [-20.0, 1.0],
            "change_percent": [-18.2, 1.0], "exceeds_sdc95": [True, False], "scan_id": [2, 4], "flagged": False,
        }
    )  # fmt: skip
    drawing = trajectories.change_since_first(pairs, VOLUME, sdc95_percent=5.0, source="twenty repeats")
    (points,) = marks(drawing, Points)
    assert list(points.x) == [1.0, 2.0]
    assert points.y[0] == -20.0  # of the mean, 100
    (band,) = marks(drawing, Band)
    assert (band.low[0], band.high[0]) == (-5.0, 5.0)
    assert "(twenty repeats); 1 of 2 changes exceed it" in drawing.caption
    assert [rule.value for rule in marks(drawing, Rule)] == [0.0]


def test_a_value_is_found_by_its_run_and_divided_by_what_is_known() -> None:
    scans = FIVE.drop(columns=["value", "flagged"]).assign(height_cm=[200.0, np.nan, 200.0, 200.0, 200.0])
    values = pd.DataFrame({"value": [8.0, 4.0], "flagged": [True, False]}, index=pd.Index([3, 1], name="run_id"))
    found = joined(scans, values, divisor=divisor(scans, normaliser="height2"))
    assert list(found["value"][[0, 2]]) == [1.0, 2.0]
    assert found["value"][[1, 3, 4]].isna().all()
    assert list(found["flagged"]) == [False, False, True, False, False]


def test_one_row_a_subject_is_its_first_visit_with_a_value_and_the_last_scan_of_it() -> None:
    frame = cohort(
        scan(1, "A", np.nan), scan(3, "A", 3.0, visit=2), scan(4, "A", 4.0, visit=2), scan(5, "A", 5.0, visit=3)
    )
    assert list(by_subject(frame)["value"]) == [4.0]


def test_a_sum_over_classes_has_a_colour_of_its_own() -> None:
    assert charts.region_colour("total") not in COLOURS.values()
    assert charts.regions_in_order(["total", "flexor", "extensor"]) == ["extensor", "flexor", "total"]
