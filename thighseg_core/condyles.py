"""Where the two condyles end, below the lowest slices that show them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

# Our convention: half axis, along the leg, of the ellipsoid that a condyle ends as. With it the ends of the Visible
# Human's eight condyles are least uncertain (docs/validation.md).
CAP_MM = 15.0
_SECTIONS_MM = 8.0  # of the lower end whose sections are compared: higher up they grow no more
_LOWER_END_MM = 25.0  # whose width is halved into condyles
_TRIED = 60  # positions within a slice


def condyle_ends(
    voxels_mm: NDArray[np.float64], *, normal: NDArray[np.float64], slice_mm: float, face_area_mm2: float
) -> NDArray[np.float64]:
    """(2, 3) LPS: the lowest point of each condyle of a femur with these voxel centres (N, 3), or (1, 3) if the other
    shows no section. normal: of the slices, towards the head."""
    height_mm = voxels_mm @ normal
    near = height_mm <= height_mm.min() + _LOWER_END_MM
    x_mm = voxels_mm[near][:, 0]
    left = x_mm > (x_mm.min() + x_mm.max()) / 2
    ends = []
    for half in (voxels_mm[near][left], voxels_mm[near][~left]):
        if not len(half):
            continue
        at = half @ normal
        section = np.rint((at - at.min()) / slice_mm).astype(int)
        below = below_mm((np.bincount(section) * face_area_mm2).astype(np.float64), slice_mm=slice_mm)
        ends.append(half[section == 0].mean(axis=0) - below * normal)
    return np.array(ends)


def below_mm(area_mm2: NDArray[np.float64], *, slice_mm: float) -> float:
    """How far below the middle of its lowest section a condyle ends, more than 0 and at most `slice_mm`.

    area_mm2: of its sections, `slice_mm` apart, the lowest first. Those of an ellipsoid are as t (2 h - t) at t above
    its end, h its half axis: the end fits for which the areas are nearest to that, whatever its width. Half a slice
    where there is one section only.
    """
    areas = area_mm2[: max(2, int(_SECTIONS_MM / slice_mm) + 1)]
    if len(areas) < 2:
        return slice_mm / 2
    tried = slice_mm * np.arange(1, _TRIED + 1) / _TRIED
    t = np.minimum(tried[:, None] + slice_mm * np.arange(len(areas)), CAP_MM)
    shape = t * (2 * CAP_MM - t)
    width = (shape @ areas) / (shape**2).sum(axis=1)
    misfit = ((width[:, None] * shape - areas) ** 2).sum(axis=1)
    return float(tried[misfit.argmin()])
