"""The only list of labels, functional groups and colours. left/right is the patient's."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from thighseg_core.errors import InputError
from thighseg_core.geometry import Geometry

LABEL_SCHEME = "thighseg-1"
GROUP_MAP_VERSION = 1
SIDES = ("left", "right")

# Side-free tissue classes. The index is what the networks predict. "other_bone" has no side.
CLASSES = (
    "background",
    "extensor",
    "flexor",
    "adductor",
    "sartorius",
    "other_muscle",
    "femur",
    "intermuscular",
    "subcutaneous",
    "other_bone",
)
CLASS_INDEX = {name: index for index, name in enumerate(CLASSES)}

# Label of (class, left); right is one more (design.md, section 4).
_LEFT_LABEL = {
    "extensor": 1,
    "flexor": 3,
    "adductor": 5,
    "sartorius": 7,
    "other_muscle": 9,
    "femur": 11,
    "intermuscular": 13,
    "subcutaneous": 15,
}
OTHER_BONE = 17

# Our convention (clinical.md, section 1): the groups of the paper, each muscle written out.
GROUP_MAP: dict[str, tuple[str, ...]] = {
    "extensor": ("rectus femoris", "vastus lateralis", "vastus intermedius", "vastus medialis"),
    "flexor": ("biceps femoris long head", "biceps femoris short head", "semitendinosus", "semimembranosus"),
    "adductor": ("adductor longus", "adductor brevis", "adductor magnus", "gracilis", "pectineus"),
}
GROUPS = tuple(GROUP_MAP)

LABELS: dict[int, str] = {0: "background"}
for _name, _value in _LEFT_LABEL.items():
    LABELS[_value] = f"{_name}_left"
    LABELS[_value + 1] = f"{_name}_right"
LABELS[OTHER_BONE] = "other_bone"

# Okabe and Ito, Color Universal Design, 2008: told apart with any colour vision. Used by every picture and plot.
COLOURS: dict[str, str] = {
    "extensor": "#D55E00",
    "flexor": "#0072B2",
    "adductor": "#009E73",
    "sartorius": "#F0E442",
    "other_muscle": "#CC79A7",
    "femur": "#999999",
    "intermuscular": "#E69F00",
    "subcutaneous": "#56B4E9",
    "other_bone": "#BBBBBB",
}


def label_value(class_name: str, side: str) -> int:
    """Label value of a class on one side ("left" or "right" of the patient)."""
    if class_name == "other_bone":
        return OTHER_BONE
    return _LEFT_LABEL[class_name] + SIDES.index(side)


def class_of_label() -> NDArray[np.uint8]:
    """(18,) lookup: label value -> side-free class index."""
    table = np.zeros(OTHER_BONE + 1, dtype=np.uint8)
    for name, value in _LEFT_LABEL.items():
        table[value] = table[value + 1] = CLASS_INDEX[name]
    table[OTHER_BONE] = CLASS_INDEX["other_bone"]
    return table


@dataclass(frozen=True)
class LabelMap:
    """labels: (K, J, I) uint8 with values of `LABELS`, on `geometry`, read-only.

    Raises InputError when shapes differ or a value is not in the scheme.
    """

    labels: NDArray[np.uint8]
    geometry: Geometry
    scheme: str = LABEL_SCHEME

    def __post_init__(self) -> None:
        if self.labels.shape != self.geometry.shape:
            raise InputError(f"the label map has shape {self.labels.shape}, its geometry {self.geometry.shape}")
        if self.labels.dtype != np.uint8:
            raise InputError(f"a label map must be uint8, got {self.labels.dtype}")
        highest = int(self.labels.max())
        if highest > OTHER_BONE:
            raise InputError(f"label value {highest} is not in scheme {self.scheme} (0 to {OTHER_BONE})")
        view = self.labels.view()
        view.setflags(write=False)
        object.__setattr__(self, "labels", view)
