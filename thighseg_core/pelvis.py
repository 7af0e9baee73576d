"""What cannot be a thigh's muscle at the height of the pelvis: bladder, bowel and buttock taken for one.

The hip bone tells where that begins: above the last slices that show the shaft of a femur alone, the ischium comes in
behind it. From there on four things hold, whatever a network says: nothing that lies between the hip bones is a thigh's
muscle, adductors lie on the inner side of the femur and the sartorius not far from it, each group ends at the height
where its uppermost muscle arises, and every muscle runs down into the thigh.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from thighseg_core.bones import Bone
from thighseg_core.labels import CLASS_INDEX
from thighseg_core.planes import dilated, eroded, filled

# Above the first slice with the ischium; our convention, from what arises where: hamstrings from its tuberosity, some
# 50 mm high, pectineus at the height of the femoral head, rectus femoris at the rim of the hip's socket (its roof is 75
# to 85 mm up in the real series that show it), sartorius from the iliac spine.
_ENDS_MM = {"flexor": 60.0, "adductor": 80.0, "extensor": 90.0, "sartorius": 170.0}
_BEYOND_MM = 30.0  # further inwards than the hip bone reaches: where the ischium begins, gracilis lies so far in
_SARTORIUS_MM = 70.0  # inwards from the middle of the femur; it crosses the groin at 30 to 50 mm
_HIP_BONE_CM2 = 1.5  # calcified vessels and masses of less are none
_FAR_MM = 130.0  # from the middle of the femur to the ischium; the other femur is further away
_STEP_MM = 35.0  # the middle of the femur moves less from slice to slice, trochanters and neck included
_JOINED_CM2 = 20.0  # a larger bone is femur and hip bone in one
_STAYS_MM, _STAYS_SHARE = 50.0, 0.8  # a hip bone, once there, is on the slices above
_SHORTEST_MM = 10.0  # of it, and two slices
_COARSE_MM = 2.0
_BONE_HU = 180  # as in bones.py

Point = tuple[float, float]


@dataclass(frozen=True)
class Hip:
    """A femur beside its hip bone. first: the slice on which the hip bone comes in. medial: the way to the midline, 1
    for growing columns, else -1. femur_mm: (row, column) of the femur's middle on each slice from `first` on; where it
    is one with the hip bone, the last one known. half_mm: from there to the middle between both femurs; infinite where
    only one is in view. What lies further in is the other hip's matter."""

    first: int
    medial: int
    femur_mm: tuple[Point, ...]
    half_mm: float = np.inf

    def inwards_mm(self, k: int, columns_mm: NDArray[np.floating]) -> NDArray[np.float64]:
        """How far columns lie to the inner side of the femur's middle on slice k; NaN for the other hip's half."""
        inwards_mm = (columns_mm - self.femur_mm[k - self.first][1]) * self.medial
        return np.where(inwards_mm <= self.half_mm, inwards_mm, np.nan)


def find_hips(bones: Sequence[list[Bone]], femurs: Sequence[Bone], *, start: int, slice_mm: float) -> tuple[Hip, ...]:
    """Follow the shafts `femurs` of slice `start` upwards through the bones of every slice (`bones.find_bones`)."""
    tracks = [[bone.centre_mm] for bone in femurs]  # one point before each slice
    beside: list[list[list[Bone]]] = [[] for _ in femurs]
    joined: list[bool] = []
    for found in bones[start:]:
        joined.append(any(bone.area_cm2 > _JOINED_CM2 for bone in found))
        own = [_nearest(found, track[-1]) for track in tracks]
        others = [bone for bone in found if bone.area_cm2 >= _HIP_BONE_CM2 and not any(bone is one for one in own)]
        for track, bone in zip(tracks, own, strict=True):
            track.append(bone.centre_mm if bone is not None and bone.area_cm2 <= _JOINED_CM2 else track[-1])
        for number, seen in enumerate(beside):
            seen.append([bone for bone in others if _is_beside(bone, number, [track[-1] for track in tracks])])
    columns_mm = [bone.centre_mm[1] for bone in femurs]
    half_mm = (max(columns_mm) - min(columns_mm)) / 2 if len(femurs) > 1 else np.inf
    hips = [_hip(track[1:], seen, joined, start, slice_mm) for track, seen in zip(tracks, beside, strict=True)]
    return tuple(replace(hip, half_mm=half_mm) for hip in hips if hip is not None)


