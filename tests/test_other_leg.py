"""What little is seen of the other leg gets its own number: fat beyond skin, muscle beyond the middle."""

import numpy as np
import pytest

from thighseg_core.labels import CLASS_INDEX
from thighseg_core.legs import find_legs
from thighseg_core.other_leg import beyond_middle, beyond_skin

SPACING_MM = (4.0, 1.0, 1.0)
SHAPE = (20, 120, 120)
FAT_HU, MUSCLE_HU, SKIN_HU, AIR_HU = -105, 55, 40, -1000
SKIN = np.s_[:, :, 28:32]  # skin on skin; right of it a leg, left of it fat of the other one that the picture cuts


def _scan(skin=SKIN, slices=SHAPE[0]):
    hu = np.full(SHAPE, FAT_HU, dtype=np.int16)
    hu[:, :10] = hu[:, -10:] = AIR_HU  # in front and behind
    hu[:, 10:20, 24:36] = AIR_HU  # the cleft between the legs, under which skin is on skin
    hu[:, 40:90, 60:110] = MUSCLE_HU
    hu[:slices, 20:-10][skin] = SKIN_HU
    hu[:, 20:24, 28:32] = FAT_HU  # skin mixed with air looks like fat
    return hu, hu > -300


def _found(hu, body):
    return beyond_skin(hu == MUSCLE_HU, hu, body, spacing_mm=SPACING_MM)


def test_fat_that_skin_parts_from_the_leg_and_the_picture_cuts_is_the_other_legs():
    found = _found(*_scan())
    assert found[:, 30:100, 2:24].all()
    assert not found[:, :, 30:].any()


def test_without_skin_between_fat_is_the_legs_own():
    hu, body = _scan()
    hu[hu == SKIN_HU] = FAT_HU
    assert not _found(hu, body).any()


def test_a_gap_in_the_skin_leaves_fat_to_the_leg():
    hu, body = _scan()
    hu[:, 60:70, 28:32] = FAT_HU
    assert not _found(hu, body).any()


def test_skin_between_on_a_few_slices_only_says_nothing():
    assert not _found(*_scan(slices=6)).any()  # 24 mm
    assert _found(*_scan(slices=9)).any()  # 36 mm


def test_fat_that_the_picture_does_not_cut_is_the_legs_own():
    hu, _ = _scan()
    hu[:, :, :6] = AIR_HU
    assert not _found(hu, hu > -300).any()


def test_the_other_legs_fat_gets_its_own_number():
    hu, body = _scan()
    classes = np.where(hu == MUSCLE_HU, CLASS_INDEX["adductor"], 0).astype(np.uint8)
    classes[hu == FAT_HU] = CLASS_INDEX["subcutaneous"]
    classes[:, 60:75, 75:90] = CLASS_INDEX["femur"]
    legs = find_legs(classes, body, spacing_mm=SPACING_MM, attenuation_hu=hu)
    assert legs.count == 2
    fat = hu == FAT_HU
    other = np.broadcast_to(np.arange(120) < 28, SHAPE)
    assert (legs.numbers[fat & other] == 1).mean() > 0.98
    assert (legs.numbers[body & np.broadcast_to(np.arange(120) > 32, SHAPE)] == 2).mean() > 0.99


@pytest.mark.parametrize("mirrored", [False, True])
def test_muscle_wholly_beyond_the_middle_is_the_other_legs(mirrored):
    seeds = np.zeros((10, 20, 60), dtype=np.uint8)
    seeds[:, :, 30:60] = 1
    seeds[:, :, 0:10] = 2  # the middle is at 19.5
    core = np.zeros((5, 20, 60), dtype=bool)
    core[1:, 2:8, 3:15] = True
    core[:, 12:18, 15:50] = True  # a mass of the first leg that bulges over the middle
    if mirrored:
        seeds, core = seeds[:, :, ::-1], core[:, :, ::-1]
    found = beyond_middle(seeds, core, slice_mm=4.0)
    assert (found == (core & (np.arange(20) < 10)[None, :, None])).all()


def test_where_no_other_leg_was_seen_below_nothing_is_beyond_the_middle():
    seeds = np.ones((10, 20, 60), dtype=np.uint8)
    assert not beyond_middle(seeds, np.ones((5, 20, 60), dtype=bool), slice_mm=4.0).any()
