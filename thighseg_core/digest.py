"""One number for one scan, however it is packed."""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

INT16 = np.iinfo(np.int16)
AFFINE_DECIMALS = 3  # micrometres: finer differences come from decimal strings and float32 headers


def scan_digest(attenuation_hu: NDArray[np.int16] | NDArray[np.float32], affine_lps: NDArray[np.float64]) -> str:
    """sha256 over attenuation and affine after the axes were put in (superior, posterior, left) order.

    The same scan has the same digest zipped, renamed, with its files in another order, de-identified, or with
    its axes flipped or permuted.
    """
    array, affine = _canonical(attenuation_hu, affine_lps)
    array = as_int16_where_integral(array)
    hasher = hashlib.sha256()
    hasher.update(f"{array.dtype.str} {array.shape}".encode())
    hasher.update((np.round(affine, AFFINE_DECIMALS) + 0.0).astype("<f8").tobytes())  # + 0.0: no minus zero
    for plane in array:
        hasher.update(np.ascontiguousarray(plane).tobytes())
    return hasher.hexdigest()


def _canonical(
    array: NDArray[np.int16] | NDArray[np.float32], affine: NDArray[np.float64]
) -> tuple[NDArray[np.int16] | NDArray[np.float32], NDArray[np.float64]]:
    directions = np.abs(affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0))
    order: list[int] = []  # array axis for z, y, x
    for world_axis in (2, 1, 0):
        free = [axis for axis in range(3) if axis not in order]
        order.append(max(free, key=lambda axis: float(directions[world_axis, axis])))
    array, affine = array.transpose(order), affine[:, [*order, 3]].copy()
    for axis, world_axis in enumerate((2, 1, 0)):
        if affine[world_axis, axis] < 0:
            affine[:3, 3] += (array.shape[axis] - 1) * affine[:3, axis]
            affine[:3, axis] *= -1
            array = np.flip(array, axis)
    return array, affine


def as_int16_where_integral(array: NDArray[np.generic]) -> NDArray[np.int16] | NDArray[np.float32]:
    """The array as int16 when that loses nothing, else as float32."""
    if array.dtype == np.int16:
        return array.astype(np.int16, copy=False)
    fits = bool(array.min() >= INT16.min and array.max() <= INT16.max)
    if fits and (np.issubdtype(array.dtype, np.integer) or all(np.array_equal(p, np.rint(p)) for p in array)):
        return array.astype(np.int16)
    return array.astype(np.float32, copy=False)
