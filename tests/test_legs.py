"""Legs told apart: apart, touching, fused, one with a piece of the other, one alone."""

import numpy as np
import pytest
from leg_phantom import PAIR, Leg, grid, truth

from thighseg_core.labels import CLASS_INDEX, LABELS, class_of_label, label_value
from thighseg_core.legs import Legs, find_legs, without_sliver

EXTENSOR, FEMUR, ADDUCTOR = (CLASS_INDEX[name] for name in ("extensor", "femur", "adductor"))


def _find(geometry, legs):
    labels = truth(geometry, legs).labels
    classes = class_of_label()[labels]
    found = find_legs(classes, labels > 0, spacing_mm=geometry.spacing_mm)
    return labels, found


def _of_side(labels, side):
    return np.isin(labels, [value for value, name in LABELS.items() if name.endswith(side)])


def _agree(labels, numbers):
    """Share of each true leg that got the number of its place (1 right, 2 left)."""
    return [float((numbers[_of_side(labels, side)] == n).mean()) for n, side in ((1, "right"), (2, "left"))]


def test_two_legs_apart_are_found_whole():
    labels, found = _find(grid(), PAIR)
    assert found.count == 2
    assert _agree(labels, found.numbers) == [1.0, 1.0]
    assert not found.numbers[labels == 0].any()


@pytest.mark.parametrize("distance_mm", [74.0, 68.0])
def test_touching_legs_are_parted_at_the_skin(distance_mm):
    pair = (Leg("left", distance_mm), Leg("right", -distance_mm))
    labels, found = _find(grid(), pair)
    assert found.count == 2
    assert min(_agree(labels, found.numbers)) > 0.98


def test_legs_whose_muscles_were_painted_into_one_are_parted_between_the_femurs():
    labels, _ = _find(grid(), PAIR)
    classes = class_of_label()[labels]
    bridge = np.s_[:, 35:50, 55:135]
    body = labels > 0
    body[bridge] = True
    classes[bridge] = np.where(classes[bridge] == 0, ADDUCTOR, classes[bridge])
    found = find_legs(classes, body, spacing_mm=(5.0, 2.0, 2.0))
    assert found.count == 2
    assert min(_agree(labels, found.numbers)) > 0.97


def test_a_thick_leg_joined_to_a_thin_one_keeps_its_muscles():
    pair = (Leg("left", 130.0, size=1.6), Leg("right", -40.0, size=0.6))
    labels, _ = _find(grid((6, 130, 260)), pair)
    classes = class_of_label()[labels]
    bridge = np.s_[:, 62:66, 122:147]  # 8 mm of muscle painted over the skin between them
    classes[bridge] = ADDUCTOR
    body = labels > 0
    body[bridge] = True
    found = find_legs(classes, body, spacing_mm=(5.0, 2.0, 2.0))
    muscle = np.isin(classes, [EXTENSOR, ADDUCTOR, CLASS_INDEX["flexor"]])
    muscle[bridge] = False
    assert (found.numbers[muscle & _of_side(labels, "left")] == 2).all()
    assert (found.numbers[muscle & _of_side(labels, "right")] == 1).all()


def test_a_thick_leg_keeps_its_muscles_beside_a_thin_one():
    pair = (Leg("left", 110.0, size=1.35), Leg("right", -60.0, size=0.8))
    labels, found = _find(grid(), pair)
    assert min(_agree(labels, found.numbers)) > 0.98


@pytest.mark.parametrize("spacing_mm", [(0.8, 0.9, 0.9), (10.0, 1.4, 1.4), (3.3, 4.0, 4.0)])
def test_any_spacing_will_do(spacing_mm):
    extent_mm = (30, 180, 380)
    shape = tuple(max(1, round(extent / step)) for extent, step in zip(extent_mm, spacing_mm, strict=True))
    labels, found = _find(grid(shape, spacing_mm), PAIR)
    assert found.count == 2
    assert min(_agree(labels, found.numbers)) > 0.98


def test_one_leg_alone_is_one_leg():
    labels, found = _find(grid((12, 90, 90)), (Leg("left", 0.0),))
    assert found.count == 1
    assert (found.numbers[labels > 0] == 1).all()


def test_a_piece_of_the_other_leg_cut_by_the_image_is_another_leg():
    geometry = grid((12, 90, 90))
    labels, found = _find(geometry, (Leg("left", 45.0), Leg("right", -110.0)))
    assert _of_side(labels, "right").any()
    assert found.count == 2
    assert min(_agree(labels, found.numbers)) == 1.0


def test_a_touching_piece_of_the_other_leg_is_another_leg_as_well():
    labels, found = _find(grid((12, 90, 90)), (Leg("left", 48.0), Leg("right", -98.0)))
    assert found.count == 2
    assert min(_agree(labels, found.numbers)) > 0.97


