"""What scans show beside healthy legs: masses that push muscles apart, metal, hands, genitals, pads, thick slices.

Everything works on a drawn picture and its labels, batched, before the scanner's blur and noise. A hand is labelled
`other_muscle`. What a mass is stays open: called other muscle, it taught networks to call large adductors so.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from thighseg_core.labels import CLASS_INDEX
from training.allowed import OPEN
from training.randomness import Draw

METAL_HU = 3000.0
_RAYS = 90


@dataclass(frozen=True)
class ObjectRange:
    """How often and how large, (low, high) are uniform; all probabilities are of a slice."""

    mass: float = 0.0
    mass_mm: tuple[float, float] = (10.0, 45.0)  # half axes
    mass_seed: tuple[float, float] = (0.15, 1.0)  # the share of them that it has eaten; the rest it has pushed aside
    mass_hu: tuple[float, float] = (5.0, 65.0)
    metal: float = 0.0  # a nail in the femur, a plate on it, or a joint of metal at its ends
    ray_hu: tuple[float, float] = (50.0, 600.0)  # sd of the streaks near the metal
    beside: float = 0.0  # a hand, genitals or a pad in the air beside the legs
    slant_mm: float = 0.0  # sd of how far edges run within the thickness of a slice


@dataclass(frozen=True)
class Picture:
    """hu: (B, 1, H, W) float32. labels: (B, H, W) int64 side-free classes, or `OPEN`."""

    hu: Tensor
    labels: Tensor
    pixel_mm: float

    def grid_mm(self) -> tuple[Tensor, Tensor]:
        """(1, H, 1) rows and (1, 1, W) columns, mm from the middle of the picture."""
        height, width = self.hu.shape[-2:]
        rows, columns = ((torch.arange(n) - (n - 1) / 2) * self.pixel_mm for n in (height, width))
        return rows[None, :, None], columns[None, None, :]

    def sampled(self, row_mm: Tensor, column_mm: Tensor) -> Picture:
        """What lies at these places, (B, H, W) each, mm from the middle."""
        height, width = self.hu.shape[-2:]
        grid = torch.stack([column_mm * 2 / (width * self.pixel_mm), row_mm * 2 / (height * self.pixel_mm)], dim=-1)
        hu = F.grid_sample(self.hu, grid, mode="bilinear", padding_mode="border", align_corners=False)
        nearest = {"mode": "nearest", "padding_mode": "border", "align_corners": False}
        labels = F.grid_sample(self.labels[:, None].float(), grid, **nearest)  # type: ignore[arg-type]
        return Picture(hu, labels[:, 0].long(), self.pixel_mm)

    def painted(self, where: Tensor, hu: Tensor, label: int) -> Picture:
        """With `hu`, broadcast to (B, H, W), and one label at `where` (B, H, W)."""
        painted = torch.where(where, hu, self.hu[:, 0])[:, None]
        return Picture(painted, torch.where(where, label, self.labels), self.pixel_mm)


def add_objects(picture: Picture, *, femur_mm: Tensor, level: Tensor, draw: Draw, ranges: ObjectRange) -> Picture:
    """The picture with objects; femur_mm (B, 1, H, W) is negative inside the femur, level (B,) is 0 at its top."""
    if ranges.beside > 0:
        picture = _beside(picture, draw, ranges)
    if ranges.metal > 0:
        picture = _metal(picture, femur_mm[:, 0], level, draw, ranges)
    if ranges.mass > 0:
        picture = _mass(picture, draw, ranges)
    if ranges.slant_mm > 0:
        picture = _thick(picture, draw, ranges)
    return picture


def _per_slice(values: Tensor) -> Tensor:
    return values[:, None, None]


def _ellipse(picture: Picture, middle_mm: Tensor, half_mm: Tensor, angle: Tensor) -> tuple[Tensor, Tensor]:
    """(B, H, W) place along and across an ellipse's axes in units of its half axes; middle and half axes are (B, 2)."""
    rows, columns = picture.grid_mm()
    down, right = rows - _per_slice(middle_mm[:, 0]), columns - _per_slice(middle_mm[:, 1])
    cos, sin = _per_slice(torch.cos(angle)), _per_slice(torch.sin(angle))
    long_mm, short_mm = (_per_slice(half) for half in half_mm.unbind(dim=1))
    return (cos * right + sin * down) / long_mm, (cos * down - sin * right) / short_mm


