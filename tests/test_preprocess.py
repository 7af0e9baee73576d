"""Canonical order: exact there and back, anatomy in its place, one normalisation."""

import numpy as np
import pytest
from leg_phantom import grid

from thighseg_core.checkpoint import Preprocessing
from thighseg_core.geometry import Geometry
from thighseg_core.preprocess import canonical_axes, canonical_geometry, cropped_geometry, normalise, working_shape

GRIDS = {
    "plain": grid(),
    "feet first and reversed": grid(reverse=(True, False, True)),
    "coronal": grid(order=(1, 0, 2), reverse=(True, False, False)),
    "sagittal": grid(order=(2, 0, 1), reverse=(False, True, True)),
    "columns first": grid(order=(2, 1, 0)),
    "oblique": grid(turn_degrees=25),
    "oblique, coronal, reversed": grid(order=(1, 2, 0), reverse=(True, True, False), turn_degrees=-20),
}


@pytest.fixture(params=GRIDS, ids=lambda name: name.replace(" ", "_"))
def geometry(request):
    return GRIDS[request.param]


def test_there_and_back_is_the_identity(geometry):
    array = np.random.default_rng(0).integers(0, 255, geometry.shape, dtype=np.uint8)
    axes = canonical_axes(geometry)
    back = axes.undo(axes.apply(array))
    assert back.shape == array.shape
    assert (back == array).all()


def test_no_voxel_is_copied_or_resampled(geometry):
    array = np.zeros(geometry.shape, dtype=np.int16)
    assert np.shares_memory(canonical_axes(geometry).apply(array), array)


def test_every_voxel_keeps_its_place_in_the_patient(geometry):
    index = np.stack(np.meshgrid(*[np.arange(n, dtype=float) for n in geometry.shape], indexing="ij"), axis=-1)
    place_mm = geometry.to_lps_mm(index)
    axes = canonical_axes(geometry)
    canonical = canonical_geometry(geometry, axes)
    moved = np.stack([axes.apply(place_mm[..., n]) for n in range(3)], axis=-1)
    index = np.stack(np.meshgrid(*[np.arange(n, dtype=float) for n in canonical.shape], indexing="ij"), axis=-1)
    assert np.allclose(canonical.to_lps_mm(index), moved, atol=1e-9)


def test_axes_run_to_the_head_to_the_back_and_to_the_left(geometry):
    canonical = canonical_geometry(geometry, canonical_axes(geometry))
    towards = np.diag(canonical.directions[::-1])  # superior, posterior, left
    assert (towards > 0.7).all()
    assert canonical.shape == (12, 90, 190)


def test_a_mirrored_grid_is_ordinary_input():
    mirrored = Geometry((4, 5, 6), np.diag([1.0, 2.0, 3.0, 1.0])[[2, 1, 0, 3]])
    flipped = np.array(mirrored.affine)
    flipped[0] *= -1  # x now falls along the columns
    canonical = canonical_geometry(Geometry((4, 5, 6), flipped), canonical_axes(Geometry((4, 5, 6), flipped)))
    assert canonical.directions[0, 2] == 1


def test_a_box_keeps_its_place_in_the_patient():
    geometry = GRIDS["oblique"]
    box = cropped_geometry(geometry, (slice(7, 30), slice(11, 500)))
    assert box.shape == (12, 23, 179)
    corner = np.array([2.0, 3.0, 4.0])
    assert np.allclose(box.to_lps_mm(corner), geometry.to_lps_mm(corner + np.array([0, 7, 11])))


def test_attenuation_is_cut_off_and_scaled_to_one():
    values = np.array([-3024, -200, 50, 300, 3071], dtype=np.int16)
    scaled = normalise(values, Preprocessing(clip_hu=(-200.0, 300.0)))
    assert scaled.dtype == np.float32
    assert scaled.tolist() == [-1.0, -1.0, 0.0, 1.0, 1.0]


def test_working_pixels_cover_the_same_extent():
    assert working_shape((512, 300), (0.75, 1.5), 1.5) == (256, 300)
    assert working_shape((1, 2), (0.1, 0.1), 1.5) == (1, 1)
