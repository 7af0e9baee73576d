"""Levels of a scan's slices by the level network: one answer a slice and leg, held together by a straight line.

A femur is straight and slices are evenly spaced, so the level falls along the scan by slice distance over the femur's
length. The line is the one whose length is likely for a femur and that most slices agree with; slices whose picture is
changed (a tumour, a cut field) err far and count little.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from thighseg_core.labels import CLASSES, SIDES, LabelMap, label_value
from thighseg_core.level_network import (
    LEVEL_CLASSES,
    LEVEL_FOLDER,
    LEVEL_PIXELS,
    LEVEL_PREPROCESSING,
    level_input,
    load_level_network,
)
from thighseg_core.levels import SliceLevels
from thighseg_core.preprocess import AIR_HU, canonical_axes, canonical_geometry
from thighseg_core.volume import CTVolume

_STEP_MM = 1.0  # pixels are averaged from samples this far apart
_SMALLEST_LEG_CM2 = 15.0  # of muscle and femur; less says nothing
_BATCH = 32
# What an adult femur is likely to measure, men and women together; broad on purpose, an assumption and no reference.
_LENGTH_MM, _LENGTH_SD_MM = 440.0, 35.0
_LENGTHS_MM = np.arange(340.0, 560.0, 2.0)
_SLICES_ALIKE_MM = 60.0  # slices closer than this err alike, so they count as one
_FEWEST_SLICES = 3
_WORST_ERROR = 0.10  # of the femur: when the middle slice errs more, nothing is said


@dataclass(frozen=True)
class LevelLine:
    """level = middle - (position - middle_mm) / length_mm, positions growing towards the head."""

    middle: float
    middle_mm: float
    length_mm: float
    median_error: float  # of the slices' own answers around the line
    sd: float

    def at(self, position_mm: NDArray[np.float64]) -> NDArray[np.float64]:
        """Levels at these positions."""
        return self.middle - (position_mm - self.middle_mm) / self.length_mm


def estimate_levels(volume: CTVolume, label_map: LabelMap, *, folder: Path = LEVEL_FOLDER) -> SliceLevels:
    """The level of every slice on each side of the label map, in the order of the scan's own slices.

    A side on which too few slices show a leg, or on which the slices contradict each other, is absent.
    Raises ModelError when the level network cannot be read.
    """
    axes = canonical_axes(volume.geometry)
    geometry = canonical_geometry(volume.geometry, axes)
    position_mm = np.arange(geometry.shape[0], dtype=np.float64) * np.float64(geometry.spacing_mm[0])
    level, sd = {}, {}
    for side, (own, width) in slice_answers(volume, label_map, folder=folder).items():
        line = fit_line(position_mm, own, width)
        if line is None:
            continue
        values = line.at(position_mm)
        level[side] = values[::-1] if axes.flipped[0] else values
        sd[side] = np.full(len(values), line.sd)
    card = load_level_network(folder)[1]
    return SliceLevels(level=level, sd=sd, source=f"level network {card['version']}")


def slice_answers(
    volume: CTVolume, label_map: LabelMap, *, folder: Path = LEVEL_FOLDER
) -> dict[str, tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """side -> the network's own level of each canonical slice and its expected error; NaN where no leg is seen."""
    network, _ = load_level_network(folder)
    axes = canonical_axes(volume.geometry)
    spacing_mm = canonical_geometry(volume.geometry, axes).spacing_mm
    attenuation_hu, labels = axes.apply(volume.attenuation_hu), axes.apply(label_map.labels)
    smallest = _SMALLEST_LEG_CM2 * 100 / (spacing_mm[1] * spacing_mm[2])
    out = {}
    for side in SIDES:
        table = np.zeros(256, dtype=np.uint8)  # sided labels -> classes of this leg
        for index, name in enumerate(CLASSES):
            if name not in ("background", "other_bone"):
                table[label_value(name, side)] = index
        leg = np.isin(labels, [label_value(name, side) for name in LEVEL_CLASSES])
        chosen = np.flatnonzero(leg.sum(axis=(1, 2)) >= smallest)
        own = np.full(len(leg), np.nan)
        width = np.full(len(leg), np.nan)
        for start in range(0, len(chosen), _BATCH):
            part = chosen[start : start + _BATCH]
            crops = [_crop(attenuation_hu[k], table[labels[k]], leg[k], spacing_mm[1:]) for k in part]
            hu, classes = (torch.cat(each) for each in zip(*crops, strict=True))
            if side == "right":  # the network knows left legs
                hu, classes = hu.flip(-1), classes.flip(-1)
            with torch.inference_mode():
                answer = network(level_input(hu, classes))
            own[part], width[part] = answer[:, 0].numpy(), answer[:, 1].exp().numpy()
        if len(chosen):
            out[side] = (own, width)
    return out