def _mass(picture: Picture, draw: Draw, ranges: ObjectRange) -> Picture:
    """A mass of half axes R that has eaten an ellipse of r < R pushes the rest outwards: what is seen at its edge d = R
    lay at sqrt(d^2 - R^2 + r^2), what is seen at 3 R lay there."""
    height, width = picture.hu.shape[-2:]
    half_mm, angle = draw.uniform(*ranges.mass_mm, 2), draw.uniform(0, torch.pi)
    middle_mm = draw.uniform(-0.35, 0.35, 2) * torch.tensor([height, width]) * picture.pixel_mm
    grows = _per_slice(draw.chance(ranges.mass))
    along, across = _ellipse(picture, middle_mm, half_mm, angle)
    ripple = 1 + 0.12 * draw.field(1, 6, (height, width))[:, 0]
    distance = (torch.hypot(along, across) * ripple).clamp(min=1e-6)
    before = (distance**2 - 1 + _per_slice(draw.uniform(*ranges.mass_seed)) ** 2).clamp(min=0).sqrt()
    share = torch.lerp(before / distance, torch.ones(()), ((distance - 1) / 2).clamp(0, 1))
    share = torch.where(grows & (distance > 1), share, 1.0)
    cos, sin = _per_slice(torch.cos(angle)), _per_slice(torch.sin(angle))
    right, down = along * share * _per_slice(half_mm[:, 0]), across * share * _per_slice(half_mm[:, 1])
    pushed = picture.sampled(
        _per_slice(middle_mm[:, 0]) + sin * right + cos * down, _per_slice(middle_mm[:, 1]) + cos * right - sin * down
    )
    bone = (pushed.labels == CLASS_INDEX["femur"]) | (pushed.labels == CLASS_INDEX["other_bone"])
    inside = grows & (distance <= 1) & (pushed.hu[:, 0] > -300) & ~bone
    texture = _per_slice(draw.uniform(0, 18)) * draw.field(1, 9, (height, width))[:, 0]
    return pushed.painted(inside, _per_slice(draw.uniform(*ranges.mass_hu)) + texture, OPEN)


