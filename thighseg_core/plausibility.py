"""Is this array attenuation in HU? Checks and corrections that DICOM and NIfTI share."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from thighseg_core.errors import NotCTError

AIR_HU = -1000.0  # definition of the Hounsfield scale
OUTSIDE_HU = -1024  # the lowest value of a 12-bit CT (stored 0, intercept -1024): what padding becomes
PADDING_BELOW_HU = -1500.0  # noise in air reaches about -1100; scanners pad with -2000, -2048, -3024, -8192, -32768
TISSUE_HU = (-190.0, 300.0)  # fat to muscle and marrow, clinical.md section 2
FAT_EDGE_HU = -30.0  # upper end of fat in every preset
MIN_SHARE = 1e-3  # of the voxels, that must be fat or air, and that must be tissue
MAX_ABSOLUTE_HU = 32768.0  # extended CT scales end at 31743; more is no CT


def replace_padding(attenuation_hu: NDArray[Any]) -> tuple[NDArray[Any], int]:
    """Values that no reconstruction gives become OUTSIDE_HU; also how many there were."""
    padding = attenuation_hu < PADDING_BELOW_HU
    n = int(np.count_nonzero(padding))
    return (np.where(padding, attenuation_hu.dtype.type(OUTSIDE_HU), attenuation_hu), n) if n else (attenuation_hu, 0)


def padding_note(n_voxels: int) -> str:
    """What is said of replaced padding."""
    return f"{n_voxels} padding voxels outside the reconstructed field were set to {OUTSIDE_HU} HU."


def refuse_unless_hu(attenuation_hu: NDArray[Any]) -> None:
    """Raise NotCTError, with what the values look like instead, unless they can be a CT of the thighs in HU."""
    low, high = float(attenuation_hu.min()), float(attenuation_hu.max())
    remedy = "Convert the original CT again without windowing or normalising, so that air is -1000 and water 0"
    span = f"values run from {low:g} to {high:g}"
    if max(abs(low), abs(high)) > MAX_ABSOLUTE_HU:
        raise NotCTError(f"not HU: {span}, beyond any CT scale. {remedy}")
    if low >= -1 and high <= 1:
        raise NotCTError(f"not HU: {span}, which is an image normalised to 0..1 or -1..1. {remedy}")
    if low >= 0 and high <= 255:
        raise NotCTError(f"not HU: {span}, which is an 8-bit picture of one window. {remedy}")
    if low >= 0:
        raise NotCTError(f"not HU: {span}; without a negative value there is no fat and no air. {remedy}")
    if high - low < 50:
        raise NotCTError(f"not HU: {span}, too little for fat and muscle. {remedy}")
    n = attenuation_hu.size
    if np.count_nonzero(attenuation_hu < FAT_EDGE_HU) < MIN_SHARE * n:
        raise NotCTError(f"not HU: {span}, with next to no fat or air (below {FAT_EDGE_HU:g}). {remedy}")
    tissue = (attenuation_hu >= TISSUE_HU[0]) & (attenuation_hu <= TISSUE_HU[1])
    if np.count_nonzero(tissue) < MIN_SHARE * n:
        raise NotCTError(
            f"not HU of a patient: {span}, but next to nothing between {TISSUE_HU[0]:g} and {TISSUE_HU[1]:g} where fat "
            f"and muscle lie. {remedy}"
        )
