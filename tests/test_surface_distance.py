"""Surface distances: boxes by hand, and DeepMind's surface-distance as an independent implementation."""

from __future__ import annotations

import numpy as np
import pytest
import surface_distance as oracle
from numpy.typing import NDArray

from thighseg_core.errors import GeometryMismatchError, InputError
from thighseg_core.surface_distance import surface_distances

SPACING_MM = (4.0, 2.0, 0.5)


def _box(k: slice, j: slice, i: slice) -> NDArray[np.bool_]:
    mask = np.zeros((12, 20, 40), dtype=bool)
    mask[k, j, i] = True
    return mask


def _ball(centre: tuple[float, float, float], radius_mm: float, spacing_mm: tuple[float, ...]) -> NDArray[np.bool_]:
    grid = np.indices((30, 40, 50)) * np.array(spacing_mm)[:, None, None, None]
    return ((grid - np.array(centre)[:, None, None, None]) ** 2).sum(axis=0) <= radius_mm**2


def test_equal_masks_are_nowhere_apart() -> None:
    mask = _box(slice(2, 8), slice(3, 15), slice(5, 30))
    found = surface_distances(mask, mask, spacing_mm=SPACING_MM)
    assert found is not None
    assert found.hausdorff_mm() == 0
    assert found.average_symmetric_mm == 0
    assert found.surface_dice(0.0) == 1


@pytest.mark.parametrize(("axis", "shift", "apart_mm"), [(0, 1, 4.0), (1, 1, 2.0), (2, 3, 1.5)])
def test_a_shifted_box_is_apart_by_the_shift_in_mm(axis: int, shift: int, apart_mm: float) -> None:
    mask = _box(slice(2, 8), slice(3, 15), slice(5, 30))
    found = surface_distances(mask, np.roll(mask, shift, axis=axis), spacing_mm=SPACING_MM)
    assert found is not None
    assert found.hausdorff_mm(100) == pytest.approx(apart_mm)
    assert found.surface_dice(apart_mm) == 1
    assert found.surface_dice(apart_mm - 0.01) < 1


def test_a_box_grown_by_one_voxel_on_one_side_of_a_slice_counts_that_side_only() -> None:
    """20 x 40 pixels of 2 x 0.5 mm: one edge of 10 pixels (5 mm) moves out by 2 mm, the rest of 58 mm stays."""
    reference = np.zeros((20, 40), dtype=bool)
    reference[4:16, 10:20] = True
    test = reference.copy()
    test[16, 10:20] = True
    found = surface_distances(reference, test, spacing_mm=(2.0, 0.5))
    assert found is not None
    corner = np.hypot(1.0, 0.25)  # the contour cuts a corner off: a hypotenuse for half a pixel each way
    assert found.reference_size.sum() == pytest.approx(2 * (11 * 2.0) + 2 * (9 * 0.5) + 4 * corner)
    assert found.hausdorff_mm(100) == pytest.approx(2.0)
    # 9 points of the old edge now lie inside, 0.5 mm apart, as far from the sides or from the new edge
    inside_mm = found.from_reference_mm[found.from_reference_mm > 0]
    assert sorted(inside_mm) == pytest.approx([0.5, 0.5, 1.0, 1.0, 1.5, 1.5, 2.0, 2.0, 2.0])
    # the new edge with its two corners is 2 mm away from the old one
    moved = 9 * 0.5 + 2 * corner
    assert found.from_test_mm[found.from_test_mm > 0] == pytest.approx(np.full(11, 2.0))
    assert found.test_size[found.from_test_mm > 0].sum() == pytest.approx(moved)
    total = found.reference_size.sum() + found.test_size.sum()
    assert found.surface_dice(1.0) == pytest.approx(1 - (5 * 0.5 + moved) / total)
    weighted_mm = 0.5 * (2 * (0.5 + 1.0 + 1.5) + 3 * 2.0) + 2.0 * moved
    assert found.average_symmetric_mm == pytest.approx(weighted_mm / total)


