"""From single slices to one regular grid, or the reason why they do not form one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from thighseg_core.dicom import SliceHeader
from thighseg_core.errors import SeriesGeometryError
from thighseg_core.geometry import Geometry

MIN_SLICES = 3  # with two there is one spacing and nothing to check it against
SAME_POSITION_MM = 0.01  # thinner slices than 0.1 mm do not exist
POSITION_TOLERANCE_MM = 0.1  # positions rounded to 0.1 mm are off by at most 0.05 each
SHEAR_TOLERANCE = Geometry.SHEAR_TOLERANCE  # sideways drift per mm along the normal


@dataclass(frozen=True)
class Stack:
    """slices[k]: the images at slice position k (more than one: duplicates), along the normal row x column."""

    slices: tuple[tuple[SliceHeader, ...], ...]
    geometry: Geometry

    @property
    def n_duplicates(self) -> int:
        return sum(len(here) - 1 for here in self.slices)


def stack_slices(slices: tuple[SliceHeader, ...]) -> Stack:
    """Sort along the normal and check that the grid is regular.

    Expects slices of one size, pixel spacing and orientation. Raises SeriesGeometryError that names the place and
    the remedy: too few, missing, unevenly spaced, shifted or tilted slices.
    """
    first = slices[0]
    row = np.array(first.row_direction) / np.linalg.norm(first.row_direction)
    normal = np.cross(row, first.column_direction)
    normal /= np.linalg.norm(normal)
    column = np.cross(normal, row)
    positions_mm = np.array([one.position_mm for one in slices], dtype=np.float64)
    along_mm = positions_mm @ normal
    order = np.argsort(along_mm, kind="stable")
    places = _places(along_mm[order])
    starts = [place[0] for place in places]
    if len(places) < MIN_SLICES:
        raise SeriesGeometryError(
            f"only {len(places)} slice{'s' if len(places) > 1 else ''}: a volume needs at least {MIN_SLICES}; "
            "export the whole series"
        )
    unique = order[starts]
    step_mm = _regular_step(along_mm[unique], positions_mm[unique], normal=normal)
    _refuse_drift(positions_mm[unique], normal=normal)
    affine = np.eye(4)
    affine[:3, 0] = normal * step_mm
    affine[:3, 1] = column * first.pixel_spacing_mm[0]
    affine[:3, 2] = row * first.pixel_spacing_mm[1]
    affine[:3, 3] = positions_mm[unique[0]]
    return Stack(
        slices=tuple(tuple(slices[order[n]] for n in place) for place in places),
        geometry=Geometry((len(places), first.rows, first.columns), affine),
    )


def _places(sorted_mm: NDArray[np.float64]) -> list[list[int]]:
    """Indices grouped by position."""
    places: list[list[int]] = [[0]]
    for n in range(1, len(sorted_mm)):
        if sorted_mm[n] - sorted_mm[places[-1][0]] <= SAME_POSITION_MM:
            places[-1].append(n)
        else:
            places.append([n])
    return places


def _regular_step(
    along_mm: NDArray[np.float64], positions_mm: NDArray[np.float64], *, normal: NDArray[np.float64]
) -> float:
    """The slice step in mm, when one step explains all positions."""
    n = len(along_mm)
    step_mm = float(along_mm[-1] - along_mm[0]) / (n - 1)
    if np.abs(along_mm - (along_mm[0] + step_mm * np.arange(n))).max() <= POSITION_TOLERANCE_MM:
        return step_mm
    steps_mm = np.diff(along_mm)
    multiples = np.rint(steps_mm / steps_mm.min()).astype(np.int64)
    usual_mm = float(steps_mm.sum() / multiples.sum())
    if np.abs(steps_mm - multiples * usual_mm).max() <= 2 * POSITION_TOLERANCE_MM and not _has_zone(multiples):
        gaps = np.flatnonzero(multiples > 1)
        where = ", ".join(
            f"{multiples[g] - 1} between {_place(positions_mm[g], normal)} and {_place(positions_mm[g + 1], normal)}"
            for g in gaps[:3]
        )
        missing = int((multiples - 1).sum())
        raise SeriesGeometryError(
            f"{missing} slice{'s are' if missing > 1 else ' is'} missing: {where}{', ...' if len(gaps) > 3 else ''} "
            f"(slices are {usual_mm:.3g} mm apart). Export the complete series from the PACS"
        )
    usual_mm = float(np.sort(steps_mm)[(len(steps_mm) - 1) // 2])  # a step that occurs, unlike a mean of two
    odd = int(np.abs(steps_mm - usual_mm).argmax())
    raise SeriesGeometryError(
        f"the slice spacing varies: {usual_mm:.4g} mm in most places, {steps_mm[odd]:.4g} mm at "
        f"{_place(positions_mm[odd], normal)}. Reconstruct the scan with one spacing, or send its parts as "
        "separate series"
    )


def _has_zone(multiples: NDArray[np.int64]) -> bool:
    """True when three steps in a row are equally wide and wider than the narrowest: another spacing, not a gap."""
    wide = multiples[:-2] > 1
    return bool((wide & (multiples[:-2] == multiples[1:-1]) & (multiples[1:-1] == multiples[2:])).any())


def _refuse_drift(positions_mm: NDArray[np.float64], *, normal: NDArray[np.float64]) -> None:
    offset_mm = positions_mm - positions_mm[0]
    along_mm = offset_mm @ normal
    sideways_mm = offset_mm - np.outer(along_mm, normal)
    drift_mm = np.linalg.norm(sideways_mm, axis=1)
    if (drift_mm <= POSITION_TOLERANCE_MM + SHEAR_TOLERANCE * along_mm).all():
        return
    even = np.outer(along_mm / along_mm[-1], sideways_mm[-1])
    if np.linalg.norm(sideways_mm - even, axis=1).max() <= 2 * POSITION_TOLERANCE_MM:
        tilt_degrees = np.degrees(np.arctan2(drift_mm[-1], along_mm[-1]))
        raise SeriesGeometryError(
            f"the slices are tilted by {tilt_degrees:.1f} degrees against the table (gantry tilt), so voxels are not "
            "right-angled. Reconstruct without tilt, or resample the series to straight slices"
        )
    worst = int(drift_mm.argmax())
    raise SeriesGeometryError(
        f"the slices are shifted sideways against each other ({drift_mm[worst]:.1f} mm at "
        f"{_place(positions_mm[worst], normal)}); reconstruct them with one field of view and centre"
    )


def _place(position_mm: NDArray[np.float64], normal: NDArray[np.float64]) -> str:
    axis = int(np.abs(normal).argmax())
    return f"{'xyz'[axis]} = {position_mm[axis]:.1f} mm"
