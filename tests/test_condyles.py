"""Where condyles end between two slices, on ellipsoids and on sections of real knees."""

from __future__ import annotations

import numpy as np
import pytest

from thighseg_core.condyles import CAP_MM, below_mm, condyle_ends

# Sections (mm2) of the bone below the cartilage of the Visible Human woman's left and the man's right inner condyle,
# at 1 to 8, 10, 12 and 14 mm above its lowest point (surfaces: Andreassen 2022, doi 10.1038/s41597-022-01905-2)
HEIGHT_MM = (0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14)
REAL_MM2 = {
    "woman": (0, 229, 412, 573, 720, 841, 964, 1024, 1066, 1135, 1190, 1230),
    "man": (0, 12, 380, 500, 602, 695, 780, 864, 951, 1127, 1281, 1389),
}


@pytest.mark.parametrize("slice_mm", [2.0, 3.0, 5.0, 7.0])
def test_the_end_of_an_ellipsoid_is_found_wherever_a_slice_cuts_it(slice_mm):
    for lowest_mm in slice_mm * np.array([0.1, 0.4, 0.7, 1.0]):
        t = np.minimum(lowest_mm + slice_mm * np.arange(6), CAP_MM)
        # half axes 20 and 28 mm across: pi a b (1 - ((h - t) / h)^2)
        areas = np.pi * 20 * 28 * (1 - ((CAP_MM - t) / CAP_MM) ** 2)
        assert below_mm(areas, slice_mm=slice_mm) == pytest.approx(lowest_mm, abs=slice_mm / 60)


@pytest.mark.parametrize("who", REAL_MM2)
def test_the_ends_of_real_condyles_are_nearer_than_half_a_slice(who):
    slice_mm = 7.0
    errors = []
    for lowest_mm in (0.7, 2.1, 3.5, 4.9, 6.3):
        areas = np.interp(lowest_mm + slice_mm * np.arange(2), HEIGHT_MM, REAL_MM2[who])
        errors.append(below_mm(areas, slice_mm=slice_mm) - lowest_mm)
    assert np.abs(errors).max() < 2.0  # half a slice is 2.8 mm off at the first and the last
    assert np.sqrt(np.mean(np.square(errors))) < 1.2  # half a slice: 2.0 mm


def test_one_section_alone_ends_half_a_slice_below():
    assert below_mm(np.array([300.0]), slice_mm=6.0) == 3.0


def test_each_condyle_ends_where_it_does():
    step_mm = np.array([1.0, 1.0, 4.0])
    x, y, z = (step_mm[:, None] * np.indices((70, 60, 12)).reshape(3, -1)).astype(float)
    # half axes 14, 24 and 15 mm about (16, 30) and (52, 30); lowest points at z = 2.6 and 7.0
    centres = ((16, 30, 2.6), (52, 30, 7.0))
    inside = np.zeros(x.shape, dtype=bool)
    for a, b, low in centres:
        height = np.minimum(z - low, CAP_MM)  # a column above the ellipsoid's middle
        across = ((x - a) / 14) ** 2 + ((y - b) / 24) ** 2
        inside |= (height > 0) & (across <= 1 - ((CAP_MM - height) / CAP_MM) ** 2)
    voxels_mm = np.column_stack([x, y, z])[inside]
    ends = condyle_ends(voxels_mm, normal=np.array([0.0, 0, 1]), slice_mm=4.0, face_area_mm2=1.0)
    found = ends[np.argsort(ends[:, 0])]
    assert found == pytest.approx(np.array(centres), abs=0.5)
