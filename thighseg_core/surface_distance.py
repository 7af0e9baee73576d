"""Distances between the surfaces of two masks, in mm: HD95, average distance, surface Dice.

The surface of a mask runs through the midpoints between voxels that differ (marching squares and cubes). Its elements
sit on the corners between voxels and carry the length or area that the surface has around that corner, so that no
direction and no spacing counts more than another (Nikolov et al. 2021, J Med Internet Res, doi 10.2196/26151).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from thighseg_core.errors import GeometryMismatchError, InputError

Point = tuple[int, ...]


@dataclass(frozen=True)
class SurfaceDistances:
    """Distances from each surface element of one mask to the nearest of the other, mm, and the elements' sizes.

    Sizes are mm2 in a volume, mm on a slice. Neither surface is empty.
    """

    from_reference_mm: NDArray[np.float64]
    from_test_mm: NDArray[np.float64]
    reference_size: NDArray[np.float64]
    test_size: NDArray[np.float64]

    def hausdorff_mm(self, percent: float = 95.0) -> float:
        """The larger of the two directed distances within which `percent` of a surface lies."""
        return max(
            _percentile(self.from_reference_mm, self.reference_size, percent),
            _percentile(self.from_test_mm, self.test_size, percent),
        )

    @property
    def average_symmetric_mm(self) -> float:
        """ASSD: mean distance over both surfaces together, every element counted by its size."""
        total = (self.from_reference_mm * self.reference_size).sum() + (self.from_test_mm * self.test_size).sum()
        return float(total / (self.reference_size.sum() + self.test_size.sum()))

    def surface_dice(self, tolerance_mm: float) -> float:
        """Share of both surfaces that lies within `tolerance_mm` of the other one."""
        close = self.reference_size[self.from_reference_mm <= tolerance_mm].sum()
        close += self.test_size[self.from_test_mm <= tolerance_mm].sum()
        return float(close / (self.reference_size.sum() + self.test_size.sum()))


def surface_distances(
    reference: NDArray[np.bool_], test: NDArray[np.bool_], *, spacing_mm: tuple[float, ...]
) -> SurfaceDistances | None:
    """Distances between two masks on one grid, (rows, columns) or (slices, rows, columns); None when one is empty.

    Outside the array is outside the mask. Raises GeometryMismatchError for two shapes, InputError for another
    number of axes than `spacing_mm` has.
    """
    if reference.shape != test.shape:
        raise GeometryMismatchError(
            f"masks to compare must have one shape, got {reference.shape} and {test.shape}; "
            "bring them onto the grid of the scan"
        )
    if reference.ndim not in (2, 3) or len(spacing_mm) != reference.ndim or min(spacing_mm) <= 0:
        raise InputError(
            f"expected masks of 2 or 3 axes with a positive spacing each, got {reference.ndim} axes and {spacing_mm}"
        )
    if not reference.any() or not test.any():
        return None
    box = _box(reference | test)
    sizes = _cell_sizes(tuple(float(mm) for mm in spacing_mm))
    codes = [_cell_codes(np.ascontiguousarray(mask[box])) for mask in (reference, test)]
    surfaces = [(code > 0) & (code < len(sizes) - 1) for code in codes]
    away = [ndimage.distance_transform_edt(~surface, sampling=spacing_mm) for surface in surfaces]
    return SurfaceDistances(
        from_reference_mm=away[1][surfaces[0]],
        from_test_mm=away[0][surfaces[1]],
        reference_size=sizes[codes[0][surfaces[0]]],
        test_size=sizes[codes[1][surfaces[1]]],
    )


def surface_distances_by_slice(
    reference: NDArray[np.bool_], test: NDArray[np.bool_], *, spacing_mm: tuple[float, ...]
) -> SurfaceDistances | None:
    """Distances within each slice, all slices together; for slices that are not neighbours. spacing_mm: row, column.

    Slices on which one of the two is empty have no distance and are left out; None when all are.
    """
    pairs = zip(reference, test, strict=True)
    found = [one for a, b in pairs if (one := surface_distances(a, b, spacing_mm=spacing_mm)) is not None]
    if not found:
        return None
    return SurfaceDistances(
        from_reference_mm=np.concatenate([one.from_reference_mm for one in found]),
        from_test_mm=np.concatenate([one.from_test_mm for one in found]),
        reference_size=np.concatenate([one.reference_size for one in found]),
        test_size=np.concatenate([one.test_size for one in found]),
    )


def _percentile(distance_mm: NDArray[np.float64], size: NDArray[np.float64], percent: float) -> float:
    order = np.argsort(distance_mm)
    reached = np.cumsum(size[order]) / size.sum()
    return float(distance_mm[order[min(int(np.searchsorted(reached, percent / 100)), len(order) - 1)]])


def _box(mask: NDArray[np.bool_]) -> tuple[slice, ...]:
    axes = range(mask.ndim)
    present = [np.flatnonzero(mask.any(axis=tuple(other for other in axes if other != axis))) for axis in axes]
    return tuple(slice(int(found[0]), int(found[-1]) + 1) for found in present)


def _cell_codes(mask: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """A cell for each corner between voxels, one more than voxels along an axis; bit n: the cell's n-th voxel is in."""
    padded = np.pad(mask, 1).astype(np.uint8)
    codes = np.zeros(tuple(n - 1 for n in padded.shape), dtype=np.uint8)
    for bit, corner in enumerate(product((0, 1), repeat=mask.ndim)):
        codes |= padded[tuple(slice(at, at + n) for at, n in zip(corner, codes.shape, strict=True))] << bit
    return codes