def _nearest(bones: list[Bone], point_mm: Point) -> Bone | None:
    """The bone that a femur has become on the next slice."""
    near = [bone for bone in bones if _apart_mm(bone.centre_mm, point_mm) < _STEP_MM]
    return min(near, key=lambda bone: _apart_mm(bone.centre_mm, point_mm), default=None)


def _is_beside(bone: Bone, number: int, femurs_mm: list[Point]) -> bool:
    """Whether the bone lies near this femur and nearer than to any other."""
    apart_mm = [_apart_mm(bone.centre_mm, point) for point in femurs_mm]
    return apart_mm[number] == min(apart_mm) and apart_mm[number] < _FAR_MM


def _apart_mm(one: Point, other: Point) -> float:
    return float(np.hypot(one[0] - other[0], one[1] - other[1]))


def _hip(track: list[Point], beside: list[list[Bone]], joined: list[bool], start: int, slice_mm: float) -> Hip | None:
    there = np.array([bool(found) or is_joined for found, is_joined in zip(beside, joined, strict=True)])
    for index in np.flatnonzero(there):
        behind = [bone for bone in beside[index] if bone.centre_mm[0] >= track[index][0]]  # rows run backwards
        run = there[index : index + max(2, round(_STAYS_MM / slice_mm))]
        if behind and len(run) >= max(2, _SHORTEST_MM / slice_mm) and run.mean() >= _STAYS_SHARE:
            medial = 1 if behind[0].centre_mm[1] > track[index][1] else -1
            return Hip(first=start + int(index), medial=medial, femur_mm=tuple(track[index:]))
    return None


def without_pelvis(
    classes: NDArray[np.uint8],
    attenuation_hu: NDArray[Any],
    hips: Sequence[Hip],
    *,
    spacing_mm: tuple[float, float, float],
) -> NDArray[np.uint8]:
    """The classes of a canonical stack (K, J, I) with what cannot be a thigh's muscle turned into other muscle.

    Judged on pixels of about 2 mm, from the first slice with a hip bone on.
    """
    if not hips:
        return classes
    steps = tuple(max(1, round(_COARSE_MM / step)) for step in spacing_mm[1:])
    first = min(hip.first for hip in hips)
    view = np.s_[first - 1 :, :: steps[0], :: steps[1]]  # one slice of thigh below
    coarse, hu = classes[view], attenuation_hu[view]
    coarse_mm = (spacing_mm[0], spacing_mm[1] * steps[0], spacing_mm[2] * steps[1])
    wrong = np.zeros(coarse.shape, dtype=bool)
    for index in range(1, len(coarse)):
        if _IS_GROUP[coarse[index]].any():
            wrong[index] = _wrong_here(coarse[index], hu[index], hips, first - 1 + index, coarse_mm)
    for name in _RUNNING_DOWN:
        pieces, n_pieces = ndimage.label((coarse == CLASS_INDEX[name]) & ~wrong)
        runs_down = np.zeros(n_pieces + 1, dtype=bool)
        runs_down[pieces[0]] = runs_down[0] = True
        wrong |= ~runs_down[pieces]
    changed = classes.copy()
    for plane, found in zip(changed[first - 1 :], wrong, strict=True):
        if found.any():
            fine = found.repeat(steps[0], 0).repeat(steps[1], 1)[: plane.shape[0], : plane.shape[1]]
            plane[fine & _IS_GROUP[plane]] = CLASS_INDEX["other_muscle"]
    return changed