def test_a_sliver_of_skin_and_fat_beyond_air_is_another_leg_as_well():
    labels, found = _find(grid((12, 90, 90)), (Leg("left", 45.0), Leg("right", -157.0)))
    assert set(np.unique(labels[_of_side(labels, "right")])) == {16}  # subcutaneous only
    assert found.count == 2
    assert min(_agree(labels, found.numbers)) == 1.0


def test_the_other_legs_number_does_not_creep_along_the_skin_where_air_is_between():
    geometry = grid((12, 90, 90))
    labels = truth(geometry, (Leg("left", 45.0), Leg("right", -110.0))).labels.copy()
    left = _of_side(labels, "left")
    fat_inside = left & (np.arange(90) < 55)[None, None, :]  # the inner third of the left leg is fat alone
    labels[fat_inside] = label_value("subcutaneous", "left")
    classes, body = class_of_label()[labels], labels > 0
    bridge = np.s_[8:, 35:55, 15:40]  # skin on skin in the upper slices
    body[bridge] = True
    found = find_legs(classes, body, spacing_mm=geometry.spacing_mm)
    assert found.count == 2
    assert min(_agree(labels[:8], found.numbers[:8])) == 1.0


def test_legs_joined_by_the_pelvis_are_told_apart_below_the_crotch():
    geometry = grid((12, 90, 90))
    labels = truth(geometry, (Leg("left", 45.0), Leg("right", -110.0))).labels
    classes = class_of_label()[labels]
    body = labels > 0
    body[8:, 30:60] = True
    classes[8:, 30:60] = np.where(classes[8:, 30:60] == 0, ADDUCTOR, classes[8:, 30:60])
    found = find_legs(classes, body, spacing_mm=geometry.spacing_mm, crotch=6)
    assert found.count == 2
    assert min(_agree(labels[:8], found.numbers[:8])) == 1.0


def test_a_muscle_that_came_off_stays_with_its_leg():
    labels, _ = _find(grid((12, 90, 90)), (Leg("left", 0.0),))
    classes = class_of_label()[labels]
    cut = np.s_[:, :, 28:31]  # the leg's muscles begin at column 14
    classes[cut] = np.where(classes[cut] > 0, CLASS_INDEX["subcutaneous"], 0)
    found = find_legs(classes, labels > 0, spacing_mm=(5.0, 2.0, 2.0))
    assert found.count == 1


@pytest.mark.parametrize(("slices", "column"), [(slice(None), 66), (slice(2), 76)], ids=["near", "on two slices"])
def test_a_femur_seen_twice_by_mistake_makes_no_second_leg(slices, column):
    labels, _ = _find(grid((12, 90, 90)), (Leg("left", 0.0, size=1.15),))
    classes = class_of_label()[labels]
    classes[slices, 40:50, column : column + 6] = FEMUR  # 48 or 68 mm beside the true one
    found = find_legs(classes, labels > 0, spacing_mm=(5.0, 2.0, 2.0))
    assert found.count == 1


def test_tissue_that_is_joined_to_no_leg_has_no_number():
    labels, _ = _find(grid((12, 90, 90)), (Leg("left", 0.0),))
    body = labels > 0
    body[:, :6, 8:14] = True  # a hand, not cut by the side of the image
    found = find_legs(class_of_label()[labels], body, spacing_mm=(5.0, 2.0, 2.0))
    assert not found.numbers[:, :6, 8:14].any()


def test_nothing_predicted_is_no_leg():
    body = np.ones((3, 20, 20), dtype=bool)
    found = find_legs(np.zeros(body.shape, dtype=np.uint8), body, spacing_mm=(5.0, 2.0, 2.0))
    assert found.count == 0
    assert not found.numbers.any()


@pytest.mark.parametrize(("columns", "femur", "kept"), [(2, False, False), (2, True, True), (40, False, True)])
def test_next_to_nothing_of_a_second_leg_without_its_femur_keeps_no_thigh_muscle(columns, femur, kept):
    classes = np.full((4, 30, 100), EXTENSOR, dtype=np.uint8)
    classes[1, 1, 97:] = FEMUR if femur else EXTENSOR
    numbers = np.ones(classes.shape, dtype=np.uint8)
    numbers[:, :10, -columns:] = 2  # of 12,000 voxels 80 or 1,600
    found = without_sliver(classes, Legs(numbers, 2))
    assert (found[numbers == 1] == classes[numbers == 1]).all()
    if kept:
        assert (found == classes).all()
    else:
        assert (found[numbers == 2] == CLASS_INDEX["other_muscle"]).all()