@cache
def _cell_sizes(spacing_mm: tuple[float, ...]) -> NDArray[np.float64]:
    """Length (4 voxels, 16 codes) or area (8 voxels, 256 codes) of the surface within a cell of each code."""
    corners = list(product((0, 1), repeat=len(spacing_mm)))
    sizes = np.zeros(2 ** len(corners))
    for code in range(len(sizes)):
        inside = {corner: bool(code >> bit & 1) for bit, corner in enumerate(corners)}
        segments = [segment for face in _faces(len(spacing_mm)) for segment in _segments(face, inside)]
        if len(spacing_mm) == 2:
            sizes[code] = sum(np.linalg.norm((_array(a) - _array(b)) / 2 * spacing_mm) for a, b in segments)
        else:
            sizes[code] = sum(_area(loop, spacing_mm) for loop in _loops(segments))
    return sizes


def _faces(n_axes: int) -> list[list[Point]]:
    """The square faces of a cell, each as its four corners in turn."""
    turn = [(0, 0), (0, 1), (1, 1), (1, 0)]
    if n_axes == 2:
        return [list(turn)]
    return [[(*uv[:axis], side, *uv[axis:]) for uv in turn] for axis in range(3) for side in (0, 1)]


def _segments(face: list[Point], inside: dict[Point, bool]) -> list[tuple[Point, Point]]:
    """Lines of the surface on a face, from midpoint to midpoint of its edges (coordinates doubled)."""
    middles = [tuple(p + q for p, q in zip(face[n], face[(n + 1) % 4], strict=True)) for n in range(4)]
    crossed = [n for n in range(4) if inside[face[n]] != inside[face[(n + 1) % 4]]]
    if len(crossed) < 4:
        return [(middles[crossed[0]], middles[crossed[1]])] if crossed else []
    # Two opposite corners are in: each is cut off by itself.
    return [(middles[n - 1], middles[n]) for n in range(4) if inside[face[n]]]


def _loops(segments: list[tuple[Point, Point]]) -> list[list[Point]]:
    """Segments joined to closed polygons; every midpoint ends exactly two segments."""
    loops, left = [], list(segments)
    while left:
        start, end = left.pop()
        loop = [start]
        while end != start:
            following = next(segment for segment in left if end in segment)
            left.remove(following)
            loop.append(end)
            end = following[1] if following[0] == end else following[0]
        loops.append(loop)
    return loops


def _area(loop: list[Point], spacing_mm: tuple[float, ...]) -> float:
    """Area of a polygon in space, as triangles around its centre."""
    points = np.array(loop, dtype=np.float64) / 2 * spacing_mm - np.mean(loop, axis=0) / 2 * spacing_mm
    return float(np.linalg.norm(np.cross(points, np.roll(points, -1, axis=0)), axis=1).sum() / 2)


def _array(point: Point) -> NDArray[np.float64]:
    return np.array(point, dtype=np.float64)
