"""Whole synthetic thigh scans of made-up people, with the truth: for the demo study and for tests.

Everything comes from the compact atlas that ships with the project; no patient's image is in it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from thighseg_core.geometry import Geometry
from thighseg_core.labels import CLASSES, OTHER_BONE, label_value
from training.compact import load_shipped
from training.randomness import Draw, Slab
from training.rendering import RenderRange, render
from training.synthesis import AnatomyRange, Atlas, Placement, anatomy

_SLAB_SLICES = 12  # bounds the memory


@dataclass(frozen=True)
class Person:
    """A made-up subject at one visit. `seed` makes the anatomy; the rest changes it.

    atrophy_mm: every muscle's edge moves in by this much. fat_share: of streaks in the muscles, 0 to 0.3.
    """

    sex: str  # "female", "male": which atlas leg
    seed: int
    size: float = 1.0  # of all lengths across the leg
    subcutaneous_mm: float = 12.0
    atrophy_mm: float = 0.0
    fat_share: float = 0.05
    muscle_hu: float = 55.0


@dataclass(frozen=True)
class Acquisition:
    """How a person is scanned; levels are along the femur (0 = head, 1 = condyles)."""

    slice_mm: float = 6.0
    pixel_mm: float = 1.25
    levels: tuple[float, float] = (0.14, 0.92)
    noise_hu: float = 9.0
    rotation_deg: float = 4.0
    seed: int = 0


@dataclass(frozen=True)
class Scan:
    """attenuation_hu (K, J, I) int16 and labels (K, J, I) uint8 on `geometry`, slices from inferior to superior."""

    attenuation_hu: NDArray[np.int16]
    labels: NDArray[np.uint8]
    geometry: Geometry


def thigh_scan(person: Person, acquisition: Acquisition | None = None) -> Scan:
    """Both thighs of a person, as a scanner would show them, and the true labels."""
    how = acquisition or Acquisition()
    sat_mm, shrink_mm = person.subcutaneous_mm, person.atrophy_mm
    ranges = AnatomyRange(
        scale=(person.size, person.size),
        rotation_deg=how.rotation_deg,
        shift_mm=4.0,
        shrink_mm=(shrink_mm, shrink_mm),
        muscle_growth_mm=0.7,
        subcutaneous_mm=(sat_mm, sat_mm),
        two_legs=1.0,
    )
    rendering = RenderRange(
        muscle_hu=(person.muscle_hu, person.muscle_hu),
        infiltration=(person.fat_share, person.fat_share),
        noise_hu=(how.noise_hu, how.noise_hu),
        contrast_filled=0.0,
        field_cut=0.0,
        table=1.0,
        oedema=0.0,
    )
    return both_thighs(person, how, ranges=ranges, rendering=rendering)


def both_thighs(person: Person, how: Acquisition, *, ranges: AnatomyRange, rendering: RenderRange) -> Scan:
    """The two thighs of a person in ranges of the caller's; `ranges` and `rendering` rule what they say."""
    leg = {"female": 0, "male": 1}[person.sex]
    atlas = Atlas(load_shipped())
    length_mm = atlas.legs[leg].femur_length_mm * person.size
    n_slices = round((how.levels[1] - how.levels[0]) * length_mm / how.slice_mm) + 1
    level = how.levels[1] - torch.arange(n_slices) * (how.slice_mm / length_mm)
    # The thigh is widest near its top; leave room for both.
    radius_mm = {"female": 78.0, "male": 92.0}[person.sex] * person.size + person.subcutaneous_mm
    apart_mm = 2 * radius_mm + 6
    size = (round((2 * radius_mm + 70) / how.pixel_mm), round((2 * apart_mm + 40) / how.pixel_mm))
    images, labels = [], []
    for start in range(0, n_slices, _SLAB_SLICES):
        part = level[start : start + _SLAB_SLICES]
        draw = Draw(
            len(part),
            torch.Generator().manual_seed(person.seed),
            Slab(start, n_slices),
            torch.Generator().manual_seed(1_000_003 * (how.seed + 1) + start),
        )
        subject = anatomy(
            atlas,
            leg=torch.full((len(part),), leg),
            level=part,
            draw=draw,
            size=size,
            pixel_mm=how.pixel_mm,
            ranges=ranges,
            placement=Placement((-10.0, apart_mm / 2), apart_mm),
        )
        attenuation, classes = render(subject, draw=draw, ranges=rendering)
        images.append(attenuation[:, 0].round().clamp(-1024, 3071).to(torch.int16).numpy())
        labels.append(_with_sides(classes.numpy(), subject.owner_flip[:, 0].numpy() > 0))
    affine = np.eye(4)
    affine[:3, :3] = [[0, 0, how.pixel_mm], [0, how.pixel_mm, 0], [how.slice_mm, 0, 0]]
    affine[:3, 3] = [-size[1] * how.pixel_mm / 2, -size[0] * how.pixel_mm / 2, -how.levels[1] * length_mm]
    return Scan(np.concatenate(images), np.concatenate(labels), Geometry((n_slices, *size), affine))


def at_next_visit(person: Person, *, atrophy_mm: float, fat_share: float) -> Person:
    """The same person later: `atrophy_mm` more muscle lost, `fat_share` more fat in it."""
    return replace(person, atrophy_mm=person.atrophy_mm + atrophy_mm, fat_share=person.fat_share + fat_share)


def _with_sides(classes: NDArray[np.int64], is_left: NDArray[np.bool_]) -> NDArray[np.uint8]:
    left, right = (
        np.array([0] + [label_value(name, side) for name in CLASSES[1:-1]] + [OTHER_BONE], dtype=np.uint8)
        for side in ("left", "right")
    )
    return np.where(is_left, left[classes], right[classes])
