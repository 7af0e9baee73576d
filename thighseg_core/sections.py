"""Areas of a leg's structures on the plane across its femur, cut out of the label map at mid-thigh."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from thighseg_core.labels import LABELS, SIDES, LabelMap
from thighseg_core.landmarks import Landmarks

_STEP_MM = 1.0  # between the points of a plane, and between the planes of the slab
_SLAB_MM = 10.0
_REACH_MM = 200.0  # from the shaft to where no thigh goes
_N_LABELS = max(LABELS) + 1


@dataclass(frozen=True)
class CrossSection:
    """area_cm2: (labels,) of each label, mean over a slab of 10 mm. cut: (labels,) whether it reaches a place outside
    the scan. absent: why there is no section ("" when there is one)."""

    area_cm2: NDArray[np.float64]
    cut: NDArray[np.bool_]
    absent: str = ""


def cross_sections(label_map: LabelMap, landmarks: Landmarks) -> dict[str, CrossSection]:
    """The section of each leg across the line of its shaft, at mid-thigh."""
    found = {}
    for side in SIDES:
        leg = landmarks.legs[side]
        if leg.midthigh_mm is None or leg.shaft_axis is None:
            reason = leg.level_reason or "the femur is not seen around mid-thigh"
            found[side] = CrossSection(np.zeros(_N_LABELS), np.zeros(_N_LABELS, dtype=bool), f"no section: {reason}")
        else:
            found[side] = _section(label_map, np.array(leg.midthigh_mm), np.array(leg.shaft_axis))
    return found


def _section(label_map: LabelMap, point_mm: NDArray[np.float64], axis: NDArray[np.float64]) -> CrossSection:
    across = np.cross(axis, np.eye(3)[np.argmin(np.abs(axis))])
    across /= np.linalg.norm(across)
    steps = np.arange(-_REACH_MM, _REACH_MM + _STEP_MM / 2, _STEP_MM)
    offsets = np.arange(-_SLAB_MM / 2 + _STEP_MM / 2, _SLAB_MM / 2, _STEP_MM)
    inverse = np.linalg.inv(label_map.geometry.affine)
    to_index = inverse[:3, :3]
    first, second = to_index @ across, to_index @ np.cross(axis, across)
    plane = steps[:, None, None] * first + steps[None, :, None] * second
    shape = np.array(label_map.geometry.shape)
    counts, cut = np.zeros(_N_LABELS), np.zeros(_N_LABELS, dtype=bool)
    for offset in offsets:
        index = np.rint(plane + (to_index @ (point_mm + offset * axis) + inverse[:3, 3])).astype(np.intp)
        inside = ((index >= 0) & (index < shape)).all(axis=-1)
        values = np.zeros(inside.shape, dtype=np.uint8)
        k, j, i = index[inside].T
        values[inside] = label_map.labels[k, j, i]
        counts += np.bincount(values.ravel(), minlength=_N_LABELS)
        beside = np.zeros(inside.shape, dtype=bool)
        beside[1:] |= ~inside[:-1]
        beside[:-1] |= ~inside[1:]
        beside[:, 1:] |= ~inside[:, :-1]
        beside[:, :-1] |= ~inside[:, 1:]
        cut[np.unique(values[beside & inside])] = True
    return CrossSection(counts * _STEP_MM**2 / 100 / len(offsets), cut)
