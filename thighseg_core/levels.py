"""How far along the femur each slice lies, as estimated from its image: the type that the estimate comes in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class SliceLevels:
    """Estimated level of every slice, per leg: 0 at the top of the femoral head, 1 at the distal end of the condyles.

    level: side ("left", "right") -> (K,) levels in the order of the slices along `AxialView.slice_axis`, NaN where
        nothing was estimated. A side may be absent.
    sd: side -> (K,) standard error of each, in the same unit (share of the femur's length).
    source: what estimated them, for people ("level network 1").
    Raises ValueError when level and sd do not fit each other.
    """

    level: Mapping[str, NDArray[np.float64]]
    sd: Mapping[str, NDArray[np.float64]]
    source: str

    def __post_init__(self) -> None:
        if set(self.level) != set(self.sd):
            raise ValueError(f"level has the sides {sorted(self.level)}, sd {sorted(self.sd)}; give both for each side")
        for side, values in self.level.items():
            if values.shape != self.sd[side].shape:
                raise ValueError(f"{side}: {values.shape} levels but {self.sd[side].shape} standard errors")
