"""Two whole femurs of balls, rods and boxes with known ends, under any tilt: for the tests of landmarks and extents.

In the frame of a left leg (x to lateral, y to posterior, z to the head; origin at the middle of the condyles' lower
end): the femur is 430 mm long along z, from the condyles' lowest point to the top of the head, whose centre lies right
above the origin, so that the mechanical axis is z. The shaft is a rod of radius 14 mm, 40 mm lateral of it at the top.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tests.boxes import scan
from thighseg_core.geometry import Geometry
from thighseg_core.labels import OTHER_BONE, LabelMap, label_value
from thighseg_core.volume import CTVolume

LENGTH_MM = 430.0
HEAD_RADIUS_MM = 24.0
CONDYLE_RADIUS_MM = 22.0
SHAFT_RADIUS_MM = 14.0
SHAFT_TOP = (40.0, 370.0)  # x and z of the upper end of the shaft
TROCHANTER = (28.0, 12.0, 340.0)  # middle of the lesser trochanter's ball
TROCHANTER_RADIUS_MM = 12.0
TUBEROSITY = (-25.0, 30.0, 320.0)  # lowest point of the hip bone
PLATEAU_MM = -6.0  # upper end of the shin bone
MUSCLE_HU, FAT_HU, BONE_HU = 50, -100, 900
APART_MM = 180.0  # between the mechanical axes of the two legs
MUSCLE_MM = (37.0, 44.0)  # half width (x) and half depth (y) of the block of extensor in front, fat around


@dataclass(frozen=True)
class Pose:
    """tilt_deg: both legs leaned to the front; shift_mm: of everything along z; left_raised_mm: of the left leg."""

    tilt_deg: float = 0.0
    shift_mm: float = 0.0
    left_raised_mm: float = 0.0


def legs_scan(
    *, spacing_mm: tuple[float, float, float], z_mm: tuple[float, float], pose: Pose | None = None, hip: bool = True
) -> tuple[CTVolume, LabelMap]:
    """Both legs between two heights; slices from the feet to the head."""
    pose = pose or Pose()
    dk, dj, di = spacing_mm
    shape = (round((z_mm[1] - z_mm[0]) / dk), round(260 / dj), round(360 / di))
    affine = np.array(
        [[0, 0, di, -180 + di / 2], [0, dj, 0, -130 + dj / 2], [dk, 0, 0, z_mm[0] + dk / 2], [0, 0, 0, 1]]
    )
    geometry = Geometry(shape, affine)
    k, j, i = np.ogrid[: shape[0], : shape[1], : shape[2]]
    z, y, x = affine[2, 3] + dk * k, affine[1, 3] + dj * j, affine[0, 3] + di * i
    attenuation = np.full(shape, -1000, dtype=np.int16)
    labels = np.zeros(shape, dtype=np.uint8)
    for side, sign in (("left", 1.0), ("right", -1.0)):
        raised = pose.shift_mm + (pose.left_raised_mm if side == "left" else 0.0)
        _leg(attenuation, labels, side, *_to_leg(x, y, z, sign, raised, pose.tilt_deg), hip=hip)
    return scan(attenuation, geometry), LabelMap(labels, geometry)


def _to_leg(x, y, z, sign, raised, tilt_deg):  # type: ignore[no-untyped-def]
    angle = np.deg2rad(tilt_deg)
    u, w, v = sign * x - APART_MM / 2, z - raised, y
    return u, np.cos(angle) * v + np.sin(angle) * w, np.cos(angle) * w - np.sin(angle) * v


def from_leg(point: tuple[float, float, float], side: str, pose: Pose) -> tuple[float, float, float]:
    """A point of the leg's frame in LPS mm."""
    u, v, w = point
    angle = np.deg2rad(pose.tilt_deg)
    y, z = np.cos(angle) * v - np.sin(angle) * w, np.sin(angle) * v + np.cos(angle) * w
    x = (u + APART_MM / 2) * (1 if side == "left" else -1)
    return x, y, z + pose.shift_mm + (pose.left_raised_mm if side == "left" else 0.0)


def shaft_x_mm(z_mm: float) -> float:
    return SHAFT_TOP[0] * z_mm / SHAFT_TOP[1]


def _leg(
    attenuation: NDArray[np.int16],
    labels: NDArray[np.uint8],
    side: str,
    u: NDArray[np.float64],
    v: NDArray[np.float64],
    w: NDArray[np.float64],
    *,
    hip: bool,
) -> None:
    shaft_u = SHAFT_TOP[0] * w / SHAFT_TOP[1]
    on_femur = (w > 0) & (w < LENGTH_MM)
    fat = np.hypot(u - 15, v) < 75
    muscle = (np.abs(u - 15) < MUSCLE_MM[0]) & (v < -18) & (v > -18 - MUSCLE_MM[1]) & on_femur
    femur = (np.hypot(u - shaft_u, v) < SHAFT_RADIUS_MM) & (w > 20) & (w < SHAFT_TOP[1])
    head_w = LENGTH_MM - HEAD_RADIUS_MM
    femur |= u**2 + v**2 + (w - head_w) ** 2 < HEAD_RADIUS_MM**2
    share = np.clip((w - SHAFT_TOP[1] + 25) / (head_w - SHAFT_TOP[1] + 25), 0, 1)  # the neck
    femur |= (np.hypot(u - (1 - share) * shaft_u, v) < 13) & (w > SHAFT_TOP[1] - 25) & (w < head_w)
    a, b, c = TROCHANTER
    femur |= (u - a) ** 2 + (v - b) ** 2 + (w - c) ** 2 < TROCHANTER_RADIUS_MM**2
    for middle in (-22.0, 22.0):
        femur |= (u - middle) ** 2 + v**2 + (w - CONDYLE_RADIUS_MM) ** 2 < CONDYLE_RADIUS_MM**2
    femur |= (np.abs(u) < 22) & (np.abs(v) < 18) & (w > 12) & (w < 45)
    bone = (np.abs(u) < 35) & (np.abs(v) < 20) & (w < PLATEAU_MM)
    if hip:
        bone |= (np.abs(u - TUBEROSITY[0]) < 12) & (np.abs(v - TUBEROSITY[1]) < 12) & (w > TUBEROSITY[2])
    for name, mask, hu in (
        ("subcutaneous", fat, FAT_HU), ("extensor", muscle, MUSCLE_HU), ("femur", femur, BONE_HU)
    ):  # fmt: skip
        labels[mask] = label_value(name, side)
        attenuation[mask] = hu
    bone &= ~femur
    labels[bone] = OTHER_BONE
    attenuation[bone] = BONE_HU
