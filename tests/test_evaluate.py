"""Scoring drawn slices and summarising the scores; drawings and figures are made by hand."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel
import numpy as np
import pandas as pd
import pytest
from boxes import axial_geometry, scan
from PIL import Image

from thighseg_core.geometry import Geometry
from thighseg_core.labels import LabelMap, label_value
from thighseg_core.nifti import RAS_LPS
from training.evaluate import put_together, update_card, what_it_knew
from training.evaluation_figures import write_figures
from training.evaluation_summary import as_markdown, as_rows, of_structure, summarise
from training.reference import NOT_ANNOTATED, score_scan
from training.whole_scans import LabelledScan, scan_scores

SHAPE = (3, 60, 80)  # pixels of 2 x 0.5 mm
EXTENSOR, FLEXOR = 1, 2


def _grid() -> Geometry:
    return axial_geometry(SHAPE)


def _draw(folder: Path, values: np.ndarray, *, name: str = "P1.nii.gz") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    affine = (RAS_LPS @ _grid().affine)[:, [2, 1, 0, 3]]
    nibabel.save(nibabel.Nifti1Image(values.transpose(2, 1, 0), affine), folder / name)


def _labels(value: int, j: slice, i: slice) -> LabelMap:
    labels = np.zeros(SHAPE, dtype=np.uint8)
    labels[1, j, i] = value
    return LabelMap(labels, _grid())


def test_a_slice_is_scored_within_muscle_attenuation_and_near_what_was_drawn(tmp_path: Path) -> None:
    """Drawn 10 x 20; predicted one row lower and 30 mm to the side as well, where nothing was annotated."""
    drawn = np.zeros(SHAPE, dtype=np.uint8)
    drawn[1, 10:20, 10:30] = EXTENSOR
    _draw(tmp_path, drawn)
    hu = np.full(SHAPE, 50, dtype=np.int16)
    hu[1, 20, :] = -100  # the row below is fat: predicted there, it does not count
    predicted = _labels(label_value("extensor", "left"), slice(12, 21), slice(10, 30))
    (score,) = score_scan("P1", scan(hu, _grid()), predicted, tmp_path)
    assert (score.slice_index, score.structure, score.level) == (1, "extensor", "shaft")
    assert score.dice == pytest.approx(2 * 160 / (200 + 160))
    assert score.sensitivity == pytest.approx(160 / 200)
    assert score.specificity == 1
    assert score.hd95_mm == pytest.approx(4.0)  # two rows of 2 mm
    assert (score.reference_cm2, score.predicted_cm2) == pytest.approx((2.0, 1.6))


def test_pixels_that_were_not_decided_do_not_count(tmp_path: Path) -> None:
    drawn = np.zeros(SHAPE, dtype=np.uint8)
    drawn[1, 10:20, 10:30] = EXTENSOR
    drawn[1, 10:20, 30:40] = NOT_ANNOTATED
    _draw(tmp_path, drawn)
    predicted = _labels(label_value("extensor", "right"), slice(10, 20), slice(10, 40))  # side-free
    (score,) = score_scan("P1", scan(np.full(SHAPE, 50, dtype=np.int16), _grid()), predicted, tmp_path)
    assert score.dice == 1


def test_a_structure_that_was_missed_scores_zero_and_has_no_distance(tmp_path: Path) -> None:
    drawn = np.zeros(SHAPE, dtype=np.uint8)
    drawn[1, 10:20, 10:30] = FLEXOR
    _draw(tmp_path, drawn)
    predicted = _labels(label_value("extensor", "left"), slice(10, 20), slice(10, 30))
    (score,) = score_scan("P1", scan(np.full(SHAPE, 50, dtype=np.int16), _grid()), predicted, tmp_path)
    assert (score.structure, score.dice, score.hd95_mm, score.surface_dice_2mm) == ("flexor", 0.0, None, 0.0)


def test_fat_deep_to_the_drawn_fascia_and_outside_muscle_is_intermuscular(tmp_path: Path) -> None:
    drawn = np.zeros(SHAPE, dtype=np.uint8)
    drawn[1, 10:20, 10:30] = EXTENSOR
    _draw(tmp_path, drawn)
    fascia = np.zeros(SHAPE, dtype=np.uint8)
    fascia[1, 10:24, 10:30] = 1  # four rows of fat below the muscle
    _draw(tmp_path / "fascia", fascia)
    hu = np.full(SHAPE, -100, dtype=np.int16)
    hu[1, 10:20, 10:30] = 50
    labels = np.zeros(SHAPE, dtype=np.uint8)
    labels[1, 10:20, 10:30] = label_value("extensor", "left")
    labels[1, 20:23, 10:30] = label_value("intermuscular", "left")  # three of the four rows
    scores = {s.structure: s for s in score_scan("P1", scan(hu, _grid()), LabelMap(labels, _grid()), tmp_path)}
    assert scores["extensor"].dice == 1
    assert scores["intermuscular"].dice == pytest.approx(2 * 60 / 140)


def _table(dice: list[float], predicted_cm2: list[float], *, level: str = "shaft", sex: str = "female") -> pd.DataFrame:
    n = len(dice)
    return pd.DataFrame(
        {
            "patient": [f"P{k}" for k in range(n)],
            "slice_index": range(n),
            "level": level,
            "sex": sex,
            "structure": "extensor",
            "dice": dice,
            "sensitivity": 0.9,
            "specificity": 0.99,
            "accuracy": 0.98,
            "hd95_mm": [2.0, 4.0, *[np.nan] * (n - 2)],
            "assd_mm": 0.5,
            "surface_dice_1mm": 0.8,
            "surface_dice_2mm": 0.9,
            "reference_cm2": [10.0 * (k + 1) for k in range(n)],
            "predicted_cm2": predicted_cm2,
        }
    )


def test_statistics_of_a_structure_by_hand() -> None:
    found = of_structure(_table([0.9, 0.8, 0.7, 0.0], [11.0, 22.0, 33.0, 0.0]))
    assert (found["n"], found["patients"], found["missed"]) == (4, 4, 1)
    assert found["dice_mean"] == pytest.approx(0.6)
    assert found["dice_median"] == pytest.approx(0.75)
    assert (found["dice_worst"], found["worst_case"]) == (0.0, "P3 slice 3")
    assert found["hd95_mm"] == pytest.approx(3.0)  # of the two that have one
    assert found["area_error_percent"] == pytest.approx((10 + 10 + 10 - 100) / 4)
    assert found["bias"] == pytest.approx((1 + 2 + 3 - 40) / 4)
    assert found["dice_mean_low"] is None  # of four patients only


def test_all_levels_hold_the_shaft_and_the_rest_and_a_sex_needs_three_patients() -> None:
    shaft = _table([0.9, 0.8, 0.7, 0.6], [10.0, 20.0, 30.0, 40.0])
    hip = _table([0.5, 0.5], [10.0, 20.0], level="hip", sex="male")
    summary = summarise(pd.concat([shaft, hip.assign(slice_index=9)]))
    assert summary["shaft"]["extensor"]["n"] == 4
    assert summary["all"]["extensor"]["n"] == 6
    assert summary["female"]["extensor"]["n"] == 4
    assert "male" not in summary
    assert (summary["scans"], summary["slices"]) == (4, 6)


def test_exact_prediction_agrees_fully_and_the_summary_is_plain_json() -> None:
    summary = summarise(_table([1.0, 1.0, 1.0], [10.0, 20.0, 30.0]))
    facts = json.loads(json.dumps(summary))["shaft"]["extensor"]
    assert facts["icc_a1"] == 1
    assert facts["loa_lower_percent"] == facts["loa_upper_percent"] == 0


def test_six_patients_have_an_interval_of_the_mean() -> None:
    found = of_structure(_table([0.9, 0.8, 0.7, 0.6, 0.9, 0.8], [10.0, 20.0, 30.0, 40.0, 50.0, 60.0]))
    assert found["dice_mean_low"] < 4.7 / 6 < found["dice_mean_high"]


def test_two_patients_have_overlap_and_no_interval() -> None:
    facts = of_structure(_table([1.0, 0.5], [10.0, 10.0]))
    assert facts["dice_mean"] == 0.75
    assert facts["dice_mean_low"] is None
    assert facts["icc_a1"] is None
    assert "NA" in as_markdown(summarise(_table([1.0, 0.5], [10.0, 10.0])), title="t")


def test_the_table_for_people_has_a_line_for_each_part_and_structure() -> None:
    summary = summarise(_table([0.9, 0.8, 0.7, 0.6], [10.0, 20.0, 31.0, 40.0]))
    text = as_markdown(summary, title="manet on real CT")
    assert text.startswith("# manet on real CT")
    assert sum(line.startswith("| shaft | extensor | 4 ") for line in text.splitlines()) == 2
    assert "P3 slice 3" in text
    rows = as_rows(summary, model="manet", data_set="slices")
    assert [(row["level"], row["structure"]) for row in rows] == [
        ("shaft", "extensor"),
        ("all", "extensor"),
        ("female", "extensor"),
    ]


def test_folds_are_put_together_and_no_slice_counts_twice(tmp_path: Path) -> None:
    table = _table([0.9, 0.8, 0.7], [10.0, 20.0, 30.0])
    paths = [tmp_path / "a.csv", tmp_path / "b.csv"]
    table.iloc[:2].to_csv(paths[0], index=False)
    table.iloc[2:].to_csv(paths[1], index=False)
    assert put_together(paths)["dice"].tolist() == [0.9, 0.8, 0.7]
    with pytest.raises(ValueError, match="P0 was scored in more than one"):
        put_together([paths[0], paths[0]])


def test_figures_are_written(tmp_path: Path) -> None:
    write_figures(_table([0.9, 0.8, 0.7, 0.0], [11.0, 22.0, 33.0, 0.0]), tmp_path)
    for name in ("bland_altman.png", "dice.png"):
        assert min(Image.open(tmp_path / name).size) > 150


def test_the_card_takes_the_summary_and_keeps_the_rest(tmp_path: Path) -> None:
    card = tmp_path / "model.json"
    card.write_text(json.dumps({"network": "manet", "validation": {"synthetic": {"slices": 3}}}))
    update_card(card, summarise(_table([1.0, 1.0, 1.0], [10.0, 20.0, 30.0])))
    stored = json.loads(card.read_text())
    assert stored["validation"]["synthetic"] == {"slices": 3}
    assert stored["validation"]["real"]["shaft"]["extensor"]["dice_mean"] == 1


def test_whole_scans_are_scored_by_side_with_volumes() -> None:
    """Left: 3 of 4 rows found; right: all. 10 x 20 pixels of 4 x 2 x 0.5 mm are 0.8 cm3."""
    drawn, found = np.zeros(SHAPE, dtype=np.uint8), np.zeros(SHAPE, dtype=np.uint8)
    for side, i in (("left", slice(50, 70)), ("right", slice(10, 30))):
        drawn[1, 10:20, i] = found[1, 10:20, i] = label_value("extensor", side)
    found[1, 10:12, 50:70] = 0
    volume = scan(np.full(SHAPE, 50, dtype=np.int16), _grid())
    case = LabelledScan("P01", "female", volume, LabelMap(drawn, _grid()))
    rows = scan_scores(case, LabelMap(found, _grid()))
    by_side = {str(row["side"]): row for row in rows}
    assert by_side["left"]["dice"] == pytest.approx(2 * 160 / 360)
    assert by_side["right"]["dice"] == 1
    assert (by_side["left"]["reference_cm3"], by_side["left"]["predicted_cm3"]) == pytest.approx((0.8, 0.64))
    summary = summarise(pd.DataFrame(rows), reference="known")
    facts = summary["all"]["extensor"]
    assert (facts["n"], facts["patients"], facts["worst_case"]) == (2, 1, "P01 left")
    assert facts["area_error_percent"] == pytest.approx(-10)


def test_a_summary_says_whether_the_network_has_learnt_from_the_patients_that_judge_it() -> None:
    training = {"real_inputs": [{"patients": ["A", "B"]}], "real_patients_seen": ["A", "B", "C"]}
    assert what_it_knew(training, ["C", "D", "A"]) == "has learnt from drawings of A, C"
    assert what_it_knew(training, ["D"]) == "has learnt from none of these patients"
    told = what_it_knew({**training, "drawn_patients_seen": ["B"]}, ["C", "D", "A"])
    assert told == "has learnt from no drawing of these patients, from slices of 2 of them that nobody drew on"
