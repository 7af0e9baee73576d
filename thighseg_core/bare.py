"""Lean tissue that lies bare: right under the skin, without the fat that covers the muscles of every leg.

Scrotum, penis and hands look like muscle in CT. A thigh's muscle has skin and fat over it, even in lean people.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from thighseg_core.planes import dilated, near

_FACING_MM = 12.0  # the stretch of skin that a piece lies under
_BARE_MM = 4.0  # skin is 1 to 2 mm thick; with the thinnest fat over muscle it is more than this
_BARE_SHARE = 0.5  # of that stretch
_BRIDGES_MM = (0.0, 6.0, 10.0)  # contact with a muscle up to twice this thickness is cut
_SMALLEST_CM2 = 0.5  # smaller pieces of a slice say nothing
_SMALLEST_CM3 = 1.0  # that air parts from the legs
_GOES_ON_MM = 30.0  # above its last slice, where it joins the perineum: within its own outline
_LEG_SHARE = 1 / 3  # of the muscle of the fullest part of a slice: other parts with less may be no leg

_ALL_NEIGHBOURS = np.ones((3, 3, 3), dtype=bool)


def bare_pieces(
    muscle: NDArray[np.bool_],
    femur: NDArray[np.bool_],
    body: NDArray[np.bool_],
    *,
    spacing_mm: tuple[float, float, float],
) -> NDArray[np.bool_]:
    """What was taken for muscle in a canonical stack (K, J, I) but lies bare, and hangs together with a piece that air
    parts from every leg on some slices: so no muscle of a leg is ever taken away, however lean the leg."""
    apart = np.stack([_apart(*planes) for planes in zip(muscle, femur, body, strict=True)])
    voxel_cm3 = float(np.prod(spacing_mm)) / 1000
    found = np.zeros(muscle.shape, dtype=bool)
    if apart.sum() * voxel_cm3 < _SMALLEST_CM3:
        return found
    in_plane_mm = spacing_mm[1:]
    smallest = _SMALLEST_CM2 * 100 / (spacing_mm[1] * spacing_mm[2])
    for index, plane in enumerate(muscle):
        for rim_mm in _BRIDGES_MM:
            pieces, n_pieces = ndimage.label(~near(~plane, rim_mm, in_plane_mm))
            sizes = np.bincount(pieces.ravel(), minlength=n_pieces + 1)
            sizes[0] = 0
            no_piece = {0, int(sizes.argmax()), *np.unique(pieces[femur[index]]).tolist()}
            for number in set(np.flatnonzero(sizes >= smallest).tolist()) - no_piece:
                piece = pieces == number
                if rim_mm:
                    piece = plane & near(piece, 1.2 * rim_mm, in_plane_mm)
                if _is_bare(piece, body[index], in_plane_mm):
                    found[index] |= piece
    pieces, n_pieces = ndimage.label(found, structure=_ALL_NEIGHBOURS)
    proven = np.bincount(pieces[apart & found], minlength=n_pieces + 1) * voxel_cm3 >= _SMALLEST_CM3
    proven[0] = False
    return _goes_on(proven[pieces], muscle, slices=int(_GOES_ON_MM / spacing_mm[0]))


def _goes_on(found: NDArray[np.bool_], muscle: NDArray[np.bool_], *, slices: int) -> NDArray[np.bool_]:
    """With the same columns of so many slices above, as far as they are muscle there."""
    grown = found.copy()
    left = np.zeros(found.shape[1:], dtype=int)  # how many slices further each column may go on
    for index, plane in enumerate(muscle):
        left = np.where(found[index], slices + 1, np.where(plane, left - 1, 0))
        grown[index] = left > 0
    return grown & muscle


def _apart(muscle: NDArray[np.bool_], femur: NDArray[np.bool_], body: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Muscle of the parts of a slice that air parts from the legs: they hold no femur and little muscle."""
    parts, n_parts = ndimage.label(body)
    held = np.bincount(parts[muscle], minlength=n_parts + 1)
    held[0] = 0
    leg = held > _LEG_SHARE * held.max()
    leg[np.unique(parts[femur])] = True
    return np.asarray(muscle & ~leg[parts])


def _is_bare(piece: NDArray[np.bool_], body: NDArray[np.bool_], spacing_mm: tuple[float, float]) -> bool:
    """Whether a piece of a slice lies bare along most of the skin over it. Only skin of the part of the body that
    holds it counts; the edge of the image is no skin."""
    rows, columns = ndimage.find_objects(piece.astype(np.uint8))[0]
    margin = [int(_FACING_MM / step) + 2 for step in spacing_mm]
    box = tuple(slice(max(0, at.start - by), at.stop + by) for at, by in zip((rows, columns), margin, strict=True))
    own, tissue = piece[box], body[box]
    parts, _ = ndimage.label(tissue)
    holding = np.bincount(parts[own], minlength=int(parts.max()) + 1) > 0
    holding[0] = False
    tissue = holding[parts]
    skin = tissue & dilated(~tissue)
    bare, facing = (int(np.count_nonzero(skin & near(own, far_mm, spacing_mm))) for far_mm in (_BARE_MM, _FACING_MM))
    return bare > _BARE_SHARE * facing
