"""Where the body is in a canonical stack: air, table and pads left out."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from thighseg_core.planes import dilated, eroded, filled, opened

BODY_HU = -300  # our convention: between fat (-190) and air (-1000)
_COARSE_MM = 3.0  # the body is found on pixels of about this size
_THIN_MM = 9.0  # what is thinner (table tops, sheets, lines) is not body
_SMALLEST_CM3 = 5.0  # smaller pieces are no limb
_MARGIN_MM = 12.0  # air kept around the body, so that a network sees the skin

Box = tuple[slice, slice]


def body_mask(attenuation_hu: NDArray[Any], spacing_mm: tuple[float, float, float]) -> NDArray[np.bool_]:
    """(K, J, I) True in the body and in the air it encloses on a slice; edges follow the attenuation.

    Everything thinner than 9 mm is left out, the table top above all; so is anything smaller than 5 cm3.
    """
    strides = tuple(max(1, int(_COARSE_MM / step)) for step in spacing_mm[1:])
    tissue = np.stack([_block_mean(plane, (strides[0], strides[1])) > BODY_HU for plane in attenuation_hu])
    coarse_mm = (spacing_mm[1] * strides[0], spacing_mm[2] * strides[1])
    disk = _disk(_THIN_MM / 2, coarse_mm)
    core = np.stack([opened(plane, disk) for plane in tissue])
    pieces, n_pieces = ndimage.label(core, structure=np.ones((3, 3, 3)))
    if n_pieces == 0:
        return np.zeros(attenuation_hu.shape, dtype=bool)
    voxel_cm3 = spacing_mm[0] * coarse_mm[0] * coarse_mm[1] / 1000
    sizes_cm3 = np.bincount(pieces.ravel()) * voxel_cm3
    keep = sizes_cm3 >= min(_SMALLEST_CM3, sizes_cm3[1:].max())
    keep[0] = False
    core = keep[pieces]
    near = ndimage.binary_dilation(core, structure=disk[None]) & (tissue | core)
    rows, columns = attenuation_hu.shape[1:]
    mask = np.empty(attenuation_hu.shape, dtype=bool)
    for index, plane in enumerate(near):
        whole = filled(plane)
        grown = dilated(whole).repeat(strides[0], 0).repeat(strides[1], 1)[:rows, :columns]
        inner = whole.repeat(strides[0], 0).repeat(strides[1], 1)[:rows, :columns]
        inner = eroded(inner, steps=max(strides) + 1)
        mask[index] = inner | (grown & (attenuation_hu[index] > BODY_HU))
    return mask


def body_box(mask: NDArray[np.bool_], spacing_mm: tuple[float, float, float]) -> Box | None:
    """The rows and columns that hold the body on any slice, with a margin; None when there is no body."""
    rows = np.flatnonzero(mask.any(axis=(0, 2)))
    columns = np.flatnonzero(mask.any(axis=(0, 1)))
    if rows.size == 0:
        return None
    row_margin, column_margin = (round(_MARGIN_MM / step) for step in spacing_mm[1:])
    return (
        slice(max(0, int(rows[0]) - row_margin), int(rows[-1]) + 1 + row_margin),
        slice(max(0, int(columns[0]) - column_margin), int(columns[-1]) + 1 + column_margin),
    )


def _block_mean(plane: NDArray[Any], strides: tuple[int, int]) -> NDArray[np.float32]:
    """Mean over blocks of pixels; the last block of a row or column repeats the edge."""
    pad = [(0, -n % step) for n, step in zip(plane.shape, strides, strict=True)]
    padded = np.pad(np.maximum(plane, -1024).astype(np.float32), pad, mode="edge")
    total = sum(padded[i :: strides[0], j :: strides[1]] for i in range(strides[0]) for j in range(strides[1]))
    return np.asarray(total / np.float32(strides[0] * strides[1]), dtype=np.float32)


def _disk(radius_mm: float, spacing_mm: tuple[float, float]) -> NDArray[np.bool_]:
    """A disk as structuring element, at least one pixel in each direction."""
    reach = [max(1, round(radius_mm / step)) for step in spacing_mm]
    y, x = np.ogrid[-reach[0] : reach[0] + 1, -reach[1] : reach[1] + 1]
    return np.asarray((y / (reach[0] + 0.2)) ** 2 + (x / (reach[1] + 0.2)) ** 2 <= 1)
