"""A slice with its labels as a picture: pure arrays in, RGB out. The preview and the dashboard both use it."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from thighseg_core.errors import InputError
from thighseg_core.labels import CLASSES, COLOURS, class_of_label

SOFT_TISSUE_CENTRE_HU = 40.0  # our convention: the usual soft-tissue window
SOFT_TISSUE_WIDTH_HU = 400.0


def grey(
    attenuation_hu: NDArray[np.int16] | NDArray[np.float32], *, window_centre_hu: float, window_width_hu: float
) -> NDArray[np.uint8]:
    """Attenuation through a window, as grey values 0 to 255: black below it, white above it."""
    if not window_width_hu > 0:
        raise InputError(f"a window must be wider than 0 HU, got {window_width_hu}; choose for example 400")
    low = window_centre_hu - window_width_hu / 2
    scaled = (np.asarray(attenuation_hu, dtype=np.float32) - np.float32(low)) / np.float32(window_width_hu)
    return np.asarray(np.rint(np.clip(scaled, 0, 1) * 255), dtype=np.uint8)


def overlay_slice(
    attenuation_2d: NDArray[np.int16] | NDArray[np.float32],
    labels_2d: NDArray[np.uint8],
    *,
    opacity: float,
    window_centre_hu: float,
    window_width_hu: float,
    outline: bool = False,
) -> NDArray[np.uint8]:
    """(rows, columns, 3) RGB: the slice in grey, its labels in the colours of `labels.COLOURS`.

    opacity: 0 shows the image alone, 1 the labels alone.
    outline: colour only the pixels on the rim of each label.
    Left and right have one colour; the marks beside the picture tell them apart. Raises InputError when shapes differ.
    """
    if attenuation_2d.shape != labels_2d.shape or labels_2d.ndim != 2:
        raise InputError(f"expected two slices of one shape, got {attenuation_2d.shape} and {labels_2d.shape}")
    if not 0 <= opacity <= 1:
        raise InputError(f"opacity must lie between 0 and 1, got {opacity}")
    base = grey(attenuation_2d, window_centre_hu=window_centre_hu, window_width_hu=window_width_hu)
    picture = np.repeat(base[:, :, None], 3, axis=2)
    shown = rim(labels_2d) if outline else labels_2d > 0
    colours = _palette()[labels_2d[shown]].astype(np.float32)
    mixed = picture[shown].astype(np.float32) * (1 - opacity) + colours * opacity
    picture[shown] = np.rint(mixed).astype(np.uint8)
    return picture


def rim(labels_2d: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Labelled pixels with a neighbour (left, right, up, down) of another label, or on the edge of the picture."""
    padded = np.pad(labels_2d, 1)
    centre = padded[1:-1, 1:-1]
    different = np.zeros(labels_2d.shape, dtype=bool)
    for neighbour in (padded[:-2, 1:-1], padded[2:, 1:-1], padded[1:-1, :-2], padded[1:-1, 2:]):
        different |= neighbour != centre
    return different & (labels_2d > 0)


def rgb(colour: str) -> tuple[int, int, int]:
    """ "#D55E00" to (213, 94, 0)."""
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


@cache
def _palette() -> NDArray[np.uint8]:
    """(n_labels, 3) colour of each label value."""
    by_class = np.array([rgb(COLOURS[name]) if name in COLOURS else (0, 0, 0) for name in CLASSES], dtype=np.uint8)
    return by_class[class_of_label()]
