"""Batches of real labelled slices, varied: mirrored, turned, scaled, bent, cut, brighter or darker, noisier."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from thighseg_core.checkpoint import Preprocessing
from thighseg_core.preprocess import normalise
from training.allowed import ALL_BITS, bits_of
from training.randomness import Draw
from training.real_data import RealScan, load_scans
from training.splits import Split, held_out

OUTSIDE_HU = -1000.0
BACKGROUND = bits_of("background")
OVERSAMPLING = 2  # image samples a pixel and direction, averaged: as the anti-aliased resampling of inference


@dataclass(frozen=True)
class RealInput:
    """One `[[real]]` table: a folder of prepared scans and how its slices are varied; (low, high) are uniform."""

    source: str
    share: float = 0.3  # of the images of a batch
    score_only: bool = False  # no slice trains, all drawn ones are scored as if held out
    weight: float = 1.0  # of its pixels in the cross entropy
    mirror: bool = True
    rotation_deg: float = 15.0
    scale: tuple[float, float] = (0.85, 1.18)
    shift_mm: float = 25.0  # of the picture's middle, around that of the annotated region
    bend_mm: float = 1.5  # sd of a smooth in-plane displacement
    hu_shift: float = 10.0
    hu_gain: float = 0.03
    noise_hu: tuple[float, float] = (0.0, 14.0)
    cut: float = 0.12  # probability, for each side, that up to a quarter of the picture is cut off


@dataclass(frozen=True)
class RealSlices:
    """Slices in memory: attenuation and bit sets (as floats) are (1, 1, J, I) each."""

    attenuation_hu: tuple[Tensor, ...]
    allowed: tuple[Tensor, ...]
    spacing_mm: tuple[tuple[float, float], ...]
    middle: tuple[tuple[float, float], ...]  # of the annotated region, mm from the middle of the slice
    patient: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.patient)


def slices_of(scans: tuple[RealScan, ...]) -> RealSlices:
    """All slices that teach anything."""
    images, sets, spacings, middles, patients = [], [], [], [], []
    for scan in scans:
        for hu, allowed in zip(scan.attenuation_hu, scan.allowed, strict=True):
            known = np.argwhere(allowed != ALL_BITS)
            if not len(known):
                continue
            centre = (known.min(axis=0) + known.max(axis=0)) / 2 - (np.array(hu.shape) - 1) / 2
            images.append(torch.from_numpy(hu.astype(np.float32))[None, None])
            sets.append(torch.from_numpy(allowed.astype(np.float32))[None, None])
            spacings.append(scan.spacing_mm)
            middles.append((float(centre[0] * scan.spacing_mm[0]), float(centre[1] * scan.spacing_mm[1])))
            patients.append(scan.patient)
    return RealSlices(tuple(images), tuple(sets), tuple(spacings), tuple(middles), tuple(patients))


def real_batch(
    slices: RealSlices,
    ranges: RealInput,
    *,
    n: int,
    image_pixels: int,
    preprocessing: Preprocessing,
    generator: torch.Generator,
) -> tuple[Tensor, Tensor, Tensor]:
    """(n, 1, S, S) normalised images, (n, S, S) int64 bit sets and (n, S, S) weights; slices picked at random."""
    draw = Draw(n, generator)
    which = torch.randint(0, len(slices), (n,), generator=generator).tolist()
    angle = draw.uniform(-ranges.rotation_deg, ranges.rotation_deg) * math.pi / 180
    scale = draw.uniform(*ranges.scale)
    mirrored = torch.where(draw.chance(0.5 if ranges.mirror else 0.0), -1.0, 1.0)
    shift_mm = draw.uniform(-ranges.shift_mm, ranges.shift_mm, 2)
    fine = OVERSAMPLING * image_pixels
    bend_mm = ranges.bend_mm * draw.field(2, 5, (fine, fine))
    y, x = _grid_mm(fine, preprocessing.spacing_mm / OVERSAMPLING)
    cos, sin = (function(angle)[:, None, None] for function in (torch.cos, torch.sin))
    x = x * mirrored[:, None, None]
    where_mm = torch.stack([cos * y + sin * x, cos * x - sin * y], dim=1) / scale[:, None, None, None] + bend_mm
    where_mm = where_mm + shift_mm[:, :, None, None]
    hu, allowed = _sampled(slices, which, where_mm)
    noise = draw.noise((fine, fine)) * draw.uniform(*ranges.noise_hu)[:, None, None, None] * OVERSAMPLING
    gain = draw.uniform(-ranges.hu_gain, ranges.hu_gain)[:, None, None, None]
    shade = draw.uniform(-ranges.hu_shift, ranges.hu_shift)[:, None, None, None]
    body = hu > -500  # air stays air
    hu = F.avg_pool2d(hu + body * (hu * gain + shade + noise), OVERSAMPLING)
    hu, allowed = _cut(hu, allowed, draw, ranges.cut)
    weights = torch.full(allowed.shape, ranges.weight)
    return torch.from_numpy(normalise(hu.numpy(), preprocessing)), allowed, weights


def real_validation(
    slices: RealSlices, *, image_pixels: int, preprocessing: Preprocessing
) -> tuple[Tensor, Tensor] | None:
    """Every slice once, as it is, the annotated region in the middle: (n, 1, S, S) images and (n, S, S) bit sets."""
    if not len(slices):
        return None
    y, x = _grid_mm(OVERSAMPLING * image_pixels, preprocessing.spacing_mm / OVERSAMPLING)
    where_mm = torch.stack(torch.broadcast_tensors(y, x), dim=1).expand(len(slices), -1, -1, -1)
    hu, allowed = _sampled(slices, list(range(len(slices))), where_mm)
    return torch.from_numpy(normalise(F.avg_pool2d(hu, OVERSAMPLING).numpy(), preprocessing)), allowed


@dataclass(frozen=True)
class RealPool:
    """What the real inputs of a run give: slices to train on for each table, and those of the patients kept out."""

    inputs: tuple[tuple[RealInput, RealSlices], ...]
    held_out: RealSlices
    drawings_of: frozenset[str] = frozenset()  # patients whose drawings went into what trains

    def summary(self) -> list[dict[str, object]]:
        """For the model card: source, patients and slices of each table."""
        return [
            {"source": ranges.source, "share": ranges.share, "slices": len(part), "patients": sorted(set(part.patient))}
            for ranges, part in self.inputs
        ]


def open_pool(tables: tuple[RealInput, ...], split: Split) -> RealPool:
    """Read every table's scans and keep the held-out patients apart in all of them (drawn labels only)."""
    scans = [(ranges, load_scans(Path(ranges.source))) for ranges in tables]
    drawn = [(ranges, scan) for ranges, part in scans for scan in part if scan.kind == "drawn"]
    sites = {scan.patient: scan.site for _, part in scans for scan in part} | {s.patient: s.site for _, s in drawn}
    out = held_out(sites, split) if tables else frozenset()
    inputs = []
    for ranges, part in scans:
        slices = slices_of(tuple(scan for scan in part if scan.patient not in out and not ranges.score_only))
        if len(slices):
            inputs.append((ranges, slices))
        elif not ranges.score_only:
            raise ValueError(f"{ranges.source}: no labelled slice is left without {', '.join(sorted(out))}")
    taught = [scan.drawings() for ranges, part in scans for scan in part
              if scan.patient not in out and not ranges.score_only]  # fmt: skip
    scored = tuple(scan for ranges, scan in drawn if scan.patient in out or ranges.score_only)
    return RealPool(tuple(inputs), slices_of(scored), frozenset().union(*taught))


