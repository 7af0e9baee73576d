"""A CT series in memory: attenuation on a grid, and what the series says of itself."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from thighseg_core.errors import InputError, NotCTError
from thighseg_core.geometry import Geometry


@dataclass(frozen=True)
class SeriesInfo:
    """What a series says of itself; None where it says nothing. No names, no birth dates.

    `notes` are findings of the reader that the user should see, each a sentence
    ("3 duplicate slices were dropped").
    """

    series_uid: str  # DICOM SeriesInstanceUID, or "sha256:<digest>" for NIfTI
    source_format: str  # "DICOM" or "NIfTI"
    digest_sha256: str  # over pixel values and geometry: the same scan has the same digest however it is packed
    study_uid: str | None = None
    description: str | None = None
    acquisition_date: str | None = None  # ISO 8601
    manufacturer: str | None = None
    scanner_model: str | None = None
    tube_voltage_kvp: float | None = None
    convolution_kernel: str | None = None
    contrast_agent: str | None = None
    patient_position: str | None = None
    slice_thickness_mm: float | None = None
    patient_sex: str | None = None  # "male", "female", "other"
    patient_age_years: float | None = None
    patient_height_cm: float | None = None
    patient_weight_kg: float | None = None
    n_files: int = 0
    notes: tuple[str, ...] = field(default=())


@dataclass(frozen=True)
class CTVolume:
    """attenuation_hu: (K, J, I) int16 or float32, Hounsfield units, on `geometry`, read-only.

    Raises InputError when array and geometry differ in shape, NotCTError when values are not finite.
    """

    attenuation_hu: NDArray[np.int16] | NDArray[np.float32]
    geometry: Geometry
    info: SeriesInfo

    def __post_init__(self) -> None:
        array = self.attenuation_hu
        if array.shape != self.geometry.shape:
            raise InputError(f"the image has shape {array.shape}, its geometry {self.geometry.shape}")
        if array.dtype not in (np.dtype(np.int16), np.dtype(np.float32)):
            raise InputError(f"attenuation must be int16 or float32, got {array.dtype}")
        if array.dtype == np.dtype(np.float32) and not np.isfinite(array).all():
            raise NotCTError("the image has values that are not numbers (NaN or infinity); export it again in HU")
        view = array.view()
        view.setflags(write=False)
        object.__setattr__(self, "attenuation_hu", view)
