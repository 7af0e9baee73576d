"""A scan laid out for a 3-D viewer, and what was painted there laid back: axes to the right, the front and the head.

Cut to the patient, and thinned in the plane where it would be too large. Voxels are taken, never interpolated:
every value the viewer shows is one that was measured.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from thighseg_core.axial import axial_view
from thighseg_core.errors import GeometryMismatchError
from thighseg_core.geometry import Geometry
from thighseg_core.labels import LabelMap
from thighseg_core.volume import CTVolume

MAX_VOXELS = 24_000_000  # our choice: 4 bytes each on the graphics card, twice (image and labels)
BODY_ABOVE_HU = -500  # halfway between air and fat
_MARGIN_VOXELS = 4
_LABEL_MARGIN_MM = 50.0


@dataclass(frozen=True)
class DisplayGrid:
    """How to take the viewer's array out of one on `source`, and back.

    axes: the source axes that run (to the head, to the front, to the patient's right).
    flips: whether each of the three is turned round to run that way.
    start, stop: the box kept, counted along the turned axes.
    step: every how manieth voxel is shown along each.
    """

    source: Geometry
    axes: tuple[int, int, int]
    flips: tuple[bool, bool, bool]
    start: tuple[int, int, int]
    stop: tuple[int, int, int]
    step: tuple[int, int, int] = (1, 1, 1)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(slices from the feet, rows from the back, columns from the patient's left)."""
        first, second, third = (
            -(-(stop - start) // step) for start, stop, step in zip(self.start, self.stop, self.step, strict=True)
        )
        return first, second, third

    @property
    def geometry(self) -> Geometry:
        """Where the shown voxels lie in the patient."""
        index_to_source = np.zeros((4, 4))
        index_to_source[3, 3] = 1
        for n, axis in enumerate(self.axes):
            last = self.source.shape[axis] - 1
            index_to_source[axis, n] = -self.step[n] if self.flips[n] else self.step[n]
            index_to_source[axis, 3] = last - self.start[n] if self.flips[n] else self.start[n]
        return Geometry(self.shape, self.source.affine @ index_to_source)

    def take(self, array: NDArray[Any]) -> NDArray[Any]:
        """The part of an array on `source` that is shown; a view, not a copy."""
        inside = tuple(
            slice(start, stop, step) for start, stop, step in zip(self.start, self.stop, self.step, strict=True)
        )
        return self._turned(array)[inside]

    def put_back(self, label_map: LabelMap, painted: NDArray[np.uint8]) -> LabelMap:
        """`label_map` with the voxels that differ between `painted` and what was shown of it.

        A thinned grid's voxel stands for the whole block it was taken from. What was not shown does not change.
        Raises GeometryMismatchError when `painted` has another shape than was shown.
        """
        if painted.shape != self.shape:
            raise GeometryMismatchError(
                f"the painted labels have shape {painted.shape}, {self.shape} was shown; reload the page, paint again"
            )
        labels = label_map.labels.copy()
        changed = painted != self.take(label_map.labels)
        turned = self._turned(labels)
        where = np.nonzero(changed)
        for offset in np.ndindex(self.step):
            index = tuple(
                start + step * found + shift
                for start, step, found, shift in zip(self.start, self.step, where, offset, strict=True)
            )
            inside = np.logical_and.reduce([i < stop for i, stop in zip(index, self.stop, strict=True)])
            turned[tuple(i[inside] for i in index)] = painted[where][inside]
        return LabelMap(labels=labels, geometry=label_map.geometry)

    def _turned(self, array: NDArray[Any]) -> NDArray[Any]:
        turned: NDArray[Any] = array.transpose(self.axes)
        return turned[tuple(slice(None, None, -1) if flip else slice(None) for flip in self.flips)]


def display_grid(volume: CTVolume, label_map: LabelMap | None = None, *, max_voxels: int = MAX_VOXELS) -> DisplayGrid:
    """The part of a scan that a viewer needs.

    Rows and columns outside the body are cut off. Where that leaves more than `max_voxels`, slices further than 5 cm
    from any label go too, and then every second (third, ...) row and column is shown.
    """
    view = axial_view(volume.geometry)
    axes = (view.slice_axis, view.rows_axis, view.columns_axis)
    directions = volume.geometry.directions
    flips = (bool(directions[2, axes[0]] < 0), bool(directions[1, axes[1]] > 0), bool(directions[0, axes[2]] > 0))
    shape = tuple(volume.geometry.shape[axis] for axis in axes)
    everything = DisplayGrid(volume.geometry, axes, flips, (0, 0, 0), (shape[0], shape[1], shape[2]))
    body = everything.take(volume.attenuation_hu) > BODY_ABOVE_HU
    start, stop = [0, 0, 0], list(shape)
    for axis in (1, 2):
        others = tuple(n for n in range(3) if n != axis)
        start[axis], stop[axis] = _range(np.asarray(body.any(axis=others)), margin=_MARGIN_VOXELS)
    if label_map is not None and _size(start, stop) > max_voxels:
        labelled = np.asarray((everything.take(label_map.labels) > 0).any(axis=(1, 2)))
        start[0], stop[0] = _range(labelled, margin=round(_LABEL_MARGIN_MM / view.slice_mm))
    thin = 1
    while _size(start, stop) > max_voxels * thin**2:
        thin += 1
    return DisplayGrid(
        volume.geometry,
        axes,
        flips,
        (start[0], start[1], start[2]),
        (stop[0], stop[1], stop[2]),
        (1, thin, thin),
    )


def _range(present: NDArray[np.bool_], *, margin: int) -> tuple[int, int]:
    """First and one past the last index with something, widened; all of it when there is nothing."""
    found = np.flatnonzero(present)
    if not found.size:
        return 0, len(present)
    return max(0, int(found[0]) - margin), min(len(present), int(found[-1]) + 1 + margin)


def _size(start: list[int], stop: list[int]) -> int:
    return int(np.prod([b - a for a, b in zip(start, stop, strict=True)]))