def _grid_mm(pixels: int, pixel_mm: float) -> tuple[Tensor, Tensor]:
    along = (torch.arange(pixels) - (pixels - 1) / 2) * pixel_mm
    return along[None, :, None], along[None, None, :]


def _sampled(slices: RealSlices, which: list[int], where_mm: Tensor) -> tuple[Tensor, Tensor]:
    """(n, 1, 2S, 2S) attenuation and (n, S, S) bit sets at `where_mm` (n, 2, 2S, 2S; from the annotated middle)."""
    images, sets = [], []
    for place, one in enumerate(which):
        shape, spacing = slices.attenuation_hu[one].shape[2:], slices.spacing_mm[one]
        unit = [
            (where_mm[place, axis] + slices.middle[one][axis]) * 2 / (shape[axis] * spacing[axis]) for axis in (1, 0)
        ]
        grid = torch.stack(unit, dim=-1)[None]
        image = slices.attenuation_hu[one] - OUTSIDE_HU
        images.append(F.grid_sample(image, grid, mode="bilinear", align_corners=False) + OUTSIDE_HU)
        centres = F.avg_pool2d(grid.movedim(-1, 1), OVERSAMPLING).movedim(1, -1)
        sets.append(F.grid_sample(slices.allowed[one] - BACKGROUND, centres, mode="nearest", align_corners=False))
    allowed = torch.cat(sets)[:, 0] + BACKGROUND
    return torch.cat(images), allowed.round().long()


def _cut(hu: Tensor, allowed: Tensor, draw: Draw, probability: float) -> tuple[Tensor, Tensor]:
    size = hu.shape[-1]
    inside = torch.ones_like(allowed, dtype=torch.bool)
    across = torch.arange(size)
    for axis in (1, 2):
        index = across.view(1, -1, 1) if axis == 1 else across.view(1, 1, -1)
        for from_start in (True, False):
            width = (draw.uniform(0.02, 0.25) * size * draw.chance(probability))[:, None, None]
            inside &= index >= width if from_start else index < size - width
    hu = torch.where(inside[:, None], hu, torch.full_like(hu, -1024.0))
    return hu, torch.where(inside, allowed, torch.full_like(allowed, BACKGROUND))
