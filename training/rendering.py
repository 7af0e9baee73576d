"""Anatomy -> attenuation: what a CT scanner would show of it.

Partial volume comes from the distance fields themselves: a pixel is covered by a structure in proportion to how far
its edge lies beyond the pixel's centre.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.nn import functional as F

from training.atlas import N_MUSCLES
from training.objects import ObjectRange, Picture, add_objects
from training.randomness import Draw
from training.synthesis import Anatomy

AIR_HU = -1000.0
FEMUR_CUT_MM = (-5.0, 60.0)
CAPSULE_LEVEL, CAPSULE_MM = 0.7, 28.0  # from here on down; from the surface of the femur


@dataclass(frozen=True)
class RenderRange:
    """Ranges that acquisitions and tissues are drawn from, HU unless the name says otherwise."""

    muscle_hu: tuple[float, float] = (38.0, 66.0)
    muscle_spread_hu: float = 4.0  # sd between the muscles of a leg
    fat_hu: tuple[float, float] = (-118.0, -92.0)
    infiltration: tuple[float, float] = (0.0, 0.22)  # share of fat streaks in a muscle
    septum_visible: tuple[float, float] = (0.0, 0.9)
    cortex_hu: tuple[float, float] = (900.0, 1600.0)
    contrast_filled: float = 0.12  # probability
    calcified: float = 0.0  # probability that plaques lie in the wall of the femoral artery
    bare_vessels: float = 0.0  # probability that no fat parts the vessels from the muscles around them
    noise_hu: tuple[float, float] = (2.0, 16.0)
    streak_hu: tuple[float, float] = (0.0, 7.0)  # horizontal streaks of low-dose scans between the hips
    blur_pixels: tuple[float, float] = (0.25, 0.75)
    field_cut: float = 0.27  # probability, for each side, that the field of view ends there
    femur_cut: float = 0.0  # probability, for each axis, that it ends within `FEMUR_CUT_MM` beyond the femur's middle
    table: float = 0.5  # probability
    oedema: float = 0.12  # probability of fluid strands in the fat
    capsule: float = 0.0  # probability that tendon, joint capsule or fluid fills fat before the femur above the knee
    sharpening: tuple[float, float] = (0.0, 0.0)  # of the kernel: share of what a blur of one pixel takes away, added
    objects: ObjectRange = field(default_factory=ObjectRange)


def render(anatomy: Anatomy, *, draw: Draw, ranges: RenderRange) -> tuple[Tensor, Tensor]:
    """(B, 1, H, W) float32 attenuation in HU and (B, H, W) int64 labels of what is in view: classes, or `OPEN`."""
    size = anatomy.skin_mm.shape[-2:]
    pixel_mm = anatomy.pixel_mm

    def per_slice(low: float, high: float) -> Tensor:
        return draw.uniform(low, high)[:, None, None, None]

    def cover(distance_mm: Tensor) -> Tensor:
        return (0.5 - distance_mm / pixel_mm).clamp(0, 1)

    fat = per_slice(*ranges.fat_hu) + 4 * draw.field(1, 24, size)
    strands = _ridges(draw, 22, size, 0.13) * per_slice(0, 0.35)
    strands += _ridges(draw, 30, size, 0.3) * per_slice(0.2, 0.7) * draw.chance(ranges.oedema)[:, None, None, None]
    fat = fat + strands.clamp(max=1) * (10 - fat)

    image = torch.full_like(fat, AIR_HU)
    image = _add_table(image, anatomy, draw, ranges)
    skin_hu = per_slice(-40, 50)
    skin_mm = per_slice(0.8, 2.4)
    image = _over(image, skin_hu.expand_as(fat), cover(anatomy.skin_mm))
    image = _over(image, fat, cover(anatomy.skin_mm + skin_mm))
    image = _over(image, torch.full_like(fat, 40.0), cover(anatomy.saphenous_mm))
    # Fascia lata: a thin line where fat lies on both sides.
    line = cover(anatomy.deep_mm.abs() - per_slice(0.1, 0.5)) * per_slice(0.1, 0.8)
    image = _over(image, torch.full_like(fat, 20.0), line * cover(anatomy.skin_mm + skin_mm))
    clutter = _ridges(draw, 28, size, 0.25) * per_slice(0, 0.6)  # small vessels and septa between the muscles
    image = _over(image, torch.full_like(fat, 25.0), clutter * cover(anatomy.deep_mm + 1))

    if ranges.capsule > 0:
        image = _over(
            image, per_slice(30, 110).expand_as(fat), _capsule(anatomy, draw, ranges) * cover(anatomy.deep_mm)
        )
    image = _over(image, *_muscle(anatomy, draw, ranges, fat, cover))
    contrast = draw.chance(ranges.contrast_filled)[:, None, None, None]
    rim = draw.chance(1 - ranges.bare_vessels)[:, None, None, None].float() if ranges.bare_vessels > 0 else 1.0
    for field_mm, sheath in ((anatomy.artery_mm, 1.5), (anatomy.vein_mm, 1.0), (anatomy.deep_vessel_mm, 0.6)):
        image = _over(image, fat, cover(field_mm - per_slice(0, sheath)) * rim)
        blood = torch.where(contrast, per_slice(90, 300), per_slice(28, 55)).expand_as(fat)
        image = _over(image, blood, cover(field_mm))
    if ranges.calcified > 0:
        plaques = (draw.field(1, 40, size) > per_slice(0.6, 2.0)) & draw.chance(ranges.calcified)[:, None, None, None]
        wall = cover(anatomy.artery_mm.abs() - per_slice(0.4, 1.2))
        image = _over(image, per_slice(180, 900).expand_as(fat), wall * plaques)
    image = _over(image, fat, cover(anatomy.nerve_mm - per_slice(0, 1.5)))
    image = _over(image, per_slice(-10, 45).expand_as(fat), cover(anatomy.nerve_mm))

    cortex_hu = per_slice(*ranges.cortex_hu).expand_as(fat)
    ends = ((anatomy.level > 0.8) | (anatomy.level < 0.13))[:, None, None, None]
    cortex_mm = torch.where(ends, per_slice(0.8, 2.2), per_slice(3.0, 7.5))
    marrow_hu = torch.where(ends, per_slice(30, 320), per_slice(-90, 60)) + 25 * draw.field(1, 30, size)
    for bone, thick in ((anatomy.femur_mm, cortex_mm), (anatomy.other_bone_mm, per_slice(0.8, 3.0))):
        image = _over(image, cortex_hu, cover(bone))
        image = _over(image, marrow_hu, cover(bone + thick))

    picture = Picture(image, anatomy.labels(), pixel_mm)
    picture = add_objects(picture, femur_mm=anatomy.femur_mm, level=anatomy.level, draw=draw, ranges=ranges.objects)
    image, labels = _acquire(picture.hu, draw, ranges), picture.labels
    return _cut_field(image, labels, anatomy, draw, ranges)


def _over(below: Tensor, above: Tensor, share: Tensor) -> Tensor:
    return below + share * (above - below)


def _ridges(draw: Draw, cells: int, size: tuple[int, int], width: float) -> Tensor:
    """(B, 1, H, W) thin branching strands, 0 to 1."""
    return torch.exp(-((draw.field(1, cells, size) / width) ** 2))


def _muscle(anatomy: Anatomy, draw: Draw, ranges: RenderRange, fat: Tensor, cover) -> tuple[Tensor, Tensor]:  # type: ignore[no-untyped-def]
    size = fat.shape[-2:]
    two = anatomy.muscles_mm.topk(2, dim=1, largest=False)
    nearest_mm, owner = two.values[:, :1], two.indices[:, :1]
    between_mm = two.values[:, 1:] - nearest_mm
    base = draw.uniform(*ranges.muscle_hu)
    each = base[:, None] + draw.normal(0, ranges.muscle_spread_hu, N_MUSCLES)
    infiltrated = draw.uniform(*ranges.infiltration)[:, None] * draw.uniform(0, 1, N_MUSCLES) ** 2 * 1.5

    def of_owner(values: Tensor) -> Tensor:
        return values.gather(1, owner.flatten(1)).view_as(owner)

    tissue = of_owner(each) + 3 * draw.field(1, 7, size)
    share = of_owner(infiltrated)
    streaks = draw.field(1, 44, size) * 0.8 + draw.field(1, 22, size) * 0.6
    threshold = torch.special.ndtri((1 - share).clamp(0.4, 0.999))
    streaky = torch.sigmoid((streaks - threshold) * 3.0)
    tissue = _over(tissue, fat, streaky * (share > 0.01))
    # A septum of fat between two muscles that touch, here visible and there not.
    seen = draw.uniform(*ranges.septum_visible)[:, None, None, None]
    strength = (seen + 0.35 * draw.field(1, 8, size)).clamp(0, 1)
    half_mm = draw.uniform(0.3, 1.1)[:, None, None, None]
    tissue = _over(tissue, fat, strength * torch.exp(-((between_mm / 2 / half_mm) ** 2)))
    return tissue, cover(nearest_mm)


def _capsule(anatomy: Anatomy, draw: Draw, ranges: RenderRange) -> Tensor:
    """(B, 1, H, W) share of what is no fat in front of and beside the lower femur: muscle-like, and no muscle."""
    size = anatomy.femur_mm.shape[-2:]
    deepest = anatomy.femur_mm.flatten(1).argmin(dim=1)[:, None, None, None]
    below_mm = (torch.arange(size[0])[:, None] - deepest // size[1]) * anatomy.pixel_mm
    near = (below_mm < draw.uniform(0, 15)[:, None, None, None]) & (anatomy.femur_mm < CAPSULE_MM)
    has = draw.chance(ranges.capsule) & (anatomy.level > CAPSULE_LEVEL)
    patches = torch.sigmoid(6 * (draw.field(1, 8, size) + draw.uniform(-0.5, 1.5)[:, None, None, None]))
    return patches * (near & has[:, None, None, None])


def _add_table(image: Tensor, anatomy: Anatomy, draw: Draw, ranges: RenderRange) -> Tensor:
    """A couch below the leg: two thin shells with foam between them."""
    height, width = image.shape[-2:]
    rows = torch.arange(height)[None, None, :, None] * anatomy.pixel_mm
    columns = (torch.arange(width)[None, None, None, :] / width - 0.5) * 2
    body = anatomy.skin_mm < 0
    lowest = (body * torch.arange(height)[None, None, :, None]).amax(dim=(2, 3), keepdim=True) * anatomy.pixel_mm
    sag = draw.uniform(-15, 15)[:, None, None, None] * columns**2
    depth = rows - lowest - draw.uniform(-1, 25)[:, None, None, None] - sag
    shell = torch.exp(-((depth / 1.2) ** 2)) + torch.exp(-(((depth - 22) / 1.2) ** 2))
    shell_hu = draw.uniform(-500, 100)[:, None, None, None]
    shown = draw.chance(ranges.table)[:, None, None, None]
    image = _over(image, shell_hu.expand_as(image), shell.clamp(max=1) * shown)
    return _over(image, torch.full_like(image, -900.0), ((depth > 2) & (depth < 20)) * 1.0 * shown)


def _acquire(image: Tensor, draw: Draw, ranges: RenderRange) -> Tensor:
    """Kernel, noise with the kernel's grain, slow shading and streaks."""
    size = image.shape[-2:]
    image = _gaussian(image, draw.uniform(*ranges.blur_pixels))
    if ranges.sharpening[1] > 0:
        smooth = _gaussian(image, torch.ones(len(image)))
        image = image + draw.uniform(*ranges.sharpening)[:, None, None, None] * (image - smooth)
    grain = _gaussian(draw.noise(size), draw.uniform(0.35, 0.95))
    grain = grain / grain.std(dim=(2, 3), keepdim=True)
    image = image + grain * draw.uniform(*ranges.noise_hu)[:, None, None, None]
    streaks = F.avg_pool2d(F.pad(draw.noise(size), (10, 10, 0, 0), mode="replicate"), (1, 21), stride=1)
    streaks = streaks / streaks.std(dim=(2, 3), keepdim=True)
    image = image + streaks * draw.uniform(*ranges.streak_hu)[:, None, None, None]
    shading = draw.field(1, 3, size) * draw.uniform(0, 4)[:, None, None, None]
    return image + shading * (image > -500)


