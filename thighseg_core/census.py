"""One pass over a labelled scan: how many voxels of which label and attenuation lie on which slice.

Volumes, areas, attenuations and quality flags are all worked out from this count, on the native grid.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from thighseg_core.axial import AxialView, axial_view
from thighseg_core.errors import GeometryMismatchError
from thighseg_core.labels import LABELS, LabelMap
from thighseg_core.tissue import METAL_HU, PADDING_HU, rounded_hu
from thighseg_core.volume import CTVolume

N_LABELS = max(LABELS) + 1
HU_MIN = -(2**15)  # histograms span int16
N_HU = 2**16
_SLAB = 16  # slices counted at a time: bounds the memory


@dataclass(frozen=True)
class Census:
    """Counts of voxels by label; slices in the order of the array along `view.slice_axis`.

    voxels: (n_slices, N_LABELS) voxels of each label on each slice.
    histogram: (N_LABELS, N_HU) voxels of each label at each whole HU from `HU_MIN` (labels above 0 only).
    at_border: (n_slices, N_LABELS) whether the label touches the edge of the image or of the reconstruction there.
    metal: (n_slices,) voxels above `METAL_HU` on each slice, whatever their label.
    """

    view: AxialView
    voxel_volume_cm3: float
    voxels: NDArray[np.int64]
    histogram: NDArray[np.int64]
    at_border: NDArray[np.bool_]
    metal: NDArray[np.int64]


def take_census(volume: CTVolume, label_map: LabelMap) -> Census:
    """Count a labelled scan. Raises GeometryMismatchError when the two do not lie on one grid."""
    if not volume.geometry.matches(label_map.geometry):
        raise GeometryMismatchError(
            f"scan and label map must lie on one grid; the scan is {volume.geometry.shape} voxels, the label map "
            f"{label_map.geometry.shape}, or they lie at different places; resample the label map onto the scan"
        )
    view = axial_view(volume.geometry)
    attenuation = view.slices(volume.attenuation_hu)
    labels = view.slices(label_map.labels)
    voxels, histogram = _count(attenuation, labels)
    return Census(
        view=view,
        voxel_volume_cm3=volume.geometry.voxel_volume_cm3,
        voxels=voxels,
        histogram=histogram,
        at_border=_at_border(attenuation, labels),
        metal=np.array([int((plane > METAL_HU).sum()) for plane in attenuation], dtype=np.int64),
    )


def _count(
    attenuation: NDArray[np.int16] | NDArray[np.float32], labels: NDArray[np.uint8]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Voxels by (slice, label), and by (label, HU) for labels above 0."""
    n_slices = labels.shape[0]
    voxels = np.zeros((n_slices, N_LABELS), dtype=np.int64)
    histogram = np.zeros(N_LABELS * N_HU, dtype=np.int64)
    for start in range(0, n_slices, _SLAB):
        codes = []
        for index in range(start, min(start + _SLAB, n_slices)):
            plane = labels[index]
            inside = plane > 0
            values = plane[inside].astype(np.int64)
            voxels[index] = np.bincount(values, minlength=N_LABELS)
            voxels[index, 0] = plane.size - values.size
            hu = rounded_hu(attenuation[index][inside]).astype(np.int64)
            codes.append(values * N_HU + (hu - HU_MIN))
        together = np.concatenate(codes)
        if together.size:
            histogram += np.bincount(together, minlength=histogram.size)
    return voxels, histogram.reshape(N_LABELS, N_HU)


def _at_border(attenuation: NDArray[np.int16] | NDArray[np.float32], labels: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """(n_slices, N_LABELS) whether a label lies on the image edge, next to padding, or on the reconstruction circle."""
    _, n_rows, n_columns = labels.shape
    edge = np.zeros((n_rows, n_columns), dtype=bool)
    edge[[0, -1], :] = True
    edge[:, [0, -1]] = True
    circle = _reconstruction_circle(attenuation)
    if circle is not None:
        edge |= circle
    touching = np.zeros((labels.shape[0], N_LABELS), dtype=bool)
    for index, plane in enumerate(labels):
        if not plane.any():
            continue
        near = edge
        padding = attenuation[index] < PADDING_HU
        if padding.any():
            near = edge | ndimage.binary_dilation(padding)
        touching[index, np.unique(plane[near])] = True
    touching[:, 0] = False
    return touching


def _reconstruction_circle(
    attenuation: NDArray[np.int16] | NDArray[np.float32],
) -> NDArray[np.bool_] | None:
    """Pixels on or beyond the circle inscribed in the image, when all beyond it has one value; None otherwise.

    Scanners that do not mark the corners with an impossible value fill them with one constant. A reconstruction
    is square; an image that is not was cropped, and its edge is what counts.
    """
    _, n_rows, n_columns = attenuation.shape
    if n_rows != n_columns or n_rows < 8:
        return None
    offset = np.arange(n_rows) - (n_rows - 1) / 2
    distance = np.hypot(offset[:, None], offset[None, :])
    radius = n_rows / 2
    beyond = distance > radius + 1
    filling = attenuation[0, 0, 0]
    if any((plane[beyond] != filling).any() for plane in attenuation):
        return None
    return np.asarray(distance >= radius - 1.5)
