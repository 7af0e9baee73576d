"""One pass over a labelled scan: how many voxels of which label and attenuation lie on which slice.

Volumes, areas, attenuations and quality flags are all worked out from this count, on the native grid.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from thighseg_core.axial import AxialView, axial_view
from thighseg_core.errors import GeometryMismatchError
from thighseg_core.labels import LABELS, LabelMap
from thighseg_core.noise import noise_hu
from thighseg_core.smoothing import counted_hu, reach_hu
from thighseg_core.tissue import METAL_HU
from thighseg_core.volume import CTVolume

N_LABELS = max(LABELS) + 1
HU_MIN = -(2**15)  # histograms span int16
N_HU = 2**16
_SLAB = 16  # slices counted at a time: bounds the memory
# Our conventions for telling the outside of the reconstruction circle from air
_FEWEST_SLICES = 4  # fewer do not show what is the same on every slice
_AIR_HU = -900
_LEAST_AIR = 0.01  # of the pixels of a slice
_MOST_CLIPPED = 0.8  # of the air inside the circle: more is air without noise
_FEWEST_RIM_PIXELS = 20  # fewer do not show a circle
_ROUND_PX = 0.75  # root mean square distance of the rim's pixels from the circle


@dataclass(frozen=True)
class Counts:
    """Weighted counts over a part of the scan, which may hold parts of slices.

    voxels: (n_slices, N_LABELS). histogram, inner: (N_LABELS, N_HU), as in `Census`.
    """

    voxels: NDArray[np.float64]
    histogram: NDArray[np.float64]
    inner: NDArray[np.float64]


@dataclass(frozen=True)
class Census:
    """Counts of voxels by label; slices in the order of the array along `view.slice_axis`.

    voxels: (n_slices, N_LABELS) voxels of each label on each slice.
    histogram: (N_LABELS, N_HU) voxels of each label at each whole HU from `HU_MIN` (labels above 0 only).
    inner: (N_LABELS, N_HU) the same of voxels whose four neighbours on the slice carry the same label.
    at_border: (n_slices, N_LABELS) whether the label touches the edge of the image or of the reconstruction there.
    never_filled: (rows, columns) of a slice as stored: outside the reconstruction circle on every slice.
    metal: (n_slices,) voxels above `METAL_HU` on each slice, whatever their label.
    noise_hu: the noise in muscle, None where it is not known. reach_hu: what noise beyond the ordinary was taken out
    with before counting (`smoothing.reach_hu`), 0.0 where the image was counted as it is.
    parts: the counts over parts of the scan, by name.
    """

    view: AxialView
    voxel_volume_cm3: float
    voxels: NDArray[np.int64]
    histogram: NDArray[np.int64]
    at_border: NDArray[np.bool_]
    never_filled: NDArray[np.bool_]
    metal: NDArray[np.int64]
    inner: NDArray[np.int64]
    noise_hu: float | None = None
    reach_hu: float = 0.0
    parts: Mapping[str, Counts] = field(default_factory=dict)


def take_census(
    volume: CTVolume,
    label_map: LabelMap,
    *,
    shares: Mapping[str, NDArray[np.float64]] | None = None,
    quiet_hu: float | None = None,
) -> Census:
    """Count a labelled scan. Raises GeometryMismatchError when the two do not lie on one grid.

    shares: parts to count besides: name -> (n_slices, N_LABELS) share of each slice that counts for each label.
    quiet_hu: noise beyond it is taken out before counting; None counts the image as it is.
    """
    refuse_other_grid(volume, label_map)
    view = axial_view(volume.geometry)
    attenuation = view.slices(volume.attenuation_hu)
    labels = view.slices(label_map.labels)
    noise = noise_hu(volume, label_map)
    reach = reach_hu(noise, quiet_hu)
    voxels, histogram, inner, parts = _count(attenuation, labels, shares or {}, reach=reach, pixel_mm=view.pixel_mm)
    never_filled = _never_filled(attenuation)
    return Census(
        view=view,
        voxel_volume_cm3=volume.geometry.voxel_volume_cm3,
        voxels=voxels,
        histogram=histogram,
        at_border=_at_border(labels, never_filled),
        never_filled=never_filled,
        metal=np.array([int((plane > METAL_HU).sum()) for plane in attenuation], dtype=np.int64),
        inner=inner,
        noise_hu=noise,
        reach_hu=reach,
        parts=parts,
    )


def refuse_other_grid(volume: CTVolume, label_map: LabelMap) -> None:
    """Raise GeometryMismatchError unless scan and label map lie on one grid."""
    if not volume.geometry.matches(label_map.geometry):
        raise GeometryMismatchError(
            f"scan and label map must lie on one grid; the scan is {volume.geometry.shape} voxels, the label map "
            f"{label_map.geometry.shape}, or they lie at different places; resample the label map onto the scan"
        )


def _count(
    attenuation: NDArray[np.int16] | NDArray[np.float32],
    labels: NDArray[np.uint8],
    shares: Mapping[str, NDArray[np.float64]],
    *,
    reach: float,
    pixel_mm: tuple[float, float],
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64], dict[str, Counts]]:
    """Voxels by (slice, label), by (label, HU) for labels above 0, the inner ones of these, and the parts."""
    n_slices = labels.shape[0]
    voxels = np.zeros((n_slices, N_LABELS), dtype=np.int64)
    total = np.zeros((2, N_LABELS, N_HU), dtype=np.int64)  # edge voxels, inner voxels
    sums = {name: np.zeros((2, N_LABELS, N_HU)) for name, share in shares.items() if share.any()}
    for start, stop in _alike(n_slices, shares):
        codes = []
        for index in range(start, stop):
            plane = labels[index]
            inside = plane > 0
            values = plane[inside].astype(np.int64)
            voxels[index] = np.bincount(values, minlength=N_LABELS)
            voxels[index, 0] = plane.size - values.size
            hu = counted_hu(attenuation[index], plane, reach_hu=reach, pixel_mm=pixel_mm)[inside].astype(np.int64)
            codes.append((values + N_LABELS * _inner(plane)[inside]) * N_HU + (hu - HU_MIN))
        together = np.concatenate(codes)
        if not together.size:
            continue
        found = np.bincount(together, minlength=total.size).reshape(total.shape)
        total += found
        for name, table in sums.items():
            share = shares[name][start]
            for label in np.flatnonzero(share):
                table[:, label] += share[label] * found[:, label]
    empty = np.zeros((N_LABELS, N_HU))
    parts = {
        name: Counts(
            voxels=voxels * share,
            histogram=sums[name].sum(axis=0) if name in sums else empty,
            inner=sums[name][1] if name in sums else empty,
        )
        for name, share in shares.items()
    }
    return voxels, total.sum(axis=0), total[1], parts


def _alike(n_slices: int, shares: Mapping[str, NDArray[np.float64]]) -> list[tuple[int, int]]:
    """Runs of at most `_SLAB` slices that count alike for every part."""
    changes = np.zeros(n_slices, dtype=bool)
    for share in shares.values():
        changes[1:] |= (share[1:] != share[:-1]).any(axis=1)
    runs, start = [], 0
    for index in range(1, n_slices + 1):
        if index == n_slices or changes[index] or index - start == _SLAB:
            runs.append((start, index))
            start = index
    return runs


def _inner(plane: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Pixels whose four neighbours carry the same label; none at the edge of the image."""
    inner = np.zeros(plane.shape, dtype=bool)
    middle = plane[1:-1, 1:-1]
    inner[1:-1, 1:-1] = (
        (middle == plane[:-2, 1:-1])
        & (middle == plane[2:, 1:-1])
        & (middle == plane[1:-1, :-2])
        & (middle == plane[1:-1, 2:])
    )
    return inner


