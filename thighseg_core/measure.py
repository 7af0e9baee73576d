"""Label map and attenuation to measurements: per region and side, over all that is in the field of view."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from thighseg_core.census import HU_MIN, Census, take_census
from thighseg_core.labels import LABELS, SIDES, LabelMap, label_value
from thighseg_core.measurement import Measurement
from thighseg_core.metrics import METRICS, REGIONS
from thighseg_core.tissue import DEFAULT_PRESET, HUPreset, Range
from thighseg_core.volume import CTVolume

FULL = "full"  # extent: the whole field of view


def measure(
    volume: CTVolume,
    label_map: LabelMap,
    *,
    preset: HUPreset = DEFAULT_PRESET,
    census: Census | None = None,
) -> tuple[Measurement, ...]:
    """Every metric of `METRICS` for every region and side, present or not, in a fixed order.

    A structure that is absent gives "missing" with the reason; one that is cut off keeps its value, "flagged" with the
    reason. `census` saves counting again when it was taken already.
    """
    census = census or take_census(volume, label_map)
    return tuple(measure_census(census, preset=preset))


def measure_census(census: Census, *, preset: HUPreset) -> Iterator[Measurement]:
    """The measurements of one census."""
    for region in REGIONS:
        for side in (*SIDES, "both"):
            structure = _structure(census, region, side)
            for name, metric in METRICS.items():
                if region not in metric.regions:
                    continue
                fact = _absent(structure) or _FACTS[name](structure, census, preset)
                status = "missing" if fact.value is None else "flagged" if fact.reasons else "ok"
                yield Measurement(
                    region=region,
                    side=side,
                    extent=FULL,
                    metric=name,
                    value=fact.value,
                    unit=metric.unit,
                    status=status,
                    reason="; ".join(fact.reasons),
                )


@dataclass(frozen=True)
class _Fact:
    value: float | None
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Structure:
    """One region on one side: its counts, and what is wrong with them."""

    region: str
    side: str
    voxels: NDArray[np.int64]  # (n_slices,)
    histogram: NDArray[np.int64]  # (N_HU,)
    at_border: NDArray[np.bool_]  # (n_slices,)
    seen: NDArray[np.bool_]  # (n_slices,) slices that show it; for both sides, on both
    leg: NDArray[np.bool_]  # (n_slices,) slices that hold the leg; for both sides, both legs
    absent: str  # why there is no value at all; "" when there is one
    incomplete: tuple[str, ...]  # why the whole of it was not seen

    def volume_cm3(self, census: Census, hu: Range | None = None) -> float:
        count = int(self.voxels.sum()) if hu is None else _within(self.histogram, hu)
        return count * census.voxel_volume_cm3

    def metal_reasons(self, census: Census) -> tuple[str, ...]:
        hit = int(((self.voxels > 0) & (census.metal > 0)).sum())
        return (f"metal on {hit} of its {int((self.voxels > 0).sum())} slices",) if hit else ()


def _structure(census: Census, region: str, side: str) -> _Structure:
    sides = SIDES if side == "both" else (side,)
    parts = {(name, s): label_value(name, s) for name in REGIONS[region] for s in sides}
    values = list(parts.values())
    voxels = census.voxels[:, values].sum(axis=1)
    at_border = np.asarray(census.at_border[:, values].any(axis=1))
    by_side = [census.voxels[:, [v for (_, t), v in parts.items() if t == s]].any(axis=1) for s in sides]
    empty = [f"{name} {s}" for (name, s), value in parts.items() if not census.voxels[:, value].any()]
    gone = [s for s, seen in zip(sides, by_side, strict=True) if not seen.any()]
    incomplete = [f"{' and '.join(empty)} not labelled"] if empty else []
    incomplete += cut_ends(census, voxels)
    if at_border.any():
        touched = int(at_border.sum())
        incomplete.append(f"touches the edge of the image on {touched} slice{'s' if touched > 1 else ''}")
    return _Structure(
        region=region,
        side=side,
        voxels=voxels,
        histogram=census.histogram[values].sum(axis=0),
        at_border=at_border,
        seen=np.logical_and.reduce(by_side),
        leg=np.logical_and.reduce([leg_slices(census, s) for s in sides]),
        absent=f"no {region} labelled on the {' and the '.join(gone)}" if gone else "",
        incomplete=tuple(incomplete),
    )


def leg_slices(census: Census, side: str) -> NDArray[np.bool_]:
    """(n_slices,) whether anything of that side's leg is labelled."""
    values = [value for value, name in LABELS.items() if name.endswith(f"_{side}")]
    return np.asarray(census.voxels[:, values].any(axis=1))


def cut_ends(census: Census, voxels: NDArray[np.int64]) -> list[str]:
    """Sentences for the ends of the scan at which a structure with these voxels per slice is cut off."""
    order = census.view.caudal_to_cranial()
    ends = [name for name, index in (("caudal", order[0]), ("cranial", order[-1])) if voxels[index]]
    return [f"cut off at the {' and the '.join(ends)} end of the scan"] if ends else []