def _gaussian(image: Tensor, sigma_pixels: Tensor) -> Tensor:
    """Separable Gaussian blur with one sigma for each slice."""
    reach = torch.arange(-3, 4, dtype=torch.float32)
    kernel = torch.exp(-0.5 * (reach[None] / sigma_pixels[:, None]) ** 2)
    kernel = (kernel / kernel.sum(dim=1, keepdim=True))[:, None]
    n, _, height, width = image.shape
    flat = F.pad(image.transpose(0, 1), (3, 3, 3, 3), mode="replicate")
    flat = F.conv2d(flat, kernel[:, :, None, :], groups=n)
    return F.conv2d(flat, kernel[:, :, :, None], groups=n).transpose(0, 1).reshape(n, 1, height, width)


def _cut_field(
    image: Tensor, labels: Tensor, anatomy: Anatomy, draw: Draw, ranges: RenderRange
) -> tuple[Tensor, Tensor]:
    """Cut the picture to a rectangle, as crops and small reconstruction fields do."""
    height, width = image.shape[-2:]
    inside = torch.ones_like(labels, dtype=torch.bool)
    rows, columns = torch.arange(height)[None, :, None], torch.arange(width)[None, None, :]
    if ranges.femur_cut > 0:
        deepest = anatomy.femur_mm.flatten(1).argmin(dim=1)
        for index, femur in ((rows, deepest // width), (columns, deepest % width)):
            away = torch.where(draw.chance(0.5), 1.0, -1.0)[:, None, None]
            reach_mm = draw.uniform(*FEMUR_CUT_MM)[:, None, None]
            beyond_mm = (index - femur[:, None, None]) * away * anatomy.pixel_mm
            inside &= (beyond_mm <= reach_mm) | ~draw.chance(ranges.femur_cut)[:, None, None]
    for extent, index in ((height, rows), (width, columns)):
        for from_start in (True, False):
            cut = draw.uniform(0.08, 0.4) * extent * draw.chance(ranges.field_cut)
            edge = cut if from_start else extent - cut
            inside &= (index >= edge[:, None, None]) if from_start else (index < edge[:, None, None])
    image = torch.where(inside[:, None], image, torch.full_like(image, -1024.0))
    return image, torch.where(inside, labels, torch.zeros_like(labels))
