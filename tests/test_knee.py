"""What is labelled femur below the knee joint is tibia; a femur alone, whole or cut, keeps every voxel."""

import numpy as np
import pytest
from numpy.typing import NDArray

from thighseg_core.knee import without_tibia
from thighseg_core.labels import CLASS_INDEX

FEMUR, OTHER_BONE = CLASS_INDEX["femur"], CLASS_INDEX["other_bone"]
TIBIA, JOINT, CONDYLES = [40, 70, 100], [10], [90, 100, 80, 50]  # sections from below, 10 mm slices
SHAFT, HEAD = [30] * 20, [60, 70, 60, 20]


def stack(sections: list[int]) -> NDArray[np.uint8]:
    classes = np.zeros((len(sections), 1, 200), dtype=np.uint8)
    for k, n in enumerate(sections):
        classes[k, 0, :n] = FEMUR
    return classes


def labelled(sections: list[int], *, slice_mm: float = 10.0) -> list[int]:
    """Sections of what stays femur; the rest is other bone."""
    classes = stack(sections)
    out = without_tibia(classes, np.ones_like(classes), spacing_mm=(slice_mm, 1.0, 1.0))
    assert np.array_equal(out[classes == 0], classes[classes == 0])
    assert np.isin(out[classes == FEMUR], (FEMUR, OTHER_BONE)).all()
    return [int(n) for n in np.count_nonzero(out == FEMUR, axis=(1, 2))]


def test_what_is_below_the_joint_is_no_femur() -> None:
    femur = JOINT + CONDYLES + SHAFT + HEAD
    assert labelled(TIBIA + femur) == [0] * len(TIBIA) + femur


@pytest.mark.parametrize(
    "sections",
    [
        CONDYLES + SHAFT + HEAD, SHAFT, CONDYLES + SHAFT, SHAFT + HEAD, [0, 0, *CONDYLES, *SHAFT, 0], [0] * 9, [7],
        [*CONDYLES, *SHAFT[:9], 0, *SHAFT, *HEAD],
    ],
    ids=[
        "whole", "shaft", "lower half", "upper half", "air at both ends", "none", "one slice",
        "not found on a slice of the shaft",
    ],
)  # fmt: skip
def test_a_femur_alone_stays_as_it_is(sections: list[int]) -> None:
    assert labelled(sections) == sections


def test_a_piece_of_pelvis_above_the_head_does_not_make_the_femur_a_tibia() -> None:
    sections = SHAFT + HEAD + [10, 60, 80]
    assert labelled(sections) == sections


def test_each_leg_has_its_own_knee() -> None:
    left, right = stack(TIBIA + JOINT + CONDYLES + SHAFT), stack(CONDYLES + SHAFT + [0] * 4)
    legs = np.concatenate([np.full_like(left, 1), np.full_like(right, 2)], axis=1)
    out = without_tibia(np.concatenate([left, right], axis=1), legs, spacing_mm=(10.0, 1.0, 1.0))
    assert np.count_nonzero(out[: len(TIBIA), 0] == FEMUR) == 0
    assert np.array_equal(out[:, 1], right[:, 0])
