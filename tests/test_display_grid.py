"""What a 3-D viewer is given of a scan, and how paint comes back: on flipped, permuted and oblique grids."""

from __future__ import annotations

import numpy as np
import pytest
from boxes import axial_geometry, boxes, scan

from thighseg_core.display_grid import display_grid
from thighseg_core.errors import GeometryMismatchError
from thighseg_core.geometry import Geometry
from thighseg_core.labels import LabelMap

BODY = (slice(None), slice(5, 15), slice(6, 26))  # rows 5 to 14, columns 6 to 25 of 20 x 30
ONE = (slice(2, 3), slice(7, 8), slice(20, 21))  # one voxel: slice 2, row 7, column 20


def turned(geometry: Geometry, *, axes: tuple[int, int, int], flips: tuple[bool, bool, bool]) -> Geometry:
    """The same voxels stored in another order."""
    index = np.zeros((4, 4))
    index[3, 3] = 1
    for n, axis in enumerate(axes):
        index[axis, n] = -1 if flips[n] else 1
        index[axis, 3] = geometry.shape[axis] - 1 if flips[n] else 0
    shape = tuple(geometry.shape[axis] for axis in axes)
    return Geometry((shape[0], shape[1], shape[2]), geometry.affine @ index)


def stored(array: np.ndarray, *, axes: tuple[int, int, int], flips: tuple[bool, bool, bool]) -> np.ndarray:
    moved = array.transpose(axes)
    return np.ascontiguousarray(moved[tuple(slice(None, None, -1) if flip else slice(None) for flip in flips)])


def test_axes_run_to_the_patients_right_the_front_and_the_head() -> None:
    volume, _ = boxes([(1, 55, BODY)])
    grid = display_grid(volume)
    x, y, z = grid.geometry.directions  # LPS: x to the left, y to the back, z to the head
    assert (z[0], y[1], x[2]) == pytest.approx((1, -1, -1))


def test_the_body_is_kept_with_four_voxels_around_it_and_every_slice() -> None:
    volume, _ = boxes([(1, 55, BODY)])
    assert display_grid(volume).shape == (8, 10 + 8, 20 + 8)


@pytest.mark.parametrize("axes", [(0, 1, 2), (2, 0, 1), (1, 2, 0)])
@pytest.mark.parametrize("flips", [(False, False, False), (True, False, True), (True, True, False)])
def test_a_voxel_is_shown_where_it_lies_in_the_patient_however_the_scan_is_stored(
    axes: tuple[int, int, int], flips: tuple[bool, bool, bool]
) -> None:
    volume, labels = boxes([(1, 55, BODY), (3, 60, ONE)])
    # 0.5 mm x 20 - 7 = 3 mm left, 2 mm x 7 - 19 = 5 mm to the front, 4 mm x 2 + 100 = 108 mm up
    kept = {"axes": axes, "flips": flips}
    geometry = turned(volume.geometry, **kept)
    again = scan(stored(volume.attenuation_hu, **kept), geometry)
    grid = display_grid(again)
    shown = grid.take(stored(labels.labels, **kept))
    (index,) = np.argwhere(shown == 3)
    assert grid.geometry.to_lps_mm(index.astype(float)) == pytest.approx((3.0, -5.0, 108.0))
    assert shown.shape == (8, 18, 28)


@pytest.mark.parametrize("axes", [(0, 1, 2), (2, 0, 1)])
def test_paint_comes_back_to_the_voxel_it_was_put_on_and_nowhere_else(axes: tuple[int, int, int]) -> None:
    volume, labels = boxes([(1, 55, BODY), (3, 60, ONE)])
    kept = {"axes": axes, "flips": (True, False, True)}
    geometry = turned(volume.geometry, **kept)
    before = LabelMap(stored(labels.labels, **kept), geometry)
    grid = display_grid(scan(stored(volume.attenuation_hu, **kept), geometry), before)
    painted = grid.take(before.labels).copy()
    painted[painted == 3] = 6
    after = grid.put_back(before, painted)
    assert np.argwhere(after.labels != before.labels).tolist() == np.argwhere(before.labels == 3).tolist()
    assert set(after.labels[before.labels == 3]) == {6}


def test_a_tilted_scan_is_shown_tilted() -> None:
    angle = np.deg2rad(20)
    tilt = np.eye(4)
    tilt[1:3, 1:3] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    straight, labels = boxes([(1, 55, BODY), (3, 60, ONE)])
    geometry = Geometry(straight.geometry.shape, tilt @ straight.geometry.affine)
    grid = display_grid(scan(np.array(straight.attenuation_hu), geometry))
    (index,) = np.argwhere(grid.take(labels.labels) == 3)
    assert grid.geometry.to_lps_mm(index.astype(float)) == pytest.approx((tilt @ [3.0, -5.0, 108.0, 1])[:3])


def test_a_large_scan_is_thinned_and_its_paint_fills_the_block_it_stands_for() -> None:
    volume, labels = boxes([(1, 55, BODY)])
    grid = display_grid(volume, labels, max_voxels=8 * 9 * 14)
    assert (grid.step, grid.shape) == ((1, 2, 2), (8, 9, 14))
    painted = grid.take(labels.labels).copy()
    painted[4, 4, 7] = 9
    after = grid.put_back(labels, painted)
    assert (after.labels != labels.labels).sum() == 4
    assert (after.labels == 9).sum() == 4
    centre = grid.geometry.to_lps_mm(np.array([4.0, 4, 7]))
    painted_at = labels.geometry.to_lps_mm(np.argwhere(after.labels == 9).astype(float))
    assert np.abs(painted_at - centre).max(axis=0) == pytest.approx((0.5, 2.0, 0.0))


def test_slices_far_from_any_label_go_first() -> None:
    geometry = axial_geometry((40, 20, 30))
    volume, labels = boxes([(0, 55, BODY), (1, 55, (slice(0, 4), *BODY[1:]))], geometry=geometry)
    whole = display_grid(volume, labels)
    assert whole.shape[0] == 40
    cut = display_grid(volume, labels, max_voxels=20 * 18 * 28)
    assert cut.shape == (4 + 12, 18, 28)  # 50 mm at 4 mm a slice: 12 slices (rounded) above the last label
    assert cut.step == (1, 1, 1)


def test_paint_for_another_scan_is_refused() -> None:
    volume, labels = boxes([(1, 55, BODY)])
    grid = display_grid(volume, labels)
    with pytest.raises(GeometryMismatchError, match=r"\(8, 18, 28\) was shown"):
        grid.put_back(labels, np.zeros((8, 18, 27), np.uint8))


def test_the_shown_values_are_measured_ones() -> None:
    hu = np.random.default_rng(1).integers(-100, 200, (8, 20, 30)).astype(np.int16)
    volume = scan(hu, axial_geometry())
    grid = display_grid(volume, max_voxels=8 * 10 * 15)
    assert grid.step == (1, 2, 2)
    assert set(grid.take(volume.attenuation_hu).ravel()) <= set(hu.ravel())
