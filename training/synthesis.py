"""Atlas slices -> deformed anatomy: distance fields and labels of new, synthetic legs.

Everything is batched over slices and runs in torch. `anatomy` bends an atlas, changes the size of every muscle, grows
subcutaneous fat around it and sets one or two legs into the picture; `rendering.render` makes CT of it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from thighseg_core.labels import CLASS_INDEX
from training.atlas import DEEP_UNIT_MM, N_MUSCLES, PIXEL_MM, STRUCTURE_NAMES, STRUCTURES, UNIT_MM, AtlasLeg
from training.courses import (
    DEEP,
    FEMUR,
    GRACILIS,
    MAGNUS,
    SARTORIUS,
    SEMITENDINOSUS,
    in_canal,
    popliteal,
    strap,
)
from training.randomness import Draw

OTHER_BONE = STRUCTURE_NAMES.index("other_bone")
MUSCLE_CLASS = torch.tensor([CLASS_INDEX[STRUCTURES[name][0]] for name in STRUCTURE_NAMES[:N_MUSCLES]])
FLEXORS = (CLASS_INDEX["flexor"] == MUSCLE_CLASS).nonzero()[:, 0]
SKIN = N_MUSCLES + 3  # place of the skin among the fields of a leg
STRAP_LEVEL = 0.6
MAGNUS_LEVEL = 0.6
CLEFT_WIDTH_MM = (8.0, 14.0)
SHEATH_MM = 3.0  # vessels closer than about this grow together in a sheath
FAR_MM = 200.0
NEAR_EDGE_MM = 10.0


@dataclass(frozen=True)
class AnatomyRange:
    """Ranges that subjects are drawn from; (low, high) are uniform, in the units of the names."""

    scale: tuple[float, float] = (0.78, 1.22)
    anisotropy: float = 0.10  # sd of log(width / depth)
    rotation_deg: float = 22.0
    shift_mm: float = 38.0
    bend_mm: tuple[float, float] = (3.2, 1.1)  # sd of slow and quick in-plane displacement
    shrink_mm: tuple[float, float] = (-1.0, 2.2)  # all muscles of a leg: opens gaps
    muscle_growth_mm: float = 1.1  # sd, each muscle by itself
    muscle_shift_mm: float = 2.5  # sd, each muscle by itself, in the plane
    muscle_level: float = 0.012  # sd of the level that each muscle is taken from, around the slice's
    gracilis_reach: tuple[float, float] = (
        0.0,
        0.0,
    )  # share of the femur by which these reach lower; negative: less far
    semitendinosus_reach: tuple[float, float] = (0.0, 0.0)
    flexor_rise: tuple[float, float] = (0.0, 0.0)  # the flexors of the upper half come from so much higher up together
    sartorius_rise: tuple[float, float] = (0.0, 0.0)  # the same for the sartorius: further forward on the thigh
    magnus_level: float = 0.0  # sd of the level of the adductor magnus, added to `muscle_level`
    magnus_growth_mm: tuple[float, float] = (0.0, 0.0)  # these are added to `muscle_growth_mm`
    magnus_distal_growth_mm: tuple[float, float] = (0.0, 0.0)  # near its hiatus, instead
    sartorius_growth_mm: tuple[float, float] = (0.0, 0.0)
    sartorius_strap_mm: tuple[float, float] = (0.0, 0.0)  # near the knee it reaches further back by so much
    gracilis_growth_mm: tuple[float, float] = (0.0, 0.0)  # in the lower half only, where it is a thin belly
    artery_mm: tuple[float, float] = (2.4, 4.6)  # radii
    vein_mm: tuple[float, float] = (2.8, 6.0)
    vessel_oval: float = 0.15  # sd of log of half the ratio of a vessel's long and short radius
    vessel_shift_mm: float = 1.5  # sd, where the femoral vessels lie
    vessels_apart_mm: tuple[float, float] = (6.0, 9.0)  # middle of the artery to middle of the vein
    vessels_joined: float = 0.0  # share of legs whose femoral vessels lie in one sheath: the tissue between is no fat
    canal: float = 0.0  # share of the slices of `CANAL_LEVELS` with the vessels anywhere along the adductor canal
    cleft_mm: tuple[float, float] = (0.0, 0.0)  # by how much muscles make room for the femoral vessels between them
    popliteal: float = 0.0  # share of the slices below `POPLITEAL_LEVEL` with the vessels anywhere behind the femur
    subcutaneous_mm: tuple[float, float] = (3.0, 34.0)
    two_legs: float = 0.5  # probability that the other leg is in the picture
    leg_gap_mm: tuple[float, float] = (-12.0, 40.0)


@dataclass(frozen=True)
class Anatomy:
    """Fields of a batch, all (B, ?, H, W) in mm, negative inside; `owner_flip` is +1 on left legs, -1 on right legs."""

    muscles_mm: Tensor  # (B, N_MUSCLES, H, W)
    femur_mm: Tensor
    other_bone_mm: Tensor
    deep_mm: Tensor
    skin_mm: Tensor
    artery_mm: Tensor
    vein_mm: Tensor
    deep_vessel_mm: Tensor
    nerve_mm: Tensor
    saphenous_mm: Tensor
    level: Tensor  # (B,)
    owner_flip: Tensor  # (B, 1, H, W)
    pixel_mm: float

    def vessels(self) -> Tensor:
        """(B, H, W) bool: femoral vessels, deep femoral vessels and sciatic nerve."""
        fields_mm = torch.cat([self.artery_mm, self.vein_mm, self.nerve_mm, self.deep_vessel_mm], dim=1)
        return fields_mm.amin(dim=1) < 0

    def labels(self) -> Tensor:
        """(B, H, W) int64 side-free classes."""
        nearest_mm, muscle = self.muscles_mm.min(dim=1, keepdim=True)
        out = torch.zeros_like(muscle)
        out[self.skin_mm < 0] = CLASS_INDEX["subcutaneous"]
        out[(self.deep_mm < 0) & (self.skin_mm < 0)] = CLASS_INDEX["intermuscular"]
        inside = nearest_mm < 0
        out[inside] = MUSCLE_CLASS[muscle[inside]]
        out[self.vessels()[:, None]] = CLASS_INDEX["intermuscular"]
        out[self.other_bone_mm < 0] = CLASS_INDEX["other_bone"]
        out[self.femur_mm < 0] = CLASS_INDEX["femur"]
        return out[:, 0]


@dataclass(frozen=True)
class Atlas:
    """Legs in memory: slices picked by leg and level."""

    legs: tuple[AtlasLeg, ...]

    def slices(self, leg: Tensor, level: Tensor, *, draw: Draw, ranges: AnatomyRange) -> tuple[Tensor, Tensor]:
        """Distances (B, S, h, w) mm and vessel points (B, 3, 2) mm at the given levels.

        People differ in where a muscle lies and how far up and down it reaches: each one comes from a level of its
        own near the slice's, shifted by itself.
        """
        levels = level[:, None] + draw.normal(0, ranges.muscle_level, len(STRUCTURE_NAMES))
        levels[:, N_MUSCLES:] = level[:, None]
        # The bellies of these two end elsewhere in most people than in the two of the atlas (reference slices).
        for muscle, reach in ((GRACILIS, ranges.gracilis_reach), (SEMITENDINOSUS, ranges.semitendinosus_reach)):
            levels[:, muscle] -= draw.uniform(*reach) * (level > 0.5)
        # Below the ischium the adductor magnus fills the back of many thighs, the hamstrings still being small.
        # The sartorius of many lies further forward there than in the two of the atlas, as theirs does higher up.
        for muscles, rise in ((FLEXORS, ranges.flexor_rise), ([SARTORIUS], ranges.sartorius_rise)):
            if rise[1] > 0:
                levels[:, muscles] -= (draw.uniform(*rise) * (level < 0.5))[:, None]
        if ranges.magnus_level > 0:
            levels[:, MAGNUS] += draw.normal(0, ranges.magnus_level)
        shift = (draw.normal(0, ranges.muscle_shift_mm, N_MUSCLES, 2) / PIXEL_MM).round().int().tolist()
        strap_mm, strap_turn = torch.zeros(len(level)), torch.zeros(len(level))
        if ranges.sartorius_strap_mm[1] > 0:
            strap_mm = draw.uniform(*ranges.sartorius_strap_mm) * (level > STRAP_LEVEL)
            strap_turn = draw.normal(0, 0.4)
        units = torch.full((len(STRUCTURE_NAMES), 1, 1), UNIT_MM)
        units[DEEP] = DEEP_UNIT_MM
        channels = np.arange(len(STRUCTURE_NAMES))
        distances, points = [], []
        for b, which in enumerate(leg.tolist()):
            atlas = self.legs[which]
            position = np.interp(-levels[b].numpy(), -atlas.level, np.arange(len(atlas.level)))  # level falls with it
            lower = np.minimum(position.astype(int), len(atlas.level) - 2)
            share = torch.from_numpy(position - lower).float()[:, None, None]
            pair = [torch.from_numpy(atlas.distance[lower + step, channels]).float() for step in (0, 1)]
            distance = torch.lerp(pair[0], pair[1], share) * units
            for muscle, (down, across) in enumerate(shift[b]):
                if down or across:
                    distance[muscle] = torch.roll(distance[muscle], (down, across), dims=(0, 1))
            if strap_mm[b] > 0:
                distance[SARTORIUS], distance[GRACILIS] = strap(distance, float(strap_mm[b]), float(strap_turn[b]))
            distances.append(distance)
            points.append(torch.from_numpy(atlas.points_mm[lower[-1]]))
        return torch.stack(distances), torch.stack(points)


@dataclass(frozen=True)
class Placement:
    """Where the legs of a whole scan lie: the left one's middle (row, column) from the image's, and the distance of
    the right one's from it, mm (None: what their widths and `AnatomyRange.leg_gap_mm` make it)."""

    left_mm: tuple[float, float]
    apart_mm: float | None = None


