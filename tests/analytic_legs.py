"""Two thighs made of ellipsoids and elliptic cylinders in patient millimetres: every volume has a closed form.

The left leg is larger than the right one, so a swapped side cannot go unseen. The muscles are ellipsoids of lean
attenuation with a smaller ellipsoid of fat inside; they lie wholly inside the field of view.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from thighseg_core.geometry import Geometry
from thighseg_core.labels import label_value

Vector = tuple[float, float, float]

LEAN_HU, FAT_HU, BONE_HU, AIR_HU, NOISE_HU = 55, -105, 900, -1000, 10.0
FAT_SCALE = 0.4  # the fat ellipsoid's semi-axes, as a share of the muscle's
FAT_PERCENT = 100 * FAT_SCALE**3
RIGHT_SCALE = 0.9  # semi-axes of the right leg's muscles, as a share of the left's
FIELD_MM = ((-172.0, 172.0), (-88.0, 110.0), (-88.0, 88.0))  # x, y, z covered by a scan

# LPS centre of the left leg's structure and its semi-axes; the right leg is mirrored in x.
MUSCLES: dict[str, tuple[Vector, Vector]] = {
    "extensor": ((90, -35, 5), (48, 26, 80)),
    "flexor": ((95, 58, -10), (34, 24, 75)),
    "adductor": ((62, 14, 20), (24, 20, 60)),
    "sartorius": ((30, -18, 0), (10, 9, 78)),
}
FEMUR = ((110.0, 10.0), 13.0)  # centre (x, y) and radius of a cylinder along z
LEG = ((85.0, 11.0), (80.0, 92.0), (72.0, 84.0))  # centre, outer and inner semi-axes (x, y) of the subcutaneous fat


@dataclass(frozen=True)
class Truth:
    """Closed-form figures of one structure on one side."""

    volume_cm3: float
    largest_area_cm2: float | None  # in a transverse plane


def truth(name: str, side: str) -> Truth:
    """Volume 4/3 pi abc and largest transverse area pi ab of a muscle."""
    a, b, c = _semi_axes(name, side)
    return Truth(4 / 3 * math.pi * a * b * c / 1000, math.pi * a * b / 100)


def truth_below(name: str, side: str, z_mm: float) -> float:
    """Volume in cm3 of the part of a muscle below a transverse plane: integral of pi ab (1 - t^2) c dt."""
    a, b, c = _semi_axes(name, side)
    t = min(1.0, max(-1.0, (z_mm - MUSCLES[name][0][2]) / c))
    return math.pi * a * b * c * ((t - t**3 / 3) + 2 / 3) / 1000


def ring_area_cm2() -> float:
    """Area of the subcutaneous fat of one leg in a transverse plane."""
    _, (a, b), (c, d) = LEG
    return math.pi * (a * b - c * d) / 100


def femur_area_cm2() -> float:
    return math.pi * FEMUR[1] ** 2 / 100


def covering(affine: NDArray[np.float64], *, top_mm: float | None = None) -> Geometry:
    """The grid with these axes that just covers `FIELD_MM`, or its part below `top_mm`."""
    (x0, x1), (y0, y1), (z0, z1) = FIELD_MM
    z1 = z1 if top_mm is None else top_mm
    corners = np.array([(x, y, z) for x in (x0, x1) for y in (y0, y1) for z in (z0, z1)], dtype=np.float64)
    index = corners @ np.linalg.inv(affine[:3, :3]).T
    low = index.min(axis=0)
    shape = np.ceil(index.max(axis=0) - low - 1e-6).astype(int)
    # when the number of voxels is rounded up, the surplus goes to the far end; the near face lies on the field's
    moved = affine.copy()
    moved[:3, 3] = affine[:3, :3] @ (low + 0.5)
    return Geometry((int(shape[0]), int(shape[1]), int(shape[2])), moved)


def paint(geometry: Geometry) -> tuple[NDArray[np.int16], NDArray[np.uint8]]:
    """Attenuation with noise, and labels, at the voxel centres of a grid."""
    attenuation = np.full(geometry.shape, AIR_HU, dtype=np.float32)
    labels = np.zeros(geometry.shape, dtype=np.uint8)
    for side, sign in (("left", 1.0), ("right", -1.0)):
        (cx, cy), outer, inner = LEG
        fat = _inside(geometry, (sign * cx, cy, 0), (*outer, math.inf))
        deep = _inside(geometry, (sign * cx, cy, 0), (*inner, math.inf))
        attenuation[fat] = FAT_HU
        labels[fat] = label_value("subcutaneous", side)
        attenuation[deep] = FAT_HU
        labels[deep] = label_value("intermuscular", side)
        (fx, fy), radius = FEMUR
        bone = _inside(geometry, (sign * fx, fy, 0), (radius, radius, math.inf))
        attenuation[bone] = BONE_HU
        labels[bone] = label_value("femur", side)
        for name, ((x, y, z), _) in MUSCLES.items():
            a, b, c = _semi_axes(name, side)
            muscle = _inside(geometry, (sign * x, y, z), (a, b, c))
            attenuation[muscle] = LEAN_HU
            labels[muscle] = label_value(name, side)
            lump = _inside(geometry, (sign * x, y, z), (FAT_SCALE * a, FAT_SCALE * b, FAT_SCALE * c))
            attenuation[lump] = FAT_HU
    attenuation += np.random.default_rng(0).normal(0, NOISE_HU, geometry.shape).astype(np.float32)
    return np.rint(np.maximum(attenuation, -1024)).astype(np.int16), labels  # as a 12-bit scanner cuts it off


def _semi_axes(name: str, side: str) -> Vector:
    a, b, c = MUSCLES[name][1]
    scale = 1.0 if side == "left" else RIGHT_SCALE
    return a * scale, b * scale, c * scale


def _inside(geometry: Geometry, centre: Vector, semi_axes: Vector) -> NDArray[np.bool_]:
    """Voxels whose centre lies in an ellipsoid; an infinite semi-axis makes a cylinder."""
    total = np.zeros(geometry.shape, dtype=np.float32)
    for world in range(3):
        if math.isinf(semi_axes[world]):
            continue
        parts = []
        for axis in range(3):
            steps = geometry.affine[world, axis] * np.arange(geometry.shape[axis])
            parts.append(steps.reshape([-1 if n == axis else 1 for n in range(3)]))
        offset = geometry.affine[world, 3] - centre[world]
        along = (parts[0] + parts[1] + parts[2] + offset) / semi_axes[world]
        total += along.astype(np.float32) ** 2
    return total <= 1
