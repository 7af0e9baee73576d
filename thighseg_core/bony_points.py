"""Points of the bones around the thigh: lesser trochanter, ischial tuberosity and the joint line of the knee.

Each search returns a point in LPS mm or the reason why there is none. The limits are our convention.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from thighseg_core.axial import AxialView
from thighseg_core.femur_shape import Box, FemurShape, SliceStack, voxels_to_lps_mm
from thighseg_core.geometry import Geometry

Point = NDArray[np.float64]

_BONE_HU = 200  # muscle and unenhanced blood are darker, cortical bone is brighter
_COARSE_MM = 2.0  # pixels on which bones are told apart
_BUMP_MM = 3.0  # the lesser trochanter stands out by this much at least
_BUMP_RANGE_MM = (45.0, 130.0)  # below the top of the head
_SHAFT_LENGTH_MM = 40.0  # of plain shaft below it, to tell the bump by
_SHAFT_SPREAD = 1.35  # a shaft's sections are at most this much larger than the smaller third of them
_HIP_CM3 = 5.0
_HIP_HEIGHT_MM = 40.0  # or up to the end of the scan
_TIP_MM = 8.0  # of the lower end that stands for the tuberosity
_TIP_MEDIAL_MM = 12.0  # from the middle of the femur
_TIP_ANTERIOR_MM = 12.0  # further forward lies the pubis
_TIP_FAR_MM = 110.0
_PLATEAU_CM2 = 8.0
_JOINT_MM = 15.0  # from the condyles to the shin bone at most
_FOOTPRINT_MM = 30.0  # of the condyles' height, whose outline the plateau lies under


def lesser_trochanter(shape: FemurShape, stack: SliceStack, *, to_medial: float) -> Point | str:
    """The tip of the bump at the medial and posterior side of the upper shaft. to_medial: +1 when x grows to medial.

    The reach of each section towards medial and posterior, seen from the line of the shaft, rises to the trochanter
    and falls again before the neck sets in.
    """
    order = np.argsort(stack.position_mm)
    order = order[shape.area_mm2[order] > 0]
    t = stack.position_mm[order]
    plain = np.sort(shape.area_mm2[order])[: max(1, len(order) // 3)].mean()
    shaft = shape.area_mm2[order] <= _SHAFT_SPREAD * plain
    if not shaft.any() or np.ptp(t[shaft]) < _SHAFT_LENGTH_MM:
        return "too little of the shaft is in view to tell the lesser trochanter"
    fit = np.polyfit(t[shaft], shape.centre_mm[order][shaft], 1)
    towards = np.array([to_medial, 1.0, 0.0]) / np.sqrt(2)
    at = shape.voxels_mm @ stack.normal
    line = np.outer(at, fit[0]) + fit[1]
    reach = (shape.voxels_mm - line) @ towards
    slot = np.rint((at - t[0]) / stack.slice_mm).astype(int)
    per_slice = np.full(slot.max() + 1, -np.inf)
    np.maximum.at(per_slice, slot, reach)
    known = np.isfinite(per_slice)
    per_slice = np.interp(np.arange(len(per_slice)), np.flatnonzero(known), per_slice[known])
    smooth = ndimage.gaussian_filter1d(per_slice, max(2.0 / stack.slice_mm, 0.5))
    above = t[0] + stack.slice_mm * np.arange(len(smooth))
    low = float(t[shaft].mean())
    high = np.inf
    if shape.head_top_mm is not None:
        low, high = max(low, shape.head_top_mm - _BUMP_RANGE_MM[1]), shape.head_top_mm - _BUMP_RANGE_MM[0]
    peaks, height = _bumps(smooth)
    inside = (height >= _BUMP_MM) & (above[peaks] >= low) & (above[peaks] <= high)
    if not inside.any():
        return "no bump of the lesser trochanter on what is labelled femur"
    best = int(peaks[inside][np.argmax(height[inside])])
    here = np.flatnonzero(np.abs(slot - best) <= max(1, round(2 / stack.slice_mm)))
    return np.asarray(shape.voxels_mm[here[np.argmax(reach[here])]])


def _bumps(line: NDArray[np.float64]) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Local maxima and how far each stands out: down to the higher of the lowest points on the way to something higher
    on either side. As SciPy's `signal.find_peaks`, whose import alone takes half a second; the ends are no maxima.
    """
    rises = np.flatnonzero((line[1:-1] > line[:-2]) & (line[1:-1] >= line[2:])) + 1
    heights = []
    for peak in rises:
        sides = line[:peak][::-1], line[peak + 1 :]
        ways = [side[: np.argmax(side > line[peak])] if (side > line[peak]).any() else side for side in sides]
        heights.append(line[peak] - max(way.min(initial=line[peak]) for way in ways))
    return rises, np.array(heights, dtype=np.float64)


