"""The noise beyond what ordinary scans have, taken out of a labelled slice before its voxels are counted.

A sigma filter (Lee 1983, Computer Vision, Graphics, and Image Processing 24:255-269) kept inside each label: a pixel
becomes the mean of the pixels around it that carry its label and differ by no more than noise explains. Streaks of fat,
150 HU off, take no part.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from thighseg_core.tissue import rounded_hu

WINDOW_MM = 2.0  # our convention: radius; some grains of a soft-tissue kernel, thinner than most muscles
_MOST_HU = 60.0  # our convention: less than half of what fat and muscle differ by, so that the two never mix
_EXPLAINED = 2 * 2**0.5  # twice the standard deviation of the difference of two noisy pixels
_TIE = 1e-3  # less than the distance of any other mean of so few whole numbers from halfway
_SPAN_HU = (-4096, 8191)  # beyond lies no tissue; bounds the differences


def reach_hu(noise_hu: float | None, quiet_hu: float | None) -> float:
    """By how much pixels may differ and still be averaged, HU: from 0 at `quiet_hu` on growing with the noise beyond,
    to at most 60.

    0.0, which leaves the slice as it is, where the noise is not known or `quiet_hu` is None.
    """
    if noise_hu is None or quiet_hu is None or noise_hu <= quiet_hu:
        return 0.0
    return min(_MOST_HU, float(_EXPLAINED * np.sqrt(noise_hu**2 - quiet_hu**2)))


def counted_hu(
    plane_hu: NDArray[np.int16] | NDArray[np.float32],
    labels: NDArray[np.uint8],
    *,
    reach_hu: float,
    pixel_mm: tuple[float, float],
) -> NDArray[np.int16]:
    """What is counted of a labelled slice: whole HU, smoothed where there is a reach."""
    whole = rounded_hu(plane_hu)
    return smoothed(whole, labels, reach_hu=reach_hu, pixel_mm=pixel_mm) if reach_hu else whole


def smoothed(
    plane_hu: NDArray[np.int16], labels: NDArray[np.uint8], *, reach_hu: float, pixel_mm: tuple[float, float]
) -> NDArray[np.int16]:
    """A slice in whole HU with the pixels of each label above 0 averaged with their like; the others as they are."""
    held = np.flatnonzero(labels.any(axis=1)), np.flatnonzero(labels.any(axis=0))
    if reach_hu < 1 or not held[0].size:
        return plane_hu
    box = tuple(slice(int(each[0]), int(each[-1]) + 1) for each in held)
    hu, kind = np.clip(plane_hu[box], *_SPAN_HU), labels[box]
    off = np.zeros(hu.shape, dtype=np.int16)  # sum of the differences, each 60 HU at most
    count = np.ones(hu.shape, dtype=np.int16)
    for down, across in _half_window(pixel_mm):
        one, other = _pair(down, across)
        difference = hu[other] - hu[one]
        alike = np.abs(difference) <= int(reach_hu)
        alike &= kind[one] == kind[other]
        difference *= alike
        off[one] += difference
        off[other] -= difference
        count[one] += alike
        count[other] += alike
    averaged = kind > 0
    averaged &= count > 1
    out = plane_hu.copy()
    change = off[averaged] / count[averaged]
    # A mean halfway between two whole numbers goes to the one nearer the pixel's own value: always to the even one
    # would move voxels over a range's limit one way.
    out[box][averaged] = hu[averaged] + np.rint(change - _TIE * np.sign(change)).astype(np.int16)
    return out


def _half_window(pixel_mm: tuple[float, float]) -> list[tuple[int, int]]:
    """Steps (rows, columns) to half of the pixels within the window, one of each two that lie opposite."""
    rows, columns = (max(1, int(WINDOW_MM / step)) for step in pixel_mm)
    steps = [(y, x) for y in range(rows + 1) for x in range(-columns, columns + 1) if y > 0 or x > 0]
    near = [(y, x) for y, x in steps if (y * pixel_mm[0]) ** 2 + (x * pixel_mm[1]) ** 2 <= WINDOW_MM**2]
    return near or [(0, 1), (1, 0)]


def _pair(down: int, across: int) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """The parts of a plane that lie on each other when one is moved by a step."""
    one = slice(0, -down or None), slice(max(0, -across), -across if across > 0 else None)
    other = slice(down, None), slice(max(0, across), across if across < 0 else None)
    return one, other
