"""Which voxels belong to which leg: every voxel of a leg gets one number, whatever the legs touch.

Legs are told apart by their cores (thigh muscles, femur, and the fat between them), on a grid of about 3 mm. The
rest of the body then goes to the leg that is nearest through the body, not through the air. What was taken for muscle
but lies bare under the skin (scrotum, penis, hands) is of no leg.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from thighseg_core.bare import bare_pieces
from thighseg_core.body import BODY_HU
from thighseg_core.labels import CLASS_INDEX, CLASSES
from thighseg_core.other_leg import FAT_HU, beyond_air, beyond_middle, beyond_skin

_COARSE_MM = 3.0
_MUSCLE = [CLASS_INDEX[name] for name in ("extensor", "flexor", "adductor", "sartorius")]
_MUSCLE_AND_FEMUR = [*_MUSCLE, CLASS_INDEX["femur"]]
_CORE = [*_MUSCLE_AND_FEMUR, CLASS_INDEX["intermuscular"]]
_OWNER_SHARE = 0.98  # of the muscle and femur of a piece that air surrounds: the whole piece is of that leg
_BRIDGE_MM = 6.0  # contact between two cores up to twice this thickness is cut
_SMALLEST_CORE_CM3 = 2.0  # a smaller core is no second leg
_SMALLEST_FEMUR_CM2 = 1.0  # on one slice
_FEMUR_GAP_MM = 60.0  # two femurs are further apart; a patella or a fibula is nearer to its own
_PAIRS_SHARE = 0.2  # two shafts on so many of the slices make two legs
_LOWEST_MM = 40.0  # without any: two predicted femurs on most of the lowest slices that show one; higher up
_LOWEST_SHARE = 0.6  # a hip bone may have been taken for a second femur

_CROSS = ndimage.generate_binary_structure(2, 1)[None]
_ALL_NEIGHBOURS = np.ones((3, 3, 3), dtype=bool)
_LEGS = (1, 2)
_SLIVER_SHARE = 0.01  # of the other leg's muscle: less, and no femur, is no leg worth painting
_NO_LEG = 3  # what is bare: keeps the legs out, takes its own skin, has no number in the end


@dataclass(frozen=True)
class Legs:
    """numbers: (K, J, I) uint8, 0 no leg, 1 and 2 the legs in the order of columns (1 more to the patient's right).

    count: how many legs were found, 0 to 2.
    """

    numbers: NDArray[np.uint8]
    count: int


def find_legs(
    classes: NDArray[np.uint8],
    body: NDArray[np.bool_],
    *,
    spacing_mm: tuple[float, float, float],
    femur_pairs: Mapping[int, tuple[float, float]] | None = None,
    crotch: int | None = None,
    pelvis: int | None = None,
    attenuation_hu: NDArray[Any] | None = None,
) -> Legs:
    """Split a canonical stack into at most two legs by what was predicted and where the body is.

    femur_pairs: slices on which two femurs were seen (`thigh.find_thigh`) -> their columns. crotch: the last slice
    on which legs are surely apart; above it they are joined by the pelvis and tell nothing. pelvis: the first slice
    that shows it. attenuation_hu: shows the clefts between legs and genitals that `body` closes, and skin in fat.
    """
    stride = tuple(max(1, round(_COARSE_MM / step)) for step in spacing_mm)
    view = tuple(slice(step // 2, None, step) for step in stride)
    # The last block may be shorter than half a stride: then it has no sample of its own and its neighbour serves.
    coarse_mm = (spacing_mm[0] * stride[0], spacing_mm[1] * stride[1], spacing_mm[2] * stride[2])
    pairs = {index // stride[0]: columns for index, columns in (femur_pairs or {}).items()}
    pairs = {index: (first / stride[2], second / stride[2]) for index, (first, second) in pairs.items()}
    n_apart = classes.shape[0] if crotch is None else crotch // stride[0] + 1
    tissue, fat = body[view[0]], None
    if attenuation_hu is not None:
        hu = attenuation_hu[view[0]]
        tissue = tissue & (hu > BODY_HU)
        mean_hu = ndimage.uniform_filter(np.where(tissue, hu, 0).astype(np.float32), (1, *stride[1:]))
        fat = (tissue & (mean_hu < FAT_HU))[:, view[1], view[2]]
        fat &= ~ndimage.binary_dilation(~tissue[:, view[1], view[2]], structure=_CROSS)  # skin mixed with air
    bare = _bare(classes[view[0]], tissue, (coarse_mm[0], *spacing_mm[1:]))
    n_joined = max(n_apart, len(bare) if pelvis is None else pelvis // stride[0])
    seen = _Seen(classes[view], body[view], bare[:, view[1], view[2]], fat, coarse_mm, pairs, n_apart, n_joined)
    numbers = _coarse_legs(seen)
    by_skin = np.zeros(len(bare), dtype=bool)  # slices on which the other leg is skin on skin with the first
    if attenuation_hu is not None and (numbers == 1).any() and not (numbers == 2).any():
        low = slice(view[0].start, n_apart * stride[0], stride[0])
        muscle = np.isin(classes[low], _CORE)
        fat_beyond = beyond_skin(muscle, attenuation_hu[low], body[low], spacing_mm=(coarse_mm[0], *spacing_mm[1:]))
        if fat_beyond.any():
            numbers = _coarse_legs(seen, other=fat_beyond[:, view[1], view[2]])
            by_skin[: len(fat_beyond)] = fat_beyond.any(axis=(1, 2))
    numbers = _fill_edges(_refined(numbers, stride, classes.shape), body)
    numbers[_refined(bare, stride[:1], classes.shape[:1])] = _NO_LEG
    if numbers.max() > 1:
        parted = body & ~_refined(by_skin, stride[:1], classes.shape[:1])[:, None, None]
        _unite_by_air(numbers, np.isin(classes, _MUSCLE_AND_FEMUR), parted)
    numbers[numbers == _NO_LEG] = 0
    return Legs(numbers=numbers, count=int(numbers.max()))


def without_sliver(classes: NDArray[np.uint8], legs: Legs) -> NDArray[np.uint8]:
    """The classes with the thigh muscles of a second leg turned into other muscle where next to nothing of it is in
    the picture, and no femur: what looks like so little of a leg is as often the groin or the perineum."""
    if legs.count < 2:
        return classes
    held = np.zeros((len(_LEGS), len(CLASSES)), dtype=int)
    for row, leg in zip(held, _LEGS, strict=True):
        row[:] = np.bincount(classes[legs.numbers == leg], minlength=len(CLASSES))
    muscle, femur = held[:, _MUSCLE].sum(axis=1), held[:, CLASS_INDEX["femur"]]
    lesser = int(muscle.argmin())
    if femur[lesser] or muscle[lesser] >= _SLIVER_SHARE * muscle[1 - lesser]:
        return classes
    sliver = (legs.numbers == _LEGS[lesser]) & np.isin(classes, _MUSCLE)
    return np.where(sliver, CLASS_INDEX["other_muscle"], classes).astype(np.uint8)


def _bare(
    classes: NDArray[np.uint8], body: NDArray[np.bool_], spacing_mm: tuple[float, float, float]
) -> NDArray[np.bool_]:
    muscle = np.isin(classes, _MUSCLE_AND_FEMUR) & body
    return bare_pieces(muscle, (classes == CLASS_INDEX["femur"]) & body, body, spacing_mm=spacing_mm)


def _refined(coarse: NDArray[Any], stride: tuple[int, ...], shape: tuple[int, ...]) -> NDArray[Any]:
    """Every voxel of a block gets what the block has."""
    for axis, step in enumerate(stride):
        coarse = coarse.take(np.minimum(np.arange(shape[axis]) // step, coarse.shape[axis] - 1), axis=axis)
    return coarse


@dataclass(frozen=True)
class _Seen:
    """What tells legs apart, on the coarse grid. Below slice `n_apart` air or skin parts them, from `n_joined` on the
    pelvis joins them."""

    classes: NDArray[np.uint8]
    body: NDArray[np.bool_]
    bare: NDArray[np.bool_]
    fat: NDArray[np.bool_] | None
    spacing_mm: tuple[float, float, float]
    femur_pairs: Mapping[int, tuple[float, float]]
    n_apart: int
    n_joined: int


def _coarse_legs(seen: _Seen, *, other: NDArray[np.bool_] | None = None) -> NDArray[np.uint8]:
    """Numbers on the coarse grid. other: what is known of a second leg, on the lower slices."""
    body, bare, fat, spacing_mm = seen.body, seen.bare, seen.fat, seen.spacing_mm
    core = np.isin(seen.classes, _CORE) & body
    femur = (seen.classes == CLASS_INDEX["femur"]) & body
    inner, under_skin = (_depth_mm(mask, spacing_mm) > _BRIDGE_MM for mask in (core, body))
    n_with_femur = int(femur.any(axis=(1, 2)).sum())
    enough = len(seen.femur_pairs) > _PAIRS_SHARE * n_with_femur
    pairs = seen.femur_pairs if enough else _predicted_pairs(femur, spacing_mm)
    if pairs:
        numbers = _femur_seeds(femur, pairs)
    else:
        numbers = np.zeros(core.shape, dtype=np.uint8)
        low, between = np.s_[: seen.n_apart], np.s_[seen.n_apart : seen.n_joined]
        numbers[low] = _core_seeds(core[low], (inner & core)[low], femur[low], body[low], bare[low], spacing_mm)
        if other is not None:
            numbers[low][other] = 2
        numbers[between][beyond_middle(numbers[low], (core & ~bare)[between], slice_mm=spacing_mm[0])] = 2
    numbers[bare] = _NO_LEG
    # Each leg takes what lies well under its own skin before the rest: where skins touch, none grows into the other.
    for domain in (inner | femur, core):
        numbers = _spread(numbers, domain | (numbers > 0), _LEGS)
    if fat is not None:  # skin on skin is a line between the fat of one leg and that of the other
        numbers = _spread(numbers, core | fat, _LEGS, in_plane=True)
    numbers = _spread(numbers, core | under_skin, _LEGS)
    numbers = _spread(numbers, body | (numbers > 0), (*_LEGS, _NO_LEG))
    return _in_order_of_columns(numbers)


def _depth_mm(mask: NDArray[np.bool_], spacing_mm: tuple[float, float, float]) -> NDArray[np.float64]:
    """Distance to the edge of the mask within each slice."""
    return np.stack([ndimage.distance_transform_edt(_padded(p), sampling=spacing_mm[1:])[1:-1, 1:-1] for p in mask])


def _padded(plane: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """With a rim of tissue: the edge of the image is no edge of a leg."""
    return np.pad(plane, 1, mode="edge")


def _femur_seeds(femur: NDArray[np.bool_], pairs: Mapping[int, tuple[float, float]]) -> NDArray[np.uint8]:
    """Femurs numbered by the side of the middle on which they lie; between slices with a pair it is interpolated."""
    known = sorted(pairs)
    middles = np.interp(np.arange(len(femur)), known, [sum(pairs[index]) / 2 for index in known])
    first = np.arange(femur.shape[2])[None, None, :] < middles[:, None, None]
    return np.where(femur, np.where(first, 1, 2), 0).astype(np.uint8)


def _predicted_pairs(
    femur: NDArray[np.bool_], spacing_mm: tuple[float, float, float]
) -> dict[int, tuple[float, float]]:
    """Columns of two predicted femurs by slice; none unless they are there on most of the lowest slices with one."""
    pixel_cm2 = spacing_mm[1] * spacing_mm[2] / 100
    pairs: dict[int, tuple[float, float]] = {}
    seen: list[int] = []
    for index, plane in enumerate(femur):
        pieces, n_pieces = ndimage.label(plane, structure=np.ones((3, 3)))
        sizes = np.bincount(pieces.ravel())
        columns = [
            float(np.nonzero(pieces == piece)[1].mean())
            for piece in range(1, n_pieces + 1)
            if sizes[piece] * pixel_cm2 >= _SMALLEST_FEMUR_CM2
        ]
        if columns:
            seen.append(index)
        if len(columns) > 1 and (max(columns) - min(columns)) * spacing_mm[2] >= _FEMUR_GAP_MM:
            pairs[index] = (min(columns), max(columns))
    lowest = seen[: max(1, round(_LOWEST_MM / spacing_mm[0]))]
    return pairs if seen and sum(index in pairs for index in lowest) >= _LOWEST_SHARE * len(lowest) else {}


def _core_seeds(
    core: NDArray[np.bool_],
    inner: NDArray[np.bool_],
    femur: NDArray[np.bool_],
    body: NDArray[np.bool_],
    bare: NDArray[np.bool_],
    spacing_mm: tuple[float, float, float],
) -> NDArray[np.uint8]:
    """The main leg is 1; a piece of another leg without its femur is 2."""
    core = core & ~bare
    thick = (inner | femur) & core
    pieces, n_pieces = ndimage.label(thick if thick.any() else core, structure=_ALL_NEIGHBOURS)
    if n_pieces == 0:
        return np.zeros(core.shape, dtype=np.uint8)
    sizes = np.bincount(pieces.ravel(), minlength=n_pieces + 1)
    femur_sizes = np.bincount(pieces[femur & core], minlength=n_pieces + 1)
    sizes[0] = femur_sizes[0] = 0
    main = pieces == int(femur_sizes.argmax() if femur_sizes.any() else sizes.argmax())
    smallest = _SMALLEST_CORE_CM3 * 1000 / float(np.prod(spacing_mm))
    body_pieces = np.stack([ndimage.label(plane)[0] for plane in body])
    seeds: NDArray[np.uint8] = main.astype(np.uint8)
    for domain in (thick, core):  # thick pieces first; then what is thin and joined to none of them
        reached = ndimage.binary_propagation(seeds > 0, structure=_ALL_NEIGHBOURS, mask=domain | (seeds > 0))
        pieces, n_pieces = ndimage.label(domain & ~reached, structure=_ALL_NEIGHBOURS)
        sizes = np.bincount(pieces.ravel(), minlength=n_pieces + 1)
        for number in range(1, n_pieces + 1):
            if sizes[number] >= smallest:
                piece = pieces == number
                seeds[piece] = 2 if _is_other_leg(piece, main, body_pieces) else 1
    seeds[beyond_air(main, bare, body_pieces, pixel_cm2=spacing_mm[1] * spacing_mm[2] / 100)] = 2
    return seeds


def _is_other_leg(piece: NDArray[np.bool_], main: NDArray[np.bool_], body_pieces: NDArray[Any]) -> bool:
    """A piece of another leg is apart from the main leg on most slices: by air, or by lying beside it and being cut
    by the edge of the image there (a muscle of the same leg that came off lies inside the picture)."""
    together = np.flatnonzero(piece.any(axis=(1, 2)) & main.any(axis=(1, 2)))
    if together.size == 0:
        return False
    by_air = beside = 0
    for index in together:
        main_bodies = np.unique(body_pieces[index][main[index]])
        by_air += not np.isin(body_pieces[index][piece[index]], main_bodies).any()
        main_columns = np.flatnonzero(main[index].any(axis=0))
        columns = np.flatnonzero(piece[index].any(axis=0))
        cut_right, cut_left = columns[0] == 0, columns[-1] == piece.shape[2] - 1
        beside += bool((cut_right and columns[-1] < main_columns[0]) or (cut_left and columns[0] > main_columns[-1]))
    return bool(max(by_air, beside) > 0.5 * together.size)


def _spread(
    numbers: NDArray[np.uint8], domain: NDArray[np.bool_], growing: tuple[int, ...], *, in_plane: bool = False
) -> NDArray[np.uint8]:
    """Grow the regions of these numbers step by step through `domain` until they meet; a tie goes to the first."""
    padded = np.pad(numbers, 1)
    flat, free = padded.ravel(), np.pad(domain & (numbers == 0), 1).ravel()
    steps = [padded.strides[axis] for axis in ((1, 2) if in_plane else (0, 1, 2))]
    around = np.array([*steps, *(-step for step in steps)])
    fronts = {n: np.flatnonzero(flat == n) for n in growing}
    while any(front.size for front in fronts.values()):
        for n, front in fronts.items():
            reached = (front[:, None] + around).ravel()
            reached = np.unique(reached[free[reached]])
            flat[reached], free[reached] = n, False
            fronts[n] = reached
    return padded[1:-1, 1:-1, 1:-1]


def _in_order_of_columns(numbers: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Leg 1 lies to the patient's right of leg 2: judged on slices that show both, else over all."""
    if not (numbers == 2).any():
        return numbers
    first, second = numbers == 1, numbers == 2
    both = first.any(axis=(1, 2)) & second.any(axis=(1, 2))
    if both.any():
        first, second = first[both], second[both]
    if float(np.nonzero(first)[2].mean()) <= float(np.nonzero(second)[2].mean()):
        return numbers
    return np.asarray(np.array([0, 2, 1, _NO_LEG], dtype=np.uint8)[numbers])


def _fill_edges(numbers: NDArray[np.uint8], body: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Body voxels that the coarse grid missed take the number of the nearest numbered voxel within a few voxels."""
    numbers = np.where(body, numbers, 0).astype(np.uint8)
    for _ in range(4):
        missing = body & (numbers == 0)
        if not missing.any():
            break
        largest = numbers.copy()
        for axis in (1, 2):
            to, by = largest.swapaxes(0, axis), largest.copy().swapaxes(0, axis)
            np.maximum(to[1:], by[:-1], out=to[1:])
            np.maximum(to[:-1], by[1:], out=to[:-1])
        numbers[missing] = largest[missing]
    return numbers


def _unite_by_air(numbers: NDArray[np.uint8], core: NDArray[np.bool_], body: NDArray[np.bool_]) -> None:
    """Pieces of a slice that air surrounds and whose muscle is of one leg go to it whole, in place: where legs touch on
    another slice, the number of one could creep along the skin of the other."""
    for number, muscle, inside in zip(numbers, core, body, strict=True):
        present = [n for n in (*_LEGS, _NO_LEG) if (number == n).any()]
        if len(present) < 2:
            continue
        pieces, n_pieces = ndimage.label(inside)
        held = {n: np.bincount(pieces[muscle & (number == n)], minlength=n_pieces + 1) for n in present}
        total = np.sum(list(held.values()), axis=0)
        for n, own in held.items():
            owned = (total > 0) & (own >= _OWNER_SHARE * total)
            owned[0] = False
            number[owned[pieces]] = n