_IS_GROUP = np.isin(np.arange(256), [CLASS_INDEX[name] for name in _ENDS_MM])
_RUNNING_DOWN = ("extensor", "flexor", "adductor")  # the sartorius is thin, and often torn by what presses on it


def _wrong_here(
    classes: NDArray[np.uint8],
    attenuation_hu: NDArray[Any],
    hips: Sequence[Hip],
    k: int,
    spacing_mm: tuple[float, float, float],
) -> NDArray[np.bool_]:
    """What of one slice cannot be a thigh's muscle by its place alone; each hip judges its own half."""
    bones = _large_bones(attenuation_hu >= _BONE_HU, spacing_mm[1:])
    columns_mm = np.arange(classes.shape[1]) * spacing_mm[2]
    wrong = np.zeros(classes.shape, dtype=bool)
    for hip in hips:
        if k < hip.first:
            continue
        inwards_mm = hip.inwards_mm(k, columns_mm)
        above_mm = (k - hip.first) * spacing_mm[0]
        no_more = [CLASS_INDEX[name] for name, end_mm in _ENDS_MM.items() if above_mm > end_mm]
        found = np.isin(classes, no_more)
        found |= (classes == CLASS_INDEX["adductor"]) & (inwards_mm < 0)
        found |= (classes == CLASS_INDEX["sartorius"]) & (inwards_mm > _SARTORIUS_MM)
        hip_bone = _without_femur(*bones, hip.femur_mm[k - hip.first]) & np.isfinite(inwards_mm)
        found |= _inside(hip_bone, medial=hip.medial, beyond=round(_BEYOND_MM / spacing_mm[2]))
        wrong |= found & _IS_GROUP[classes] & np.isfinite(inwards_mm)
    return wrong


def _large_bones(
    bright: NDArray[np.bool_], spacing_mm: tuple[float, float]
) -> tuple[NDArray[Any], dict[int, Point], set[int]]:
    """Pieces of bone with their marrow, by number; middles of the large ones, and which of them are no mere femur."""
    pieces, n_pieces = ndimage.label(filled(eroded(dilated(bright))))
    rows, columns = np.nonzero(pieces)
    own = pieces[rows, columns]
    sizes, down, across = (np.bincount(own, weights, n_pieces + 1) for weights in (None, rows, columns))
    areas_cm2 = sizes * (spacing_mm[0] * spacing_mm[1] / 100)
    large = np.flatnonzero(areas_cm2 >= _HIP_BONE_CM2)
    middles_mm = {
        int(n): (float(down[n] / sizes[n]) * spacing_mm[0], float(across[n] / sizes[n]) * spacing_mm[1]) for n in large
    }
    return pieces, middles_mm, set(np.flatnonzero(areas_cm2 > _JOINED_CM2).tolist())


def _without_femur(
    pieces: NDArray[Any], middles_mm: dict[int, Point], joined: set[int], femur_mm: Point
) -> NDArray[np.bool_]:
    """The large bones but for the femur, where it is a bone of its own."""
    apart_mm = {number: _apart_mm(middle, femur_mm) for number, middle in middles_mm.items()}
    nearest = min(apart_mm, key=lambda number: apart_mm[number], default=0)
    femur = {nearest} - joined if nearest and apart_mm[nearest] < _STEP_MM else set()
    is_hip = np.zeros(int(pieces.max()) + 1, dtype=bool)
    is_hip[list(middles_mm.keys() - femur)] = True
    return np.asarray(is_hip[pieces])


def _inside(hip_bone: NDArray[np.bool_], *, medial: int, beyond: int) -> NDArray[np.bool_]:
    """What lies on the inner side of a hip bone in its row, or `beyond` pixels further inwards than all of it."""
    from_outside = hip_bone[:, ::medial]
    inside = np.maximum.accumulate(from_outside, axis=1)
    columns = np.flatnonzero(from_outside.any(axis=0))
    if columns.size:
        inside[:, columns[-1] + beyond :] = True
    return inside[:, ::medial]
