"""Bones by attenuation: size, shape and depth of drawn ones."""

import numpy as np
import pytest

from thighseg_core.bones import find_bones

SPACING_MM = (1.0, 1.5)
Y, X = np.ogrid[:120, :100]


def _image():
    return np.full((120, 100), 50, dtype=np.int16), np.ones((120, 100), dtype=bool)


def _ring(hu, y_mm, x_mm, outer_mm, inner_mm):
    radius = np.hypot(Y * 1.0 - y_mm, X * 1.5 - x_mm)
    hu[(radius < outer_mm) & (radius >= inner_mm)] = 900


def test_a_shaft_counts_with_its_marrow():
    hu, body = _image()
    _ring(hu, 60, 75, 14, 8)
    (bone,) = find_bones(hu, body, spacing_mm=SPACING_MM)
    assert bone.area_cm2 == pytest.approx(np.pi * 1.4**2, rel=0.03)
    assert bone.ellipse == pytest.approx(1.0, abs=0.02)
    assert bone.roundness > 0.95
    assert bone.centre_mm == pytest.approx((60, 75), abs=0.1)
    assert not bone.cut


def test_depth_is_measured_to_the_skin_not_to_the_edge_of_the_image():
    hu, body = _image()
    body[:20] = False
    _ring(hu, 60, 75, 14, 8)
    (bone,) = find_bones(hu, body, spacing_mm=SPACING_MM)
    assert bone.depth_mm == pytest.approx(60 - 14 - 20, abs=2)


def test_a_long_bone_is_not_round_and_a_bent_one_no_ellipse():
    hu, body = _image()
    hu[10:14, 10:60] = 900
    hu[60:110, 20:24] = 900
    hu[106:110, 20:60] = 900
    long, bent = find_bones(hu, body, spacing_mm=SPACING_MM)
    assert long.roundness < 0.1
    assert bent.ellipse < 0.7


@pytest.mark.parametrize("x_mm", [3.0, 0.0])
def test_a_ring_cut_by_the_edge_of_the_image_is_closed_by_its_mirror_image(x_mm):
    hu, body = _image()
    _ring(hu, 60, x_mm, 14, 8)
    (bone,) = find_bones(hu, body, spacing_mm=SPACING_MM)
    assert bone.cut
    assert bone.ellipse > 0.9
    radius = np.hypot(Y - 60.0, X * 1.5 - x_mm)
    assert bone.area_cm2 == pytest.approx((radius < 14).sum() * 0.015, rel=0.05)


def test_specks_and_what_lies_outside_the_body_are_no_bones():
    hu, body = _image()
    hu[5:9, 5:9] = 900
    _ring(hu, 60, 75, 14, 8)
    body[40:80, 30:70] = False
    assert find_bones(hu, body, spacing_mm=SPACING_MM) == []
