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


def lower_end(*, inner_mm: float) -> VoxelPerson:
    """A block of bone on the left, 70 x 60 mm wide, from z = 0 on; its inner half begins at `inner_mm`."""
    labels = np.zeros((40, 80, 90), dtype=np.uint8)
    labels[:, 10:70, 10:80] = label_value("femur", "left")
    labels[: round(inner_mm), :, :45] = 0
    affine = np.array([[0, 0, 1.0, 0], [0, 1.0, 0, 0], [1.0, 0, 0, 0.5], [0, 0, 0, 1]])
    right = np.zeros_like(labels)
    right[5:, 2:8] = label_value("femur", "right")
    right[5:, 2:8, ::2] = label_value("femur", "right")
    return VoxelPerson(np.full(labels.shape, 700, np.int16), np.maximum(labels, right), Geometry(labels.shape, affine))


@pytest.mark.parametrize("inner_mm", [0.0, 8.0])
def test_each_condyle_is_rounded_at_its_own_end_as_in_real_knees(inner_mm):
    before = lower_end(inner_mm=inner_mm)
    after = with_round_condyles(before, sex="female")
    kept = after.labels == label_value("femur", "left")
    # a half is 60 x 35 mm; the ellipse with the second moments of a rectangle has pi / 3 of its area
    whole_mm2 = np.pi / 3 * 60 * 35
    for half, end_mm, share in (
        (slice(None, 45), inner_mm, {2: 0.42, 6: 0.815}),  # inner: 0.35 at 2 mm and 0.49 at 3, 0.79 and 0.84
        (slice(45, None), 0.0, {2: 0.23, 6: 0.61}),  # outer: 0.18 and 0.28, 0.56 and 0.66
    ):
        areas = kept[:, :, half].sum(axis=(1, 2))
        assert areas[: round(end_mm)].sum() == 0
        for mm, expected in share.items():
            assert areas[round(end_mm) + mm] == pytest.approx(expected * whole_mm2, rel=0.06)
        assert areas[round(end_mm) + 14] == 60 * 35
    off = (before.labels == label_value("femur", "left")) & ~kept
    assert set(after.labels[off]) == {label_value("intermuscular", "left")}
    assert set(after.attenuation_hu[off]) == {30}


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
