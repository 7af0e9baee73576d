"""Synthetic slices for the level network: drawn once into a pool, bent and covered by masses anew at every use.

Making a slice takes some ten times as long as learning from it, so each is used several times. The leg whose level is
asked is always a left one and lies in the middle, as `thighseg_core.level_estimate` cuts it out of a scan.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from thighseg_core.labels import CLASS_INDEX
from thighseg_core.level_network import LEVEL_CLASSES, LEVEL_PIXELS, LEVEL_PREPROCESSING, level_input
from thighseg_core.preprocess import AIR_HU
from training.randomness import Draw
from training.rendering import RenderRange, render
from training.synthesis import AnatomyRange, Atlas, Placement
from training.synthesis import anatomy as synthesise

LEVELS = (-0.03, 1.3)
_WIDER_PIXELS = 76  # drawn somewhat wider, then cut around the middle of what is seen of the leg
_SMALLEST_PIXELS = 170  # 15 cm2 of muscle and femur in view; other slices are not asked for their level
_BATCH = 32
_OF_LEG = torch.tensor([CLASS_INDEX[name] for name in LEVEL_CLASSES])


@dataclass(frozen=True)
class Disturbance:
    """What is done to a slice at every use: the picture is moved and turned, masses grow, classes are mistaken."""

    shift_mm: float = 9.0
    turn_deg: float = 12.0
    stretch: float = 0.12
    mass: float = 0.4  # probability of a mass
    mass_mm: tuple[float, float] = (12.0, 65.0)  # its half axes
    mass_seed: tuple[float, float] = (0.15, 1.0)  # the share of them that it has eaten; the rest it has pushed aside
    mistaken: float = 0.3  # probability that a blob of the classes is taken for another class, or for none
    blind: float = 0.1  # probability that no class is given at all


@dataclass(frozen=True)
class LevelSlices:
    """image: (n, 64, 64) int16 HU. classes: (n, 64, 64) uint8 side-free classes of the left leg. level: (n,)."""

    image: Tensor
    classes: Tensor
    level: Tensor

    def __len__(self) -> int:
        return len(self.level)

    def at(self, chosen: Tensor) -> LevelSlices:
        """These slices of them."""
        return LevelSlices(self.image[chosen], self.classes[chosen], self.level[chosen])

    def save(self, path: Path) -> None:
        """As arrays in one .npz file."""
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez(path, image=self.image.numpy(), classes=self.classes.numpy(), level=self.level.numpy())

    @staticmethod
    def load(path: Path) -> LevelSlices:
        """What `save` wrote."""
        with np.load(path) as stored:
            return LevelSlices(*(torch.from_numpy(stored[name]) for name in ("image", "classes", "level")))


def draw_slices(
    atlas: Atlas, *, n: int, anatomy: AnatomyRange, rendering: RenderRange, generator: torch.Generator
) -> LevelSlices:
    """n slices of left legs, alone or with the right one beside it; fewer when too little of the leg is in view."""
    parts = []
    for start in range(0, n, _BATCH):
        parts.append(_draw(atlas, min(_BATCH, n - start), anatomy, rendering, generator))
    return LevelSlices(*(torch.cat(each) for each in zip(*parts, strict=True)))


def _draw(
    atlas: Atlas, n: int, ranges: AnatomyRange, rendering: RenderRange, generator: torch.Generator
) -> tuple[Tensor, Tensor, Tensor]:
    draw = Draw(n, generator)
    leg = torch.randint(0, len(atlas.legs), (n,), generator=generator)
    level = draw.uniform(*LEVELS)
    level = torch.minimum(level, torch.tensor([atlas.legs[which].level_limit for which in leg.tolist()]))
    subject = synthesise(
        atlas, leg=leg, level=level, draw=draw, size=(_WIDER_PIXELS, _WIDER_PIXELS),
        pixel_mm=LEVEL_PREPROCESSING.spacing_mm, ranges=ranges, placement=Placement((0.0, 0.0)),
    )  # fmt: skip
    image, labels = render(subject, draw=draw, ranges=rendering)
    own = torch.where(subject.owner_flip[:, 0] > 0, labels, 0)
    leg_pixels = torch.isin(own, _OF_LEG)
    enough = leg_pixels.sum(dim=(1, 2)) >= _SMALLEST_PIXELS
    image, own, leg_pixels, level = image[enough, 0], own[enough], leg_pixels[enough], level[enough]
    images = [_cut(each, mask, AIR_HU) for each, mask in zip(image, leg_pixels, strict=True)]
    classes = [_cut(each, mask, 0) for each, mask in zip(own, leg_pixels, strict=True)]
    return torch.stack(images).round().to(torch.int16), torch.stack(classes).to(torch.uint8), level


def _cut(plane: Tensor, leg: Tensor, beyond: float) -> Tensor:
    """The square of 64 pixels around the middle of the leg."""
    half = LEVEL_PIXELS // 2
    row, column = leg.nonzero().float().mean(dim=0).round().int().tolist()
    padded = F.pad(plane, (half, half, half, half), value=beyond)
    return padded[row : row + LEVEL_PIXELS, column : column + LEVEL_PIXELS]


def disturbed(slices: LevelSlices, *, how: Disturbance, generator: torch.Generator) -> Tensor:
    """(n, LEVEL_CHANNELS, 64, 64) input of the network for slices that are moved, pushed aside and mistaken."""
    draw = Draw(len(slices), generator)
    size = (LEVEL_PIXELS, LEVEL_PIXELS)
    half_mm = LEVEL_PIXELS * LEVEL_PREPROCESSING.spacing_mm / 2
    where, mass = _pushed(draw, how, half_mm)
    angle = (draw.uniform(-1, 1) * how.turn_deg * torch.pi / 180)[:, None, None]
    stretch = 1 + draw.uniform(-1, 1, 2) * how.stretch
    shift = draw.uniform(-1, 1, 2) * how.shift_mm / half_mm
    x, y = where[..., 0], where[..., 1]
    turned = torch.stack([torch.cos(angle) * x - torch.sin(angle) * y, torch.sin(angle) * x + torch.cos(angle) * y], -1)
    grid = turned * stretch[:, None, None] + shift[:, None, None]
    hu = F.grid_sample(slices.image.float()[:, None] - AIR_HU, grid, align_corners=False) + AIR_HU
    classes = F.grid_sample(slices.classes.float()[:, None], grid, mode="nearest", align_corners=False)[:, 0].long()
    inside = mass & (hu[:, 0] > -300)
    mass_hu = draw.uniform(-60.0, 60.0)[:, None, None] + draw.noise(size)[:, 0] * draw.uniform(2.0, 15.0)[:, None, None]
    hu = torch.where(inside[:, None], mass_hu[:, None], hu)
    # A network sees in a mass one muscle, several, or none.
    blob = draw.field(1, 4, size)[:, 0] + 0.4 * draw.field(1, 9, size)[:, 0]
    taken_for = torch.randint(0, len(LEVEL_CLASSES) + 1, (2, len(slices)), generator=generator)
    names = torch.tensor([CLASS_INDEX["intermuscular"], *_OF_LEG.tolist()])[taken_for][:, :, None, None]
    kept = draw.chance(0.3)[:, None, None]
    classes = torch.where(inside & ~kept, torch.where(blob > 0.3, names[0], names[1]), classes)
    wrong = (blob > 1.0) & draw.chance(how.mistaken)[:, None, None] & (classes > 0)
    classes = torch.where(wrong, names[1], classes)
    classes = torch.where(draw.chance(how.blind)[:, None, None], 0, classes)
    return level_input(hu, classes)


def _pushed(draw: Draw, how: Disturbance, half_mm: float) -> tuple[Tensor, Tensor]:
    """(n, 64, 64, 2) where each pixel lay before a mass grew, in units of half the picture, and (n, 64, 64) the mass.

    A mass of half axes R that has eaten an ellipse of r < R pushes the rest outwards without changing its area: what
    is seen at distance d lay at sqrt(d^2 - R^2 + r^2).
    """
    along = (torch.arange(LEVEL_PIXELS) - (LEVEL_PIXELS - 1) / 2) * 2 / LEVEL_PIXELS
    y, x = torch.meshgrid(along, along, indexing="ij")
    middle = draw.uniform(-60.0, 60.0, 2) / half_mm
    half = draw.uniform(*how.mass_mm, 2) / half_mm
    half = torch.where(draw.chance(how.mass)[:, None], half, 1e-3)
    seed = draw.uniform(*how.mass_seed)
    across = (x - middle[:, 0, None, None]) / half[:, 0, None, None]
    down = (y - middle[:, 1, None, None]) / half[:, 1, None, None]
    distance = torch.hypot(across, down).clamp(min=1e-6)
    before = (distance**2 - 1 + seed[:, None, None] ** 2).clamp(min=0).sqrt()
    share = torch.where(distance > 1, before / distance, 1.0)
    where = torch.stack(
        [
            middle[:, 0, None, None] + across * share * half[:, 0, None, None],
            middle[:, 1, None, None] + down * share * half[:, 1, None, None],
        ],
        dim=-1,
    )
    return where, distance <= 1
