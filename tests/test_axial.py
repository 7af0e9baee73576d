from __future__ import annotations

import itertools

import numpy as np
import pytest

from tests.boxes import axial_geometry
from thighseg_core.axial import axial_view
from thighseg_core.geometry import Geometry


def permuted_geometries() -> list[tuple[Geometry, tuple[int, int, int], tuple[int, int, int]]]:
    """Every order and direction of the axes of one grid: 48 ways to store the same scan."""
    out = []
    base = np.zeros((3, 3))
    base[2, 0], base[1, 1], base[0, 2] = 4.0, 2.0, 0.5
    for order in itertools.permutations(range(3)):
        for signs in itertools.product((1, -1), repeat=3):
            affine = np.eye(4)
            affine[:3, :3] = base[:, order] * signs
            out.append((Geometry(tuple(np.array((8, 20, 30))[list(order)]), affine), order, signs))
    return out


@pytest.mark.parametrize(("geometry", "order", "signs"), permuted_geometries())
def test_a_scan_is_shown_the_same_however_its_axes_are_stored(geometry, order, signs):
    # a picture whose value is 100 x slice (to the head) + 10 x row (to posterior) + column (to the left)
    k, j, i = np.indices((8, 20, 30))
    original = 10000 * k + 100 * j + i
    stored = np.transpose(original, order)
    for axis, sign in enumerate(signs):
        if sign < 0:
            stored = np.flip(stored, axis)
    view = axial_view(geometry)
    assert (view.slice_mm, view.row_mm, view.column_mm) == (4.0, 2.0, 0.5)
    assert view.face_area_mm2 == 1.0
    caudal = view.caudal_to_cranial()[0]
    assert np.array_equal(view.picture(stored, caudal), original[0])
    assert view.slices(stored).shape[0] == view.n_slices == 8


def test_the_picture_has_the_patients_right_on_its_left_and_anterior_up():
    view = axial_view(axial_geometry())  # columns to the left, rows to posterior: as DICOM stores a supine patient
    assert (view.flip_rows, view.flip_columns) == (False, False)
    prone = np.diag([1.0, 1.0, 1.0, 1.0])
    prone[:3, :3] = [[0, 0, -0.5], [0, -2, 0], [4, 0, 0]]
    assert (axial_view(Geometry((8, 20, 30), prone)).flip_rows) is True
    assert (axial_view(Geometry((8, 20, 30), prone)).flip_columns) is True


def test_slice_positions_are_z_of_the_middle_of_each_slice():
    assert axial_view(axial_geometry()).z_mm.tolist() == [100, 104, 108, 112, 116, 120, 124, 128]


def test_on_an_oblique_grid_the_slice_position_is_that_of_its_centre():
    # slices turned by 30 degrees about x: going 1 mm along a row axis lowers z by 0.5
    c, s = np.cos(np.pi / 6), 0.5
    affine = np.eye(4)
    affine[:3, 0], affine[:3, 1], affine[:3, 2] = (0, 4 * s, 4 * c), (0, 2 * c, -2 * s), (0.5, 0, 0)
    view = axial_view(Geometry((8, 21, 30), affine))
    assert view.slice_axis == 0
    assert view.z_mm[0] == pytest.approx(-10.0)  # row 10 of 21, 2 mm each, half of it downwards
    assert view.z_mm[1] - view.z_mm[0] == pytest.approx(4 * c)
