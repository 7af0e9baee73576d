"""The other leg where little of it is in the picture: a sliver beyond air, fat beyond skin, muscle beyond the middle.

Scans cut to one leg often show an edge of the other, whose tissue must not get the first leg's side. Everything here
works on canonical stacks (K, J, I) in which the first leg is known.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from thighseg_core.body import BODY_HU
from thighseg_core.planes import dilated

FAT_HU = -70  # our convention, of the mean over a few pixels: half fat, half skin or air is brighter
_SMALLEST_SLIVER_CM2 = 1.0  # on one slice
_MEAN_MM = 3.0
_SKIN_MM = 3.0  # under air; there skin is mixed with air and looks like fat
_NEAR_MUSCLE_MM = 5.0  # fat this close to the muscles of a leg is that leg's
_SMALLEST_FAT_CM3, _SHORTEST_MM = 10.0, 30.0
_NEAREST_MM = 50.0  # of slices that show both legs, the uppermost so many tell where the middle is


def beyond_air(
    main: NDArray[np.bool_], bare: NDArray[np.bool_], body_pieces: NDArray[Any], *, pixel_cm2: float
) -> NDArray[np.bool_]:
    """Parts of the body (numbered by slice) that air parts from the `main` leg and the right or left edge of the image
    cuts: of the other leg often only skin and fat are in the picture."""
    found = np.zeros(main.shape, dtype=bool)
    for index, pieces in enumerate(body_pieces):
        if main[index].any():
            sizes_cm2 = np.bincount(pieces.ravel()) * pixel_cm2
            candidates = set(np.unique(pieces[:, [0, -1]])) - set(np.unique(pieces[main[index] | bare[index]])) - {0}
            found[index] = np.isin(
                pieces, [number for number in candidates if sizes_cm2[number] >= _SMALLEST_SLIVER_CM2]
            )
    return found


def beyond_skin(
    muscle: NDArray[np.bool_],
    attenuation_hu: NDArray[Any],
    body: NDArray[np.bool_],
    *,
    spacing_mm: tuple[float, float, float],
) -> NDArray[np.bool_]:
    """Fat that the right or left edge of the image cuts and that a line of skin parts from the leg whose muscle is the
    largest piece of each slice: the other leg's, pressed against the first one."""
    found = np.zeros(muscle.shape, dtype=bool)
    if not (body[:, :, 0].any() or body[:, :, -1].any()):
        return found
    pixel_mm = min(spacing_mm[1:])
    near, rim = round(_NEAR_MUSCLE_MM / pixel_mm), max(1, round(_SKIN_MM / pixel_mm))
    window = tuple(max(1, round(_MEAN_MM / step)) for step in spacing_mm[1:])
    for index, inside in enumerate(body):
        if not (inside[:, [0, -1]].any() and muscle[index].any()):
            continue
        tissue = inside & (attenuation_hu[index] > BODY_HU)
        mean_hu = ndimage.uniform_filter(np.where(tissue, attenuation_hu[index], 0).astype(np.float32), window)
        fat, n_fat = ndimage.label((mean_hu < FAT_HU) & tissue & ~dilated(~tissue, steps=rim))
        cut = np.zeros(n_fat + 1, dtype=bool)
        cut[fat[:, [0, -1]]] = True
        cut[0] = False
        if cut.any():
            pieces, _ = ndimage.label(muscle[index])
            leg = pieces == np.bincount(pieces.ravel())[1:].argmax() + 1
            cut[fat[dilated(leg, steps=near)]] = False
            found[index] = cut[fat]
    if not found.any():
        return found
    pieces, n_pieces = ndimage.label(found)
    enough = (
        np.bincount(pieces.ravel(), minlength=n_pieces + 1) * float(np.prod(spacing_mm)) / 1000 >= _SMALLEST_FAT_CM3
    )
    enough[0] = False
    for number, box in enumerate(ndimage.find_objects(pieces), start=1):
        enough[number] &= (box[0].stop - box[0].start) * spacing_mm[0] >= _SHORTEST_MM
    return np.asarray(enough[pieces])


def beyond_middle(seeds: NDArray[np.uint8], core: NDArray[np.bool_], *, slice_mm: float) -> NDArray[np.bool_]:
    """Pieces of `core`, the slices above those of `seeds`, that lie wholly on the other leg's side.

    seeds: 1 the first leg, 2 the other, on slices where they are apart; the middle between them is carried upwards.
    """
    found = np.zeros(core.shape, dtype=bool)
    both = np.flatnonzero((seeds == 1).any(axis=(1, 2)) & (seeds == 2).any(axis=(1, 2)))
    both = both[len(seeds) - both <= _NEAREST_MM / slice_mm]
    if both.size == 0 or not core.any():
        return found
    first, other = ([np.flatnonzero((seeds[k] == n).any(axis=0)) for k in both] for n in (1, 2))
    towards_more = np.mean([columns.mean() for columns in other]) > np.mean([columns.mean() for columns in first])
    last, start = (-1, 0) if towards_more else (0, -1)
    middle = float(np.median([(a[last] + b[start]) / 2 for a, b in zip(first, other, strict=True)]))
    pieces, _ = ndimage.label(core, structure=np.ones((3, 3, 3)))
    for number, box in enumerate(ndimage.find_objects(pieces), start=1):
        if box[2].start > middle if towards_more else box[2].stop - 1 < middle:
            found[box] |= pieces[box] == number
    return found
