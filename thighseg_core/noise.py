"""The noise of a scan: the standard deviation of attenuation within small windows of muscle."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from thighseg_core.axial import axial_view
from thighseg_core.labels import GROUPS, SIDES, LabelMap, label_value
from thighseg_core.volume import CTVolume

_WINDOW_MM = 7.0  # some grains of a soft-tissue kernel, smaller than most pieces of lean muscle
_FEWEST_PIXELS = 5  # along a window: a standard deviation of fewer is too uncertain
_MOST_SLICES = 12  # looked at: noise changes slowly along a scan
_FEWEST_WINDOWS = 200
_LEAN_HU = (-10.0, 110.0)  # mean of a window that is muscle rather than fat, vessel or tendon
_BIN_HU = 0.5


def noise_hu(volume: CTVolume, label_map: LabelMap) -> float | None:
    """Standard deviation of the noise in muscle, HU; None where too little muscle is labelled.

    The most frequent standard deviation of windows that lie wholly in one muscle group: fat raises it in some windows
    and leaves the others.
    """
    view = axial_view(volume.geometry)
    labels, attenuation = view.slices(label_map.labels), view.slices(volume.attenuation_hu)
    groups = [label_value(name, side) for name in GROUPS for side in SIDES]
    held = np.flatnonzero([np.isin(plane[::4, ::4], groups).any() for plane in labels])
    if not held.size:
        return None
    chosen = held[np.unique(np.linspace(0, held.size - 1, min(_MOST_SLICES, held.size)).round().astype(int))]
    size = [max(_FEWEST_PIXELS, round(_WINDOW_MM / step) | 1) for step in view.pixel_mm]
    found = [_window_sds(attenuation[k], labels[k], groups, size) for k in chosen]
    sds = np.concatenate(found)
    return _mode(sds) if sds.size >= _FEWEST_WINDOWS else None


def _window_sds(
    attenuation_hu: NDArray[Any], labels: NDArray[np.uint8], groups: list[int], size: list[int]
) -> NDArray[np.float64]:
    """Standard deviations of the windows of `size` pixels that hold one muscle group only, at every other pixel."""
    same = ndimage.minimum_filter(labels, size) == ndimage.maximum_filter(labels, size)
    inside = (same & np.isin(labels, groups))[::2, ::2]
    hu = attenuation_hu.astype(np.float64)
    mean = ndimage.uniform_filter(hu, size)[::2, ::2][inside]
    square = ndimage.uniform_filter(hu**2, size)[::2, ::2][inside]
    n = size[0] * size[1]
    sd = np.sqrt(np.maximum(square - mean**2, 0) * n / (n - 1))
    return np.asarray(sd[(mean >= _LEAN_HU[0]) & (mean <= _LEAN_HU[1])])


def _mode(values: NDArray[np.float64]) -> float:
    """The most frequent value, from a smoothed histogram."""
    counts = np.bincount((values / _BIN_HU).astype(int)).astype(np.float64)
    smooth = ndimage.gaussian_filter1d(np.pad(counts, 6), 2.0)[6:-6]
    return float((int(smooth.argmax()) + 0.5) * _BIN_HU)
