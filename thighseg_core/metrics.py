"""The one list of what is measured: regions, metrics, units, their short names and what each of them means."""

from __future__ import annotations

from dataclasses import dataclass

from thighseg_core.labels import GROUPS

SIDE_SHORT = {"left": "l", "right": "r", "both": "b"}

# Region -> the label classes that make it up.
REGIONS: dict[str, tuple[str, ...]] = {
    "extensor": ("extensor",),
    "flexor": ("flexor",),
    "adductor": ("adductor",),
    "sartorius": ("sartorius",),
    "total": GROUPS,  # the three groups and nothing else: no sartorius, no other muscle
    "femur": ("femur",),
    "intermuscular": ("intermuscular",),
    "subcutaneous": ("subcutaneous",),
}
MUSCLE_REGIONS = ("extensor", "flexor", "adductor", "sartorius", "total")
FAT_REGIONS = ("intermuscular", "subcutaneous")

REGION_SHORT = {
    "extensor": "ext",
    "flexor": "flx",
    "adductor": "add",
    "sartorius": "sar",
    "total": "tot",
    "femur": "fem",
    "intermuscular": "imf",
    "subcutaneous": "sat",
}

REGION_DESCRIPTIONS = {
    "extensor": "Rectus femoris, vastus lateralis, vastus intermedius, vastus medialis.",
    "flexor": "Biceps femoris (long and short head), semitendinosus, semimembranosus.",
    "adductor": "Adductor longus, brevis and magnus, gracilis, pectineus.",
    "sartorius": "Sartorius, kept apart from the groups.",
    "total": "Extensor + flexor + adductor. Sartorius and other muscle are not in it.",
    "femur": "Femur with its marrow.",
    "intermuscular": "Deep to the fascia lata, outside muscle and bone: fat, vessels and nerves between the muscles.",
    "subcutaneous": "Between the skin and the fascia lata.",
}


@dataclass(frozen=True)
class Metric:
    """One metric: its name and unit in the long CSV, its part of a wide column's name, and its meaning."""

    name: str
    unit: str
    short: str
    regions: tuple[str, ...]
    description: str


METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric(
            "volume",
            "cm3",
            "vol_cm3",
            (*MUSCLE_REGIONS, "femur"),
            "Voxels of the mask times the volume of a voxel. Fat inside the muscles counts, fat between them does not.",
        ),
        Metric(
            "lean_volume",
            "cm3",
            "lean_cm3",
            MUSCLE_REGIONS,
            "Voxels of the mask in the preset's lean range, as a volume.",
        ),
        Metric(
            "intramuscular_fat_volume",
            "cm3",
            "fat_cm3",
            MUSCLE_REGIONS,
            "Voxels of the mask in the preset's fat range, as a volume. Fat between muscles is not in it.",
        ),
        Metric(
            "intramuscular_fat_percent",
            "%",
            "fat_pct",
            MUSCLE_REGIONS,
            "100 x fat / (fat + lean) inside the mask. Voxels in neither range are not in the denominator.",
        ),
        Metric(
            "excluded_volume",
            "cm3",
            "excl_cm3",
            MUSCLE_REGIONS,
            "Voxels of the mask in neither the lean nor the fat range (metal, calcification, air), as a volume.",
        ),
        Metric(
            "low_attenuation_volume",
            "cm3",
            "low_cm3",
            MUSCLE_REGIONS,
            "Voxels of the mask in the preset's low-attenuation range, as a volume.",
        ),
        Metric(
            "normal_attenuation_volume",
            "cm3",
            "norm_cm3",
            MUSCLE_REGIONS,
            "Voxels of the mask in the preset's normal-attenuation range, as a volume.",
        ),
        Metric(
            "lean_attenuation",
            "HU",
            "leanma_hu",
            MUSCLE_REGIONS,
            "Mean attenuation of the lean voxels.",
        ),
        Metric(
            "mask_attenuation",
            "HU",
            "maskma_hu",
            MUSCLE_REGIONS,
            "Mean attenuation of every voxel of the mask, the fat inside the muscles included.",
        ),
        Metric(
            "csa_max",
            "cm2",
            "csamax_cm2",
            MUSCLE_REGIONS,
            "Largest cross-sectional area: pixels of the mask on one slice times the area of a pixel, in the plane of "
            "the slice as acquired. For both sides: the slice on which left and right together are largest.",
        ),
        Metric(
            "csa_max_z",
            "mm",
            "csamaxz_mm",
            MUSCLE_REGIONS,
            "Position of that slice: z of its centre in the scan's own coordinates (more is nearer the head). "
            "Not comparable between scans.",
        ),
        Metric(
            "csa_mid",
            "cm2",
            "csamid_cm2",
            MUSCLE_REGIONS,
            "Cross-sectional area on the slice in the middle of those that hold the leg (our convention). This is the "
            "middle of the field of view, NOT anatomical mid-thigh. For both sides: the middle of the slices that hold "
            "both legs.",
        ),
        Metric(
            "csa_mid_z",
            "mm",
            "csamidz_mm",
            MUSCLE_REGIONS,
            "Position of that slice: z of its centre in the scan's own coordinates. Not comparable between scans.",
        ),
        Metric(
            "fat_volume",
            "cm3",
            "fat_cm3",
            FAT_REGIONS,
            "Voxels of the compartment in the preset's fat range, as a volume; vessels, nerves and skin are not in it.",
        ),
    )
}
