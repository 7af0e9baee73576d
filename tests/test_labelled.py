"""One's own labelled scans as training input and as a study in folds: lists, values, orientation, sites."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from leg_phantom import PAIR, grid, scan, stand_in, truth

from thighseg_core.checkpoint import Preprocessing
from thighseg_core.labels import label_value
from thighseg_core.nifti import write_ct, write_labels
from training.allowed import ALL_BITS, bits_of
from training.compact import load_shipped
from training.config import TrainConfig
from training.labelled import LabelledScan, allowed_of_values, labelled_scan, own_values, prepare_list, read_list
from training.real_batches import RealInput
from training.real_data import load_scans
from training.splits import Split
from training.study import as_markdown, run_study, score_scan
from training.synthesis import Atlas

OWN = own_values([])
UPRIGHT = grid((6, 90, 190))
TURNED = grid((6, 90, 190), order=(2, 0, 1), reverse=(True, False, True))


def _write(folder: Path, name: str, geometry=UPRIGHT) -> LabelledScan:  # type: ignore[no-untyped-def]
    write_ct(folder / f"{name}.nii.gz", scan(geometry))
    write_labels(folder / f"{name}-labels.nii.gz", truth(geometry, PAIR))
    return LabelledScan(name, folder / f"{name}.nii.gz", folder / f"{name}-labels.nii.gz")


def test_a_scan_comes_in_canonical_order_whatever_its_axes(tmp_path: Path) -> None:
    upright, turned = (
        labelled_scan(_write(tmp_path, name, geometry), OWN)
        for name, geometry in (("upright", UPRIGHT), ("turned", TURNED))
    )
    assert np.array_equal(upright.allowed, turned.allowed)
    assert np.array_equal(upright.attenuation_hu, turned.attenuation_hu)
    assert upright.allowed.shape == (6, 90, 190)
    # canonical columns run to the patient's left: the left femur, at x = +95 mm, is at column 94.5 + 95 / 2
    femur_columns = np.nonzero(upright.allowed[0] == bits_of("femur"))[1]
    assert femur_columns.max() == pytest.approx(94.5 + (95 + 14) / 2, abs=1)


def test_a_complete_label_map_makes_zero_background_and_both_sides_one_class() -> None:
    values = np.array([[0, label_value("flexor", "left"), label_value("flexor", "right"), 255]], dtype=np.uint8)
    background = bits_of("background")
    assert allowed_of_values(values, OWN).tolist() == [[background, bits_of("flexor"), bits_of("flexor"), ALL_BITS]]


def test_with_three_groups_annotated_zero_may_be_anything_else() -> None:
    named = own_values(["1=extensor", "2=flexor", "5=adductor"])
    allowed = allowed_of_values(np.array([[0, 1, 2, 5, 7]], dtype=np.uint8), named)[0].tolist()
    rest = bits_of(
        "background", "sartorius", "other_muscle", "femur", "intermuscular", "subcutaneous", "other_bone"
    )  # fmt: skip
    assert allowed == [rest, bits_of("extensor"), bits_of("flexor"), bits_of("adductor"), rest]


@pytest.mark.parametrize("wrong", ["1=quadriceps", "0=extensor", "255=flexor", "extensor", "1=background"])
def test_a_value_without_a_known_class_is_refused(wrong: str) -> None:
    with pytest.raises(ValueError, match="expected a value from 1 to 254"):
        own_values([wrong])


def test_a_list_names_what_is_missing(tmp_path: Path) -> None:
    path = tmp_path / "scans.csv"
    path.write_text("patient,scan\nA,a\n")
    with pytest.raises(ValueError, match="columns labels are missing"):
        read_list(path)
    path.write_text("patient,scan,labels\nA,nowhere,nothing\n")
    with pytest.raises(ValueError, match=r"line 2: .*nowhere does not exist"):
        read_list(path)


def test_a_patient_may_have_several_scans(tmp_path: Path) -> None:
    _write(tmp_path, "first"), _write(tmp_path, "second")
    rows = "".join(f"A,{name}.nii.gz,{name}-labels.nii.gz,north\n" for name in ("first", "second"))
    (tmp_path / "scans.csv").write_text("patient,scan,labels,site\n" + rows)
    prepare_list(tmp_path / "scans.csv", tmp_path / "out", named=OWN, every=2)
    scans = load_scans(tmp_path / "out")
    assert [(one.patient, one.site, len(one.allowed)) for one in scans] == [("A", "north", 3)] * 2


def test_the_score_counts_every_class_between_the_first_and_last_labelled_slice(tmp_path: Path) -> None:
    for geometry in (UPRIGHT, TURNED):
        row = _write(tmp_path, "one", geometry)
        found = {one["structure"]: one for one in score_scan(row, stand_in(), OWN, device="cpu")}
        assert found["extensor"]["dice"] == pytest.approx(1, abs=0.03)
        assert found["adductor"]["volume_error_percent"] == pytest.approx(0, abs=5)
        assert found["other_bone"]["dice"] is None  # nowhere in either


def test_a_study_scores_insiders_once_and_outsiders_in_every_fold(tmp_path: Path) -> None:
    rows = [replace(_write(tmp_path, name), site="far" if name == "C" else "near") for name in ("A", "B", "C")]
    for row in rows:
        replace(labelled_scan(row, OWN, every=3), site=row.site).save(tmp_path / "scans")
    config = TrainConfig(
        network="segformer", steps=1, batch_size=2, image_pixels=64, validation_slices=2, threads=1,
        preprocessing=Preprocessing(spacing_mm=3.0), real=(RealInput("", share=0.5),),
    )  # fmt: skip
    scores = run_study(
        rows, config, scans=tmp_path / "scans", atlas=Atlas(load_shipped()[:1]), output=tmp_path / "study",
        split=Split(folds=2, external_sites=("far",)), named={1: "extensor", 2: "extensor"}, device="cpu",
    )  # fmt: skip
    seen = sorted((one.patient, one.validation) for one in scores.itertuples())
    assert seen == [("A", "internal"), ("B", "internal"), ("C", "external"), ("C", "external")]
    by_fold = scores[scores["validation"] == "internal"].set_index("patient")["fold"].to_dict()
    assert sorted(by_fold.values()) == [0, 1]
    assert "| external | extensor | 2 |" in as_markdown(scores, network="segformer", folds=2)
