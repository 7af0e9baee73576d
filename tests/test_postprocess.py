"""Edges and crumbs on drawings whose every voxel is known."""

import numpy as np
import pytest

from thighseg_core.labels import CLASS_INDEX
from thighseg_core.postprocess import _refine_slice, refine, remove_crumbs

EXT, FLEX, ADD, FEMUR, INTER, SUB = (
    CLASS_INDEX[name] for name in ("extensor", "flexor", "adductor", "femur", "intermuscular", "subcutaneous")
)
FAT_HU, LEAN_HU = -100, 50
SPACING_MM = (1.0, 1.0)


def _slice(shape=(60, 60)):
    """A muscle of rows and columns 20 to 39 in fat that fills the picture."""
    classes = np.full(shape, SUB, dtype=np.uint8)
    hu = np.full(shape, FAT_HU, dtype=np.int16)
    classes[20:40, 20:40] = EXT
    hu[20:40, 20:40] = LEAN_HU
    return classes, hu


def _refine(classes, hu, legs=None):
    legs = np.ones_like(classes) if legs is None else legs
    return _refine_slice(classes, hu, legs, np.ones(classes.shape, dtype=bool), SPACING_MM)


def test_a_mask_on_the_visible_edge_stays_as_it_is():
    classes, hu = _slice()
    assert (_refine(classes, hu) == classes).all()


@pytest.mark.parametrize("too_wide", [1, 2, 3])
def test_fat_at_the_edge_of_a_mask_goes_back_to_the_fat(too_wide):
    truth, hu = _slice()
    classes = truth.copy()
    classes[20 - too_wide : 40 + too_wide, 20 - too_wide : 40 + too_wide] = EXT
    assert (_refine(classes, hu) == truth).all()


def test_a_rim_of_muscle_that_was_missed_is_taken_in():
    truth, hu = _slice()
    classes = np.full_like(truth, SUB)
    classes[21:39, 21:39] = EXT
    refined = _refine(classes, hu)
    assert (refined == EXT).sum() >= 0.97 * (truth == EXT).sum()  # corners lie four steps away
    assert not (refined == EXT)[truth != EXT].any()


def test_fat_inside_a_muscle_stays_in_its_mask():
    classes, hu = _slice()
    hu[28:32, 25:35] = FAT_HU
    assert (_refine(classes, hu) == classes).all()


def test_a_streak_of_fat_that_reaches_the_surface_loses_its_outer_end_only():
    classes, hu = _slice()
    hu[20:32, 29:31] = FAT_HU
    refined = _refine(classes, hu)
    assert (refined[20:23, 29:31] != EXT).all()
    assert (refined[23:32, 29:31] == EXT).all()


def test_fat_between_two_groups_becomes_intermuscular():
    classes, hu = _slice()
    classes[20:40, 30:40] = FLEX
    hu[20:40, 29:31] = FAT_HU
    classes[:19] = INTER
    refined = _refine(classes, hu)
    assert not np.isin(refined[20:40, 29:31], [EXT, FLEX]).any()
    assert (refined[22:38, 24] == EXT).all()
    assert (refined[22:38, 35] == FLEX).all()


def test_a_vessel_beside_a_muscle_is_not_taken_in():
    classes, hu = _slice()
    hu[26:34, 40:46] = LEAN_HU
    classes[:, 40:] = INTER
    refined = _refine(classes, hu)
    assert (refined[26:34, 40:46] == INTER).mean() > 0.9  # all but the corners


def test_skin_is_not_taken_in():
    classes, hu = _slice()
    body = np.zeros(classes.shape, dtype=bool)
    body[18:42, 18:42] = True
    hu[body & (classes != EXT)] = LEAN_HU
    refined = _refine_slice(classes, hu, np.ones_like(classes), body, SPACING_MM)
    assert ((refined == EXT) == (classes == EXT)).all()


