"""Is it a thigh? Judged from the bones on the image itself, so that no arm, calf, chest or pelvis is measured.

A slice through the shaft of a femur shows one bone (or one in each leg): round, of the right size, filled with marrow,
deep below the skin, with no small bone beside it. A humerus comes with ribs or with little muscle, a tibia lies under
the skin with a fibula beside it, ribs and hip bones are long or many. A thigh is such a femur on enough neighbouring
slices with extensor muscles predicted around it. The limits are our convention, set on phantoms and on 22 real series.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from thighseg_core.bones import Bone, find_bones
from thighseg_core.labels import CLASS_INDEX, CLASSES, GROUPS
from thighseg_core.pelvis import Hip, find_hips

_SHAFT_CM2 = (4.0, 13.5)
_ROUND = 0.55  # short over long axis; a femur cut obliquely is longer
_ELLIPSE = 0.9  # area over that of the ellipse with the same moments: 1 for an ellipse, less for a bent bone
_DEPTH_MM = 10.0  # from bone to skin; a tibia lies at 3 to 5 mm
_CUT_DEPTH_MM = 18.0  # for a bone cut by the edge of the image, of which less is known
_CUT_SHAFT_CM2 = (1.0, 13.5)  # the part that is seen
_NEIGHBOUR_MM = 60.0  # the other leg's femur is further away
_SMALL_BONES_CM2 = 1.5  # ribs, a fibula; calcifications may add up to this
_RIB_CM2 = 3.0  # smaller bones count at any distance
_MUSCLE_CM2 = 55.0  # lean tissue around the shaft on one slice at least; an upper arm has less
_MUSCLE_RADIUS_MM = 90.0
_SMALLEST_EXTENSOR_CM2 = 3.0
_RUN_MM = 20.0  # a shaft is followed for at least so long, or over half of a shorter scan
_CUT_WEIGHT = 0.4  # a slice with a cut bone says less: it takes 50 mm of them
_GAP_MM = 12.0  # slices without it that do not end a run (calcified masses, metal)
_BELOW_SHAFT_MM = 70.0  # knee joint, below the last slice on which the femur has the size of a shaft
_CROTCH_MM = 40.0  # the femur has the size of a shaft up to the lesser trochanter, about so far above the crotch
_ABOVE_SHAFT_MM = 130.0  # iliac spine, origin of the sartorius


@dataclass(frozen=True)
class ThighEvidence:
    """shaft: (K,) slices that show the shaft of a femur with muscle around it. is_thigh: whether the series shows a
    thigh; `reason` says why not. beyond: (K,) slices below the knee or above the hip, where there is no thigh muscle.
    pairs: slices with two shafts -> their columns. crotch: the last slice on which legs are surely apart, some way
    below the end of the longest run of shafts. hips: femurs beside whose upper end the hip bone is in view.
    """

    shaft: NDArray[np.bool_]
    is_thigh: bool
    beyond: NDArray[np.bool_]
    reason: str = ""
    pairs: dict[int, tuple[float, float]] = field(default_factory=dict)
    crotch: int | None = None
    hips: tuple[Hip, ...] = ()


def find_thigh(
    classes: NDArray[np.uint8],
    attenuation_hu: NDArray[Any],
    *,
    body: NDArray[np.bool_],
    spacing_mm: tuple[float, float, float],
) -> ThighEvidence:
    """Judge a canonical stack by its bones and by the extensors predicted around them."""
    in_plane = spacing_mm[1:]
    bones = [find_bones(hu, inside, spacing_mm=in_plane) for hu, inside in zip(attenuation_hu, body, strict=True)]
    femurs = [_shafts(found) for found in bones]
    pixel_cm2 = in_plane[0] * in_plane[1] / 100
    extensor_cm2 = (classes == CLASS_INDEX["extensor"]).sum(axis=(1, 2)) * pixel_cm2
    shaft = np.array([len(found) > 0 for found in femurs]) & (extensor_cm2 >= _SMALLEST_EXTENSOR_CM2)
    none = np.zeros(len(shaft), dtype=bool)
    if not shaft.any():
        return ThighEvidence(shaft, False, none, "no slice shows the shaft of a femur with muscle around it")
    weights = np.where(shaft, [_CUT_WEIGHT if all(bone.cut for bone in found) else 1.0 for found in femurs], 0.0)
    run, last = _longest_run(weights, max(1, round(_GAP_MM / spacing_mm[0])))
    whole_mm = len(shaft) * spacing_mm[0]
    if run * spacing_mm[0] < min(_RUN_MM, _CUT_WEIGHT * whole_mm):
        return ThighEvidence(shaft, False, none, "what looks like a femur is seen on too few slices in a row")
    muscle_cm2 = max(
        _lean_around(attenuation_hu[index], body[index], bone, in_plane)
        for index in np.flatnonzero(shaft)
        for bone in femurs[index]
    )
    if muscle_cm2 < _MUSCLE_CM2:
        reason = f"the bone has {muscle_cm2:.0f} cm2 of lean tissue around it, a thigh at least {_MUSCLE_CM2:.0f} cm2"
        return ThighEvidence(shaft, False, none, reason)
    crotch = max(last // 2, last - round(_CROTCH_MM / spacing_mm[0]))
    start = int(np.flatnonzero(shaft[: crotch + 1])[-1]) if shaft[: crotch + 1].any() else last
    hips = find_hips(bones, femurs[start], start=start, slice_mm=spacing_mm[0])
    pelvis = min((hip.first for hip in hips), default=len(shaft))
    pairs = {
        index: (found[0].centre_mm[1] / spacing_mm[2], found[1].centre_mm[1] / spacing_mm[2])
        for index, found in enumerate(femurs)
        if len(found) == 2 and shaft[index] and index < pelvis
    }
    return ThighEvidence(shaft, True, _beyond(shaft, bones, spacing_mm[0]), pairs=pairs, crotch=crotch, hips=hips)


def without_groups(classes: NDArray[np.uint8], beyond: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """The classes with every thigh muscle on the slices `beyond` the thigh turned into other muscle."""
    table = np.arange(len(CLASSES), dtype=np.uint8)
    table[[CLASS_INDEX[name] for name in (*GROUPS, "sartorius")]] = CLASS_INDEX["other_muscle"]
    changed = classes.copy()
    changed[beyond] = table[classes[beyond]]
    return changed


def _shafts(bones: list[Bone]) -> list[Bone]:
    """The bones of a slice that are shafts of a femur: none when there are small bones, or others close by."""
    found = [bone for bone in bones if _is_shaft(bone)]
    for bone in found:
        disturbing = sum(
            other.area_cm2
            for other in bones
            if other not in found and (other.area_cm2 < _RIB_CM2 or bone.distance_mm(other) < _NEIGHBOUR_MM)
        )
        near = any(other is not bone and bone.distance_mm(other) < _NEIGHBOUR_MM for other in found)
        if disturbing > _SMALL_BONES_CM2 or near:
            return []
    return found if len(found) <= 2 else []


def _is_shaft(bone: Bone) -> bool:
    low, high = _CUT_SHAFT_CM2 if bone.cut else _SHAFT_CM2
    depth = _CUT_DEPTH_MM if bone.cut else _DEPTH_MM
    return (
        low <= bone.area_cm2 <= high
        and bone.ellipse >= _ELLIPSE
        and (bone.cut or bone.roundness >= _ROUND)
        and bone.depth_mm >= depth
    )


def _lean_around(
    attenuation_hu: NDArray[Any], body: NDArray[np.bool_], bone: Bone, spacing_mm: tuple[float, float]
) -> float:
    """Lean tissue within a disk around a bone, cm2; a disk cut by the image is scaled up to a whole one."""
    y, x = np.ogrid[: body.shape[0], : body.shape[1]]
    near = np.hypot(y * spacing_mm[0] - bone.centre_mm[0], x * spacing_mm[1] - bone.centre_mm[1]) < _MUSCLE_RADIUS_MM
    pixel_cm2 = spacing_mm[0] * spacing_mm[1] / 100
    lean = near & body & (attenuation_hu >= -29) & (attenuation_hu <= 150)
    whole = np.pi * _MUSCLE_RADIUS_MM**2 / 100 / max(float(near.sum()) * pixel_cm2, 1e-9)
    return float(lean.sum()) * pixel_cm2 * max(1.0, whole)


def _longest_run(weights: NDArray[np.float64], gap: int) -> tuple[float, int]:
    """(largest sum over a run of slices with weight, its last slice); up to `gap` slices without do not end a run."""
    heard = weights > 0
    joined = ndimage.binary_closing(np.pad(heard, gap), structure=np.ones(gap + 1, dtype=bool))[gap:-gap]
    runs, n_runs = ndimage.label(joined | heard)
    return max(
        (float(weights[runs == run].sum()), int(np.flatnonzero((runs == run) & heard)[-1]))
        for run in range(1, n_runs + 1)
    )


def _beyond(shaft: NDArray[np.bool_], bones: list[list[Bone]], spacing_mm: float) -> NDArray[np.bool_]:
    """Slices further from the shaft than knee or hip, from the first on that shows other bones: with the femur merely
    out of the picture, a thigh goes on."""
    index = np.arange(len(shaft))
    seen = np.flatnonzero(shaft)
    below = index < seen[0] - _BELOW_SHAFT_MM / spacing_mm
    above = index > seen[-1] + _ABOVE_SHAFT_MM / spacing_mm
    whole_bone = np.array([any(not bone.cut and bone.area_cm2 >= _RIB_CM2 for bone in found) for found in bones])
    any_bone = np.array([len(found) > 0 for found in bones])
    knee = np.flatnonzero(below & whole_bone)
    hip = np.flatnonzero(above & any_bone)
    beyond = np.zeros(len(shaft), dtype=bool)
    if knee.size:
        beyond[: knee[-1] + 1] = True
    if hip.size:
        beyond[hip[0] :] = True
    return beyond
