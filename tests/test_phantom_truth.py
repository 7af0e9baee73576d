"""Measured against closed forms: real DICOM on disk, read back, labels of the analytic truth, volumes within 1 %."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.analytic_legs import (
    FAT_PERCENT,
    LEAN_HU,
    MUSCLES,
    covering,
    femur_area_cm2,
    paint,
    ring_area_cm2,
    truth,
    truth_below,
)
from thighseg_core import nifti
from thighseg_core.labels import LabelMap
from thighseg_core.measure import measure
from thighseg_core.measurement import Measurement
from thighseg_core.quality import flags
from thighseg_core.reading import find_series, load_series
from thighseg_core.volume import CTVolume, SeriesInfo
from training.dicom_factory import axial_affine, oblique_affine, write_ct_series

Facts = dict[tuple[str, str, str], Measurement]
SPACINGS_MM = ((5.0, 1.2, 0.9), (3.0, 1.6, 1.4), (2.0, 1.1, 2.3))

CASES: dict[str, tuple[NDArray[np.float64], str]] = {
    "axial 5 x 1.2 x 0.9 mm": (axial_affine(spacing_mm=SPACINGS_MM[0]), "HFS"),
    "axial 3 x 1.6 x 1.4 mm": (axial_affine(spacing_mm=SPACINGS_MM[1]), "HFS"),
    "axial 2 x 1.1 x 2.3 mm": (axial_affine(spacing_mm=SPACINGS_MM[2]), "HFS"),
    "oblique": (oblique_affine(degrees=(8.0, -5.0, 10.0), spacing_mm=SPACINGS_MM[1]), "HFS"),
    "steeply oblique": (oblique_affine(degrees=(25.0, 10.0, -15.0), spacing_mm=(4.0, 2.0, 1.7)), "HFS"),
    "slices stored from the head down": (axial_affine(spacing_mm=SPACINGS_MM[1], flip="k"), "HFS"),
    "columns to the patient's right": (axial_affine(spacing_mm=SPACINGS_MM[1], flip="i"), "HFS"),
    "feet first supine": (axial_affine(spacing_mm=SPACINGS_MM[1], flip="ki"), "FFS"),
    "feet first prone": (axial_affine(spacing_mm=SPACINGS_MM[1], flip="kj"), "FFP"),
    "head first prone": (axial_affine(spacing_mm=SPACINGS_MM[1], flip="ij"), "HFP"),
}


def through_dicom(folder: Path, affine: NDArray[np.float64], position: str) -> tuple[CTVolume, LabelMap]:
    """The phantom written as DICOM, read back, with the truth sampled on the grid that the reader returned."""
    geometry = covering(affine)
    attenuation, _ = paint(geometry)
    write_ct_series(folder, attenuation, geometry.affine, patient_position=position, shuffle_seed=3)
    (candidate,) = find_series(folder, work_dir=folder).usable_series()
    volume = load_series(candidate)
    return volume, LabelMap(paint(volume.geometry)[1], volume.geometry)


def facts(volume: CTVolume, label_map: LabelMap) -> Facts:
    return {(m.region, m.side, m.metric): m for m in measure(volume, label_map) if m.extent == "full"}


def value(found: Facts, region: str, side: str, metric: str) -> float:
    number = found[region, side, metric].value
    assert number is not None, found[region, side, metric].reason
    return number


def check_muscles(found: Facts, *, case: str) -> None:
    """Volume within 1 %, fat within 1 point, attenuation within 1 HU, on the right side; and the figures, for -s."""
    for name in MUSCLES:
        for side in ("left", "right"):
            expected = truth(name, side).volume_cm3
            measured = value(found, name, side, "volume")
            fat = value(found, name, side, "intramuscular_fat_percent")
            lean_hu = value(found, name, side, "lean_attenuation")
            error = 100 * (measured / expected - 1)
            sys.stdout.write(
                f"{case:34s} {name:9s} {side:5s} true {expected:8.2f} cm3, measured {measured:8.2f} ({error:+5.2f} %), "
                f"fat {fat:5.2f} % (true {FAT_PERCENT:.2f}), lean {lean_hu:5.1f} HU\n"
            )
            assert measured == pytest.approx(expected, rel=0.01)
            assert fat == pytest.approx(FAT_PERCENT, abs=1.0)
            assert lean_hu == pytest.approx(LEAN_HU, abs=1.0)
            assert found[name, side, "volume"].status == "ok"
    together = sum(
        truth(name, side).volume_cm3 for name in ("extensor", "flexor", "adductor") for side in ("left", "right")
    )
    assert value(found, "total", "both", "volume") == pytest.approx(together, rel=0.01)


def check_sections(found: Facts, *, spacing_mm: tuple[float, float, float]) -> None:
    """The largest transverse section of each muscle: its area, and its level within what slices and pixels resolve."""
    for side in ("left", "right"):
        for name in MUSCLES:
            expected = truth(name, side).largest_area_cm2
            tolerance = 0.01 if name != "sartorius" else 0.04  # some hundred pixels: the outline decides
            assert value(found, name, side, "csa_max") == pytest.approx(expected, rel=tolerance)
            # within 1 % of its largest area an ellipsoid extends over 0.1 of its semi-axis to both sides
            off_mm = abs(value(found, name, side, "csa_max_z") - MUSCLES[name][0][2])
            assert off_mm < 0.15 * MUSCLES[name][1][2] + spacing_mm[0]


def check_cylinders(found: Facts, *, length_mm: float) -> None:
    """Femur and subcutaneous fat run through both ends of the scan: right volume, and flagged.

    Every slice shows the same pixels, so the error of their outline does not average out: 2 %.
    """
    for side in ("left", "right"):
        femur = found["femur", side, "volume"]
        assert femur.value == pytest.approx(femur_area_cm2() * length_mm / 10, rel=0.02)
        fat = value(found, "subcutaneous", side, "fat_volume")
        assert fat == pytest.approx(ring_area_cm2() * length_mm / 10, rel=0.02)
        assert femur.reason == "cut off at the caudal and the cranial end of the scan"


@pytest.mark.parametrize("case", CASES)
def test_volumes_read_from_dicom_are_within_one_percent_and_left_is_the_patients_left(case, tmp_path):
    affine, position = CASES[case]
    volume, label_map = through_dicom(tmp_path / "series", affine, position)
    assert volume.info.patient_position == position
    found = facts(volume, label_map)
    check_muscles(found, case=case)
    if "oblique" not in case:
        check_sections(found, spacing_mm=volume.geometry.spacing_mm)
        check_cylinders(found, length_mm=volume.geometry.shape[0] * volume.geometry.spacing_mm[0])
    wrong = {"side_order", "truncated", "touches_border", "air_attenuation", "subcutaneous_attenuation", "metal"}
    raised = {f.code for f in flags(volume, label_map) if f.region not in ("femur", "intermuscular", "subcutaneous")}
    assert not raised & wrong


@pytest.mark.parametrize("orientation", ["RAS", "LAS", "PSR", "LPI"])
def test_volumes_read_from_nifti_are_within_one_percent_in_every_orientation(orientation, tmp_path):
    nibabel = pytest.importorskip("nibabel")
    geometry = covering(axial_affine(spacing_mm=SPACINGS_MM[1]))
    attenuation, labels = paint(geometry)
    nifti.write_ct(tmp_path / "ct.nii.gz", CTVolume(attenuation, geometry, SeriesInfo("1", "NIfTI", "0" * 64)))
    nifti.write_labels(tmp_path / "labels.nii.gz", LabelMap(labels, geometry))
    turned = nibabel.orientations.axcodes2ornt(orientation)
    for name in ("ct", "labels"):
        image = nibabel.load(tmp_path / f"{name}.nii.gz")
        change = nibabel.orientations.ornt_transform(nibabel.io_orientation(image.affine), turned)
        nibabel.save(image.as_reoriented(change), tmp_path / f"{name}_{orientation}.nii.gz")
    source = tmp_path / f"ct_{orientation}.nii.gz"
    (candidate,) = find_series(source, work_dir=tmp_path).usable_series()
    volume = load_series(candidate)
    for stored in (f"labels_{orientation}.nii.gz", "labels.nii.gz"):  # labels of another orientation fit as well
        check_muscles(
            facts(volume, nifti.read_labels(tmp_path / stored, like=volume.geometry)), case=f"NIfTI {orientation}"
        )


def test_a_cut_muscle_has_the_volume_of_what_is_in_view_and_says_that_it_is_cut(tmp_path):
    geometry = covering(axial_affine(spacing_mm=SPACINGS_MM[1]), top_mm=30.0)
    top_mm = float(geometry.to_lps_mm(np.array([geometry.shape[0] - 0.5, 0, 0]))[2])
    attenuation, _ = paint(geometry)
    write_ct_series(tmp_path, attenuation, geometry.affine)
    (candidate,) = find_series(tmp_path, work_dir=tmp_path).usable_series()
    volume = load_series(candidate)
    found = facts(volume, LabelMap(paint(volume.geometry)[1], volume.geometry))
    for name in MUSCLES:
        for side in ("left", "right"):
            assert value(found, name, side, "volume") == pytest.approx(truth_below(name, side, top_mm), rel=0.01)
            assert found[name, side, "volume"].reason == "cut off at the cranial end of the scan"


@pytest.mark.parametrize("axis", [0, 2])
def test_labels_that_lie_mirrored_on_the_image_do_not_pass(axis):
    geometry = covering(axial_affine(spacing_mm=SPACINGS_MM[1]))
    attenuation, labels = paint(geometry)
    volume = CTVolume(attenuation, geometry, SeriesInfo("1", "NIfTI", "0" * 64))
    with pytest.raises(AssertionError):
        check_muscles(facts(volume, LabelMap(np.flip(labels, axis), geometry)), case="spoilt")
