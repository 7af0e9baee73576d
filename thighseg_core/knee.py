"""Where the femur ends at the knee: a network that takes the tibia for more femur leaves the joint between them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from thighseg_core.labels import CLASS_INDEX

# Our conventions, chosen on phantoms (docs/validation.md).
_NEAR_MM = 25.0  # the wide ends of both bones lie within this of the joint
_NARROW = 0.5  # share of both ends' largest section that is left of what is labelled femur in the joint
_FEMUR_MM = 80.0  # so much femur is in view above the joint ...
_CONDYLES = 2.5  # ... and its end at the joint so many times as large in section as its shaft (the lower quartile)

_FEMUR, _OTHER_BONE = CLASS_INDEX["femur"], CLASS_INDEX["other_bone"]


def without_tibia(
    classes: NDArray[np.uint8], legs: NDArray[np.uint8], *, spacing_mm: tuple[float, float, float]
) -> NDArray[np.uint8]:
    """(K, J, I) classes of a canonical stack in which what is labelled femur below a leg's knee joint is other bone.

    legs: numbers of `legs.find_legs`, 1 and 2. The joint is where the sections of what is labelled femur shrink to less
    than half within 25 mm and grow again below.
    """
    classes = classes.copy()
    for number in (1, 2):
        femur = (classes == _FEMUR) & (legs == number)
        joint = _joint(np.count_nonzero(femur, axis=(1, 2)), slice_mm=spacing_mm[0])
        if joint is not None:
            classes[:joint][femur[:joint]] = _OTHER_BONE
    return classes


def _joint(section: NDArray[np.intp], *, slice_mm: float) -> int | None:
    """The slice of the joint in sections (K,) from below, any unit; None where there is none."""
    near = max(1, round(_NEAR_MM / slice_mm))
    for k in range(len(section) - 2, 0, -1):
        below, above = section[max(0, k - near) : k].max(), section[k + 1 : k + 1 + near].max()
        if section[k] >= _NARROW * min(below, above):
            continue
        higher = section[k + 1 :]
        higher = higher[higher > 0]
        if len(higher) * slice_mm >= _FEMUR_MM and above >= _CONDYLES * np.percentile(higher, 25):
            return k
    return None