def anatomy(
    atlas: Atlas,
    *,
    leg: Tensor,
    level: Tensor,
    draw: Draw,
    size: tuple[int, int],
    pixel_mm: float,
    ranges: AnatomyRange,
    placement: Placement | None = None,
) -> Anatomy:
    """New anatomy for the slices (leg, level); size is (H, W). Without `placement` legs lie anywhere."""
    flip = torch.where(draw.chance(0.5), 1.0, -1.0)
    centre_mm = draw.uniform(-ranges.shift_mm, ranges.shift_mm, 2)
    if placement is not None:
        flip, centre_mm = torch.ones_like(flip), centre_mm + torch.tensor(placement.left_mm)
    first = _one_leg(atlas, leg, level, draw, size, pixel_mm, ranges, flip, centre_mm)
    if ranges.two_legs > 0:
        paired = draw.chance(ranges.two_legs).nonzero()[:, 0]
        gap_mm = draw.uniform(*ranges.leg_gap_mm)
        apart_mm = 2 * first.half_width_mm + gap_mm
        if placement is not None and placement.apart_mm is not None:
            apart_mm = torch.full_like(gap_mm, placement.apart_mm)
        offset = torch.stack([draw.normal(0, 6.0), -flip * apart_mm], dim=1)  # a left leg has its fellow to the right
        near = level + draw.normal(0, 0.02)
        if len(paired):
            partner = _one_leg(
                atlas, leg[paired], near[paired], replace(draw, n=len(paired)), size, pixel_mm, ranges, -flip[paired],
                (centre_mm + offset)[paired],
            )  # fmt: skip
            first = first.join(partner, paired)
    return first.anatomy(level, pixel_mm)


