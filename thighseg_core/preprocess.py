"""From any grid to the axial stack the networks know, exactly invertible, and the one normalisation of attenuation.

Canonical axes: slices from the feet to the head, rows from anterior to posterior, columns from the patient's right to
the patient's left. A canonical stack is a view of the source: axes are permuted and reversed, voxels never resampled,
so what is painted on it returns to the source grid without any interpolation.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from thighseg_core.checkpoint import Preprocessing
from thighseg_core.geometry import Geometry

AIR_HU = -1024  # DICOM's lowest stored CT number on most scanners; padding (-2000, -3024) counts as air
HIGHEST_HU = 3071  # end of the usual 12-bit range; metal above it would smear far when averaged


@dataclass(frozen=True)
class CanonicalAxes:
    """How a source array is turned into the canonical one.

    permutation: the source axis that becomes slices, rows and columns.
    flipped: whether that axis is reversed.
    """

    permutation: tuple[int, int, int]
    flipped: tuple[bool, bool, bool]

    def apply(self, array: NDArray[Any]) -> NDArray[Any]:
        """Source order -> canonical order; a view."""
        return array.transpose(self.permutation)[self._reversal]

    def undo(self, array: NDArray[Any]) -> NDArray[Any]:
        """Canonical order -> source order; a view."""
        inverse = tuple(int(axis) for axis in np.argsort(self.permutation))
        return array[self._reversal].transpose(inverse)

    @property
    def _reversal(self) -> tuple[slice, slice, slice]:
        first, second, third = (slice(None, None, -1 if flip else 1) for flip in self.flipped)
        return first, second, third


def canonical_axes(geometry: Geometry) -> CanonicalAxes:
    """The permutation and reversals that bring a grid closest to (superior, posterior, left)."""
    towards = geometry.directions[::-1]  # rows: superior, posterior, left; columns: array axes
    orders = [(p[0], p[1], p[2]) for p in permutations(range(3))]
    best = max(orders, key=lambda order: sum(abs(towards[row, axis]) for row, axis in enumerate(order)))
    slices, rows, columns = (bool(towards[row, axis] < 0) for row, axis in enumerate(best))
    return CanonicalAxes(permutation=best, flipped=(slices, rows, columns))


def canonical_geometry(geometry: Geometry, axes: CanonicalAxes) -> Geometry:
    """The same voxels in canonical order: each keeps its place in the patient."""
    shape = tuple(geometry.shape[axis] for axis in axes.permutation)
    affine = np.eye(4)
    origin = np.zeros(3)
    for axis, source in enumerate(axes.permutation):
        step = geometry.affine[:3, source]
        affine[:3, axis] = -step if axes.flipped[axis] else step
        origin[source] = shape[axis] - 1 if axes.flipped[axis] else 0
    affine[:3, 3] = geometry.to_lps_mm(origin)
    return Geometry((shape[0], shape[1], shape[2]), affine)


def cropped_geometry(geometry: Geometry, box: tuple[slice, slice]) -> Geometry:
    """The geometry of a box of rows and columns of every slice."""
    first = [int(part.indices(n)[0]) for part, n in zip(box, geometry.shape[1:], strict=True)]
    size = [len(range(*part.indices(n))) for part, n in zip(box, geometry.shape[1:], strict=True)]
    affine = np.array(geometry.affine)
    affine[:3, 3] = geometry.to_lps_mm(np.array([0, *first], dtype=np.float64))
    return Geometry((geometry.shape[0], size[0], size[1]), affine)


def normalise(attenuation_hu: NDArray[Any], preprocessing: Preprocessing) -> NDArray[np.float32]:
    """Attenuation -> what a network sees: cut off at `clip_hu`, that range scaled to [-1, 1].

    Training and inference both call this function; there is no second one.
    """
    low, high = preprocessing.clip_hu
    clipped = np.clip(np.asarray(attenuation_hu, dtype=np.float32), low, high)
    return np.asarray((clipped - low) * np.float32(2.0 / (high - low)) - 1.0, dtype=np.float32)


def working_shape(shape: tuple[int, int], spacing_mm: tuple[float, float], target_mm: float) -> tuple[int, int]:
    """Rows and columns of a slice resampled to about `target_mm`, over the same extent (never less than one)."""
    rows, columns = (max(1, round(n * step / target_mm)) for n, step in zip(shape, spacing_mm, strict=True))
    return rows, columns