def test_muscle_as_bright_as_bone_beside_the_femur_is_femur():
    classes, hu = _slice()
    classes[28:32, 28:32] = FEMUR
    hu[26:34, 26:34] = 900
    refined = _refine(classes, hu)
    assert (refined[26:34, 26:34] == FEMUR).sum() == 60  # the four corners lie four steps away
    assert (refined == FEMUR).sum() == 60


def test_bright_muscle_away_from_the_femur_stays_muscle():
    classes, hu = _slice()
    classes[22:25, 22:25] = FEMUR
    hu[22:25, 22:25] = 900
    hu[34:36, 34:36] = 900
    assert (_refine(classes, hu)[34:36, 34:36] == EXT).all()


def test_a_pinhole_is_filled_and_a_fat_filled_gap_is_not():
    classes, hu = _slice()
    classes[25, 25] = INTER
    classes[28:36, 28:36] = INTER
    hu[28:36, 28:36] = FAT_HU
    refined = _refine(classes, hu)
    assert refined[25, 25] == EXT
    assert (refined[28:36, 28:36] == INTER).all()


def test_no_muscle_grows_into_the_other_leg():
    classes, hu = _slice()
    hu[20:40, 40:42] = LEAN_HU
    legs = np.ones_like(classes)
    legs[:, 40:] = 2
    assert not (_refine(classes, hu, legs)[:, 40:] == EXT).any()


def test_crumbs_take_the_class_around_them():
    classes = np.full((5, 40, 40), FLEX, dtype=np.uint8)
    classes[:, :, :10] = EXT
    classes[2:4, 20:22, 20:22] = EXT
    cleaned = remove_crumbs(classes, np.ones_like(classes), spacing_mm=(5.0, 1.0, 1.0))
    assert (cleaned[2:4, 20:22, 20:22] == FLEX).all()
    assert (cleaned[:, :, :10] == EXT).all()


def test_a_thin_muscle_that_runs_through_all_slices_is_no_crumb():
    classes = np.full((30, 40, 40), SUB, dtype=np.uint8)
    for index in range(30):
        classes[index, index : index + 2, 5:8] = ADD
    cleaned = remove_crumbs(classes, np.ones_like(classes), spacing_mm=(5.0, 1.0, 1.0))
    assert (cleaned == classes).all()


def test_crumbs_are_judged_within_each_leg():
    classes = np.full((5, 40, 80), SUB, dtype=np.uint8)
    classes[:, 5:35, 5:35] = EXT
    classes[:, 10:16, 60:64] = EXT  # 0.6 of 22.5 cm3, but all there is of it in this leg
    legs = np.ones_like(classes)
    legs[:, :, 40:] = 2
    legs[:, 36:] = 2  # so that the boxes of the legs overlap
    cleaned = remove_crumbs(classes, legs, spacing_mm=(5.0, 1.0, 1.0))
    assert (cleaned == classes).all()


def test_refining_leaves_the_input_alone_and_empty_slices_empty():
    classes, hu = _slice()
    stack = np.stack([np.zeros_like(classes), classes])
    given = stack.copy()
    refined = refine(
        stack,
        np.stack([hu, hu]),
        np.ones_like(stack),
        body=np.ones(stack.shape, dtype=bool),
        spacing_mm=(5.0, 1.0, 1.0),
    )
    assert (stack == given).all()
    assert not refined[0].any()


def test_a_thread_beside_the_muscle_is_a_vein_or_skin_however_long_it_is():
    classes = np.full((40, 60, 60), SUB, dtype=np.uint8)
    classes[:, 20:40, 20:40] = EXT
    classes[:, 50:53, 20:60] = EXT  # 3 mm thick, 4.8 cm3
    classes[:, 5:15, 40:50] = EXT  # as thick as a slender muscle
    refined = remove_crumbs(classes, np.ones_like(classes), spacing_mm=(1.0, 1.0, 1.0))
    assert (refined[:, 50:53] == SUB).all()
    assert (refined[:, 5:15, 40:50] == EXT).all()
    assert (refined[:, 20:40, 20:40] == EXT).all()
