"""Hand-drawn muscle groups of single slices -> the classes that each pixel may have.

Conventions of the drawings: ../shared/data/README.md. They show lean tissue only (-29 to 160 HU), one leg of each
slice, sometimes the fascia lata; 0 means none of the groups, and says nothing far from the annotated leg.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from training.allowed import ALL_BITS, bits_of
from training.reference import FAT_HU, NEAR_MM, NOT_ANNOTATED, REFERENCE_CLASSES, TISSUE_HU

OTHER_MUSCLE = 5
AIR_BELOW_HU = -400.0
BONE_ABOVE_HU = 250.0
SMALLEST_BONE_CM2 = 1.0
FAT_IN_MUSCLE_MM = 3.0  # fat between lean pixels this close to each other belongs to the group around it
RIM_PIXELS = 2  # a muscle cut by the image edge was drawn without its outermost pixel on some slices
NONE_OF_THE_GROUPS = bits_of("background", "other_muscle", "femur", "intermuscular", "subcutaneous", "other_bone")
BONE = bits_of("femur", "other_bone")
FAT = bits_of("background", "intermuscular", "subcutaneous")
OUTSIDE_FASCIA = bits_of("background", "subcutaneous", "other_muscle", "other_bone")
INSIDE_FASCIA = bits_of("intermuscular", "femur", "other_bone")


def allowed_of_drawing(
    attenuation_hu: NDArray[Any],
    drawn: NDArray[np.uint8],
    *,
    fascia: NDArray[np.uint8] | None,
    spacing_mm: tuple[float, float],
) -> NDArray[np.uint16]:
    """(J, I) drawn values (and fascia: 1 deep to it, 0 outside, 255 unknown) -> (J, I) bit sets."""
    annotated = (drawn > 0) & (drawn != NOT_ANNOTATED)
    none = np.full(drawn.shape, NONE_OF_THE_GROUPS, dtype=np.uint16)
    bone = _bone(attenuation_hu, spacing_mm)
    fat = (attenuation_hu >= FAT_HU[0]) & (attenuation_hu <= FAT_HU[1]) & ~bone
    none[fat] = FAT
    if fascia is not None and (fascia == 1).any():
        none[fascia == 1] = INSIDE_FASCIA
        none[fascia == 0] = OUTSIDE_FASCIA
        none[fat & (fascia == 1)] = bits_of("intermuscular")
        none[fat & (fascia == 0)] = bits_of("subcutaneous", "background")
    none[bone] = BONE
    none[attenuation_hu < AIR_BELOW_HU] = bits_of("background")
    lean = (attenuation_hu >= TISSUE_HU[0]) & (attenuation_hu <= TISSUE_HU[1])
    ball = _disk(FAT_IN_MUSCLE_MM / 2, spacing_mm)
    for name, value in REFERENCE_CLASSES.items():
        around = ndimage.binary_closing(drawn == value, ball) & ~lean & ~bone
        none[around] |= bits_of(name)
    none[:RIM_PIXELS], none[-RIM_PIXELS:], none[:, :RIM_PIXELS], none[:, -RIM_PIXELS:] = (ALL_BITS,) * 4
    out = np.full(drawn.shape, ALL_BITS, dtype=np.uint16)
    near = ndimage.distance_transform_edt(~annotated, sampling=spacing_mm) <= NEAR_MM if annotated.any() else annotated
    silent = near & (drawn == 0)
    out[silent] = none[silent]
    for name, value in (*REFERENCE_CLASSES.items(), ("other_muscle", OTHER_MUSCLE)):
        out[drawn == value] = bits_of(name)
    return out


def _bone(attenuation_hu: NDArray[Any], spacing_mm: tuple[float, float]) -> NDArray[np.bool_]:
    """Bones with their marrow; specks (calcified vessels) are none."""
    filled = ndimage.binary_fill_holes(attenuation_hu > BONE_ABOVE_HU)
    pieces, n = ndimage.label(filled)
    sizes_cm2 = np.bincount(pieces.ravel(), minlength=n + 1) * spacing_mm[0] * spacing_mm[1] / 100
    large = sizes_cm2 >= SMALLEST_BONE_CM2
    large[0] = False
    return np.asarray(large[pieces], dtype=np.bool_)


def _disk(radius_mm: float, spacing_mm: tuple[float, float]) -> NDArray[np.bool_]:
    reach = [int(radius_mm / step) for step in spacing_mm]
    rows, columns = np.ogrid[-reach[0] : reach[0] + 1, -reach[1] : reach[1] + 1]
    return np.asarray((rows * spacing_mm[0]) ** 2 + (columns * spacing_mm[1]) ** 2 <= radius_mm**2, dtype=np.bool_)