@dataclass(frozen=True)
class _Leg:
    fields_mm: Tensor  # (B, N_MUSCLES + 2 bones + deep + skin + 5 vessels, H, W)
    flip: Tensor  # (B, 1, H, W)
    half_width_mm: Tensor  # (B,) half width of the leg, skin included

    def join(self, other: _Leg, which: Tensor) -> _Leg:
        """The slices `which` get `other` beside them: each pixel goes to the leg whose skin it is deeper under."""
        skin_mm, other_skin_mm = self.fields_mm[which, SKIN], other.fields_mm[:, SKIN]
        mine = (skin_mm <= other_skin_mm)[:, None]
        joined_mm = torch.where(mine, self.fields_mm[which], other.fields_mm)
        # Where legs are pressed together skin lies on skin: the border between them is the surface of both.
        joined_mm[:, SKIN] = torch.maximum(joined_mm[:, SKIN], -(skin_mm - other_skin_mm).abs() / 2)
        self.fields_mm[which] = joined_mm
        self.flip[which] = torch.where(mine, self.flip[which], other.flip)
        return self

    def anatomy(self, level: Tensor, pixel_mm: float) -> Anatomy:
        muscles, rest = self.fields_mm[:, :N_MUSCLES], self.fields_mm[:, N_MUSCLES:].split(1, dim=1)
        return Anatomy(muscles, *rest, level=level, owner_flip=self.flip, pixel_mm=pixel_mm)


