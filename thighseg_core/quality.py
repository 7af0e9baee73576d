"""When to doubt the numbers of a scan: flags, each with what was found and what follows from it."""

from __future__ import annotations

from thighseg_core.census import Census, take_census
from thighseg_core.labels import LabelMap
from thighseg_core.measurement import QualityFlag
from thighseg_core.quality_acquisition import MOST_NOISE_HU, acquisition_flags
from thighseg_core.quality_labels import MOST_ASYMMETRIC_PERCENT, label_flags
from thighseg_core.tissue import METAL_HU, QUIET_HU
from thighseg_core.vessels import ENHANCED_HU
from thighseg_core.volume import CTVolume

FLAG_DESCRIPTIONS: dict[str, str] = {
    "nothing_labelled": "No thigh muscle is labelled.",
    "truncated": "A structure reaches the first or the last slice of the scan.",
    "touches_border": "A structure touches the edge of the image, padding, or the edge of the reconstruction circle.",
    "metal": f"At least 10 voxels above {METAL_HU} HU (our convention).",
    "thick_slices": "Slices thicker than 5 mm, or further apart.",
    "tube_voltage": "The tube voltage is not 120 kV, or not recorded.",
    "contrast_agent": "The scan records a contrast agent.",
    "contrast_vessels": f"Vessels between the muscles are brighter than {ENHANCED_HU:.0f} HU (our convention).",
    "noise_smoothed": f"The noise in muscle is above {QUIET_HU:.0f} HU (our convention): what exceeds it was smoothed "
    "out before voxels were counted.",
    "noise": f"The noise in muscle is above {MOST_NOISE_HU:.0f} HU (our convention).",
    "air_attenuation": "Air outside the body is not between -1024 and -980 HU (our convention).",
    "subcutaneous_attenuation": "Subcutaneous fat is not between -120 and -80 HU (our convention).",
    "small_volume": "A muscle group has less than 5 cm3 (our convention).",
    "group_shares": "The shares of the muscle groups in a leg that was seen whole are unusual.",
    "asymmetry": "A muscle group differs by more than "
    f"{MOST_ASYMMETRIC_PERCENT:.0f} % between left and right (our convention).",
    "pieces": "The label of a muscle group lies in more than two pieces of at least 2 cm3 and 2 % of the group, or is "
    "missing on slices between such pieces (our convention).",
    "few_slices": "Fewer than 10 slices hold a muscle group (our convention).",
    "side_order": "The structures labelled left do not lie to the left of those labelled right.",
}


def flags(volume: CTVolume, label_map: LabelMap, *, census: Census | None = None) -> tuple[QualityFlag, ...]:
    """All findings on a labelled scan. `census` saves counting again when it was taken already."""
    census = census or take_census(volume, label_map)
    return (*label_flags(label_map, census), *acquisition_flags(volume, label_map, census))
