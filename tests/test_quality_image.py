from __future__ import annotations

import numpy as np
import pytest

from tests.boxes import boxes, scan
from tests.test_quality import AFFINE, SHAPE, leg, raised
from thighseg_core.geometry import Geometry
from thighseg_core.labels import LabelMap, label_value
from thighseg_core.noise import noise_hu
from thighseg_core.pieces import find_pieces
from thighseg_core.vessels import find_vessels
from thighseg_core.volume import CTVolume

MUSCLE = (slice(2, 28), slice(5, 35), slice(32, 58))
LEFT_MUSCLE, LEFT_BETWEEN, LEFT_FEMUR = (label_value(name, "left") for name in ("extensor", "intermuscular", "femur"))


def geometry() -> Geometry:
    return Geometry(SHAPE, AFFINE)


def noisy(sd_hu: float, *, fat_rows: int = 0) -> tuple[CTVolume, LabelMap]:
    """A block of muscle of 50 HU with white noise; its last rows are fat in stripes."""
    volume, labels = boxes([(LEFT_MUSCLE, 50, MUSCLE)], geometry=geometry(), slice_thickness_mm=5.0)
    hu = volume.attenuation_hu.astype(float)
    if fat_rows:
        hu[2:28, 35 - fat_rows : 35 : 3, 32:58] = -100
    hu[MUSCLE] += np.random.default_rng(4).normal(0, sd_hu, hu[MUSCLE].shape)
    return scan(np.rint(hu).astype(np.int16), volume.geometry), labels


@pytest.mark.parametrize("sd_hu", [5.0, 12.0, 30.0])
def test_noise_is_the_standard_deviation_that_was_added(sd_hu):
    assert noise_hu(*noisy(sd_hu)) == pytest.approx(sd_hu, rel=0.08)


def test_fat_in_a_third_of_the_muscle_is_not_taken_for_noise():
    assert noise_hu(*noisy(12.0, fat_rows=10)) == pytest.approx(12.0, rel=0.1)


def test_noise_is_not_told_from_a_few_voxels():
    place = (slice(5, 8), slice(5, 9), slice(5, 9))
    assert noise_hu(*boxes([(LEFT_MUSCLE, 50, place)], geometry=geometry())) is None


@pytest.mark.parametrize(("sd_hu", "expected"), [(17.0, False), (23.0, True)])
def test_noise_above_twenty_is_flagged(sd_hu, expected):
    assert ("noise" in raised(*noisy(sd_hu))) is expected


def vessel(*, hu: int, slices: slice = slice(0, 30), columns: slice = slice(20, 23), femur: int = 40):
    """A compartment of fat between the muscles with a vessel of 6 x 6 mm in it, and a femur from a column on."""
    return boxes(
        [
            (LEFT_BETWEEN, -100, (slice(0, 30), slice(10, 30), slice(10, 40))),
            (LEFT_FEMUR, 1200, (slice(0, 30), slice(10, 30), slice(femur, femur + 10))),
            (LEFT_BETWEEN, hu, (slices, slice(18, 21), columns)),
        ],
        geometry=geometry(),
    )


def test_bright_vessels_show_a_contrast_agent_that_the_header_does_not_record():
    found = find_vessels(*vessel(hu=220))
    assert (found.n_slices, found.n_enhanced) == (30, 30)
    assert found.attenuation_hu == pytest.approx(220, abs=1)
    flag = raised(*vessel(hu=220))["contrast_vessels"][0]
    assert "220 HU, more than 90 HU, on 30 of 30 slices" in flag.message


def test_blood_without_contrast_is_not_bright():
    assert find_vessels(*vessel(hu=60)).n_enhanced == 0


def test_calcified_walls_metal_and_the_blur_of_bone_are_no_contrast_agent():
    assert find_vessels(*vessel(hu=900)).n_enhanced == 0
    assert find_vessels(*vessel(hu=220, columns=slice(38, 40))).n_enhanced == 0  # beside the femur