def _metal(picture: Picture, femur_mm: Tensor, level: Tensor, draw: Draw, ranges: ObjectRange) -> Picture:
    width = picture.hu.shape[-1]
    rows, columns = picture.grid_mm()
    deepest_mm, deepest = femur_mm.flatten(1).min(dim=1)
    middle = [(index - (n - 1) / 2) * picture.pixel_mm for index, n in (
        (deepest // width, picture.hu.shape[-2]), (deepest % width, width))]  # fmt: skip
    down, right = (grid - _per_slice(at) for grid, at in zip((rows, columns), middle, strict=True))
    reach_mm, turn = torch.hypot(right, down), torch.atan2(down, right)
    nail = reach_mm < _per_slice(draw.uniform(3.5, 7.0))
    side = _per_slice(draw.uniform(-torch.pi, torch.pi))
    plate = (femur_mm > 0) & (femur_mm < _per_slice(draw.uniform(2.5, 6.0))) & (torch.cos(turn - side) > 0.85)
    joint = femur_mm < -1
    at_end = _per_slice((level > 0.85) | (level < 0.1))
    metal = torch.where(at_end, joint, torch.where(_per_slice(draw.chance(0.5)), nail, plate))
    metal = metal & _per_slice(draw.chance(ranges.metal) & (deepest_mm < -2))
    rays = draw.normal(0, 1, _RAYS)
    place = (turn / (2 * torch.pi) + 0.5) * _RAYS
    lower = place.floor().long()
    either = [rays.gather(1, ((lower + step) % _RAYS).flatten(1)).view_as(lower) for step in (0, 1)]
    ray = torch.lerp(either[0], either[1], place - lower)
    strength = _per_slice(draw.uniform(*ranges.ray_hu)) * 15 / (reach_mm + 15)
    shown = metal.any(dim=2, keepdim=True).any(dim=1, keepdim=True)
    hu = picture.hu[:, 0] + shown * ray * strength
    return Picture(torch.where(metal, METAL_HU, hu)[:, None], picture.labels, picture.pixel_mm)


def _beside(picture: Picture, draw: Draw, ranges: ObjectRange) -> Picture:
    """An ellipse that touches the body: a hand (bones in a row), genitals, or a pad of foam."""
    rows, columns = picture.grid_mm()
    body = picture.labels > 0
    n = body.sum(dim=(1, 2)).clamp(min=1)
    centre_mm = torch.stack([(body * grid).sum(dim=(1, 2)) / n for grid in (rows, columns)], dim=1)
    around = draw.uniform(-torch.pi, torch.pi)
    outwards = torch.stack([torch.sin(around), torch.cos(around)], dim=1)
    half_mm = torch.stack([draw.uniform(22, 45), draw.uniform(11, 28)], dim=1)
    # From the body's middle to where its skin is met in that direction.
    ahead_mm = (rows - _per_slice(centre_mm[:, 0])) * _per_slice(outwards[:, 0])
    ahead_mm = ahead_mm + (columns - _per_slice(centre_mm[:, 1])) * _per_slice(outwards[:, 1])
    aside_mm = (columns - _per_slice(centre_mm[:, 1])) * _per_slice(outwards[:, 0])
    aside_mm = aside_mm - (rows - _per_slice(centre_mm[:, 0])) * _per_slice(outwards[:, 1])
    skin_mm = torch.where(body & (aside_mm.abs() < 6), ahead_mm, 0.0).amax(dim=(1, 2))
    middle_mm = centre_mm + outwards * (skin_mm + half_mm[:, 1] * draw.uniform(0.2, 1.1))[:, None]
    along, across = _ellipse(picture, middle_mm, half_mm, around + torch.pi / 2)
    kind = draw.uniform(0, 3)
    shown = ~body & (torch.hypot(along, across) < 1) & _per_slice(draw.chance(ranges.beside))
    foam, hand = _per_slice(kind < 0.7), _per_slice(kind > 1.8)
    foam_hu = _per_slice(draw.uniform(-970, -700)).expand_as(picture.labels)
    picture = picture.painted(shown & foam, foam_hu, CLASS_INDEX["background"])
    tissue_hu = _per_slice(draw.uniform(0, 50)) + 12 * draw.field(1, 14, picture.hu.shape[-2:])[:, 0]
    picture = picture.painted(shown & ~foam, tissue_hu, CLASS_INDEX["other_muscle"])
    spaced = (along * 2.2).remainder(1.0) - 0.5  # four bones and a half along the hand
    bone_mm = torch.hypot(spaced * _per_slice(half_mm[:, 0]) / 2.2, across * _per_slice(half_mm[:, 1]))
    bone = shown & hand & (bone_mm < _per_slice(draw.uniform(2.5, 4.5)))
    return picture.painted(
        bone, _per_slice(draw.uniform(300, 1100)).expand_as(picture.labels), CLASS_INDEX["other_bone"]
    )


def _thick(picture: Picture, draw: Draw, ranges: ObjectRange) -> Picture:
    """The mean over the thickness of a slice, within which edges run aside."""
    rows, columns = picture.grid_mm()
    slant_mm = ranges.slant_mm * draw.normal(0, 1).abs()[:, None, None, None] * draw.field(2, 4, picture.hu.shape[-2:])
    hu = picture.hu * 0.5
    for step in (-1.0, 1.0):
        hu = hu + 0.25 * picture.sampled(rows + step * slant_mm[:, 0], columns + step * slant_mm[:, 1]).hu
    return Picture(hu, picture.labels, picture.pixel_mm)