@pytest.mark.parametrize("spacing_mm", [(3.0, 2.0, 1.0), (1.0, 1.0, 1.0), (5.0, 0.8, 0.9)])
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of the other implementation
def test_volumes_give_what_an_independent_implementation_gives(spacing_mm: tuple[float, ...]) -> None:
    reference = _ball((15 * spacing_mm[0], 20 * spacing_mm[1], 25 * spacing_mm[2]), 14.0, spacing_mm)
    test = _ball((15.6 * spacing_mm[0], 21 * spacing_mm[1], 27 * spacing_mm[2]), 15.0, spacing_mm)
    found = surface_distances(reference, test, spacing_mm=spacing_mm)
    assert found is not None
    theirs = oracle.compute_surface_distances(reference, test, spacing_mm)
    assert found.hausdorff_mm(95) == pytest.approx(oracle.compute_robust_hausdorff(theirs, 95), rel=0.05)
    assert found.hausdorff_mm(100) == pytest.approx(oracle.compute_robust_hausdorff(theirs, 100))
    # elements of the two are the same points; their areas differ where a cell's surface is no plane
    assert len(found.from_reference_mm) == len(theirs["distances_gt_to_pred"])
    assert found.reference_size.sum() == pytest.approx(theirs["surfel_areas_gt"].sum(), rel=0.04)
    for tolerance_mm in (1.0, 2.0):
        expected = oracle.compute_surface_dice_at_tolerance(theirs, tolerance_mm)
        assert found.surface_dice(tolerance_mm) == pytest.approx(expected, abs=0.01)
    directed = [theirs["distances_gt_to_pred"], theirs["distances_pred_to_gt"]]
    sizes = [theirs["surfel_areas_gt"], theirs["surfel_areas_pred"]]
    average_mm = np.average(np.concatenate(directed), weights=np.concatenate(sizes))
    assert found.average_symmetric_mm == pytest.approx(average_mm, rel=0.02)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_slices_give_what_an_independent_implementation_gives() -> None:
    reference = _ball((15, 40, 25), 14.0, (1.0, 2.0, 1.0))[15]
    test = _ball((15, 42, 27), 15.0, (1.0, 2.0, 1.0))[15]
    found = surface_distances(reference, test, spacing_mm=(2.0, 1.0))
    assert found is not None
    theirs = oracle.compute_surface_distances(reference, test, (2.0, 1.0))
    assert found.hausdorff_mm(95) == pytest.approx(oracle.compute_robust_hausdorff(theirs, 95))
    assert found.surface_dice(1.0) == pytest.approx(oracle.compute_surface_dice_at_tolerance(theirs, 1.0))


def test_an_empty_mask_has_no_distance() -> None:
    mask = _box(slice(2, 8), slice(3, 15), slice(5, 30))
    assert surface_distances(mask, np.zeros_like(mask), spacing_mm=SPACING_MM) is None
    assert surface_distances(np.zeros_like(mask), mask, spacing_mm=SPACING_MM) is None


def test_a_mask_at_the_edge_of_the_array_ends_there() -> None:
    """Touching masks of a whole array have a surface; nothing wraps around."""
    full = np.ones((3, 4, 5), dtype=bool)
    half = full.copy()
    half[:, :, 2:] = False
    found = surface_distances(full, half, spacing_mm=SPACING_MM)
    assert found is not None
    assert found.hausdorff_mm(100) == pytest.approx(1.5)  # three columns of 0.5 mm


def test_masks_on_two_grids_and_a_missing_spacing_are_refused() -> None:
    mask = _box(slice(2, 8), slice(3, 15), slice(5, 30))
    with pytest.raises(GeometryMismatchError, match="one shape"):
        surface_distances(mask, mask[1:], spacing_mm=SPACING_MM)
    with pytest.raises(InputError, match="positive spacing"):
        surface_distances(mask, mask, spacing_mm=(1.0, 1.0))