def _one_leg(
    atlas: Atlas, leg: Tensor, level: Tensor, draw: Draw, size: tuple[int, int], pixel_mm: float,
    ranges: AnatomyRange, flip: Tensor, centre_mm: Tensor,
) -> _Leg:  # fmt: skip
    distance, points = atlas.slices(leg, level, draw=draw, ranges=ranges)
    if ranges.canal > 0:
        points = in_canal(distance, points, level, draw, share=ranges.canal)
    points = popliteal(distance, points, level, draw, share=ranges.popliteal)
    half_mm = distance.shape[-1] * PIXEL_MM / 2
    scale = draw.uniform(*ranges.scale)
    stretch = torch.exp(draw.normal(0, ranges.anisotropy) / 2)
    angle = draw.uniform(-ranges.rotation_deg, ranges.rotation_deg) * torch.pi / 180
    # Where each pixel lies in the atlas leg (mm from the middle of its slice).
    rows = (torch.arange(size[0]) - (size[0] - 1) / 2) * pixel_mm
    columns = (torch.arange(size[1]) - (size[1] - 1) / 2) * pixel_mm
    y = rows[None, :, None] - centre_mm[:, 0, None, None]
    x = (columns[None, None, :] - centre_mm[:, 1, None, None]) * flip[:, None, None]
    cos, sin = torch.cos(angle)[:, None, None], torch.sin(angle)[:, None, None]
    v = (cos * y + sin * x) / (scale * stretch)[:, None, None]
    u = (cos * x - sin * y) / (scale / stretch)[:, None, None]
    bend = ranges.bend_mm[0] * draw.field(2, 5, size) + ranges.bend_mm[1] * draw.field(2, 11, size)
    where_mm = torch.stack([u + bend[:, 0], v + bend[:, 1]], dim=-1)
    sampled = F.grid_sample(distance, where_mm / half_mm, mode="bilinear", padding_mode="border", align_corners=False)
    beyond_mm = (where_mm.abs() - half_mm).clamp(min=0).norm(dim=-1)[:, None]
    sampled = (sampled + beyond_mm) * scale[:, None, None, None]

    if ranges.gracilis_reach[1] > 0:  # taken from another level it would lie in the sartorius, and is beside it
        sampled[:, GRACILIS] = torch.maximum(sampled[:, GRACILIS], -sampled[:, SARTORIUS])

    shrink = draw.uniform(*ranges.shrink_mm)
    growth = draw.normal(0, ranges.muscle_growth_mm, N_MUSCLES) - shrink[:, None]
    for muscle, more_mm, where in (
        (MAGNUS, ranges.magnus_growth_mm, level < MAGNUS_LEVEL),
        (MAGNUS, ranges.magnus_distal_growth_mm, level >= MAGNUS_LEVEL),
        (SARTORIUS, ranges.sartorius_growth_mm, torch.ones_like(level)),
        (GRACILIS, ranges.gracilis_growth_mm, level > 0.5),
    ):
        if more_mm[1] > 0:
            growth[:, muscle] += draw.uniform(*more_mm) * where
    waves = draw.field(3, 6, size).flatten(2)
    uneven = torch.baddbmm(growth[:, :, None], draw.normal(0, 0.4, N_MUSCLES, 3), waves).view(-1, N_MUSCLES, *size)
    muscles = sampled[:, :N_MUSCLES] - uneven
    femur = sampled[:, FEMUR : FEMUR + 1] - draw.uniform(-1.5, 1.5)[:, None, None, None]
    other_bone = sampled[:, OTHER_BONE : OTHER_BONE + 1]
    looseness = draw.uniform(0.2, 1.6)[:, None, None, None]
    envelope = torch.minimum(muscles.min(dim=1, keepdim=True).values, torch.minimum(femur, other_bone)) - looseness
    # Stored distances are cut off: far from an edge the envelope says nothing.
    envelope = torch.where(envelope > NEAR_EDGE_MM, FAR_MM, envelope)
    deep = torch.minimum(sampled[:, DEEP:] + draw.uniform(-1.0, 1.5)[:, None, None, None], envelope)
    low, high = (math.log(value) for value in ranges.subcutaneous_mm)
    thickness = torch.exp(draw.uniform(low, high))
    profile = 1 + 0.25 * draw.field(1, 4, size)
    medial = 1 + 0.35 * torch.tanh(-u[:, None] / 60)  # more fat on the inner side
    depth = (thickness[:, None, None, None] * profile * medial).clamp(min=2.0)
    skin = torch.minimum(deep - depth, envelope - 2.0)

    def away_mm(point: Tensor) -> Tensor:
        return where_mm - point.flip(-1)[:, None, None, :]

    def tube(radius: Tensor, point: Tensor) -> Tensor:
        oval = torch.exp(draw.normal(0, ranges.vessel_oval))[:, None, None]
        delta = away_mm(point)
        reach = torch.hypot(delta[..., 0] * oval, delta[..., 1] / oval) * scale[:, None, None]
        return (reach - radius[:, None, None])[:, None]

    def near(point: Tensor, sd_mm: float) -> Tensor:
        return point + draw.normal(0, sd_mm, 2)

    artery_radius, artery_point = draw.uniform(*ranges.artery_mm), near(points[:, 0], ranges.vessel_shift_mm)
    artery = tube(artery_radius, artery_point)
    around = draw.uniform(0, 2 * torch.pi)
    apart = draw.uniform(*ranges.vessels_apart_mm)
    beside = torch.stack([torch.sin(around), torch.cos(around)], dim=1) * apart[:, None]
    fellow = artery_point if ranges.cleft_mm[1] > 0 else points[:, 0]
    vein = tube(draw.uniform(*ranges.vein_mm), near(fellow + beside, ranges.vessel_shift_mm / 3))
    nerve = tube(draw.uniform(2.0, 4.5), near(points[:, 1], 1.5))
    deep_vessel = tube(draw.uniform(1.0, 3.2), near(points[:, 2], 2.5))
    # The great saphenous vein: in the fat of the inner side.
    reach = draw.uniform(45.0, 80.0)
    turn = draw.uniform(-0.9, 0.9)
    inner_side = torch.stack([reach * torch.sin(turn), -reach * torch.cos(turn)], dim=1)
    saphenous = tube(draw.uniform(1.2, 3.0), near(inner_side, 1.0))
    gone = torch.full_like(deep, FAR_MM)
    saphenous = torch.where((deep > 1.0) & (skin < -3.0), saphenous, gone)
    if ranges.vessels_joined > 0:
        sheath = -SHEATH_MM * torch.logaddexp(-artery / SHEATH_MM, -vein / SHEATH_MM)
        artery = torch.where(draw.chance(ranges.vessels_joined)[:, None, None, None], sheath, artery)
    if ranges.cleft_mm[1] > 0:
        room = away_mm(artery_point + beside / 2).norm(dim=-1) / draw.uniform(*CLEFT_WIDTH_MM)[:, None, None]
        muscles = muscles + (draw.uniform(*ranges.cleft_mm)[:, None, None] * torch.exp(-(room**2)))[:, None]
        nearest = muscles.min(dim=1, keepdim=True).values
        artery, vein = torch.maximum(artery, -nearest), torch.maximum(vein, -nearest)
    inner = torch.maximum(deep, -femur)  # vessels stay deep to the fascia and out of the bone
    vessels = [torch.maximum(field, inner) for field in (artery, vein, deep_vessel, nerve)]
    fields = torch.cat([muscles, femur, other_bone, deep, skin, *vessels, saphenous], dim=1)
    body = (skin < 0).float().mean(dim=(1, 2, 3)) * size[0] * size[1] * pixel_mm**2
    return _Leg(fields, flip[:, None, None, None].repeat(1, 1, *size), torch.sqrt(body / torch.pi))
