"""Contrast agent seen in the image: bright vessels between the muscles, whatever the header says."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from thighseg_core.axial import axial_view
from thighseg_core.labels import OTHER_BONE, SIDES, LabelMap, label_value
from thighseg_core.planes import near
from thighseg_core.volume import CTVolume

ENHANCED_HU = 90.0  # our convention: blood without contrast stays below
_CALCIFIED_HU = 500.0  # our convention: a vessel wall, bone or metal rather than blood
_SMALLEST_MM2 = 10.0  # the middle of an artery 5 mm wide
_LARGEST_MM2 = 400.0  # more is no vessel of the thigh
_BONE_MM = 5.0  # nearer to bone its blur is bright
_GRAIN_MM = 2.5  # attenuation is averaged over so much, against noise
_MOST_SLICES = 40


@dataclass(frozen=True)
class Vessels:
    """n_slices: looked at. n_enhanced: of these, with a bright vessel. attenuation_hu: median of those vessels."""

    n_slices: int
    n_enhanced: int
    attenuation_hu: float | None


def find_vessels(volume: CTVolume, label_map: LabelMap) -> Vessels:
    """Bright round spots in the intermuscular compartment, away from bone, on up to 40 slices."""
    view = axial_view(volume.geometry)
    labels, attenuation = view.slices(label_map.labels), view.slices(volume.attenuation_hu)
    is_between, is_bone = np.zeros((2, 256), dtype=bool)
    is_between[[label_value("intermuscular", side) for side in SIDES]] = True
    is_bone[[OTHER_BONE, *(label_value("femur", side) for side in SIDES)]] = True
    held = np.flatnonzero([is_between[plane[::4, ::4]].any() for plane in labels])
    step = max(1, -(-held.size // _MOST_SLICES))
    pixel_mm = view.pixel_mm
    found: list[float] = []
    for k in held[::step]:
        inside = is_between[labels[k]]
        smooth = ndimage.uniform_filter(
            attenuation[k].astype(np.float32), [max(1, round(_GRAIN_MM / s)) for s in pixel_mm]
        )
        if (smooth[inside] < ENHANCED_HU).all():
            continue
        bone = is_bone[labels[k]] | (inside & (smooth > _CALCIFIED_HU))
        inside &= ~near(bone, _BONE_MM, pixel_mm)
        spot = _brightest_spot(inside & (smooth >= ENHANCED_HU), smooth, pixel_mm[0] * pixel_mm[1])
        if spot is not None:
            found.append(spot)
    return Vessels(len(held[::step]), len(found), float(np.median(found)) if found else None)


def _brightest_spot(bright: NDArray[np.bool_], hu: NDArray[np.float32], pixel_mm2: float) -> float | None:
    """Mean attenuation of the brightest connected spot of a vessel's size, HU."""
    spots, n_spots = ndimage.label(bright)
    if n_spots == 0:
        return None
    numbers = np.arange(1, n_spots + 1)
    areas_mm2 = np.bincount(spots.ravel(), minlength=n_spots + 1)[1:] * pixel_mm2
    means = ndimage.mean(hu, spots, numbers)
    fitting = [mean for mean, area in zip(means, areas_mm2, strict=True) if _SMALLEST_MM2 <= area <= _LARGEST_MM2]
    return float(max(fitting)) if fitting else None