def middle_slice(census: Census, held: NDArray[np.bool_]) -> int | None:
    """Index of the slice in the middle of those held (of two, the one nearer the head); None when none is held."""
    order = census.view.caudal_to_cranial()
    positions = [position for position, index in enumerate(order) if held[index]]
    return order[(positions[0] + positions[-1] + 1) // 2] if positions else None


def _within(histogram: NDArray[np.int64], hu: Range) -> int:
    """Voxels from hu[0] to hu[1], both included."""
    return int(histogram[hu[0] - HU_MIN : hu[1] - HU_MIN + 1].sum())


def _mean_hu(histogram: NDArray[np.int64], hu: Range) -> float | None:
    part = histogram[hu[0] - HU_MIN : hu[1] - HU_MIN + 1]
    count = int(part.sum())
    return float((part * np.arange(hu[0], hu[1] + 1)).sum() / count) if count else None


def _absent(structure: _Structure) -> _Fact | None:
    return _Fact(None, (structure.absent,)) if structure.absent else None


def _volume(structure: _Structure, census: Census, _: HUPreset) -> _Fact:
    return _Fact(structure.volume_cm3(census), structure.incomplete)


def _ranged(structure: _Structure, census: Census, hu: Range) -> _Fact:
    return _Fact(structure.volume_cm3(census, hu), structure.incomplete + structure.metal_reasons(census))


def _excluded(structure: _Structure, census: Census, preset: HUPreset) -> _Fact:
    inside = _within(structure.histogram, preset.lean_hu) + _within(structure.histogram, preset.fat_hu)
    left_over = int(structure.voxels.sum()) - inside
    return _Fact(left_over * census.voxel_volume_cm3, structure.incomplete + structure.metal_reasons(census))


def _fat_percent(structure: _Structure, census: Census, preset: HUPreset) -> _Fact:
    fat, lean = _within(structure.histogram, preset.fat_hu), _within(structure.histogram, preset.lean_hu)
    if fat + lean == 0:
        return _Fact(None, ("no voxel in the lean or the fat range",))
    return _Fact(100.0 * fat / (fat + lean), structure.incomplete + structure.metal_reasons(census))


def _attenuation(structure: _Structure, census: Census, hu: Range) -> _Fact:
    mean = _mean_hu(structure.histogram, hu)
    if mean is None:
        return _Fact(None, ("no voxel in the lean range",))
    return _Fact(mean, structure.incomplete + structure.metal_reasons(census))


def _csa_max(structure: _Structure, census: Census, _: HUPreset) -> _Fact:
    return _Fact(float(structure.voxels.max()) * census.view.face_area_mm2 / 100, structure.incomplete)


def _csa_max_z(structure: _Structure, census: Census, _: HUPreset) -> _Fact:
    order = census.view.caudal_to_cranial()  # of equal slices the most caudal, whatever the order in the array
    index = max(order, key=lambda k: int(structure.voxels[k]))
    return _Fact(float(census.view.z_mm[index]), structure.incomplete)


def _mid(structure: _Structure, census: Census) -> tuple[int | None, tuple[str, ...]]:
    """The middle slice and what is wrong with the structure there."""
    index = middle_slice(census, structure.leg)
    if index is None:
        return None, ("the two legs share no slice",)
    if not structure.seen[index]:
        return None, (f"no {structure.region} on the middle slice of the leg",)
    return index, ("touches the edge of the image on that slice",) if structure.at_border[index] else ()


def _csa_mid(structure: _Structure, census: Census, _: HUPreset) -> _Fact:
    index, reasons = _mid(structure, census)
    if index is None:
        return _Fact(None, reasons)
    return _Fact(float(structure.voxels[index]) * census.view.face_area_mm2 / 100, reasons)


def _csa_mid_z(structure: _Structure, census: Census, _: HUPreset) -> _Fact:
    index, reasons = _mid(structure, census)
    return _Fact(None, reasons) if index is None else _Fact(float(census.view.z_mm[index]), reasons)


_WHOLE: Range = (HU_MIN, -HU_MIN - 1)
_FACTS: dict[str, Callable[[_Structure, Census, HUPreset], _Fact]] = {
    "volume": _volume,
    "lean_volume": lambda s, c, p: _ranged(s, c, p.lean_hu),
    "intramuscular_fat_volume": lambda s, c, p: _ranged(s, c, p.fat_hu),
    "intramuscular_fat_percent": _fat_percent,
    "excluded_volume": _excluded,
    "low_attenuation_volume": lambda s, c, p: _ranged(s, c, p.low_hu),
    "normal_attenuation_volume": lambda s, c, p: _ranged(s, c, p.normal_hu),
    "lean_attenuation": lambda s, c, p: _attenuation(s, c, p.lean_hu),
    "mask_attenuation": lambda s, c, _: _attenuation(s, c, _WHOLE),
    "csa_max": _csa_max,
    "csa_max_z": _csa_max_z,
    "csa_mid": _csa_mid,
    "csa_mid_z": _csa_mid_z,
    "fat_volume": lambda s, c, p: _ranged(s, c, p.fat_hu),
}
