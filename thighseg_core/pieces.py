"""Whether the label of a muscle group hangs together: its pieces, and slices on which it is missing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from thighseg_core.axial import axial_view
from thighseg_core.labels import GROUPS, SIDES, LabelMap, label_value

_COARSE_MM = 2.0  # pieces are counted on pixels of about this size
_SMALLEST_CM3, _SMALLEST_SHARE = 2.0, 0.02  # our convention: smaller pieces, of the group too, are crumbs
_ALL_NEIGHBOURS = np.ones((3, 3, 3), dtype=bool)


@dataclass(frozen=True)
class Pieces:
    """Of one muscle group on one side. count: pieces of at least 2 cm3 and 2 % of the group, which alone matter to its
    size. largest_share: of the largest of all in the volume, 0 to 1. gap_mm: length of the slices between these pieces
    that show none of them."""

    group: str
    side: str
    count: int
    largest_share: float
    gap_mm: float


def find_pieces(label_map: LabelMap) -> tuple[Pieces, ...]:
    """The pieces of every muscle group that is labelled."""
    view = axial_view(label_map.geometry)
    labels = view.slices(label_map.labels)
    names = {label_value(name, side): (name, side) for name in GROUPS for side in SIDES}
    boxes: list[Any] = ndimage.find_objects(labels, max_label=max(names))
    pixel_mm = [label_map.geometry.spacing_mm[axis] for axis in range(3) if axis != view.slice_axis]
    steps = [max(1, int(_COARSE_MM / step)) for step in pixel_mm]
    voxel_cm3 = label_map.geometry.voxel_volume_cm3 * steps[0] * steps[1]
    out = []
    for value, (name, side) in names.items():
        if boxes[value - 1] is None:
            continue
        slices, rows, columns = boxes[value - 1]
        mask = labels[slices, rows, columns][:, :: steps[0], :: steps[1]] == value
        out.append(_of_mask(mask, name, side, voxel_cm3=voxel_cm3, slice_mm=view.slice_mm))
    return tuple(out)


def _of_mask(mask: NDArray[np.bool_], name: str, side: str, *, voxel_cm3: float, slice_mm: float) -> Pieces:
    pieces, n_pieces = ndimage.label(mask, structure=_ALL_NEIGHBOURS)
    sizes_cm3 = np.bincount(pieces.ravel(), minlength=n_pieces + 1)[1:] * voxel_cm3
    large = np.flatnonzero(sizes_cm3 >= max(_SMALLEST_CM3, _SMALLEST_SHARE * float(sizes_cm3.sum()))) + 1
    held = np.flatnonzero(np.isin(pieces, large).any(axis=(1, 2)))
    missing = int(held[-1] - held[0] + 1 - held.size) if held.size else 0
    return Pieces(
        group=name,
        side=side,
        count=large.size,
        largest_share=float(sizes_cm3.max() / sizes_cm3.sum()) if n_pieces else 1.0,
        gap_mm=missing * slice_mm,
    )
