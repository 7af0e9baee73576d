"""The lower ends of a phantom's femurs, rounded as condyles are: the atlas, which knows the cartilage only, ends them
flat, with slivers at their rims."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Plane = NDArray[np.bool_]

# Area of a condyle's section, as a share of that at 14 mm, so many mm above its lowest point: the bone below the
# cartilage of the Visible Human woman's and man's knees (surfaces of Andreassen 2022, doi 10.1038/s41597-022-01905-2)
HEIGHT_MM = (0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 10.0, 12.0, 14.0)
SHARE = {
    ("female", "medial"): (0.0, 0.18, 0.35, 0.49, 0.61, 0.71, 0.79, 0.84, 0.87, 0.93, 0.97, 1.0),
    ("female", "lateral"): (0.0, 0.01, 0.18, 0.28, 0.38, 0.46, 0.56, 0.66, 0.77, 0.88, 0.95, 1.0),
    ("male", "medial"): (0.0, 0.03, 0.22, 0.31, 0.40, 0.48, 0.55, 0.61, 0.68, 0.82, 0.92, 1.0),
    ("male", "lateral"): (0.0, 0.29, 0.44, 0.56, 0.66, 0.73, 0.78, 0.82, 0.86, 0.92, 0.96, 1.0),
}
_LOWER_END_MM = 27.0  # whose width is halved into condyles
_SLIVER_MM2 = 200.0  # of a section of one half: less is no condyle yet


@dataclass(frozen=True)
class _Condyle:
    """One half of a femur's lower end. lowest, whole: slices of its lowest section and of the one 14 mm above;
    place: (J, I) 1 on the ellipse with the second moments of that, growing with the square of the distance."""

    half: Plane
    lowest: int
    whole: int
    place: NDArray[np.float64]
    share: tuple[float, ...]


def rounded_ends(
    femur: NDArray[np.bool_], *, spacing_mm: tuple[float, float, float], sex: str, left: bool
) -> Iterator[tuple[int, Plane]]:
    """(slice, bone that is kept) of the lowest slices of a femur (K, J, I), caudal first, columns towards the left.

    The sections of each condyle are ellipses about its middle 14 mm above its lower end, of the shares above.
    """
    condyles = [_condyle(femur, spacing_mm=spacing_mm, sex=sex, left=left, lateral=each) for each in (False, True)]
    lowest = int(np.flatnonzero(femur.any(axis=(1, 2)))[0])
    for k in range(lowest, max(one.whole for one in condyles)):
        kept = np.zeros_like(femur[k])
        for one in condyles:
            height_mm = (k - one.lowest + 0.5) * spacing_mm[0]
            kept |= one.half & (one.place < np.interp(height_mm, HEIGHT_MM, one.share) if k < one.whole else True)
        yield k, femur[k] & kept


def _condyle(
    femur: NDArray[np.bool_], *, spacing_mm: tuple[float, float, float], sex: str, left: bool, lateral: bool
) -> _Condyle:
    slice_mm, *pixel_mm = spacing_mm
    lowest = int(np.flatnonzero(femur.any(axis=(1, 2)))[0])
    columns = np.flatnonzero(femur[lowest : lowest + round(_LOWER_END_MM / slice_mm)].any(axis=(0, 1)))
    to_left = np.arange(femur.shape[2]) > (columns[0] + columns[-1]) / 2
    half = np.broadcast_to(to_left == (left == lateral), femur.shape[1:])
    area_mm2 = (femur & half).sum(axis=(1, 2)) * pixel_mm[0] * pixel_mm[1]
    first = int(np.flatnonzero(area_mm2 >= _SLIVER_MM2)[0])
    whole = first + round(HEIGHT_MM[-1] / slice_mm)
    section = np.argwhere(femur[whole] & half)
    off = np.moveaxis(np.indices(half.shape), 0, -1) - section.mean(axis=0)
    place = np.einsum("jia,ab,jib->ji", off, np.linalg.inv(np.cov(section.T)), off) / 4
    return _Condyle(half, first, whole, place, SHARE[sex, "lateral" if lateral else "medial"])
