"""The one table of Hounsfield ranges. Every range includes both of its integer ends."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Range = tuple[int, int]

_LONG_2019 = "Long 2019, doi 10.1371/journal.pone.0211629"
_DENNIS_2018 = "Dennis 2018, PMID 30278056"
QUIET_HU = 8.0  # our convention: noise up to here adds about 0.1 points to the share of fat (docs/validation.md)


@dataclass(frozen=True)
class HUPreset:
    """Which attenuation counts as what inside a muscle mask, in HU, both ends included.

    A voxel of a muscle mask that is neither lean nor fat is "excluded": it counts for the volume only.
    Attenuation that is not an integer is rounded to the nearest one first, so no voxel falls between two ranges. Of a
    scan with more noise than `quiet_hu` the noise beyond is taken out first (thighseg_core/smoothing.py).
    """

    name: str
    lean_hu: Range
    fat_hu: Range
    low_hu: Range
    normal_hu: Range
    citation: str
    quiet_hu: float | None = QUIET_HU  # noise beyond it is smoothed out before counting; None: never

    def __post_init__(self) -> None:
        for label, (low, high) in self.ranges().items():
            if low > high:
                raise ValueError(f"preset {self.name}: range {label} runs from {low} to {high} HU")
        if self.fat_hu[1] >= self.lean_hu[0]:
            raise ValueError(f"preset {self.name}: fat and lean overlap, so a voxel would count twice")

    def ranges(self) -> dict[str, Range]:
        """The four ranges by name."""
        return {"lean": self.lean_hu, "fat": self.fat_hu, "low": self.low_hu, "normal": self.normal_hu}


PRESETS: dict[str, HUPreset] = {
    preset.name: preset
    for preset in (
        HUPreset(
            name="long_dennis_150",
            lean_hu=(-29, 150),  # Long 2019: the most inclusive range for total thigh muscle
            fat_hu=(-190, -30),  # Dennis 2018: normal fat
            low_hu=(0, 34),  # Dennis 2018, Long 2019: low-density muscle
            normal_hu=(35, 100),  # Dennis 2018, Long 2019: normal-density muscle
            citation=f"{_LONG_2019}; {_DENNIS_2018}",
        ),
        HUPreset(
            name="long_dennis_150_as_is",
            lean_hu=(-29, 150),  # as above
            fat_hu=(-190, -30),  # as above
            low_hu=(0, 34),  # as above
            normal_hu=(35, 100),  # as above
            citation=f"{_LONG_2019}; {_DENNIS_2018}",
            quiet_hu=None,
        ),
        HUPreset(
            name="dennis_200",
            lean_hu=(-29, 200),  # Dennis 2018: recommended for muscle at mid-thigh
            fat_hu=(-190, -30),  # Dennis 2018: normal fat
            low_hu=(0, 34),  # Dennis 2018: low-density muscle
            normal_hu=(35, 100),  # Dennis 2018: normal-density muscle
            citation=_DENNIS_2018,
        ),
        HUPreset(
            name="nama_lama",
            lean_hu=(-29, 150),  # Long 2019, as above
            fat_hu=(-190, -30),  # Dennis 2018, as above
            low_hu=(-29, 29),  # our convention: used under the name LAMA, its first source was not read
            normal_hu=(30, 150),  # our convention: used under the name NAMA, its first source was not read
            citation=f"outer limits: {_LONG_2019}; {_DENNIS_2018}; the split at 30 HU is our convention",
        ),
    )
}
DEFAULT_PRESET = PRESETS["long_dennis_150"]

METAL_HU = 3000  # our convention: more than this is metal; 12-bit scanners clip at 3071
AIR_RANGE_HU: Range = (-1024, -980)  # our convention: bounds for air outside the body
SUBCUTANEOUS_RANGE_HU: Range = (-120, -80)  # our convention: bounds for subcutaneous fat


def rounded_hu(attenuation_hu: NDArray[np.int16] | NDArray[np.float32]) -> NDArray[np.int16]:
    """Whole Hounsfield units as int16: floats rounded to the nearest (a tie to the even one) and clipped to int16."""
    if attenuation_hu.dtype == np.dtype(np.int16):
        return attenuation_hu.astype(np.int16, copy=False)
    limits = np.iinfo(np.int16)
    return np.clip(np.rint(attenuation_hu), limits.min, limits.max).astype(np.int16)
