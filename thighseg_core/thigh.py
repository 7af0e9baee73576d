"""Is it a thigh? Decided per slice and per series from what was predicted, so that no arm or calf is ever measured."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from thighseg_core.labels import CLASS_INDEX

_BONE_HU = 150
_FEMUR_CM2 = (2.0, 60.0)  # shaft of a child to condyles of a large man, marrow included
_FEMUR_IS_BONE = 0.35  # share of a predicted femur that is at least as bright as bone
_SMALLEST_EXTENSOR_CM2 = 3.0
_SMALLEST_MUSCLE_CM2 = 8.0  # all groups together
_GROUPS = ("extensor", "flexor", "adductor", "sartorius")
_SMALLEST_RUN_MM = 15.0  # a thigh shows for at least so long, or on every slice of a shorter scan
_ABOVE_FEMUR_MM = 60.0  # sartorius and rectus femoris reach so far above the femoral head


@dataclass(frozen=True)
class ThighEvidence:
    """like_thigh: (K,) slices that show a thigh. is_thigh: whether the series shows one. reason: why not."""

    like_thigh: NDArray[np.bool_]
    is_thigh: bool
    reason: str = ""


def find_thigh(
    classes: NDArray[np.uint8], attenuation_hu: NDArray[Any], *, spacing_mm: tuple[float, float, float]
) -> ThighEvidence:
    """Judge a canonical stack by its predicted classes."""
    like = np.array(
        [_slice_shows_thigh(plane, hu, spacing_mm[1:]) for plane, hu in zip(classes, attenuation_hu, strict=True)]
    )
    runs, _ = ndimage.label(like)
    longest = int(np.bincount(runs)[1:].max()) if like.any() else 0
    if longest == 0:
        return ThighEvidence(like, False, "on no slice were a femur and the muscles around it found")
    if longest * spacing_mm[0] < _SMALLEST_RUN_MM and longest < len(like):
        return ThighEvidence(like, False, f"a femur with thigh muscles was found on {longest} neighbouring slices only")
    return ThighEvidence(like, True)


def _slice_shows_thigh(
    classes: NDArray[np.uint8], attenuation_hu: NDArray[Any], spacing_mm: tuple[float, float]
) -> bool:
    pixel_cm2 = spacing_mm[0] * spacing_mm[1] / 100
    areas = np.bincount(classes.ravel(), minlength=max(CLASS_INDEX.values()) + 1) * pixel_cm2
    muscle_cm2 = sum(float(areas[CLASS_INDEX[name]]) for name in _GROUPS)
    if areas[CLASS_INDEX["extensor"]] < _SMALLEST_EXTENSOR_CM2 or muscle_cm2 < _SMALLEST_MUSCLE_CM2:
        return False
    pieces, n_pieces = ndimage.label(classes == CLASS_INDEX["femur"])
    for piece in range(1, n_pieces + 1):
        bone = pieces == piece
        area_cm2 = float(bone.sum()) * pixel_cm2
        bright = float((attenuation_hu[bone] >= _BONE_HU).mean())
        if _FEMUR_CM2[0] <= area_cm2 <= _FEMUR_CM2[1] and bright >= _FEMUR_IS_BONE:
            return True
    return False
