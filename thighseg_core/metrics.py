"""The one list of what is measured: regions, metrics, units, their short names and what each of them means."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from thighseg_core.labels import GROUPS

SIDE_SHORT = {"left": "l", "right": "r", "both": "b"}

# Extents: over what a value is taken.
FULL = "full"
FEMUR_20_80 = "femur_20_80"
MIDTHIGH = "midthigh"
ISCHIAL = "ischial"
EXTENT_DESCRIPTIONS: dict[str, str] = {
    FULL: "All that is in the field of view.",
    FEMUR_20_80: "From 20 to 80 % of the femur's length, from the top of the head to the end of the condyles. The "
    "first and the last slice count in part. Missing unless the scan shows all of it.",
    MIDTHIGH: "A slab of 10 mm around the middle of the femur's length.",
    ISCHIAL: "A slab of 10 mm around the lower end of the ischial tuberosity.",
}
EXTENT_SHORT = {FULL: "", FEMUR_20_80: "std", MIDTHIGH: "mid", ISCHIAL: "isc"}  # in front of wide columns
VOLUMES = (FULL, FEMUR_20_80)
SLABS = (MIDTHIGH, ISCHIAL)
EVERYWHERE = (*VOLUMES, *SLABS)

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
    extents: tuple[str, ...] = (FULL,)
    sides: tuple[str, ...] = ("left", "right", "both")

    def applies(self, region: str, side: str, extent: str) -> bool:
        """Whether it is measured there."""
        return region in self.regions and side in self.sides and extent in self.extents


METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric(
            "volume",
            "cm3",
            "vol_cm3",
            (*MUSCLE_REGIONS, "femur"),
            "Voxels of the mask times the volume of a voxel. Fat inside the muscles counts, fat between them does not.",
            extents=VOLUMES,
        ),
        Metric(
            "lean_volume",
            "cm3",
            "lean_cm3",
            MUSCLE_REGIONS,
            "Voxels of the mask in the preset's lean range, as a volume.",
            extents=VOLUMES,
        ),
        Metric(
            "intramuscular_fat_volume",
            "cm3",
            "fat_cm3",
            MUSCLE_REGIONS,
            "Voxels of the mask in the preset's fat range, as a volume. Fat between muscles is not in it.",
            extents=VOLUMES,
        ),
        Metric(
            "intramuscular_fat_percent",
            "%",
            "fat_pct",
            MUSCLE_REGIONS,
            "100 x fat / (fat + lean) inside the mask. Voxels in neither range are not in the denominator.",
            extents=EVERYWHERE,
        ),
        Metric(
            "excluded_volume",
            "cm3",
            "excl_cm3",
            MUSCLE_REGIONS,
            "Voxels of the mask in neither the lean nor the fat range (metal, calcification, air), as a volume.",
            extents=VOLUMES,
        ),
        Metric(
            "low_attenuation_volume",
            "cm3",
            "low_cm3",
            MUSCLE_REGIONS,
            "Voxels of the mask in the preset's low-attenuation range, as a volume.",
            extents=VOLUMES,
        ),
        Metric(
            "normal_attenuation_volume",
            "cm3",
            "norm_cm3",
            MUSCLE_REGIONS,
            "Voxels of the mask in the preset's normal-attenuation range, as a volume.",
            extents=VOLUMES,
        ),
        Metric(
            "lean_attenuation",
            "HU",
            "leanma_hu",
            MUSCLE_REGIONS,
            "Mean attenuation of the lean voxels.",
            extents=EVERYWHERE,
        ),
        Metric(
            "mask_attenuation",
            "HU",
            "maskma_hu",
            MUSCLE_REGIONS,
            "Mean attenuation of every voxel of the mask, the fat inside the muscles included.",
            extents=EVERYWHERE,
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
            extents=VOLUMES,
        ),
        Metric(
            "eroded_attenuation",
            "HU",
            "erodma_hu",
            MUSCLE_REGIONS,
            "Mean attenuation of the lean voxels whose four neighbours on the slice carry the same label: without the "
            "edge, where a voxel holds a part of its surroundings.",
            extents=EVERYWHERE,
        ),
        Metric(
            "imat_volume",
            "cm3",
            "imat_cm3",
            ("total",),
            "All fat deep to the fascia lata of the thigh: the fat in the three groups and in sartorius, and that "
            "between the muscles.",
            extents=VOLUMES,
        ),
        Metric(
            "share_percent",
            "%",
            "share_pct",
            (*GROUPS, "sartorius"),
            "Share of the volume of the three groups and sartorius together.",
            extents=VOLUMES,
        ),
        Metric(
            "extensor_flexor_ratio",
            "ratio",
            "extflx_ratio",
            ("total",),
            "Volume of the extensors divided by that of the flexors.",
            extents=VOLUMES,
        ),
        Metric(
            "volume_asymmetry",
            "%",
            "asym_pct",
            MUSCLE_REGIONS,
            "Left minus right volume, in percent of their mean. Missing where the two are not seen over the same "
            "length.",
            extents=VOLUMES,
            sides=("both",),
        ),
        Metric(
            "lean_volume_asymmetry",
            "%",
            "leanasym_pct",
            MUSCLE_REGIONS,
            "Left minus right lean volume, in percent of their mean. Missing where the two are not seen over the same "
            "length.",
            extents=VOLUMES,
            sides=("both",),
        ),
        Metric(
            "csa",
            "cm2",
            "csa_cm2",
            (*MUSCLE_REGIONS, "femur"),
            "Cross-sectional area in the plane of the slices: the volume in the slab divided by its 10 mm.",
            extents=SLABS,
        ),
        Metric(
            "csa_perpendicular",
            "cm2",
            "csaperp_cm2",
            (*MUSCLE_REGIONS, "femur"),
            "Cross-sectional area across the line of the femur's shaft, mean over 10 mm: what a tilted leg does not "
            "change. The line runs through the middles of the femur's sections between 35 and 65 % of its length.",
            extents=(MIDTHIGH,),
        ),
        Metric("lean_csa", "cm2", "leancsa_cm2", MUSCLE_REGIONS, "The lean part of `csa`.", extents=SLABS),
        Metric(
            "intramuscular_fat_csa",
            "cm2",
            "fatcsa_cm2",
            MUSCLE_REGIONS,
            "The part of `csa` in the preset's fat range.",
            extents=SLABS,
        ),
        Metric(
            "low_attenuation_csa",
            "cm2",
            "lowcsa_cm2",
            MUSCLE_REGIONS,
            "The part of `csa` in the preset's low-attenuation range.",
            extents=SLABS,
        ),
        Metric(
            "normal_attenuation_csa",
            "cm2",
            "normcsa_cm2",
            MUSCLE_REGIONS,
            "The part of `csa` in the preset's normal-attenuation range.",
            extents=SLABS,
        ),
        Metric(
            "imat_csa",
            "cm2",
            "imat_cm2",
            ("total",),
            "Area of all fat deep to the fascia lata: what `imat_volume` is in the slab, divided by its 10 mm.",
            extents=SLABS,
        ),
        Metric(
            "csa_asymmetry",
            "%",
            "csaasym_pct",
            MUSCLE_REGIONS,
            "Left minus right `csa`, in percent of their mean.",
            extents=SLABS,
            sides=("both",),
        ),
        Metric(
            "fat_csa",
            "cm2",
            "fatcsa_cm2",
            FAT_REGIONS,
            "Area of the compartment's fat in the plane of the slices: its volume in the slab divided by its 10 mm.",
            extents=SLABS,
        ),
        Metric(
            "femur_length",
            "mm",
            "length_mm",
            ("femur",),
            "Along the line from the middle of the condyles to the centre of the head: from the lowest point of the "
            "condyles to the top of the head. Only where both ends are in view.",
            sides=("left", "right"),
        ),
        Metric(
            "femur_coverage",
            "%",
            "cov_pct",
            ("femur",),
            "Share of the femur's length that the slices cover.",
            sides=("left", "right"),
        ),
        Metric(
            "midthigh_z",
            "mm",
            "midz_mm",
            ("femur",),
            "Mid-thigh: z, in the scan's own coordinates, of the middle of the shaft halfway along the femur. Not "
            "comparable between scans.",
            sides=("left", "right"),
        ),
        Metric(
            "cortical_area",
            "cm2",
            "cortical_cm2",
            ("femur",),
            "Area of the femur's cortex (600 HU and more, our convention) in the plane of the slices at mid-thigh.",
            extents=(MIDTHIGH,),
            sides=("left", "right"),
        ),
    )
}


def combinations() -> Iterator[tuple[Metric, str, str, str]]:
    """(metric, region, side, extent) of everything that is measured, in the order of tables."""
    for extent in EXTENT_DESCRIPTIONS:
        for region in REGIONS:
            for side in SIDE_SHORT:
                for metric in METRICS.values():
                    if metric.applies(region, side, extent):
                        yield metric, region, side, extent