def test_a_bright_spot_on_few_slices_is_no_contrast_agent():
    volume, labels = vessel(hu=220, slices=slice(3, 9))
    assert find_vessels(volume, labels).n_enhanced == 6
    assert "contrast_vessels" not in raised(volume, labels)


@pytest.mark.parametrize(("pixels", "expected"), [(128, False), (130, True)])
def test_a_group_that_differs_by_more_than_a_quarter_of_the_mean_is_asymmetric(pixels, expected):
    # 100 pixels a slice on the right; 128 on the left differ by 28 / 114 = 24.6 %, 130 by 26.1 %
    place = [(slice(5, 25), slice(4, 9), slice(3, 23)), (slice(5, 25), slice(4, 10), slice(35, 55))]
    filled = [(label_value("extensor", "right"), 50, place[0]), (LEFT_MUSCLE, 50, place[1])]
    volume, label_map = boxes(filled, geometry=geometry())
    labels = label_map.labels.copy()
    labels[:, 9, 35:55] = 0
    labels[5:25, 9, 35 : 35 + 20] = LEFT_MUSCLE
    surplus = 5 * 20 + 20 - pixels
    if surplus >= 0:
        labels[5:25, 9, 55 - surplus : 55] = 0
    else:
        labels[5:25, 10, 35 : 35 - surplus] = LEFT_MUSCLE
    found = raised(volume, LabelMap(labels, geometry())).get("asymmetry", [])
    assert [flag.region for flag in found] == (["extensor"] if expected else [])


def test_asymmetry_is_judged_over_the_slices_that_show_both_legs():
    right = [part for part in leg() if part[0] % 2 == 0]
    left = [part for part in leg(slices=slice(5, 15)) if part[0] % 2 == 1]  # half as long, of equal section
    assert "asymmetry" not in raised(*boxes([*right, *left], geometry=geometry()))


def test_pieces_and_gaps_of_a_group_are_counted():
    # 10 x 10 pixels of 4 mm2 on 5 slices of 5 mm: 10 cm3 each; the third one far below
    places = [
        (slice(20, 25), slice(5, 15), slice(5, 15)),
        (slice(20, 25), slice(5, 15), slice(30, 40)),
        (slice(5, 10), slice(5, 15), slice(5, 15)),
    ]
    volume, label_map = boxes([(LEFT_MUSCLE, 50, place) for place in places], geometry=geometry())
    (found,) = find_pieces(label_map)
    assert (found.count, found.gap_mm) == (3, 50.0)
    assert found.largest_share == pytest.approx(1 / 3)
    message = raised(volume, label_map)["pieces"][0].message
    assert "3 pieces, the largest with 33 % of it and is missing on 50 mm" in message


def test_two_pieces_and_crumbs_are_ordinary():
    places = [
        (slice(10, 20), slice(5, 15), slice(5, 15)),
        (slice(10, 20), slice(5, 15), slice(30, 40)),
        (slice(10, 12), slice(30, 34), slice(5, 15)),  # 80 voxels of 20 mm3: 1.6 cm3
    ]
    volume, label_map = boxes([(LEFT_MUSCLE, 50, place) for place in places], geometry=geometry())
    assert find_pieces(label_map)[0].count == 2
    assert "pieces" not in raised(volume, label_map)


def test_a_crumb_far_off_makes_no_gap_and_a_small_part_of_a_large_group_no_piece():
    places = [
        (slice(10, 25), slice(5, 25), slice(5, 25)),  # 6000 voxels of 20 mm3: 120 cm3
        (slice(10, 12), slice(30, 34), slice(30, 44)),  # 2.24 cm3, less than 2 % of the group
        (slice(2, 4), slice(5, 9), slice(5, 15)),  # 1.6 cm3, 30 mm below
    ]
    volume, label_map = boxes([(LEFT_MUSCLE, 50, place) for place in places], geometry=geometry())
    (found,) = find_pieces(label_map)
    assert (found.count, found.gap_mm) == (1, 0.0)
    assert "pieces" not in raised(volume, label_map)
