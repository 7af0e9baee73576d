"""A thigh is a femur with the muscles of a thigh around it, on enough neighbouring slices."""

import numpy as np
import pytest
from leg_phantom import Leg, grid, scan, truth

from thighseg_core.labels import CLASS_INDEX, class_of_label
from thighseg_core.thigh import find_thigh

GEOMETRY = grid((12, 90, 90))
LEG = (Leg("left", 0.0),)


def _thigh():
    return class_of_label()[truth(GEOMETRY, LEG).labels], scan(GEOMETRY, LEG).attenuation_hu.copy()


def _judge(classes, hu):
    return find_thigh(classes, hu, spacing_mm=GEOMETRY.spacing_mm)


def test_a_thigh_is_one_on_every_slice():
    evidence = _judge(*_thigh())
    assert evidence.is_thigh
    assert evidence.like_thigh.all()


@pytest.mark.parametrize("missing", ["femur", "extensor"])
def test_without_femur_or_extensor_it_is_none(missing):
    classes, hu = _thigh()
    classes[classes == CLASS_INDEX[missing]] = 0
    evidence = _judge(classes, hu)
    assert not evidence.is_thigh
    assert evidence.reason


def test_a_femur_that_is_not_as_bright_as_bone_is_none():
    classes, hu = _thigh()
    hu[classes == CLASS_INDEX["femur"]] = 60
    assert not _judge(classes, hu).is_thigh


def test_two_slices_that_look_like_a_thigh_make_none():
    classes, hu = _thigh()
    classes[2:] = 0
    evidence = _judge(classes, hu)
    assert evidence.like_thigh.tolist() == [True, True] + [False] * 10
    assert not evidence.is_thigh


def test_a_scan_of_one_slice_may_be_a_thigh():
    classes, hu = _thigh()
    assert _judge(classes[:1], hu[:1]).is_thigh


def test_nothing_predicted_is_none():
    assert not _judge(np.zeros((3, 8, 8), dtype=np.uint8), np.zeros((3, 8, 8), dtype=np.int16)).is_thigh
