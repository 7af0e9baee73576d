"""The axial slices of any grid: which array axis runs along the patient, and how a slice is shown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from thighseg_core.geometry import Geometry


@dataclass(frozen=True)
class AxialView:
    """How to take axial slices out of an array on one geometry and lay them out for reading.

    slice_axis: the array axis nearest the patient's long axis (z).
    rows_axis, columns_axis: the array axes that become the picture's rows and columns.
    flip_rows, flip_columns: whether to mirror them, so that anterior is up and the patient's right is on the left.
    row_mm, column_mm: distance between neighbouring rows and columns of the picture.
    slice_mm: distance between slices.
    z_mm: (n_slices,) LPS z of each slice's centre.
    """

    slice_axis: int
    rows_axis: int
    columns_axis: int
    flip_rows: bool
    flip_columns: bool
    row_mm: float
    column_mm: float
    slice_mm: float
    z_mm: NDArray[np.float64]

    @property
    def n_slices(self) -> int:
        return len(self.z_mm)

    @property
    def face_area_mm2(self) -> float:
        """Area of one voxel in the plane of the slice as acquired (no cosine for an oblique slice)."""
        return self.row_mm * self.column_mm

    @property
    def pixel_mm(self) -> tuple[float, float]:
        """Size of a pixel of `slices`, in the order of the array's axes."""
        in_order = self.rows_axis < self.columns_axis
        return (self.row_mm, self.column_mm) if in_order else (self.column_mm, self.row_mm)

    def slices(self, array: NDArray[Any]) -> NDArray[Any]:
        """The array seen with its slices first; a view, neither copied nor flipped."""
        moved: NDArray[Any] = np.moveaxis(array, self.slice_axis, 0)
        return moved

    def picture(self, array: NDArray[Any], index: int) -> NDArray[Any]:
        """One slice laid out for reading: anterior up, the patient's right on the left; a view."""
        plane: NDArray[Any] = self.slices(array)[index]
        if self.rows_axis > self.columns_axis:
            plane = plane.T
        if self.flip_rows:
            plane = plane[::-1]
        if self.flip_columns:
            plane = plane[:, ::-1]
        return plane

    def caudal_to_cranial(self) -> list[int]:
        """Slice indices from the feet to the head."""
        order = list(range(self.n_slices))
        return order if self.z_mm[-1] >= self.z_mm[0] else order[::-1]


def axial_view(geometry: Geometry) -> AxialView:
    """The axial view of a grid; its axes may come in any order, direction and obliquity."""
    x, y, z = geometry.directions  # rows: one patient axis along the three array axes
    slice_axis = int(np.argmax(np.abs(z)))
    first, second = (axis for axis in range(3) if axis != slice_axis)
    # The pair that fits x and y better; on a tie (45 degrees) the later array axis runs across the patient.
    swapped = abs(x[first]) + abs(y[second]) > abs(x[second]) + abs(y[first])
    rows_axis, columns_axis = (second, first) if swapped else (first, second)
    n_slices = geometry.shape[slice_axis]
    centres = np.tile((np.array(geometry.shape, dtype=np.float64) - 1) / 2, (n_slices, 1))
    centres[:, slice_axis] = np.arange(n_slices)
    return AxialView(
        slice_axis=slice_axis,
        rows_axis=rows_axis,
        columns_axis=columns_axis,
        flip_rows=bool(y[rows_axis] < 0),
        flip_columns=bool(x[columns_axis] < 0),
        row_mm=geometry.spacing_mm[rows_axis],
        column_mm=geometry.spacing_mm[columns_axis],
        slice_mm=geometry.spacing_mm[slice_axis],
        z_mm=geometry.to_lps_mm(centres)[:, 2],
    )