def ischial_tuberosity(
    labels: NDArray[np.uint8],
    attenuation_hu: NDArray[Any],
    shape: FemurShape,
    *,
    femurs: tuple[int, int],
    stack: SliceStack,
    view: AxialView,
    geometry: Geometry,
    to_medial: float,
) -> Point | str:
    """The lowest point of the hip bone medial to and behind the upper femur (slices first in both arrays).

    Bone is what is brighter than 200 HU and not labelled femur; the other leg's femur, where nobody labelled it, goes
    through all slices and is told by that.
    """
    missing = "no lower end of the ischial tuberosity in view"
    held = np.flatnonzero(shape.area_mm2 > 0)
    positions = stack.position_mm
    middle = (positions[held].min() + positions[held].max()) / 2
    use = np.flatnonzero(positions > middle)
    if len(use) < 3:
        return missing
    steps = (max(1, round(_COARSE_MM / geometry.spacing_mm[view.rows_axis])),) * 2
    part = np.s_[use.min() : use.max() + 1, :: steps[0], :: steps[1]]
    bone = attenuation_hu[part] >= _BONE_HU
    bone &= ~np.isin(labels[part], femurs)
    pieces, _ = ndimage.label(bone)
    boxes: list[Any] = list(ndimage.find_objects(pieces))
    voxel_cm3 = geometry.voxel_volume_cm3 * steps[0] * steps[1]
    candidates: list[Point] = []
    for number, where in enumerate(boxes, start=1):
        found = np.argwhere(pieces[where] == number)
        if len(found) * voxel_cm3 < _HIP_CM3:
            continue
        found += [axis.start for axis in where]
        found = found * [1, *steps] + [use.min(), 0, 0]
        points = voxels_to_lps_mm(found, view, geometry)
        at = points @ stack.normal
        if at.min() <= positions[use].min() + 0.5 * stack.slice_mm:
            continue  # goes on below: a shaft
        if at.max() < positions.max() - 1.5 * stack.slice_mm and np.ptp(at) < _HIP_HEIGHT_MM:
            continue
        tip = points[at <= at.min() + _TIP_MM].mean(axis=0)
        tip = points[np.argmin(at + 0.01 * np.linalg.norm(points - tip, axis=1))]
        femur = shape.centre_mm[held[np.argmin(np.abs(positions[held] - at.min()))]]
        medial_mm, behind_mm = (tip[0] - femur[0]) * to_medial, tip[1] - femur[1]
        near = _TIP_MEDIAL_MM <= medial_mm <= _TIP_FAR_MM
        if near and -_TIP_ANTERIOR_MM <= behind_mm <= _TIP_FAR_MM:
            candidates.append(tip)
    return min(candidates, key=lambda tip: float(tip @ stack.normal)) if candidates else missing


def knee_joint_line(
    labels: NDArray[np.uint8],
    attenuation_hu: NDArray[Any],
    shape: FemurShape,
    *,
    femur: int,
    box: Box,
    stack: SliceStack,
    view: AxialView,
) -> Point | str:
    """The point under the middle of the condyles, halfway to the upper end of the shin bone.

    The shin bone begins on the first slice below the condyles with 8 cm2 of bone (its label, or more than 200 HU)
    under their outline.
    """
    if shape.bottom_mm is None or shape.condyles_mm is None:
        return shape.condyles_reason
    positions = stack.position_mm
    part = np.s_[:, box[1], box[2]]
    near = np.flatnonzero((positions >= shape.bottom_mm) & (positions <= shape.bottom_mm + _FOOTPRINT_MM))
    footprint = (labels[part][near] == femur).any(axis=0)
    below = np.flatnonzero((positions < shape.bottom_mm) & (positions >= shape.bottom_mm - _JOINT_MM))
    for k in below[np.argsort(-positions[below])]:
        bone = (attenuation_hu[part][k] >= _BONE_HU) & footprint & (labels[part][k] != femur)
        if float(ndimage.binary_fill_holes(bone).sum()) * view.face_area_mm2 / 100 >= _PLATEAU_CM2:
            line = (shape.bottom_mm + float(positions[k]) + stack.slice_mm / 2) / 2
            line = min(line, shape.bottom_mm)
            return np.asarray(shape.condyles_mm + (line - shape.condyles_mm @ stack.normal) * stack.normal)
    return "no shin bone close below the condyles in view"
