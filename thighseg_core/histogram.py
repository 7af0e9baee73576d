"""How many voxels of a structure have which attenuation: kept, so that any band is counted without the images."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from thighseg_core.census import HU_MIN, Census
from thighseg_core.errors import InputError
from thighseg_core.extents import Stretches
from thighseg_core.labels import SIDES, label_value
from thighseg_core.metrics import EXTENT_DESCRIPTIONS, FULL, REGIONS
from thighseg_core.tissue import Range

# Columns of histograms.csv and what they mean.
HISTOGRAM_COLUMN_DESCRIPTIONS: dict[str, str] = {
    "scan_id": "The scan, as in the long table.",
    "region": "The structure: one class of labels; the total is the sum of its groups.",
    "side": "The patient's left or right.",
    "extent": "Over what it was counted, as in the long table.",
    "attenuation_hu": "Attenuation in whole HU.",
    "voxels": "Voxels with that attenuation; those of a slice that lies in the extent in part count in part.",
    "volume_mm3": "The volume of these voxels.",
}
HISTOGRAM_COLUMNS = tuple(HISTOGRAM_COLUMN_DESCRIPTIONS)
_DECIMALS = 6  # parts of slices make parts of voxels


@dataclass(frozen=True)
class Histogram:
    """Voxels of one structure at each whole HU from `lowest_hu` on.

    region: one made of a single class; "total" is the sum of its groups. side: "left" or "right". voxels: (n,) at 1 HU
    steps; parts of voxels where an extent takes parts of slices.
    """

    region: str
    side: str
    extent: str
    lowest_hu: int
    voxels: NDArray[np.float64]
    voxel_volume_cm3: float

    def packed(self) -> bytes:
        """The counts as zlib-compressed little-endian float64."""
        return zlib.compress(np.ascontiguousarray(self.voxels, dtype="<f8").tobytes(), level=6)


def unpacked(stored: bytes) -> NDArray[np.float64]:
    """The counts of `Histogram.packed`."""
    return np.frombuffer(zlib.decompress(stored), dtype="<f8").astype(np.float64)


def band_volume_cm3(
    histograms: Iterable[Histogram], hu: Range, *, region: str, side: str, extent: str = FULL
) -> float | None:
    """Volume from hu[0] to hu[1] (both included) of a region of `REGIONS` on "left", "right" or "both".

    None when the extent was not measured. Raises InputError for a range upside down.
    """
    if hu[0] > hu[1]:
        raise InputError(f"a band runs from low to high, got {hu[0]} to {hu[1]} HU; swap the two")
    sides = SIDES if side == "both" else (side,)
    wanted = [h for h in histograms if h.region in REGIONS[region] and h.side in sides and h.extent == extent]
    if {h.side for h in wanted} != set(sides):
        return None
    return sum(_within(h, hu) * h.voxel_volume_cm3 for h in wanted)


def histograms_of(census: Census, stretches: Stretches) -> Iterator[Histogram]:
    """The histogram of every class that is a region, on each side and over each extent that shows it."""
    classes = [name for name, made_of in REGIONS.items() if made_of == (name,)]
    for extent in EXTENT_DESCRIPTIONS:
        for side in SIDES:
            if stretches[extent, side].absent:
                continue
            table = census.histogram if extent == FULL else census.parts[extent].histogram
            for region in classes:
                counts = table[label_value(region, side)]
                held = np.flatnonzero(counts)
                if held.size:
                    part = np.round(counts[held[0] : held[-1] + 1].astype(np.float64), _DECIMALS)
                    lowest_hu = int(held[0]) + HU_MIN
                    yield Histogram(region, side, extent, lowest_hu, part, census.voxel_volume_cm3)


def _within(histogram: Histogram, hu: Range) -> float:
    low, high = hu[0] - histogram.lowest_hu, hu[1] - histogram.lowest_hu + 1
    return float(histogram.voxels[max(low, 0) : max(high, 0)].sum())


def histogram_rows(histograms: Iterable[Histogram], *, scan_id: str) -> Iterator[dict[str, object]]:
    """One row of `HISTOGRAM_COLUMNS` for every attenuation that occurs."""
    for histogram in histograms:
        for step in np.flatnonzero(histogram.voxels):
            voxels = float(histogram.voxels[step])
            yield {
                "scan_id": scan_id,
                "region": histogram.region,
                "side": histogram.side,
                "extent": histogram.extent,
                "attenuation_hu": histogram.lowest_hu + int(step),
                "voxels": int(voxels) if voxels.is_integer() else voxels,
                "volume_mm3": voxels * histogram.voxel_volume_cm3 * 1000,
            }
