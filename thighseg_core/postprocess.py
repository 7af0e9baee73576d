"""From a network's classes to clean ones at native resolution: no crumbs, edges where the attenuation has them.

Everything here works on a canonical stack with in-plane edges per slice; no voxel is resampled.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from thighseg_core.fascia import split_fat_at_fascia
from thighseg_core.labels import CLASS_INDEX, CLASSES
from thighseg_core.planes import at_borders, box_of, dilated, eroded, filled, grown_classes, opened

# The edge between fat and muscle (tissue.py: fat -190 to -30, lean from -29 HU).
FAT_BELOW_HU = -29
LEAN_UP_TO_HU = 150
BONE_FROM_HU = 200  # our convention: the blurred rim of cortical bone is brighter than any muscle

MUSCLES = tuple(CLASS_INDEX[name] for name in ("extensor", "flexor", "adductor", "sartorius", "other_muscle"))
_BONES = tuple(CLASS_INDEX[name] for name in ("femur", "other_bone"))
_FATS = tuple(CLASS_INDEX[name] for name in ("intermuscular", "subcutaneous"))
_CLEANED = (*MUSCLES, CLASS_INDEX["femur"])
_IS_MUSCLE = np.isin(np.arange(256), MUSCLES)  # by class: a table is a fifth of the time of np.isin
_IS_BONE = np.isin(np.arange(256), _BONES)
_IS_FAT = np.isin(np.arange(256), _FATS)

_CRUMB_CM3 = 0.5  # smaller pieces of a class in one leg go ...
_CRUMB_SHARE = 0.1  # ... when they are also less than this share of its largest piece
_THREAD_RADIUS_MM = 3.0  # beside the largest piece: what is thinner is a vein in the fat or skin on skin
_PEEL_MM = 3.0  # how deep fat is taken off the edge of a muscle; fat further in is inside the muscle
_GROW_MM = 1.0  # how far an edge is moved out over lean tissue (2 mm scored lower on real slices)
_VESSEL_RADIUS_MM = 1.5  # lean tissue outside the muscles that holds such a disk is a vessel, a nerve or a node
_SKIN_MM = 2.5
_BONE_RIM_MM = 3.0
_HOLE_MM2 = 15.0
_LEGS = (1, 2)  # numbers of `legs.find_legs`

_ALL_NEIGHBOURS = np.ones((3, 3, 3), dtype=bool)


def refine(
    classes: NDArray[np.uint8],
    attenuation_hu: NDArray[Any],
    legs: NDArray[np.uint8],
    *,
    body: NDArray[np.bool_],
    spacing_mm: tuple[float, float, float],
) -> NDArray[np.uint8]:
    """Clean classes: crumbs go to what surrounds them, edges of muscles lie on the visible edge.

    legs: numbers of `legs.find_legs`; no class grows from one leg into another.
    """
    refined = remove_crumbs(classes, legs, spacing_mm=spacing_mm)
    for index in range(len(refined)):
        if not _IS_MUSCLE[refined[index]].any():
            continue
        refined[index] = _refine_slice(refined[index], attenuation_hu[index], legs[index], body[index], spacing_mm[1:])
    return refined


def remove_crumbs(
    classes: NDArray[np.uint8], legs: NDArray[np.uint8], *, spacing_mm: tuple[float, float, float]
) -> NDArray[np.uint8]:
    """Small or thread-like pieces of a muscle group or of the femur, judged in 3-D and by leg, take the class around.

    A thread is a piece whose largest disk, in the middle one of its slices, is under `_THREAD_RADIUS_MM`.
    """
    voxel_cm3 = float(np.prod(spacing_mm)) / 1000
    crumbs = np.zeros(classes.shape, dtype=bool)
    for number in _LEGS:
        leg = legs == number
        box = box_of(leg)
        if box is None:
            continue
        own = np.where(leg[box], classes[box], 0)
        for value in _CLEANED:
            part = box_of(own == value, margin=1)  # the edge of the box is no edge of the image
            if part is None:
                continue
            pieces, n_pieces = ndimage.label(own[part] == value, structure=_ALL_NEIGHBOURS)
            if n_pieces < 2:
                continue
            sizes_cm3 = np.bincount(pieces.ravel()) * voxel_cm3
            sizes_cm3[0] = 0
            small = (sizes_cm3 < _CRUMB_CM3) & (sizes_cm3 < _CRUMB_SHARE * sizes_cm3.max())
            largest = int(sizes_cm3.argmax())
            small |= _radius_mm(pieces, n_pieces, spacing_mm[1:], largest=largest) < _THREAD_RADIUS_MM
            small[[0, largest]] = False
            if small.any():
                crumbs[box][part] |= small[pieces]
    cleaned = classes.copy()
    for index in np.flatnonzero(crumbs.any(axis=(1, 2))):
        around = box_of(crumbs[index], margin=1)
        cleaned[index][around] = _of_nearest(classes[index][around], ~crumbs[index][around])
    return cleaned


def _radius_mm(
    pieces: NDArray[Any], n_pieces: int, spacing_mm: tuple[float, float], *, largest: int
) -> NDArray[np.float64]:
    """(n_pieces + 1,) radius of the largest disk in each piece's slices: the median over the slices it lies in.

    The largest piece, which is never a thread, is not measured: its distances would take most of the time.
    """
    radius_mm = np.full(n_pieces + 1, np.inf)
    for number, box in enumerate(ndimage.find_objects(pieces), start=1):
        if number == largest:
            continue
        # One voxel more on each side: no other piece lies there, and the edge of the image is no edge of a piece.
        rows, columns = (slice(max(0, part.start - 1), part.stop + 1) for part in box[1:])
        planes = pieces[box[0], rows, columns] == number
        by_slice = [ndimage.distance_transform_edt(plane, sampling=spacing_mm).max() for plane in planes if plane.any()]
        radius_mm[number] = float(np.median(by_slice))
    return radius_mm


def _refine_slice(
    classes: NDArray[np.uint8],
    attenuation_hu: NDArray[Any],
    legs: NDArray[np.uint8],
    body: NDArray[np.bool_],
    spacing_mm: tuple[float, float],
) -> NDArray[np.uint8]:
    """One slice, each leg by itself: bone rim, fat peeled off, lean rim taken in, small holes filled, fascia."""
    refined = classes.copy()
    for number in _LEGS:
        leg = legs == number
        box = box_of(leg, margin=4)
        if box is None:
            continue
        this = leg[box]
        own, hu = np.where(this, refined[box], 0).astype(np.uint8), attenuation_hu[box]
        if not own.any():
            continue
        own = _claim_bone_rim(own, hu, spacing_mm)
        own = _peel_fat(own, hu, spacing_mm)
        own = _take_in_lean_rim(own, hu, body[box] & this, spacing_mm)
        own = _fill_small_holes(own, spacing_mm)
        own = split_fat_at_fascia(own, hu < FAT_BELOW_HU, spacing_mm=spacing_mm)
        np.copyto(refined[box], own, where=this)
    return refined


def _claim_bone_rim(
    classes: NDArray[np.uint8], attenuation_hu: NDArray[Any], spacing_mm: tuple[float, float]
) -> NDArray[np.uint8]:
    """Muscle voxels as bright as bone beside the femur are its cortex."""
    femur = classes == CLASS_INDEX["femur"]
    if not femur.any():
        return classes
    bright = _IS_MUSCLE[classes] & (attenuation_hu >= BONE_FROM_HU)
    if not bright.any():
        return classes
    steps = max(1, round(_BONE_RIM_MM / min(spacing_mm)))
    cortex = dilated(femur, steps=steps, within=bright)
    return np.where(cortex, CLASS_INDEX["femur"], classes).astype(np.uint8)


def _peel_fat(
    classes: NDArray[np.uint8], attenuation_hu: NDArray[Any], spacing_mm: tuple[float, float]
) -> NDArray[np.uint8]:
    """Fat at the edge of a muscle group, or between two groups, is fat between muscles; fat further in stays."""
    fat = attenuation_hu < FAT_BELOW_HU
    candidates = _IS_MUSCLE[classes] & fat
    if not candidates.any():
        return classes
    peeled = classes.copy()
    steps = max(1, round(_PEEL_MM / min(spacing_mm)))
    unknown = np.uint8(len(CLASSES))
    for _ in range(steps):
        front = at_borders(peeled) & candidates & (peeled != unknown)
        if not front.any():
            break
        peeled[front] = unknown
    gone = peeled == unknown
    if gone.any():
        known = _IS_FAT[classes]
        peeled[gone] = _of_nearest(classes, known)[gone] if known.any() else CLASS_INDEX["intermuscular"]
    return peeled


def _take_in_lean_rim(
    classes: NDArray[np.uint8],
    attenuation_hu: NDArray[Any],
    inside: NDArray[np.bool_],
    spacing_mm: tuple[float, float],
) -> NDArray[np.uint8]:
    """Thin lean tissue along the edge of a muscle belongs to it; vessels, nerves and skin do not."""
    lean = (attenuation_hu >= FAT_BELOW_HU) & (attenuation_hu <= LEAN_UP_TO_HU)
    muscle = _IS_MUSCLE[classes]
    free = lean & inside & ~muscle & ~_IS_BONE[classes]
    if not free.any():
        return classes
    thick = opened(free, _disk(_VESSEL_RADIUS_MM, spacing_mm))
    skin = inside & ~eroded(inside, steps=max(1, round(_SKIN_MM / min(spacing_mm))))
    free &= ~thick & ~skin
    return grown_classes(classes, muscle, into=free, steps=max(1, round(_GROW_MM / min(spacing_mm))))


def _fill_small_holes(classes: NDArray[np.uint8], spacing_mm: tuple[float, float]) -> NDArray[np.uint8]:
    """Holes of a few voxels within one muscle group are filled; larger ones are fat or vessels between muscles."""
    largest = _HOLE_MM2 / (spacing_mm[0] * spacing_mm[1])
    closed = classes.copy()
    for value in MUSCLES:
        mask = classes == value
        box = box_of(mask)  # its holes lie in its own box
        if box is None:
            continue
        group = mask[box]
        holes = filled(group) & ~group & ~_IS_BONE[classes[box]]
        if not holes.any():
            continue
        pieces, _ = ndimage.label(holes)
        small = np.bincount(pieces.ravel()) <= largest
        small[0] = False
        closed[box][small[pieces]] = value
    return closed


def _of_nearest(classes: NDArray[np.uint8], sources: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Class of the nearest source pixel, for each pixel."""
    rows, columns = ndimage.distance_transform_edt(~sources, return_distances=False, return_indices=True)
    return np.asarray(classes[rows, columns], dtype=np.uint8)


def _disk(radius_mm: float, spacing_mm: tuple[float, float]) -> NDArray[np.bool_]:
    reach = [max(1, round(radius_mm / step)) for step in spacing_mm]
    y, x = np.ogrid[-reach[0] : reach[0] + 1, -reach[1] : reach[1] + 1]
    return np.asarray((y / (reach[0] + 0.3)) ** 2 + (x / (reach[1] + 0.3)) ** 2 <= 1)
