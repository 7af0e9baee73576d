"""Planar contours to voxels: a voxel is in where its centre is. Nested contours of one structure make holes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from thighseg_core.errors import GeometryMismatchError
from thighseg_core.geometry import Geometry

ON_SLICE = 0.3  # slices; how far a contour may lie from the middle of one


def fill_contours(contours: Sequence[NDArray[np.float64]], *, like: Geometry, name: str) -> NDArray[np.bool_]:
    """(K, J, I) voxels of `like` inside an odd number of the contours, each (n, 3) points in LPS mm.

    Raises GeometryMismatchError when a contour does not lie in a slice of the scan, or outside it.
    """
    inverse = np.linalg.inv(like.affine)
    indexed = [points @ inverse[:3, :3].T + inverse[:3, 3] for points in contours]
    axis = int(np.sum([np.ptp(points, axis=0) for points in indexed], axis=0).argmin())
    mask = np.zeros(like.shape, dtype=bool)
    by_slice = np.moveaxis(mask, axis, 0)
    others = [other for other in range(3) if other != axis]
    for points in indexed:
        place = float(points[:, axis].mean())
        index = round(place)
        flat = float(np.abs(points[:, axis] - index).max()) <= ON_SLICE
        if not flat or not 0 <= index < by_slice.shape[0]:
            raise GeometryMismatchError(
                f"{name} has a contour that does not lie in a slice of the scan (it would be slice {place:.2f} of "
                f"{by_slice.shape[0]}); draw on this very scan"
            )
        by_slice[index] ^= fill_polygon(points[:, others], shape=by_slice.shape[1:])
    return mask


def fill_polygon(corners: NDArray[np.float64], *, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """(rows, columns) pixels whose centre lies inside a polygon with (n, 2) corners (row, column) in pixels."""
    inside = np.zeros((shape[0], shape[1]), dtype=bool)
    following = np.roll(corners, -1, axis=0)
    first = max(int(np.ceil(corners[:, 0].min())), 0)
    last = min(int(np.floor(corners[:, 0].max())), shape[0] - 1)
    columns = np.arange(shape[1])
    for row in range(first, last + 1):
        # an edge counts from its lower end, which belongs to it, to its upper end, which does not
        crosses = (corners[:, 0] <= row) != (following[:, 0] <= row)
        a, b = corners[crosses], following[crosses]
        at = a[:, 1] + (row - a[:, 0]) / (b[:, 0] - a[:, 0]) * (b[:, 1] - a[:, 1])
        inside[row] = (np.searchsorted(np.sort(at), columns, side="right") % 2) == 1
    return inside
