"""Labelled boxes with numbers that can be worked out by hand; used by the tests of everything that measures."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from thighseg_core.geometry import Geometry
from thighseg_core.labels import LabelMap
from thighseg_core.volume import CTVolume, SeriesInfo

# (slice, row, column): three different lengths and three different spacings
SHAPE = (8, 20, 30)
SPACING_MM = (4.0, 2.0, 0.5)
VOXEL_CM3 = 0.004  # 4 x 2 x 0.5 mm3
PIXEL_CM2 = 0.01  # 2 x 0.5 mm2
DIGEST = "0123456789abcdef" * 4


def axial_geometry(
    shape: tuple[int, int, int] = SHAPE, *, origin_mm: tuple[float, float, float] = (-7, -19, 100)
) -> Geometry:
    """Columns to the patient's left, rows to posterior, slices to the head."""
    dk, dj, di = SPACING_MM
    affine = np.array([[0, 0, di, origin_mm[0]], [0, dj, 0, origin_mm[1]], [dk, 0, 0, origin_mm[2]], [0, 0, 0, 1.0]])
    return Geometry(shape, affine)


def scan(attenuation_hu: NDArray[np.int16] | NDArray[np.float32], geometry: Geometry, **info: object) -> CTVolume:
    """A volume with a header that says nothing but what `info` says."""
    header: dict[str, object] = {"tube_voltage_kvp": 120.0, "slice_thickness_mm": 4.0, **info}
    return CTVolume(
        attenuation_hu,
        geometry,
        SeriesInfo(series_uid="1.2.3", source_format="DICOM", digest_sha256=DIGEST, **header),  # type: ignore[arg-type]
    )


def boxes(
    filled: Iterable[tuple[int, int, tuple[slice, slice, slice]]],
    *,
    geometry: Geometry | None = None,
    background_hu: int = -1000,
    **info: object,
) -> tuple[CTVolume, LabelMap]:
    """A scan of air with boxes of (label, attenuation in HU, where)."""
    geometry = geometry or axial_geometry()
    attenuation = np.full(geometry.shape, background_hu, dtype=np.int16)
    labels = np.zeros(geometry.shape, dtype=np.uint8)
    for label, hu, where in filled:
        labels[where] = label
        attenuation[where] = hu
    return scan(attenuation, geometry, **info), LabelMap(labels, geometry)