def _crop(
    hu: NDArray[Any], classes: NDArray[np.uint8], leg: NDArray[np.bool_], spacing_mm: tuple[float, ...]
) -> tuple[torch.Tensor, torch.Tensor]:
    """(1, 1, 64, 64) HU and (1, 64, 64) classes around the middle of the leg."""
    finer = round(LEVEL_PREPROCESSING.spacing_mm / _STEP_MM)
    n = LEVEL_PIXELS * finer
    along_mm = (torch.arange(n) - (n - 1) / 2) * _STEP_MM
    unit = []
    for axis, found in enumerate(np.nonzero(leg)):
        size = leg.shape[axis]
        from_middle_mm = (float(found.mean()) - (size - 1) / 2) * spacing_mm[axis]
        unit.append((along_mm + from_middle_mm) * 2 / (size * spacing_mm[axis]))
    rows, columns = torch.meshgrid(*unit, indexing="ij")
    image = torch.from_numpy(np.maximum(hu, AIR_HU).astype(np.float32))[None, None] - AIR_HU
    grid = torch.stack([columns, rows], dim=-1)[None]
    fine = F.grid_sample(image, grid, mode="bilinear", align_corners=False) + AIR_HU
    middle = finer // 2
    coarse_grid = grid[:, middle::finer, middle::finer]
    named = torch.from_numpy(classes.astype(np.float32))[None, None]
    nearest = F.grid_sample(named, coarse_grid, mode="nearest", align_corners=False)[:, 0]
    return F.avg_pool2d(fine, finer), nearest.round().to(torch.uint8)


def fit_line(
    position_mm: NDArray[np.float64], level: NDArray[np.float64], expected_error: NDArray[np.float64]
) -> LevelLine | None:
    """The likeliest line through slice levels with Laplace errors and a likely femur length, or None."""
    use = np.isfinite(level)
    if use.sum() < _FEWEST_SLICES:
        return None
    t, y, width = position_mm[use], level[use], np.maximum(expected_error[use], 0.01)
    reach_mm = float(np.ptp(t))
    effective = max(1.0, reach_mm / _SLICES_ALIKE_MM) / len(t)  # what one slice counts
    middle_mm = float(np.average(t, weights=1 / width))
    best: tuple[float, float, float] | None = None
    for length in _LENGTHS_MM:
        middle = _weighted_median(y + (t - middle_mm) / length, 1 / width)
        misfit = float((np.abs(middle - (t - middle_mm) / length - y) / width).sum()) * effective
        cost = misfit + 0.5 * ((length - _LENGTH_MM) / _LENGTH_SD_MM) ** 2
        if best is None or cost < best[0]:
            best = (cost, middle, float(length))
    assert best is not None
    _, middle, length = best
    error = float(np.median(np.abs(middle - (t - middle_mm) / length - y)))
    if error > _WORST_ERROR:
        return None
    typical = float(np.median(width)) * np.sqrt(2)  # sd of a Laplace distribution from its mean absolute error
    sd = max(typical, 1.5 * error) / np.sqrt(max(1.0, reach_mm / _SLICES_ALIKE_MM))
    return LevelLine(middle=middle, middle_mm=middle_mm, length_mm=length, median_error=error, sd=float(sd))


def _weighted_median(values: NDArray[np.float64], weights: NDArray[np.float64]) -> float:
    order = np.argsort(values)
    share = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(share, share[-1] / 2)])
