"""The smallest scan that is one: two round legs in air."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def thigh_hu(n_slices: int = 8) -> NDArray[np.int16]:
    """Two round legs in air: muscle 55 HU, a rim of fat -100 HU."""
    rows, columns = np.mgrid[0:40, 0:64]
    hu = np.full((n_slices, 40, 64), -1000, dtype=np.int16)
    for centre in (16, 47):
        distance = np.hypot(rows - 20, columns - centre)
        hu[:, distance < 15] = -100
        hu[:, distance < 12] = 55
    return hu + np.arange(n_slices, dtype=np.int16)[:, None, None]
