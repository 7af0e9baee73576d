"""What people have and the atlas has not: femoral vessels that come to the femur further up, a strap-like sartorius."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from training.atlas import PIXEL_MM, STRUCTURE_NAMES
from training.randomness import Draw

FEMUR, DEEP = (STRUCTURE_NAMES.index(name) for name in ("femur", "deep"))
GRACILIS, SARTORIUS, VASTUS_MEDIALIS, SEMITENDINOSUS, SEMIMEMBRANOSUS, LONGUS, MAGNUS = (
    STRUCTURE_NAMES.index(name)
    for name in (
        "gracilis", "sartorius", "vastus_medialis", "semitendinosus", "semimembranosus", "adductor_longus",
        "adductor_magnus",
    )
)  # fmt: skip
BEHIND_CANAL = [LONGUS, MAGNUS, SEMIMEMBRANOSUS]
POPLITEAL_LEVEL = 0.68
BEHIND_FEMUR_MM = ((18.0, 36.0), (-5.0, 18.0))  # from the femur's middle: to posterior, to medial
CANAL_LEVELS = (0.42, 0.8)  # where the femoral vessels pass from the sartorius to the back of the femur


def _deepest(distance_mm: Tensor) -> Tensor:
    """(..., h, w) distances -> (..., 2) row and column of the deepest point, in pixels."""
    place = distance_mm.flatten(-2).argmin(dim=-1)
    return torch.stack([place // distance_mm.shape[-1], place % distance_mm.shape[-1]], dim=-1)


def strap(distance: Tensor, reach_mm: float, turn: float) -> tuple[Tensor, Tensor]:
    """(h, w) mm each: the sartorius drawn out over the gracilis (its way turned by `turn`, radians), and that, which
    makes room towards the semimembranosus.

    In many thighs the sartorius is a strap 4 cm wide near the knee (reference slices); in the two of the atlas it is
    rounder.
    """
    sartorius, gracilis = distance[SARTORIUS], distance[GRACILIS]
    at_gracilis = _deepest(gracilis)
    towards = (at_gracilis - _deepest(sartorius)).float()
    cos, sin = math.cos(turn), math.sin(turn)
    way = torch.stack([cos * towards[0] - sin * towards[1], sin * towards[0] + cos * towards[1]])
    way = way * min(1.3, reach_mm / PIXEL_MM / max(float(towards.norm()), 1.0))
    drawn_out = sartorius
    for share in (0.25, 0.5, 0.75, 1.0):
        drawn_out = torch.minimum(drawn_out, _moved(sartorius, share * way))
    aside = (_deepest(distance[SEMIMEMBRANOSUS]) - at_gracilis).float()
    gracilis = _moved(gracilis, aside / max(float(aside.norm()), 1.0) * 0.35 * reach_mm / PIXEL_MM)
    return torch.maximum(drawn_out, -gracilis), gracilis


def _moved(plane: Tensor, by: Tensor) -> Tensor:
    """(h, w) moved by rows and columns, pixels."""
    down, across = by.round().int().tolist()
    return torch.roll(plane, (down, across), dims=(0, 1))


def in_canal(distance: Tensor, points: Tensor, level: Tensor, draw: Draw, *, share: float) -> Tensor:
    """Vessel points with those of some slices anywhere between vastus medialis and the muscles behind it.

    The atlas has no vessels: its course lies below the sartorius down to 0.74, where those of the real scans have long
    come to the femur.
    """
    low, high = CANAL_LEVELS
    width = distance.shape[-1]
    axis_mm = (torch.arange(width) - (width - 1) / 2) * PIXEL_MM
    behind = distance[:, BEHIND_CANAL].min(dim=1).values
    between_mm = distance[:, VASTUS_MEDIALIS].clamp(min=0) + behind.clamp(min=0)
    far_mm = torch.hypot(axis_mm[None, :, None] - points[:, 0, 0, None, None], axis_mm - points[:, 0, 1, None, None])
    # The further down, the further they may have come from the sartorius.
    reach_mm = 12.0 + 45.0 * ((level - low) / 0.25).clamp(0, 1)
    femur_mm = (_deepest(distance[:, FEMUR]) - (width - 1) / 2) * PIXEL_MM
    lateral_mm = (axis_mm - femur_mm[:, 1, None, None]).clamp(min=0)  # lateral of a left leg is to the right
    cost = between_mm / 1.5 + (far_mm - reach_mm[:, None, None]).clamp(min=0) + lateral_mm
    cost = cost + 3 * (5.0 - distance[:, FEMUR]).clamp(min=0) + (distance[:, DEEP] + 4.0).clamp(min=0)
    chance = draw.uniform(1e-9, 1.0, width, width)
    place = _deepest(cost + torch.log(-torch.log(chance)))  # each pixel with a probability like exp(-cost) (Gumbel)
    moved = draw.chance(share) & (level > low) & (level < high)
    points = points.clone()
    points[:, 0] = torch.where(moved[:, None], (place - (width - 1) / 2) * PIXEL_MM, points[:, 0])
    return points


def popliteal(distance: Tensor, points: Tensor, level: Tensor, draw: Draw, *, share: float) -> Tensor:
    """Vessel points with those of some slices near the knee anywhere behind the femur."""
    femur_mm = (_deepest(distance[:, FEMUR]) - (distance.shape[-1] - 1) / 2) * PIXEL_MM
    posterior, medial = (draw.uniform(*limits) for limits in BEHIND_FEMUR_MM)
    behind_mm = femur_mm + torch.stack([posterior, -medial], dim=1)  # medial of a left leg is to the right
    moved = draw.chance(share) & (level > POPLITEAL_LEVEL)
    points = points.clone()
    points[:, 0] = torch.where(moved[:, None], behind_mm, points[:, 0])
    return points
