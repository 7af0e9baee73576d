"""Two label maps of one scan compared, region by region and side by side: overlap, surfaces, measured quantities."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from thighseg_core.axial import axial_view
from thighseg_core.errors import GeometryMismatchError
from thighseg_core.labels import OTHER_BONE, SIDES, LabelMap, label_value
from thighseg_core.metrics import MUSCLE_REGIONS, REGIONS
from thighseg_core.noise import noise_hu
from thighseg_core.overlap import overlap
from thighseg_core.smoothing import counted_hu, reach_hu
from thighseg_core.surface_distance import surface_distances, surface_distances_by_slice
from thighseg_core.tissue import DEFAULT_PRESET, HUPreset, Range
from thighseg_core.volume import CTVolume

TOLERANCES_MM = (1.0, 2.0)  # of surface Dice; clinical.md 4.1: 1 to 2 mm, as readers differ

# Metric of a comparison -> unit. The first have one value; the others one of each label map, and their difference.
OVERLAP_METRICS = {
    "dice": "1",
    "sensitivity": "1",
    "specificity": "1",
    "accuracy": "1",
    "hd95": "mm",
    "assd": "mm",
    "surface_dice_1mm": "1",
    "surface_dice_2mm": "1",
}
QUANTITY_METRICS = {
    "volume": "cm3",
    "lean_volume": "cm3",
    "intramuscular_fat_volume": "cm3",
    "intramuscular_fat_percent": "%",
    "lean_attenuation": "HU",
}
DESCRIPTIONS = {
    "dice": "2 |A and B| / (|A| + |B|).",
    "sensitivity": "Share of the reference that the other label map has too.",
    "specificity": "Share of what is outside the reference, on the compared slices, that is outside in the other too. "
    "Near 1 for every small structure.",
    "accuracy": "Share of all voxels of the compared slices on which both agree. Near 1 for every small structure.",
    "hd95": "Distance within which 95 % of each surface lies from the other, the larger of the two directions.",
    "assd": "Mean distance between the surfaces, both directions together, every piece counted by its area.",
    "surface_dice_1mm": "Share of both surfaces within 1 mm of the other.",
    "surface_dice_2mm": "Share of both surfaces within 2 mm of the other.",
    "volume": "Volume on the compared slices.",
    "lean_volume": "Voxels in the lean range on the compared slices, as a volume.",
    "intramuscular_fat_volume": "Voxels in the fat range on the compared slices, as a volume.",
    "intramuscular_fat_percent": "100 x fat / (fat + lean) on the compared slices.",
    "lean_attenuation": "Mean attenuation of the lean voxels on the compared slices.",
}


@dataclass(frozen=True)
class ComparedValue:
    """One number of a comparison. For a quantity `value` is test - reference; a missing one is None with a reason."""

    region: str
    side: str
    metric: str
    value: float | None
    reference_value: float | None
    test_value: float | None
    unit: str
    reason: str = ""


@dataclass(frozen=True)
class Comparison:
    """values: everything compared. n_slices: slices compared. by_slice: surfaces were compared within each slice."""

    values: tuple[ComparedValue, ...]
    n_slices: int
    by_slice: bool


def compare_label_maps(
    volume: CTVolume,
    reference: LabelMap,
    test: LabelMap,
    *,
    regions: Iterable[str] | None = None,
    drawn_slices_only: bool = True,
    preset: HUPreset = DEFAULT_PRESET,
) -> Comparison:
    """Compare `test` with `reference` on the grid of their scan, for every region and side that the reference holds.

    regions: of `metrics.REGIONS`; None takes those that the reference holds anywhere. A sum of classes is compared only
        where the reference has all of them.
    drawn_slices_only: leave out axial slices on which the reference has none of these regions, as of a reader who drew
        some slices only. Surfaces are compared in three dimensions, within each slice where slices were skipped.
    Raises GeometryMismatchError when the three are not on one grid.
    """
    for label_map in (reference, test):
        if not volume.geometry.matches(label_map.geometry):
            raise GeometryMismatchError("both label maps must lie on the grid of the scan; resample them to it")
    view = axial_view(volume.geometry)
    spacing = volume.geometry.spacing_mm
    spacing_mm = (view.slice_mm, *(spacing[axis] for axis in range(3) if axis != view.slice_axis))
    drawn, tested, hu = (view.slices(array) for array in (reference.labels, test.labels, volume.attenuation_hu))
    held = _regions(drawn, regions)
    wanted = np.unique([value for region in held for side in SIDES for value in _values(region, side)])
    on_slice = np.array([bool(np.isin(plane, wanted).any()) for plane in drawn])
    kept = np.flatnonzero(on_slice) if drawn_slices_only else np.arange(len(drawn))
    by_slice = drawn_slices_only and kept.size > 0 and bool(np.ptp(kept) + 1 != kept.size)
    drawn, tested, hu = drawn[kept], tested[kept], hu[kept]
    reach = reach_hu(noise_hu(volume, test), preset.quiet_hu)
    counted = [
        np.array([counted_hu(*plane, reach_hu=reach, pixel_mm=view.pixel_mm) for plane in zip(hu, labels, strict=True)])
        for labels in (drawn, tested)
    ]
    drawn_boxes, tested_boxes = (ndimage.find_objects(labels, max_label=OTHER_BONE) for labels in (drawn, tested))
    voxel_cm3 = volume.geometry.voxel_volume_cm3
    found: list[ComparedValue] = []
    for region in held:
        for side in SIDES:
            box = _union([boxes[value - 1] for boxes in (drawn_boxes, tested_boxes) for value in _values(region, side)])
            if box is None:
                continue
            ours, theirs = (np.isin(labels[box], _values(region, side)) for labels in (drawn, tested))
            if ours.any():
                outside = drawn.size - ours.size
                found += _overlap_values(region, side, ours, theirs, spacing_mm, outside=outside, by_slice=by_slice)
                values = [hu[box][mask] for hu, mask in zip(counted, (ours, theirs), strict=True)]
                found += _quantities(region, side, values, voxel_cm3, preset)
    return Comparison(tuple(found), n_slices=int(kept.size), by_slice=by_slice)


def _regions(drawn: NDArray[np.uint8], asked: Iterable[str] | None) -> list[str]:
    present = set(np.unique(drawn).tolist())
    wanted = set(REGIONS if asked is None else asked)
    return [
        region
        for region in REGIONS
        if region in wanted and all(present & {label_value(name, side) for side in SIDES} for name in REGIONS[region])
    ]


def _union(boxes: list[tuple[slice, ...] | None]) -> tuple[slice, ...] | None:
    """The smallest box around all boxes; None when there is none."""
    present = [box for box in boxes if box is not None]
    if not present:
        return None
    return tuple(slice(min(b[axis].start for b in present), max(b[axis].stop for b in present)) for axis in range(3))


def _values(region: str, side: str) -> list[int]:
    return [label_value(name, side) for name in REGIONS[region]]


def _overlap_values(
    region: str,
    side: str,
    ours: NDArray[np.bool_],
    theirs: NDArray[np.bool_],
    spacing_mm: tuple[float, ...],
    *,
    outside: int,
    by_slice: bool,
) -> list[ComparedValue]:
    inside = overlap(ours, theirs)
    counted = replace(inside, neither=inside.neither + outside)
    apart = (
        surface_distances_by_slice(ours, theirs, spacing_mm=spacing_mm[1:])
        if by_slice
        else surface_distances(ours, theirs, spacing_mm=spacing_mm)
    )
    values: dict[str, float | None] = {
        "dice": counted.dice,
        "sensitivity": counted.sensitivity,
        "specificity": counted.specificity,
        "accuracy": counted.accuracy,
        "hd95": None if apart is None else apart.hausdorff_mm(95),
        "assd": None if apart is None else apart.average_symmetric_mm,
        "surface_dice_1mm": 0.0 if apart is None else apart.surface_dice(TOLERANCES_MM[0]),
        "surface_dice_2mm": 0.0 if apart is None else apart.surface_dice(TOLERANCES_MM[1]),
    }
    reason = "the other label map does not have this region"
    return [
        ComparedValue(region, side, name, value, None, None, OVERLAP_METRICS[name], "" if value is not None else reason)
        for name, value in values.items()
    ]


def _quantities(
    region: str,
    side: str,
    values_hu: Sequence[NDArray[np.int16]],
    voxel_cm3: float,
    preset: HUPreset,
) -> list[ComparedValue]:
    first, second = (_measured(values, voxel_cm3, preset) for values in values_hu)
    names = QUANTITY_METRICS if region in MUSCLE_REGIONS else ("volume",)
    found = []
    for name in names:
        a, b = first[name], second[name]
        gap = a is None or b is None
        found.append(
            ComparedValue(
                region,
                side,
                name,
                value=None if a is None or b is None else b - a,
                reference_value=a,
                test_value=b,
                unit=QUANTITY_METRICS[name],
                reason="no lean or fat voxel to measure in one of the two" if gap else "",
            )
        )
    return found


def _measured(hu: NDArray[np.int16], voxel_cm3: float, preset: HUPreset) -> dict[str, float | None]:
    def within(band: Range) -> NDArray[np.bool_]:
        return np.asarray((hu >= band[0]) & (hu <= band[1]))

    lean, fat = within(preset.lean_hu), within(preset.fat_hu)
    n_lean, n_fat = int(lean.sum()), int(fat.sum())
    return {
        "volume": hu.size * voxel_cm3,
        "lean_volume": n_lean * voxel_cm3,
        "intramuscular_fat_volume": n_fat * voxel_cm3,
        "intramuscular_fat_percent": 100 * n_fat / (n_fat + n_lean) if n_fat + n_lean else None,
        "lean_attenuation": float(hu[lean].mean()) if n_lean else None,
    }
