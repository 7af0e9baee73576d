"""The phantom whose truth is known by counting: the counting, the scanning, and the faults planted in it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from thighseg_core.geometry import Geometry
from thighseg_core.labels import GROUPS, SIDES, label_value
from thighseg_core.noise import noise_hu
from training.validate_flags import PLANTED, base_scanner, planted_rows
from training.validate_truth import TruthCase, case_rows
from training.voxel_phantom import Scanner, VoxelPerson, _sampled, scan_person, with_fat, with_round_condyles

STEP_MM = (3.0, 1.5, 2.0)  # a voxel is 9 mm3
SHAPE = (100, 70, 130)
# Rods: rows and columns of the right leg; the left one lies 65 columns further.
RODS = {
    "subcutaneous": (8, 62, 4, 58),
    "intermuscular": (12, 58, 7, 55),
    "extensor": (14, 34, 9, 53),
    "flexor": (36, 54, 9, 27),
    "adductor": (36, 54, 29, 53),
    "sartorius": (24, 28, 47, 53),
    "femur": (24, 34, 25, 33),
}
HU = {"subcutaneous": -100, "intermuscular": -100, "femur": 900}


def person() -> VoxelPerson:
    """Two legs of square rods over 80 slices of 3 mm, in air."""
    labels = np.zeros(SHAPE, dtype=np.uint8)
    hu = np.full(SHAPE, -1000, dtype=np.int16)
    for side, column in (("right", 0), ("left", 65)):
        for name, (top, bottom, first, last) in RODS.items():
            place = (slice(10, 90), slice(top, bottom), slice(first + column, last + column))
            labels[place] = label_value(name, side)
            hu[place] = HU.get(name, 50)
    affine = np.array([[0, 0, 2.0, -129], [0, 1.5, 0, -52], [3.0, 0, 0, -150], [0, 0, 0, 1]])
    return VoxelPerson(hu, labels, Geometry(SHAPE, affine))


def test_volume_and_fat_are_counted():
    made = with_fat(person(), share=0.2, muscle_hu=50, seed=1)
    assert made.volume_cm3("flexor", "left") == pytest.approx(80 * 18 * 18 * 0.009)
    # 20 % times 1.4 of the flexor, to a voxel
    assert made.fat_percent("flexor", "left") == pytest.approx(28.0, abs=0.01)
    assert made.fat_percent("adductor", "right") == pytest.approx(20.0, abs=0.01)
    halfway = -150 + 3 * 49.5
    assert made.volume_cm3("flexor", "left", z_mm=(-1e3, halfway)) == pytest.approx(40 * 18 * 18 * 0.009)


def test_a_femur_is_as_long_as_its_rod():
    truth = person().femur_truth("right")
    assert truth.length_mm == pytest.approx(80 * 3.0, abs=1e-6)
    # slices 10 to 89 lie from z = -121.5 to 118.5; columns 25 to 32 at x = -79 to -65
    assert truth.midthigh_mm == pytest.approx([-72.0, -52 + 1.5 * 28.5, -1.5], abs=0.01)


def test_a_scan_has_the_noise_the_place_and_the_turn_that_were_asked_for():
    scanner = Scanner(slice_mm=6.0, pixel_mm=1.5, noise_hu=12.0, turn_deg=(0, 0, 90), shift_mm=(5, 7, 11), seed=2)
    volume, labels = scan_person(person(), replace(scanner, field_mm=(300.0, 300.0)))
    found = np.argwhere(labels.labels == label_value("femur", "right")).mean(axis=0)
    # (-72, -9.25, -1.5) turned by 90 degrees about z is (9.25, -72, -1.5)
    assert volume.geometry.to_lps_mm(found) == pytest.approx([9.25 + 5, -72 + 7, -1.5 + 11], abs=1.0)
    assert noise_hu(volume, labels) == pytest.approx(12.0, rel=0.12)


@pytest.mark.parametrize("order", [0, 1])
def test_axis_by_axis_sampling_is_that_of_scipy(order):
    array = np.random.default_rng(0).normal(0, 100, (9, 8, 7)).astype(np.float32)
    matrix, offset, shape = np.diag([0.7, 1.3, 0.55]), np.array([0.23, 0.11, 0.41]), (11, 5, 10)
    wanted = ndimage.affine_transform(array, matrix, offset, output_shape=shape, order=order, mode="nearest")
    got = _sampled(array, matrix, offset, shape, order=order, outside=0.0)
    assert got == pytest.approx(wanted, abs=1e-3)


def test_condyles_end_round():
    before, after = person(), with_round_condyles(person())
    areas = [(one.labels == label_value("femur", "left")).sum(axis=(1, 2))[8:18] for one in (before, after)]
    assert list(areas[0]) == [0, 0, *[80] * 8]
    # 1 - (1 - d / 18)^2 of 80 pixels, at d = 1.5, 4.5, ... mm
    expected = [80 * (1 - (1 - d / 18) ** 2) for d in (1.5, 4.5, 7.5, 10.5, 13.5, 16.5)]
    assert np.abs(areas[1][2:8] - expected).max() <= 30  # pixels at one depth go together
    assert (np.diff(areas[1][2:8]) >= 0).all()
    assert areas[1][2] < 40


def test_each_condyle_is_rounded_at_its_own_end():
    uneven = person()
    uneven.labels[10:14, 24:34, 90:94] = 0  # the inner half of the left femur ends four slices, 12 mm, higher
    after = with_round_condyles(uneven).labels == label_value("femur", "left")
    inner, outer = after[:, :, 90:94].sum(axis=(1, 2)), after[:, :, 94:98].sum(axis=(1, 2))
    for areas, end in ((outer, 10), (inner, 14)):
        assert (np.diff(areas[end : end + 6]) >= 0).all()
        assert areas[end - 1] == 0
        assert areas[end] < 20
        assert areas[end + 6] == 40


def test_measured_volume_and_fat_are_those_of_the_object():
    made = with_fat(person(), share=0.2, muscle_hu=50, seed=1, size_mm=(12.0, 4.0, 4.0))
    rows = case_rows(made, TruthCase("5 mm", Scanner(noise_hu=10.0)))
    for row in rows:
        if row["quantity"] == "volume" and row["region"] != "sartorius":
            assert abs(row["error"]) < 1.0, row
        if row["quantity"] == "fat share" and row["region"] != "sartorius":
            assert abs(row["error"]) < 1.0, row


@pytest.mark.parametrize("name", ["nothing", "scan of the shaft only", "noise of 28 HU", "sides swapped", "metal"])
def test_a_planted_fault_raises_its_flag_and_no_other(name):
    made = person()
    (planted,) = [one for one in PLANTED if one.name == name]
    rows = planted_rows(made, planted, base=scan_person(made, base_scanner(made)))
    assert [row for row in rows if row["planted"] != row["raised"]] == []
    assert {row["flag"] for row in rows if row["planted"]} == set(planted.codes)


def test_groups_of_both_sides_are_there():
    assert all(person().volume_cm3(name, side) > 50 for name in GROUPS for side in SIDES)
