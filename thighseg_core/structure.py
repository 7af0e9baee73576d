"""One region on one side over one extent: its counts, and what is wrong with them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from thighseg_core.census import HU_MIN, Census
from thighseg_core.extents import Stretch, Stretches
from thighseg_core.labels import LABELS, SIDES, label_value
from thighseg_core.metrics import FULL, REGIONS
from thighseg_core.tissue import Range

_CUT_SHARE = 0.05  # our convention: cut by the edge of the image on more of its slices, a size would be too small


@dataclass(frozen=True)
class Structure:
    """One region on one side (or both) over one extent.

    voxels: (n_slices,) in the extent, parts of slices in part. histogram, inner: (N_HU,) by whole HU, `inner` without
    the edge. at_border: (n_slices,). seen, leg: (n_slices,) slices that show it, and that hold the leg; for both sides
    on both. absent: why there is no value at all. cut_away: why no size can be given. incomplete: why the whole of it
    was not seen, doubts: why to doubt where it was taken. "" and () where there is nothing to say.
    """

    region: str
    side: str
    extent: str
    voxels: NDArray[np.float64]
    histogram: NDArray[np.float64]
    inner: NDArray[np.float64]
    at_border: NDArray[np.bool_]
    seen: NDArray[np.bool_]
    leg: NDArray[np.bool_]
    voxel_volume_cm3: float
    metal_slices: int
    absent: str = ""
    cut_away: str = ""
    incomplete: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()

    def volume_cm3(self, hu: Range | None = None) -> float:
        """Volume of all of it, or of what lies from hu[0] to hu[1], both included."""
        return float(self.voxels.sum() if hu is None else within(self.histogram, hu)) * self.voxel_volume_cm3

    def metal_reasons(self) -> tuple[str, ...]:
        """That metal lies on some of its slices."""
        hit, n_slices = self.metal_slices, int((self.voxels > 0).sum())
        return (f"metal on {hit} of its {n_slices} slices",) if hit else ()


def structure(census: Census, region: str, side: str, extent: str, *, stretches: Stretches) -> Structure:
    """The counts of a region of `REGIONS` on "left", "right" or "both"."""
    sides = SIDES if side == "both" else (side,)
    whole = extent == FULL
    part = None if whole else census.parts[extent]
    parts = {(name, s): label_value(name, s) for name in REGIONS[region] for s in sides}
    values = list(parts.values())
    per_label = (census.voxels if part is None else part.voxels)[:, values].astype(np.float64)
    voxels = per_label.sum(axis=1)
    at_border = np.asarray((census.at_border[:, values] & (per_label > 0)).any(axis=1))
    by_side = [np.asarray((per_label[:, [t == s for _, t in parts]] > 0).any(axis=1)) for s in sides]
    there = "" if whole else " there"
    held = np.atleast_1d((per_label > 0).any(axis=0))
    missing = [f"{name} {s}" for (name, s), counts in zip(parts, held, strict=True) if not counts]
    gone = [s for s, seen in zip(sides, by_side, strict=True) if not seen.any()]
    incomplete = [f"{' and '.join(missing)} not labelled{there}"] if missing else []
    if whole:
        incomplete += cut_ends(census, voxels)
    touched = int(at_border.sum())
    if touched:
        incomplete.append(f"touches the edge of the image on {touched} slice{'s' if touched > 1 else ''}{there}")
    absent = f"no {region} labelled on the {' and the '.join(gone)}{there}" if gone else ""
    where = [stretches[extent, s] for s in sides]
    return Structure(
        region=region,
        side=side,
        extent=extent,
        voxels=voxels,
        histogram=(census.histogram if part is None else part.histogram)[values].sum(axis=0),
        inner=(census.inner if part is None else part.inner)[values].sum(axis=0),
        at_border=at_border,
        seen=np.logical_and.reduce(by_side),
        leg=np.logical_and.reduce([leg_slices(census, s) for s in sides]),
        voxel_volume_cm3=census.voxel_volume_cm3,
        metal_slices=int(((voxels > 0) & (census.metal > 0)).sum()),
        absent=_first_absent(where, sides) or absent,
        cut_away="" if whole else _cut_away(at_border, voxels),
        incomplete=tuple(incomplete),
        doubts=tuple(dict.fromkeys(doubt for stretch in where for doubt in stretch.doubts)),
    )


def _first_absent(where: Sequence[Stretch], sides: Sequence[str]) -> str:
    reasons = {s: stretch.absent for s, stretch in zip(sides, where, strict=True) if stretch.absent}
    if len(set(reasons.values())) == 1:
        return next(iter(reasons.values()))
    return "; ".join(f"{s}: {reason}" for s, reason in reasons.items())


def _cut_away(at_border: NDArray[np.bool_], voxels: NDArray[np.float64]) -> str:
    touched, held = int(at_border.sum()), int((voxels > 0).sum())
    if touched <= _CUT_SHARE * held:
        return ""
    return f"cut away by the edge of the image on {touched} of its {held} slices there"


def leg_slices(census: Census, side: str) -> NDArray[np.bool_]:
    """(n_slices,) whether anything of that side's leg is labelled."""
    values = [value for value, name in LABELS.items() if name.endswith(f"_{side}")]
    return np.asarray(census.voxels[:, values].any(axis=1))


def cut_ends(census: Census, voxels: NDArray[Any]) -> list[str]:
    """Sentences for the ends of the scan at which a structure with these voxels per slice is cut off."""
    order = census.view.caudal_to_cranial()
    ends = [name for name, index in (("caudal", order[0]), ("cranial", order[-1])) if voxels[index]]
    return [f"cut off at the {' and the '.join(ends)} end of the scan"] if ends else []


def middle_slice(census: Census, held: NDArray[np.bool_]) -> int | None:
    """Index of the slice in the middle of those held (of two, the one nearer the head); None when none is held."""
    order = census.view.caudal_to_cranial()
    positions = [position for position, index in enumerate(order) if held[index]]
    return order[(positions[0] + positions[-1] + 1) // 2] if positions else None


def within(histogram: NDArray[Any], hu: Range) -> float:
    """Voxels from hu[0] to hu[1], both included."""
    return float(histogram[hu[0] - HU_MIN : hu[1] - HU_MIN + 1].sum())


def mean_hu(histogram: NDArray[Any], hu: Range) -> float | None:
    """Mean of the voxels from hu[0] to hu[1]; None when there is none."""
    part = histogram[hu[0] - HU_MIN : hu[1] - HU_MIN + 1]
    count = float(part.sum())
    return float((part * np.arange(hu[0], hu[1] + 1)).sum() / count) if count else None
