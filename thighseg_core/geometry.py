"""Where voxels lie in the patient: shape and affine, in DICOM's LPS millimetres."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from thighseg_core.errors import SeriesGeometryError


@dataclass(frozen=True)
class Geometry:
    """A regular, right-angled or mirrored voxel grid in the patient.

    shape: (K, J, I) = (slices, rows, columns), the order of the array axes.
    affine: 4x4, maps (k, j, i, 1) of a voxel centre to (x, y, z, 1) in LPS millimetres
        (x to the patient's left, y to posterior, z to superior; DICOM PS3.3 C.7.6.2.1.1).

    Raises SeriesGeometryError when the shape is empty, the affine is singular, not finite, or sheared
    by more than `SHEAR_TOLERANCE`.
    """

    shape: tuple[int, int, int]
    affine: NDArray[np.float64]

    SHEAR_TOLERANCE = 1e-3  # cosine between two axes; 0.06 degrees

    def __post_init__(self) -> None:
        affine = np.array(self.affine, dtype=np.float64)
        affine.setflags(write=False)
        object.__setattr__(self, "affine", affine)
        object.__setattr__(self, "shape", tuple(int(n) for n in self.shape))
        if len(self.shape) != 3 or min(self.shape) < 1:
            raise SeriesGeometryError(f"expected three axes with at least one voxel each, got shape {self.shape}")
        if affine.shape != (4, 4) or not np.isfinite(affine).all() or not np.allclose(affine[3], (0, 0, 0, 1)):
            raise SeriesGeometryError("the affine is not a finite 4x4 matrix; re-export the scan with its geometry")
        if abs(np.linalg.det(affine[:3, :3])) < 1e-9:
            raise SeriesGeometryError("the affine is singular (a voxel has no volume); re-export with its spacing")
        directions = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
        if np.abs(directions.T @ directions - np.eye(3)).max() > self.SHEAR_TOLERANCE:
            raise SeriesGeometryError(
                "the voxel axes are not at right angles (sheared grid); resample to a straight grid"
            )

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Geometry) and self.shape == other.shape and bool((self.affine == other.affine).all())

    def __hash__(self) -> int:
        return hash((self.shape, self.affine.tobytes()))

    @cached_property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Distance between voxel centres along (slice, row, column) axes, mm."""
        dk, dj, di = np.linalg.norm(self.affine[:3, :3], axis=0)
        return float(dk), float(dj), float(di)

    @cached_property
    def directions(self) -> NDArray[np.float64]:
        """3x3; column n is the unit vector in LPS along array axis n."""
        return np.asarray(self.affine[:3, :3] / np.linalg.norm(self.affine[:3, :3], axis=0), dtype=np.float64)

    @property
    def voxel_volume_cm3(self) -> float:
        """Volume of one voxel, cm3."""
        return float(np.prod(self.spacing_mm)) / 1000.0

    def to_lps_mm(self, index: NDArray[np.float64]) -> NDArray[np.float64]:
        """(..., 3) voxel indices (k, j, i) -> (..., 3) LPS mm."""
        return np.asarray(index @ self.affine[:3, :3].T + self.affine[:3, 3], dtype=np.float64)

    def matches(self, other: Geometry, *, tolerance_mm: float = 0.05) -> bool:
        """True when both grids have one shape and every corner lies within `tolerance_mm`."""
        if self.shape != other.shape:
            return False
        corners = np.array(np.meshgrid(*[(0, n - 1) for n in self.shape])).reshape(3, -1).T.astype(np.float64)
        return bool(np.abs(self.to_lps_mm(corners) - other.to_lps_mm(corners)).max() <= tolerance_mm)
