"""The hand-drawn reference slices of real CT: reading them and scoring a label map against them.

Data and conventions: ../shared/data/README.md. The reference was filled with the tissue between -29 and 160 HU, so
the prediction is compared within that range. Only pixels within `NEAR_MM` of what was drawn count: a visible piece of
the other leg was not annotated.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray
from scipy import ndimage

from thighseg_core.geometry import Geometry
from thighseg_core.labels import CLASS_INDEX, LabelMap, class_of_label
from thighseg_core.overlap import overlap
from thighseg_core.surface_distance import surface_distances
from thighseg_core.volume import CTVolume

REFERENCE_CLASSES = {"extensor": 1, "flexor": 2, "adductor": 3, "sartorius": 4}
NOT_ANNOTATED = 255
TISSUE_HU = (-29, 160)
FAT_HU = (-190, -30)
NEAR_MM = 10.0
SMALLEST_PIXELS = 30
HIP_SLICES = {("STS_001", 46), ("STS_014", 62), ("STS_023", 63)}
KNEE_SLICES = {("STS_039", 7)}


@dataclass(frozen=True)
class SliceScore:
    """One structure on one slice; areas in cm2, distances in mm. None: nothing was predicted to measure from.

    Specificity and accuracy count the pixels around the annotated leg only (`NEAR_MM`, in `TISSUE_HU` or `FAT_HU`).
    """

    patient: str
    slice_index: int
    level: str  # "shaft", "hip", "knee"
    structure: str
    dice: float
    sensitivity: float
    specificity: float | None
    accuracy: float | None
    hd95_mm: float | None
    assd_mm: float | None
    surface_dice_1mm: float
    surface_dice_2mm: float
    reference_cm2: float
    predicted_cm2: float


def level_of(patient: str, slice_index: int) -> str:
    """Level of a reference slice, from data/README.md."""
    if (patient, slice_index) in HIP_SLICES:
        return "hip"
    return "knee" if (patient, slice_index) in KNEE_SLICES else "shaft"


def read_drawing(path: Path, *, like: Geometry) -> NDArray[np.uint8]:
    """Values of a drawing on the grid of its scan; both store slices from inferior to superior."""
    image = sitk.ReadImage(str(path))
    corner_mm = np.array(image.TransformIndexToPhysicalPoint((0, 0, 0)))
    if tuple(reversed(image.GetSize())) != like.shape or np.abs(corner_mm - like.affine[:3, 3]).max() > 0.1:
        raise ValueError(f"{path} does not lie on the grid of its scan")
    return sitk.GetArrayFromImage(image)


def score_scan(patient: str, volume: CTVolume, label_map: LabelMap, reference_root: Path) -> list[SliceScore]:
    """Scores of every annotated slice of one scan; structures under `SMALLEST_PIXELS` are left out."""
    reference = read_drawing(reference_root / f"{patient}.nii.gz", like=volume.geometry)
    fascia_path = reference_root / "fascia" / f"{patient}.nii.gz"
    fascia = read_drawing(fascia_path, like=volume.geometry) if fascia_path.is_file() else None
    classes = class_of_label()[label_map.labels]
    scores = []
    for k in range(len(reference)):
        drawn = (reference[k] > 0) & (reference[k] != NOT_ANNOTATED)
        if not drawn.any():
            continue
        hu = volume.attenuation_hu[k]
        distance_mm = ndimage.distance_transform_edt(~drawn, sampling=volume.geometry.spacing_mm[1:])
        counted = (distance_mm <= NEAR_MM) & (reference[k] != NOT_ANNOTATED)
        tissue = counted & (hu >= TISSUE_HU[0]) & (hu <= TISSUE_HU[1])
        pairs = {
            name: ((reference[k] == value) & tissue, (classes[k] == CLASS_INDEX[name]) & tissue, tissue)
            for name, value in REFERENCE_CLASSES.items()
        }
        if fascia is not None and (fascia[k] == 1).any():
            fat = (hu >= FAT_HU[0]) & (hu <= FAT_HU[1]) & (fascia[k] != NOT_ANNOTATED) & (distance_mm <= NEAR_MM)
            fat &= classes[k] != CLASS_INDEX["femur"]  # marrow is fat too
            fat &= ~ndimage.binary_fill_holes(hu > 250)
            pairs["intermuscular"] = (
                (fascia[k] == 1) & fat & ~drawn,
                (classes[k] == CLASS_INDEX["intermuscular"]) & fat,
                fat,
            )
        row_mm, column_mm = volume.geometry.spacing_mm[1:]
        for name, (truth, predicted, within) in pairs.items():
            if truth.sum() >= SMALLEST_PIXELS:
                scores.append(_score(patient, k, name, truth, predicted, within, (row_mm, column_mm)))
    return scores


def _score(
    patient: str,
    k: int,
    name: str,
    truth: NDArray[np.bool_],
    predicted: NDArray[np.bool_],
    within: NDArray[np.bool_],
    spacing_mm: tuple[float, float],
) -> SliceScore:
    counted = overlap(truth, predicted, within=within)
    apart = surface_distances(truth, predicted, spacing_mm=spacing_mm)
    pixel_cm2 = spacing_mm[0] * spacing_mm[1] / 100
    return SliceScore(
        patient=patient,
        slice_index=k,
        level=level_of(patient, k),
        structure=name,
        dice=counted.dice or 0.0,
        sensitivity=counted.sensitivity or 0.0,
        specificity=counted.specificity,
        accuracy=counted.accuracy,
        hd95_mm=None if apart is None else apart.hausdorff_mm(95),
        assd_mm=None if apart is None else apart.average_symmetric_mm,
        surface_dice_1mm=0.0 if apart is None else apart.surface_dice(1.0),
        surface_dice_2mm=0.0 if apart is None else apart.surface_dice(2.0),
        reference_cm2=float(truth.sum()) * pixel_cm2,
        predicted_cm2=float(predicted.sum()) * pixel_cm2,
    )