def _at_border(labels: NDArray[np.uint8], never_filled: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """(n_slices, N_LABELS) whether a label lies on the image edge or beside pixels that were never reconstructed."""
    edge = np.zeros(never_filled.shape, dtype=bool)
    edge[[0, -1], :] = True
    edge[:, [0, -1]] = True
    edge |= ndimage.binary_dilation(never_filled)
    touching = np.zeros((labels.shape[0], N_LABELS), dtype=bool)
    for index, plane in enumerate(labels):
        touching[index, np.unique(plane[edge])] = True
    touching[:, 0] = False
    return touching


def _never_filled(attenuation: NDArray[np.int16] | NDArray[np.float32]) -> NDArray[np.bool_]:
    """(rows, columns) pixels outside the reconstruction circle: from a corner on, one value on every slice.

    Reading turns every padding value into one constant, which is also where scanners cut off the noise of air. So the
    constant is taken for padding only where it ends on a circle and the air inside is noisy; in air that is constant
    throughout (a phantom, a cleaned background) nothing tells the two apart, and no pixel is reported.
    """
    n_slices, n_rows, n_columns = attenuation.shape
    low = attenuation.min(axis=0)
    constant = low == attenuation.max(axis=0)
    nothing = np.zeros((n_rows, n_columns), dtype=bool)
    corners = [(row, column) for row in (0, -1) for column in (0, -1) if constant[row, column]]
    if n_slices < _FEWEST_SLICES or not corners:
        return nothing
    filling = low[corners[0]]
    pieces, _ = ndimage.label(constant & (low == filling))
    region = np.isin(pieces, [pieces[corner] for corner in corners if pieces[corner] > 0])
    air = clipped = 0
    for plane in attenuation[:: max(1, n_slices // _SLAB)]:
        values = plane[~region]
        air += int((values < _AIR_HU).sum())
        clipped += int((values == filling).sum())
    noisy = air > region.size * _LEAST_AIR and clipped < _MOST_CLIPPED * air
    return region if noisy and _lies_outside_a_circle(region) else nothing


def _lies_outside_a_circle(region: NDArray[np.bool_]) -> bool:
    """Whether the pixels at which the region ends lie on one circle, with the region outside it."""
    rim = region & ndimage.binary_dilation(~region)
    rows, columns = np.nonzero(rim)
    if rows.size < _FEWEST_RIM_PIXELS:
        return False
    # x2 + y2 = 2 a x + 2 b y + c by least squares (Kasa 1976)
    x, y = columns - columns.mean(), rows - rows.mean()
    (a, b, c), *_ = np.linalg.lstsq(np.column_stack([2 * x, 2 * y, np.ones_like(x)]), x**2 + y**2, rcond=None)
    radius = np.sqrt(max(c + a**2 + b**2, 0.0))
    off = np.hypot(x - a, y - b) - radius
    row, column = np.indices(region.shape)
    beyond = np.hypot(column - columns.mean() - a, row - rows.mean() - b) > radius + 2
    return bool(np.sqrt((off**2).mean()) < _ROUND_PX and not (beyond & ~region).any())
