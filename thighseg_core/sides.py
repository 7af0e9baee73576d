"""Which leg is the patient's left: from geometry alone, never from the side of the image.

Two legs: the one further to the patient's left (larger LPS x) is the left one. One leg: adductors and sartorius lie
on its inner side, so the side they lie on, seen from the femur, tells which leg it is; where that is unclear, the
sign of LPS x decides and a flag says so.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from thighseg_core.geometry import Geometry
from thighseg_core.labels import CLASS_INDEX, OTHER_BONE, label_value
from thighseg_core.labels import CLASSES as CLASS_NAMES
from thighseg_core.legs import Legs
from thighseg_core.measurement import QualityFlag

_INNER_CLASSES = ("adductor", "sartorius")
_SMALLEST_CM2 = 1.0  # of femur and of inner muscle on a slice that votes
_SMALLEST_CM3 = 20.0  # of inner muscle on the slices that vote: less may be something else beside the knee
_FULL_VOTE_MM = 15.0  # an offset of this size or more counts fully
_CLEAR = 0.35  # votes run from -1 to 1; weaker ones are unclear
_OFF_CENTRE_MM = 30.0  # nearer to x = 0 the sign of x says nothing


@dataclass(frozen=True)
class Sides:
    """side_of_leg: "left" or "right" for leg 1, 2; `flags` say where the cues disagree or are weak."""

    side_of_leg: tuple[str, ...]
    flags: tuple[QualityFlag, ...] = ()


def name_sides(classes: NDArray[np.uint8], legs: Legs, *, geometry: Geometry) -> Sides:
    """Left and right for the legs of a canonical stack (or a box of it) that lies on `geometry`."""
    votes = tuple(_left_vote(classes, legs.numbers == leg, geometry) for leg in range(1, legs.count + 1))
    if legs.count == 0:
        return Sides(())
    if legs.count == 2:
        sides = ("right", "left")  # columns, and with them the numbers of legs, run to the patient's left
        return Sides(sides, _flags_of_two(sides, votes))
    x_mm = _mean_x_mm(legs.numbers == 1, geometry)
    by_place = "left" if x_mm > 0 else "right"
    if abs(votes[0]) < _CLEAR:
        return Sides((by_place,), (_unclear(by_place),))
    by_anatomy = "left" if votes[0] > 0 else "right"
    off_centre = abs(x_mm) > _OFF_CENTRE_MM
    if off_centre and by_anatomy != by_place:
        return Sides((by_anatomy,), (_contradiction(by_anatomy, by_place),))
    return Sides((by_anatomy,))


def paint(classes: NDArray[np.uint8], legs: Legs, sides: Sides) -> NDArray[np.uint8]:
    """Side-free classes and sided legs -> label values; tissue that belongs to no leg stays background."""
    table = np.zeros((3, len(CLASS_NAMES)), dtype=np.uint8)
    for leg, side in enumerate(sides.side_of_leg, start=1):
        for name in CLASS_NAMES[1:]:
            table[leg, CLASS_INDEX[name]] = label_value(name, side)
    table[:, CLASS_INDEX["other_bone"]] = OTHER_BONE
    return np.asarray(table[legs.numbers, classes], dtype=np.uint8)


def _left_vote(classes: NDArray[np.uint8], leg: NDArray[np.bool_], geometry: Geometry) -> float:
    """-1 (surely a right leg) to 1 (surely a left leg): where the inner muscles lie, seen from the femur; 0 where too
    little of them is there to tell."""
    femur = (classes == CLASS_INDEX["femur"]) & leg
    inner = np.isin(classes, [CLASS_INDEX[name] for name in _INNER_CLASSES]) & leg
    smallest = _SMALLEST_CM2 * 100 / (geometry.spacing_mm[1] * geometry.spacing_mm[2])
    total = weights = 0.0
    for index in range(classes.shape[0]):
        n_femur, n_inner = int(femur[index].sum()), int(inner[index].sum())
        if min(n_femur, n_inner) < smallest:
            continue
        towards_left_mm = _x_mm(inner[index], index, geometry) - _x_mm(femur[index], index, geometry)
        total += n_inner * float(np.clip(-towards_left_mm / _FULL_VOTE_MM, -1, 1))
        weights += n_inner
    enough = weights * float(np.prod(geometry.spacing_mm)) / 1000 >= _SMALLEST_CM3
    return total / weights if enough else 0.0


def _x_mm(plane: NDArray[np.bool_], index: int, geometry: Geometry) -> float:
    rows, columns = np.nonzero(plane)
    return float(geometry.to_lps_mm(np.array([index, rows.mean(), columns.mean()], dtype=np.float64))[0])


def _mean_x_mm(leg: NDArray[np.bool_], geometry: Geometry) -> float:
    centre = np.array([axis.mean() for axis in np.nonzero(leg)], dtype=np.float64)
    return float(geometry.to_lps_mm(centre)[0])


def _flags_of_two(sides: tuple[str, ...], votes: tuple[float, ...]) -> tuple[QualityFlag, ...]:
    against = [side for side, vote in zip(sides, votes, strict=True) if (vote if side == "left" else -vote) < -_CLEAR]
    if not against:
        return ()
    return (
        QualityFlag(
            code="side_check",
            severity="warning",
            message=f"on the {' and '.join(against)} leg the adductors and sartorius were found on the outer side",
            consequence="left and right follow the patient coordinates of the scan; check them",
            side=against[0] if len(against) == 1 else "both",
        ),
    )


def _unclear(side: str) -> QualityFlag:
    return QualityFlag(
        code="side_check",
        severity="warning",
        message="one leg is in the field of view and its anatomy does not show which one",
        consequence=f"taken for the {side} one from its place in patient coordinates; check it",
        side=side,
    )


def _contradiction(by_anatomy: str, by_place: str) -> QualityFlag:
    return QualityFlag(
        code="side_check",
        severity="warning",
        message=f"one leg is in the field of view: its anatomy is that of a {by_anatomy} leg, its place in patient "
        f"coordinates that of a {by_place} one",
        consequence=f"taken for the {by_anatomy} one; check it",
        side=by_anatomy,
    )
