"""Left is the patient's left: by place for two legs, by anatomy for one, with a flag where the cues disagree."""

import numpy as np
import pytest
from leg_phantom import PAIR, Leg, grid, truth

from thighseg_core.labels import CLASS_INDEX, OTHER_BONE, class_of_label
from thighseg_core.legs import Legs, find_legs
from thighseg_core.sides import Sides, name_sides, paint

ONE = grid((12, 90, 90))


def _name(geometry, legs, change=None):
    labels = truth(geometry, legs).labels
    classes = class_of_label()[labels]
    if change is not None:
        change(classes)
    found = find_legs(classes, labels > 0, spacing_mm=geometry.spacing_mm)
    return labels, classes, found, name_sides(classes, found, geometry=geometry)


def test_of_two_legs_the_one_further_to_the_left_is_left():
    labels, classes, found, sides = _name(grid(), PAIR)
    assert sides.side_of_leg == ("right", "left")
    assert sides.flags == ()
    assert (paint(classes, found, sides) == labels).all()


@pytest.mark.parametrize("side", ["left", "right"])
def test_one_leg_in_its_place_is_named_without_a_flag(side):
    shifted = np.array(ONE.affine)
    shifted[0, 3] += 95 if side == "left" else -95
    geometry = type(ONE)(ONE.shape, shifted)
    labels, classes, found, sides = _name(geometry, (Leg(side, 95.0 if side == "left" else -95.0),))
    assert sides.side_of_leg == (side,)
    assert sides.flags == ()
    assert (paint(classes, found, sides) == labels).all()


@pytest.mark.parametrize("side", ["left", "right"])
def test_one_leg_in_the_middle_is_named_by_its_anatomy(side):
    _, _, _, sides = _name(ONE, (Leg(side, 0.0),))
    assert sides.side_of_leg == (side,)
    assert sides.flags == ()


def test_one_leg_on_the_wrong_side_of_the_origin_is_named_by_its_anatomy_and_flagged():
    shifted = np.array(ONE.affine)
    shifted[0, 3] -= 95
    _, _, _, sides = _name(type(ONE)(ONE.shape, shifted), (Leg("left", -95.0),))
    assert sides.side_of_leg == ("left",)
    assert [flag.code for flag in sides.flags] == ["side_check"]
    assert sides.flags[0].severity == "warning"


@pytest.mark.parametrize(("x_mm", "side"), [(95.0, "left"), (-95.0, "right")])
def test_one_leg_without_inner_muscles_is_named_by_its_place_and_flagged(x_mm, side):
    shifted = np.array(ONE.affine)
    shifted[0, 3] += x_mm

    def hide(classes):
        classes[np.isin(classes, [CLASS_INDEX["adductor"], CLASS_INDEX["sartorius"]])] = CLASS_INDEX["flexor"]

    _, _, _, sides = _name(type(ONE)(ONE.shape, shifted), (Leg("left", x_mm),), hide)
    assert sides.side_of_leg == (side,)
    assert [flag.code for flag in sides.flags] == ["side_check"]


def test_a_scrap_on_the_outer_side_does_not_overrule_the_place():
    shifted = np.array(ONE.affine)
    shifted[0, 3] += 95

    def only_a_scrap(classes):
        inner = np.isin(classes, [CLASS_INDEX["adductor"], CLASS_INDEX["sartorius"]])
        classes[inner] = CLASS_INDEX["flexor"]
        _, rows, columns = np.nonzero(classes == CLASS_INDEX["extensor"])
        outer = columns.max()  # of a left leg: columns run to the left
        row = int(np.median(rows[columns == outer]))
        classes[2:10, row - 4 : row + 5, outer - 6 : outer] = CLASS_INDEX["sartorius"]  # 2 cm2 on eight slices

    _, classes, _, sides = _name(type(ONE)(ONE.shape, shifted), (Leg("left", 95.0),), only_a_scrap)
    scrap_cm3 = (classes == CLASS_INDEX["sartorius"]).sum() * np.prod(ONE.spacing_mm) / 1000
    assert 5 < scrap_cm3 < 20
    assert sides.side_of_leg == ("left",)
    assert [flag.code for flag in sides.flags] == ["side_check"]


def test_a_few_wrong_slices_are_outvoted():
    def mirror_some(classes):
        classes[:4] = classes[:4, :, ::-1]

    _, _, _, sides = _name(ONE, (Leg("right", 0.0),), mirror_some)
    assert sides.side_of_leg == ("right",)


def test_two_legs_with_their_inner_sides_outside_are_flagged():
    _, _, _, sides = _name(grid(), (Leg("right", 95.0), Leg("left", -95.0)))
    assert sides.side_of_leg == ("right", "left")  # place rules
    assert [flag.code for flag in sides.flags] == ["side_check"]
    assert "left" in sides.flags[0].message


def test_painting_leaves_what_is_no_leg_and_gives_other_bone_no_side():
    classes = np.array([[[1, 1, 9]]], dtype=np.uint8)
    legs = Legs(np.array([[[0, 2, 1]]], dtype=np.uint8), count=2)
    assert paint(classes, legs, Sides(("right", "left"))).tolist() == [[[0, 1, OTHER_BONE]]]


def test_no_leg_has_no_side():
    sides = name_sides(np.zeros(ONE.shape, dtype=np.uint8), Legs(np.zeros(ONE.shape, dtype=np.uint8), 0), geometry=ONE)
    assert sides == Sides(())
