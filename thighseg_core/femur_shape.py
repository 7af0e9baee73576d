"""The ends of one femur, from its mask: a ball at the top is the head, a wide lower end the condyles.

An end counts as seen only when the mask ends inside the scan and looks like that end; a shaft that was cut off, or of
which the label stops, does not.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from thighseg_core.axial import AxialView
from thighseg_core.condyles import condyle_ends
from thighseg_core.geometry import Geometry

# Our conventions, wide around adult femurs and around the synthetic ones
_HEAD_RADIUS_MM = (15.0, 36.0)
_HEAD_FIT_MM = 12.0  # of the top that the ball is first fitted to
_HEAD_BEYOND_MM = 3.0  # so much, and a slice, may the ball rise above the highest slice
_HEAD_MISFIT = 0.12  # root mean square of the areas' misfit, as a share of the largest
_CONDYLES_MM = 50.0  # least width across the condyles
_LOWER_END_MM = 35.0  # of the lower end in which that width is looked for
# Of the largest section there: the lowest one is smaller, or the label stops inside the condyles. A thick slice may lie
# 7 mm above their end, where the Visible Human woman's inner condyle has 0.84 of its full section.
_END_SHARE, _THICK_END_SHARE, _THICK_MM = 0.75, 0.87, 5.5
_CENTRE_MM = 22.0  # of the lower end whose centre stands for that of the condyles
_SMALLEST_PIECE_CM3 = 3.0
Box = tuple[slice, slice, slice]
_ALL_NEIGHBOURS = np.ones((3, 3, 3), dtype=bool)


@dataclass(frozen=True)
class SliceStack:
    """The slices of a scan as planes: `position_mm` (K,) along the unit `normal` (LPS, towards the head)."""

    normal: NDArray[np.float64]
    position_mm: NDArray[np.float64]
    slice_mm: float

    @property
    def span_mm(self) -> tuple[float, float]:
        """From the lower face of the lowest slice to the upper face of the highest."""
        half = self.slice_mm / 2
        return float(self.position_mm.min() - half), float(self.position_mm.max() + half)


@dataclass(frozen=True)
class FemurShape:
    """One femur slice by slice, in the order of the array; positions are along the normal of the slices, mm.

    area_mm2, width_mm: (K,) area and longest diameter (of the ellipse with the same second moments); 0 where there is
    none. centre_mm: (K, 3) LPS, NaN where there is none. voxels_mm: (N, 3) LPS of all its voxel centres.
    head_mm: (3,) centre of the head; head_radius_mm, head_top_mm: its radius and the position of its top.
    bottom_mm: position of the lower end, condyles_mm: (3,) the middle of the condyles, condyle_ends_mm: (1 or 2, 3) the
    lowest point of each.
    Where an end is not seen these are None, and `head_reason`, `condyles_reason` say why.
    """

    area_mm2: NDArray[np.float64]
    width_mm: NDArray[np.float64]
    centre_mm: NDArray[np.float64]
    voxels_mm: NDArray[np.float64]
    head_mm: NDArray[np.float64] | None
    head_radius_mm: float | None
    head_top_mm: float | None
    bottom_mm: float | None
    condyles_mm: NDArray[np.float64] | None
    condyle_ends_mm: NDArray[np.float64] | None
    head_reason: str = ""
    condyles_reason: str = ""


def slice_stack(geometry: Geometry, view: AxialView) -> SliceStack:
    """Normal and positions of the axial slices of a grid."""
    normal = geometry.directions[:, view.slice_axis]
    normal = normal if normal[2] >= 0 else -normal
    index = np.zeros((view.n_slices, 3))
    index[:, view.slice_axis] = np.arange(view.n_slices)
    return SliceStack(normal, np.asarray(geometry.to_lps_mm(index) @ normal), view.slice_mm)


def voxels_to_lps_mm(found: NDArray[Any], view: AxialView, geometry: Geometry) -> NDArray[np.float64]:
    """(N, 3) indices with the slice first (those of `view.slices`) -> (N, 3) LPS mm."""
    return geometry.to_lps_mm(np.insert(found[:, 1:], view.slice_axis, found[:, 0], axis=1).astype(np.float64))


def femur_shape(
    labels: NDArray[np.uint8], value: int, *, box: Box, view: AxialView, geometry: Geometry
) -> FemurShape | None:
    """The femur with this label value; None when there is none.

    labels: the label map with its slices first. box: the part of it that holds the label.
    """
    mask = _without_crumbs(labels[box] == value, geometry.voxel_volume_cm3)
    found = np.argwhere(mask)
    if not len(found):
        return None
    found += [part.start for part in box]
    stack = slice_stack(geometry, view)
    voxels_mm = voxels_to_lps_mm(found, view, geometry)
    n = view.n_slices
    counts = np.bincount(found[:, 0], minlength=n)
    held = counts > 0
    area_mm2 = np.asarray(counts * view.face_area_mm2, dtype=np.float64)
    centre_mm = np.full((n, 3), np.nan)
    for axis in range(3):
        total = np.bincount(found[:, 0], weights=voxels_mm[:, axis], minlength=n)
        centre_mm[held, axis] = total[held] / counts[held]
    width_mm = _widths(found, counts, view)
    top_down = np.argsort(-stack.position_mm)
    order = [int(k) for k in top_down if held[k]]
    planes = {k: mask[k - box[0].start] for k in order}
    ends = [int(top_down[0]), int(top_down[-1])]
    head = _head(order, planes, stack, view, at_end=order[0] == ends[0])
    condyles_reason = _not_condyles(order, area_mm2, width_mm, stack, at_end=order[-1] == ends[1])
    head_mm = None
    if not isinstance(head, str):
        above_neck = head[0] + 0.35 * head[1]
        chosen = min(order, key=lambda k: abs(float(stack.position_mm[k]) - above_neck))
        cut = np.argwhere(_pieces_below(order, planes, chosen)) + np.array([box[1].start, box[2].start])
        flat = np.c_[np.full(len(cut), chosen), cut]
        middle = voxels_to_lps_mm(flat, view, geometry).mean(axis=0)
        head_mm = middle + (head[0] - middle @ stack.normal) * stack.normal
    condyles_mm, condyle_ends_mm, bottom_mm = None, None, None
    if not condyles_reason:
        condyle_ends_mm = condyle_ends(
            voxels_mm, normal=stack.normal, slice_mm=stack.slice_mm, face_area_mm2=view.face_area_mm2
        )
        bottom_mm = float((condyle_ends_mm @ stack.normal).min())
        near = voxels_mm @ stack.normal <= bottom_mm + _CENTRE_MM
        condyles_mm = np.asarray((voxels_mm[near].max(axis=0) + voxels_mm[near].min(axis=0)) / 2)
    return FemurShape(
        area_mm2=area_mm2,
        width_mm=width_mm,
        centre_mm=centre_mm,
        voxels_mm=voxels_mm,
        head_mm=head_mm,
        head_radius_mm=None if isinstance(head, str) else head[1],
        head_top_mm=None if isinstance(head, str) else head[2],
        bottom_mm=bottom_mm,
        condyles_mm=condyles_mm,
        condyle_ends_mm=condyle_ends_mm,
        head_reason=head if isinstance(head, str) else "",
        condyles_reason=condyles_reason,
    )


def _without_crumbs(mask: NDArray[np.bool_], voxel_cm3: float) -> NDArray[np.bool_]:
    pieces, n_pieces = ndimage.label(mask, structure=_ALL_NEIGHBOURS)
    if n_pieces < 2:
        return mask
    sizes = np.bincount(pieces.ravel())
    sizes[0] = 0
    keep = sizes * voxel_cm3 >= min(_SMALLEST_PIECE_CM3, float(sizes.max()) * voxel_cm3)
    keep[0] = False
    return np.asarray(keep[pieces])


def _widths(found: NDArray[Any], counts: NDArray[np.int64], view: AxialView) -> NDArray[np.float64]:
    n = len(counts)
    y, x = found[:, 1] * _first_mm(view)[0], found[:, 2] * _first_mm(view)[1]
    safe = np.maximum(counts, 1)

    def mean(values: NDArray[Any]) -> NDArray[np.float64]:
        return np.asarray(np.bincount(found[:, 0], weights=values, minlength=n) / safe)

    yy, xx, xy = mean(y * y) - mean(y) ** 2, mean(x * x) - mean(x) ** 2, mean(x * y) - mean(x) * mean(y)
    largest = (yy + xx) / 2 + np.sqrt(((yy - xx) / 2) ** 2 + xy**2)
    return np.where(counts > 0, 4 * np.sqrt(np.maximum(largest, 0)), 0.0)


def _first_mm(view: AxialView) -> tuple[float, float]:
    """Pixel size along the first and the second axis of a slice as stored."""
    return (view.row_mm, view.column_mm) if view.rows_axis < view.columns_axis else (view.column_mm, view.row_mm)


def _pieces_below(order: list[int], planes: dict[int, NDArray[np.bool_]], last: int) -> NDArray[np.bool_]:
    """The part of slice `last` that hangs together, slice by slice, with the highest slice."""
    piece = planes[order[0]]
    for k in order[1 : order.index(last) + 1]:
        piece = _overlapping(planes[k], piece)
    return piece


def _overlapping(plane: NDArray[np.bool_], piece: NDArray[np.bool_]) -> NDArray[np.bool_]:
    numbers, _ = ndimage.label(plane)
    touched = np.unique(numbers[piece & plane])
    return np.asarray(np.isin(numbers, touched[touched > 0]))


def _head(
    order: list[int], planes: dict[int, NDArray[np.bool_]], stack: SliceStack, view: AxialView, *, at_end: bool
) -> tuple[float, float, float] | str:
    """(position of the centre, radius, position of the top) of the ball at the upper end, or why there is none.

    Sections of a ball have the area pi (r2 - (t - c)2): linear in c and r2 - c2, so two unknowns by least squares.
    """
    if at_end:
        return "the femur reaches the cranial end of the scan"
    top = float(stack.position_mm[order[0]])
    piece = planes[order[0]]
    t, area = [], []
    for k in order:
        if top - stack.position_mm[k] > 2 * _HEAD_RADIUS_MM[1]:
            break
        piece = piece if k == order[0] else _overlapping(planes[k], piece)
        t.append(float(stack.position_mm[k]) - top)
        area.append(float(piece.sum()) * view.face_area_mm2)
    depth, areas = -np.array(t), np.array(area)
    use = depth <= max(_HEAD_FIT_MM, 2.1 * stack.slice_mm)
    fewest = 3
    for _ in range(3):
        if use.sum() < fewest:
            return "the upper end of the femur is on too few slices to tell its head"
        centre, radius, misfit = _ball(-depth[use], areas[use])
        if not _HEAD_RADIUS_MM[0] <= radius <= _HEAD_RADIUS_MM[1] or misfit > _HEAD_MISFIT:
            return "the upper end of what is labelled femur is not shaped like its head"
        # The neck leaves the ball below this: of thick slices two are left, enough for its two unknowns.
        use, fewest = (-depth >= centre + 0.3 * radius) | (depth <= 1.1 * stack.slice_mm), 2
    if centre + radius > stack.slice_mm + _HEAD_BEYOND_MM:
        return "what is labelled femur stops within its head"
    return top + centre, radius, float(np.clip(top + centre + radius, top, top + stack.slice_mm))


def _ball(t: NDArray[np.float64], area_mm2: NDArray[np.float64]) -> tuple[float, float, float]:
    """(centre, radius, misfit) of the ball whose sections at `t` have these areas."""
    design = np.column_stack([2 * t, np.ones_like(t)])
    (centre, rest), *_ = np.linalg.lstsq(design, area_mm2 / np.pi + t**2, rcond=None)
    radius = float(np.sqrt(max(rest + centre**2, 0.0)))
    fitted = np.pi * (radius**2 - (t - centre) ** 2)
    misfit = float(np.sqrt(((fitted - area_mm2) ** 2).mean()) / area_mm2.max())
    return float(centre), radius, misfit


def _not_condyles(
    order: list[int],
    area_mm2: NDArray[np.float64],
    width_mm: NDArray[np.float64],
    stack: SliceStack,
    *,
    at_end: bool,
) -> str:
    """Why the distal end of the condyles is not seen; "" where it is."""
    if at_end:
        return "the femur reaches the caudal end of the scan"
    lowest = float(stack.position_mm[order[-1]])
    near = [k for k in order if stack.position_mm[k] - lowest <= _LOWER_END_MM]
    if len(near) < 2 or width_mm[near].max() < _CONDYLES_MM:
        return "the lower end of what is labelled femur is not as wide as its condyles"
    share = _THICK_END_SHARE if stack.slice_mm > _THICK_MM else _END_SHARE
    if area_mm2[order[-1]] > share * area_mm2[near].max():
        return "what is labelled femur stops within the condyles"
    return ""
