"""When to doubt a scan's attenuation: how it was acquired, noise, metal, contrast agent, the Hounsfield scale."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from thighseg_core.census import HU_MIN, Census
from thighseg_core.labels import SIDES, LabelMap, label_value
from thighseg_core.measurement import QualityFlag
from thighseg_core.tissue import AIR_RANGE_HU, METAL_HU, QUIET_HU, SUBCUTANEOUS_RANGE_HU
from thighseg_core.vessels import ENHANCED_HU, find_vessels
from thighseg_core.volume import CTVolume, SeriesInfo

_NO_CONTRAST = ("", "no", "none")  # written into the field by some scanners

FEWEST_METAL_VOXELS = 10  # our convention: fewer are noise
THICKEST_SLICE_MM = 5.0  # our convention, after clinical practice for body composition: at most 5 mm
REFERENCE_KVP = 120.0  # our convention: the voltage that most published values were taken at
FEWEST_AIR_VOXELS = 2000  # our convention: fewer say nothing about air
FEWEST_FAT_CM3 = 5.0  # our convention: less says nothing about fat
MOST_NOISE_HU = 20.0  # our convention: up to here fat was within a point of the truth on phantoms
LEAST_ENHANCED = 0.3  # our convention: of the slices looked at; a calcified wall is bright on fewer


def acquisition_flags(volume: CTVolume, label_map: LabelMap, census: Census) -> Iterator[QualityFlag]:
    """Findings on the image and its header."""
    yield from _acquisition(volume.info, census)
    yield from _noise(census)
    yield from _vessels(volume, label_map)
    yield from _metal(census)
    yield from _attenuation(volume, label_map, census)


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


def _noise(census: Census) -> Iterator[QualityFlag]:
    noise = census.noise_hu
    if noise is not None and census.reach_hu:
        yield QualityFlag(
            code="noise_smoothed",
            severity="info",
            message=f"the noise in muscle is {noise:.0f} HU; what exceeds {QUIET_HU:.0f} HU was smoothed out before "
            "voxels were counted",
            consequence="fat, lean and attenuation compare with those of quieter scans; a preset that ends in as_is "
            "counts the image as it is",
        )
    if noise is not None and noise > MOST_NOISE_HU:
        yield QualityFlag(
            code="noise",
            severity="warning",
            message=f"the noise in muscle is {noise:.0f} HU, more than {MOST_NOISE_HU:.0f} HU",
            consequence="noise turns lean voxels into fat ones and back: fat and low-attenuation muscle are not to be "
            "relied on",
        )


def _vessels(volume: CTVolume, label_map: LabelMap) -> Iterator[QualityFlag]:
    vessels = find_vessels(volume, label_map)
    if vessels.attenuation_hu is not None and vessels.n_enhanced >= LEAST_ENHANCED * vessels.n_slices:
        yield QualityFlag(
            code="contrast_vessels",
            severity="warning",
            message=f"vessels have {vessels.attenuation_hu:.0f} HU, more than {ENHANCED_HU:.0f} HU, on "
            f"{vessels.n_enhanced} of {vessels.n_slices} slices looked at",
            consequence="a contrast agent was probably given, whether recorded or not: it raises muscle attenuation; "
            "do not compare attenuation with scans without it",
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
