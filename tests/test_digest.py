"""One scan, one digest."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from thighseg_core.digest import as_int16_where_integral, scan_digest
from training.dicom_factory import axial_affine, oblique_affine


@pytest.fixture
def hu() -> NDArray[np.int16]:
    return np.random.default_rng(1).integers(-1000, 1500, (4, 5, 6)).astype(np.int16)


def _moved(hu: NDArray[np.int16], affine: NDArray[np.float64], *, order: list[int], flip: list[int]):
    """The same voxels at the same places, with other array axes."""
    hu, affine = hu.transpose(order), affine[:, [*order, 3]].copy()
    for axis in flip:
        affine[:3, 3] += (hu.shape[axis] - 1) * affine[:3, axis]
        affine[:3, axis] *= -1
        hu = np.flip(hu, axis)
    return hu, affine


@pytest.mark.parametrize("affine", [axial_affine(), oblique_affine(), axial_affine(flip="ki")])
@pytest.mark.parametrize(
    ("order", "flip"), [([2, 1, 0], []), ([1, 0, 2], [0]), ([0, 1, 2], [0, 2]), ([1, 2, 0], [0, 1, 2])]
)
def test_order_and_direction_of_axes_do_not_count(hu, affine, order, flip) -> None:
    assert scan_digest(*_moved(hu, affine, order=order, flip=flip)) == scan_digest(hu, affine)


def test_whole_numbers_as_floats_and_rounding_of_the_affine_do_not_count(hu) -> None:
    affine = axial_affine()
    assert scan_digest(hu.astype(np.float32), affine) == scan_digest(hu, affine)
    nudged = affine.copy()
    nudged[:3] += 1e-4
    assert scan_digest(hu, nudged) == scan_digest(hu, affine)


def test_one_value_one_position_and_one_mirroring_count(hu) -> None:
    affine = axial_affine()
    other = hu.copy()
    other[1, 2, 3] += 1
    moved = affine.copy()
    moved[0, 3] += 0.01
    digests = {scan_digest(hu, affine), scan_digest(other, affine), scan_digest(hu, moved)}
    digests |= {scan_digest(hu[:, :, ::-1], affine), scan_digest(hu.astype(np.float32) + np.float32(0.5), affine)}
    assert len(digests) == 5


def test_int16_only_where_nothing_is_lost() -> None:
    assert as_int16_where_integral(np.array([[-1024.0, 3071.0]])).dtype == np.int16
    assert as_int16_where_integral(np.array([[0.5, 1.0]])).dtype == np.float32
    assert as_int16_where_integral(np.array([[0.0, 40000.0]])).dtype == np.float32
    assert as_int16_where_integral(np.array([[0, 40000]], dtype=np.uint16)).dtype == np.float32
