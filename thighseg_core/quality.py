"""When to doubt the numbers of a scan: flags, each with what was found and what follows from it."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from thighseg_core.census import HU_MIN, Census, take_census
from thighseg_core.labels import GROUPS, SIDES, LabelMap, label_value
from thighseg_core.measure import cut_ends
from thighseg_core.measurement import QualityFlag
from thighseg_core.tissue import AIR_RANGE_HU, METAL_HU, SUBCUTANEOUS_RANGE_HU
from thighseg_core.volume import CTVolume, SeriesInfo

FLAG_DESCRIPTIONS: dict[str, str] = {
    "nothing_labelled": "No thigh muscle is labelled.",
    "truncated": "A structure reaches the first or the last slice of the scan.",
    "touches_border": "A structure touches the edge of the image, padding, or the edge of the reconstruction circle.",
    "metal": f"At least 10 voxels above {METAL_HU} HU (our convention).",
    "thick_slices": "Slices thicker than 5 mm, or further apart.",
    "tube_voltage": "The tube voltage is not 120 kV, or not recorded.",
    "contrast_agent": "The scan records a contrast agent.",
    "air_attenuation": "Air outside the body is not between -1024 and -980 HU (our convention).",
    "subcutaneous_attenuation": "Subcutaneous fat is not between -120 and -80 HU (our convention).",
    "small_volume": "A muscle group has less than 5 cm3 (our convention).",
    "group_shares": "The shares of the muscle groups in a leg that was seen whole are unusual.",
    "few_slices": "Fewer than 10 slices hold a muscle group (our convention).",
    "side_order": "The structures labelled left do not lie to the left of those labelled right.",
}

_STRUCTURES = (*GROUPS, "sartorius", "femur", "intermuscular", "subcutaneous")
_MUSCLES = (*GROUPS, "sartorius")

_NO_CONTRAST = ("", "no", "none")  # written into the field by some scanners

FEWEST_METAL_VOXELS = 10  # our convention: fewer are noise
THICKEST_SLICE_MM = 5.0  # our convention, after clinical practice for body composition: at most 5 mm
REFERENCE_KVP = 120.0  # our convention: the voltage that most published values were taken at
SMALLEST_GROUP_CM3 = 5.0  # our convention
FEWEST_SLICES = 10  # our convention
FEWEST_AIR_VOXELS = 2000  # our convention: fewer say nothing about air
FEWEST_FAT_CM3 = 5.0  # our convention: less says nothing about fat
# Percent of extensor + flexor + adductor + sartorius. Bounds of our own around 50:19:28:3, the mean of 41 women
# (doi 10.1007/s00421-010-1477-8).
SHARE_BOUNDS_PERCENT = {"extensor": (40.0, 60.0), "flexor": (12.0, 27.0), "adductor": (18.0, 35.0)}


def flags(volume: CTVolume, label_map: LabelMap, *, census: Census | None = None) -> tuple[QualityFlag, ...]:
    """All findings on a labelled scan. `census` saves counting again when it was taken already."""
    census = census or take_census(volume, label_map)
    found = [
        *_labelling(census),
        *_coverage(census),
        *_plausibility(census),
        *_side_order(label_map),
        *_acquisition(volume.info, census),
    ]
    found += [*_metal(census), *_attenuation(volume, label_map, census)]
    return tuple(found)


def _voxels(census: Census, name: str, side: str) -> NDArray[np.int64]:
    return np.asarray(census.voxels[:, label_value(name, side)])


def _labelling(census: Census) -> Iterator[QualityFlag]:
    held = np.zeros(census.view.n_slices, dtype=bool)
    for side in SIDES:
        for name in GROUPS:
            held |= _voxels(census, name, side) > 0
    n_slices = int(held.sum())
    if n_slices == 0:
        yield QualityFlag(
            code="nothing_labelled",
            severity="error",
            message="no thigh muscle group is labelled",
            consequence="every measurement is missing; check that the scan shows a thigh",
        )
    elif n_slices < FEWEST_SLICES:
        yield QualityFlag(
            code="few_slices",
            severity="warning",
            message=f"only {n_slices} slices ({n_slices * census.view.slice_mm:.0f} mm) hold a muscle group",
            consequence="volumes describe a short piece of the thigh; use areas, or scan more of it",
        )


def _coverage(census: Census) -> Iterator[QualityFlag]:
    for side in SIDES:
        for name in _STRUCTURES:
            voxels = _voxels(census, name, side)
            for cut in cut_ends(census, voxels):
                yield QualityFlag(
                    code="truncated",
                    severity="warning" if name in _MUSCLES else "info",
                    message=f"{name} {side} is {cut}",
                    consequence="its volume is that of the piece in view; compare it only with the same piece",
                    region=name,
                    side=side,
                )
            touched = int(census.at_border[:, label_value(name, side)].sum())
            if touched:
                n_slices = int((voxels > 0).sum())
                yield QualityFlag(
                    code="touches_border",
                    severity="warning",
                    message=f"{name} {side} touches the edge of the image on {touched} of {n_slices} slices",
                    consequence="part of it lies outside the image: its volume and area are too small",
                    region=name,
                    side=side,
                )


def _plausibility(census: Census) -> Iterator[QualityFlag]:
    for side in SIDES:
        volumes_cm3 = {name: int(_voxels(census, name, side).sum()) * census.voxel_volume_cm3 for name in _MUSCLES}
        for name in GROUPS:
            if 0 < volumes_cm3[name] < SMALLEST_GROUP_CM3:
                yield QualityFlag(
                    code="small_volume",
                    severity="warning",
                    message=f"{name} {side} has only {volumes_cm3[name]:.1f} cm3",
                    consequence="it is a fragment: look at the overlay before using its numbers",
                    region=name,
                    side=side,
                )
        if all(volumes_cm3.values()) and all(_whole(census, name, side) for name in _MUSCLES):
            yield from _shares(volumes_cm3, side)


def _whole(census: Census, name: str, side: str) -> bool:
    """Whether a structure lies inside the field of view on all sides."""
    return not cut_ends(census, _voxels(census, name, side)) and not census.at_border[:, label_value(name, side)].any()


def _shares(volumes_cm3: dict[str, float], side: str) -> Iterator[QualityFlag]:
    total = sum(volumes_cm3.values())
    for name, (low, high) in SHARE_BOUNDS_PERCENT.items():
        share = 100 * volumes_cm3[name] / total
        if not low <= share <= high:
            yield QualityFlag(
                code="group_shares",
                severity="warning",
                message=f"{name} {side} is {share:.0f} % of the labelled muscle, expected {low:.0f} to {high:.0f} %",
                consequence="the borders between the groups may be wrong: look at the overlay",
                region=name,
                side=side,
            )


def _side_order(label_map: LabelMap) -> Iterator[QualityFlag]:
    left, right = (_mean_x_mm(label_map, side) for side in SIDES)
    if left is not None and right is not None and left <= right:
        yield QualityFlag(
            code="side_order",
            severity="error",
            message="what is labelled left lies on the patient's right of what is labelled right",
            consequence="left and right are probably swapped in the label map; do not use the sides before checking",
        )


def _mean_x_mm(label_map: LabelMap, side: str) -> float | None:
    """Mean LPS x of what is labelled on a side, from about 64 samples along each axis; None when there is none."""
    steps = [max(1, n // 64) for n in label_map.labels.shape]
    sample = label_map.labels[tuple(slice(None, None, step) for step in steps)]
    of_side = np.zeros(256, dtype=bool)
    of_side[[label_value(name, side) for name in _STRUCTURES]] = True
    index = np.argwhere(of_side[sample])
    return float(label_map.geometry.to_lps_mm(index.mean(axis=0) * steps)[0]) if len(index) else None


def _acquisition(info: SeriesInfo, census: Census) -> Iterator[QualityFlag]:
    thickest_mm = max(census.view.slice_mm, info.slice_thickness_mm or 0.0)
    if thickest_mm > THICKEST_SLICE_MM + 0.01:
        yield QualityFlag(
            code="thick_slices",
            severity="warning",
            message=f"slices are {thickest_mm:.1f} mm thick or apart, more than {THICKEST_SLICE_MM:.0f} mm",
            consequence="volumes at the ends of muscles and fat fractions lose precision",
        )
    kvp = info.tube_voltage_kvp
    if kvp is None or abs(kvp - REFERENCE_KVP) > 0.5:
        yield QualityFlag(
            code="tube_voltage",
            severity="info" if kvp is None else "warning",
            message="the tube voltage is not recorded" if kvp is None else f"acquired at {kvp:g} kV, not at 120 kV",
            consequence="attenuation depends on the voltage (muscle 48 HU at 80 kV, 41 HU at 140 kV, PMID 29625351): "
            "compare attenuation and fat only between scans of one voltage",
        )
    if (info.contrast_agent or "").strip().lower() not in _NO_CONTRAST:
        yield QualityFlag(
            code="contrast_agent",
            severity="warning",
            message="a contrast agent is recorded",
            # 6.7 (SD 3.2) HU at the third lumbar vertebra, n = 41: "Skeletal muscle analyses: agreement between
            # non-contrast and contrast CT scan measurements", research.vumc.nl
            consequence="contrast raises muscle attenuation by some 7 HU: do not compare attenuation with "
            "scans without it",
        )


def _metal(census: Census) -> Iterator[QualityFlag]:
    count = int(census.metal.sum())
    if count >= FEWEST_METAL_VOXELS:
        hit = np.flatnonzero(census.metal)
        runs = 1 + sum(b - a > 1 for a, b in pairwise(hit.tolist()))
        yield QualityFlag(
            code="metal",
            severity="warning",
            message=f"{count} voxels above {METAL_HU} HU on {len(hit)} slices in {runs} place{'s' if runs > 1 else ''}",
            consequence="metal falsifies attenuation around it: attenuation and fat of muscles on these slices are "
            "flagged, look at the overlay for the volumes",
        )


def _attenuation(volume: CTVolume, label_map: LabelMap, census: Census) -> Iterator[QualityFlag]:
    air = _air_hu(volume, label_map, census)
    low, high = AIR_RANGE_HU
    if air is not None and not low <= air <= high:
        yield QualityFlag(
            code="air_attenuation",
            severity="warning",
            message=f"air outside the body has {air:.0f} HU, expected {low} to {high}",
            consequence="the Hounsfield scale of this scan may be off: attenuation and fat are doubtful",
        )
    histogram = census.histogram[[label_value("subcutaneous", side) for side in SIDES]].sum(axis=0)
    if histogram.sum() * census.voxel_volume_cm3 < FEWEST_FAT_CM3:
        return
    fat = _median_hu(histogram)
    low, high = SUBCUTANEOUS_RANGE_HU
    if not low <= fat <= high:
        yield QualityFlag(
            code="subcutaneous_attenuation",
            severity="warning",
            message=f"subcutaneous fat has a median of {fat} HU, expected {low} to {high}",
            consequence="calibration, voltage or the label is unusual: attenuation and fat are doubtful",
            region="subcutaneous",
        )


def _air_hu(volume: CTVolume, label_map: LabelMap, census: Census) -> float | None:
    """Attenuation of the air outside the labels, from every eighth voxel; None when there is too little.

    Air is what lies nearer to air (-1000) than to tissue, inside the reconstruction circle. The lower quartile stands
    for it: clothes, sheets and pads are denser and can make up most of it.
    """
    step = (slice(None, None, 2),) * 3
    labels = census.view.slices(label_map.labels)[step]
    sample = census.view.slices(volume.attenuation_hu)[step][(labels == 0) & ~census.never_filled[step[1:]]]
    air = sample[sample < -500]
    return float(np.percentile(air, 25)) if air.size >= FEWEST_AIR_VOXELS else None


def _median_hu(histogram: NDArray[np.int64]) -> int:
    """Lower median of a histogram, in HU."""
    cumulated = np.cumsum(histogram)
    return int(np.searchsorted(cumulated, (cumulated[-1] + 1) // 2)) + HU_MIN
