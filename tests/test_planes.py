"""Morphology by shifts is SciPy's."""

import numpy as np
import pytest
from scipy import ndimage

from thighseg_core.planes import at_borders, box_of, dilated, eroded, filled, grown_classes, near, opened

CROSS = ndimage.generate_binary_structure(2, 1)


@pytest.fixture(params=range(4))
def mask(request) -> np.ndarray:
    noise = ndimage.gaussian_filter(np.random.default_rng(request.param).normal(size=(61, 83)), 1 + request.param)
    return noise > 0.4 * noise.std()


def test_growing_inside_another_mask_is_scipys_dilation(mask):
    seeds = mask & (np.random.default_rng(9).random(mask.shape) < 0.02)
    wanted = ndimage.binary_dilation(seeds, structure=CROSS, iterations=3, mask=mask)
    np.testing.assert_array_equal(dilated(seeds, steps=3, within=mask), wanted)
    np.testing.assert_array_equal(dilated(mask, steps=2), ndimage.binary_dilation(mask, iterations=2))


def test_a_stack_grows_to_the_slices_beside_it_as_well():
    stack = np.random.default_rng(2).random((6, 11, 9)) < 0.03
    np.testing.assert_array_equal(dilated(stack, steps=2), ndimage.binary_dilation(stack, iterations=2))


def test_what_grows_keeps_its_seeds_outside_the_other_mask():
    seeds = np.zeros((5, 5), dtype=bool)
    seeds[2, 2] = True
    np.testing.assert_array_equal(dilated(seeds, within=np.zeros_like(seeds)), seeds)


def test_shrinking_leaves_what_lies_at_the_edge_of_the_picture(mask):
    wanted = ndimage.binary_erosion(mask, structure=CROSS, iterations=2, border_value=1)
    np.testing.assert_array_equal(eroded(mask, steps=2), wanted)


@pytest.mark.parametrize("reach", [(1, 1), (2, 2), (1, 3)])
def test_opening_is_scipys(mask, reach):
    y, x = np.ogrid[-reach[0] : reach[0] + 1, -reach[1] : reach[1] + 1]
    structure = (y / (reach[0] + 0.3)) ** 2 + (x / (reach[1] + 0.3)) ** 2 <= 1
    np.testing.assert_array_equal(opened(mask, structure), ndimage.binary_opening(mask, structure=structure))


@pytest.mark.parametrize("spacing_mm", [(1.0, 1.0), (0.7, 1.3), (2.5, 0.4)])
@pytest.mark.parametrize("radius_mm", [0.0, 3.1, 12.0])
def test_near_is_scipys_distance_up_to_the_radius(mask, spacing_mm, radius_mm):
    sparse = mask & (np.random.default_rng(3).random(mask.shape) < 0.01)
    wanted = ndimage.distance_transform_edt(~sparse, sampling=spacing_mm) <= radius_mm
    np.testing.assert_array_equal(near(sparse, radius_mm, spacing_mm), wanted)


def test_near_of_nothing_is_nothing_and_a_radius_beyond_the_picture_is_all_of_it():
    empty = np.zeros((7, 9), dtype=bool)
    assert not near(empty, 50.0, (1.0, 1.0)).any()
    empty[3, 4] = True
    assert near(empty, 50.0, (1.0, 1.0)).all()


def test_holes_are_scipys(mask):
    np.testing.assert_array_equal(filled(mask), ndimage.binary_fill_holes(mask))
    np.testing.assert_array_equal(filled(~mask), ndimage.binary_fill_holes(~mask))


@pytest.mark.parametrize("shape", [(9,), (5, 7), (4, 6, 5)])
def test_the_box_of_a_mask_is_scipys_and_the_margin_ends_at_0(shape):
    mask = np.zeros(shape, dtype=bool)
    assert box_of(mask) is None
    mask.ravel()[[mask.size // 3, mask.size // 2]] = True
    (wanted,) = ndimage.find_objects(mask.astype(int))
    assert box_of(mask) == wanted
    assert box_of(mask, margin=2) == tuple(slice(max(0, part.start - 2), part.stop + 2) for part in wanted)


def test_borders_are_where_the_largest_and_the_smallest_neighbour_differ(mask):
    classes = mask.astype(np.uint8) + 2 * (np.roll(mask, 7, axis=1)).astype(np.uint8)
    wanted = ndimage.maximum_filter(classes, footprint=CROSS) != ndimage.minimum_filter(classes, footprint=CROSS)
    np.testing.assert_array_equal(at_borders(classes), wanted)


def test_classes_grow_as_far_as_they_may_and_to_the_nearest():
    classes = np.array([[3, 0, 0, 0, 0, 0, 5]], dtype=np.uint8)
    into = np.array([[False, True, True, True, True, False, False]])
    one = grown_classes(classes, classes > 0, into=into, steps=1)
    assert one.tolist() == [[3, 3, 0, 0, 0, 0, 5]]  # beside 5 it may not
    assert grown_classes(classes, classes > 0, into=into, steps=3).tolist() == [[3, 3, 3, 3, 0, 0, 5]]
