"""Two visits on top of each other: where muscle was lost and gained. Pure arrays; legs are laid on their femur."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from thighseg_core.axial import axial_view
from thighseg_core.labels import SIDES, LabelMap, label_value
from thighseg_core.overlay import SOFT_TISSUE_CENTRE_HU, SOFT_TISSUE_WIDTH_HU, grey, rgb, rim
from thighseg_core.volume import CTVolume

# Told apart with any colour vision and on grey; no muscle group has them.
LOST, GAINED = "#FFB000", "#B58CFF"
_OPACITY = 0.75
_MARGIN_MM = 15.0
_PX_PER_MM = 3.0  # of the picture on the page


@dataclass(frozen=True, eq=False)
class Level:
    """One slice as it is shown: attenuation and labels (rows, columns), patient's right on the left."""

    attenuation_hu: NDArray[np.int16] | NDArray[np.float32]
    labels: NDArray[np.uint8]
    row_mm: float
    column_mm: float
    z_mm: float


@dataclass(frozen=True)
class AreaChange:
    """Muscle of one leg on the two slices. lost and gained: after the legs were laid on their femur."""

    side: str
    before_cm2: float
    after_cm2: float
    lost_cm2: float
    gained_cm2: float


def level_at(volume: CTVolume, label_map: LabelMap, z_mm: float) -> Level:
    """The slice whose centre lies nearest to a height."""
    view = axial_view(volume.geometry)
    index = int(np.argmin(np.abs(view.z_mm - z_mm)))
    return Level(
        attenuation_hu=view.picture(volume.attenuation_hu, index),
        labels=view.picture(label_map.labels, index),
        row_mm=view.row_mm,
        column_mm=view.column_mm,
        z_mm=float(view.z_mm[index]),
    )


def change_rgb(
    before: Level, after: Level, *, classes: Sequence[str]
) -> tuple[NDArray[np.uint8], tuple[AreaChange, ...]]:
    """(rows, columns, 3) RGB on the later slice, and the areas of each leg whose femur is on both slices.

    Each leg of the earlier slice is shifted so that its femur lies on the later one; nothing is turned or stretched.
    """
    picture = np.repeat(
        grey(
            after.attenuation_hu, window_centre_hu=SOFT_TISSUE_CENTRE_HU, window_width_hu=SOFT_TISSUE_WIDTH_HU
        )[:, :, None],
        3,
        axis=2,
    )  # fmt: skip
    lost_all = np.zeros(after.labels.shape, dtype=bool)
    gained_all, now_all = lost_all.copy(), lost_all.copy()
    areas = []
    for side in SIDES:
        values = [label_value(name, side) for name in classes]
        then, now = np.isin(before.labels, values), np.isin(after.labels, values)
        moved = _laid_on(then, before, after, side)
        if moved is None or not (then.any() or now.any()):
            continue
        lost, gained = moved & ~now, now & ~moved
        face = after.row_mm * after.column_mm / 100
        areas.append(
            AreaChange(
                side=side,
                before_cm2=float(then.sum() * before.row_mm * before.column_mm / 100),
                after_cm2=float(now.sum() * face),
                lost_cm2=float(lost.sum() * face),
                gained_cm2=float(gained.sum() * face),
            )
        )
        lost_all |= lost
        gained_all |= gained
        now_all |= now
    outline = rim(now_all.astype(np.uint8))
    picture[outline] = 255
    for mask, colour in ((lost_all, LOST), (gained_all, GAINED)):
        mixed = picture[mask] * (1 - _OPACITY) + np.array(rgb(colour)) * _OPACITY
        picture[mask] = np.rint(mixed).astype(np.uint8)
    return picture, tuple(areas)


def enlarged(rgb_2d: NDArray[np.uint8], level: Level) -> NDArray[np.uint8]:
    """The picture cut to what is labelled on the slice, with square millimetres, large enough to be read."""
    rows, columns = np.nonzero(level.labels)
    if not len(rows):
        return rgb_2d
    down, across = round(_MARGIN_MM / level.row_mm), round(_MARGIN_MM / level.column_mm)
    part = rgb_2d[
        max(rows.min() - down, 0) : rows.max() + down + 1, max(columns.min() - across, 0) : columns.max() + across + 1
    ]
    height, width = part.shape[0] * level.row_mm * _PX_PER_MM, part.shape[1] * level.column_mm * _PX_PER_MM
    size = (max(1, round(width)), max(1, round(height)))
    return np.asarray(Image.fromarray(part).resize(size, Image.Resampling.BILINEAR))


def _laid_on(mask: NDArray[np.bool_], before: Level, after: Level, side: str) -> NDArray[np.bool_] | None:
    """The earlier slice's mask on the later slice's pixels, femur on femur; None where one slice has no femur."""
    value = label_value("femur", side)
    if not ((before.labels == value).any() and (after.labels == value).any()):
        return None
    centre_before = np.array(ndimage.center_of_mass(before.labels == value))
    centre_after = np.array(ndimage.center_of_mass(after.labels == value))
    rows = (np.arange(after.labels.shape[0]) - centre_after[0]) * after.row_mm / before.row_mm + centre_before[0]
    columns = (
        (np.arange(after.labels.shape[1]) - centre_after[1]) * after.column_mm / before.column_mm + centre_before[1]
    )  # fmt: skip
    at = np.meshgrid(np.rint(rows).astype(int), np.rint(columns).astype(int), indexing="ij")
    inside = (at[0] >= 0) & (at[0] < mask.shape[0]) & (at[1] >= 0) & (at[1] < mask.shape[1])
    out = np.zeros(after.labels.shape, dtype=bool)
    out[inside] = mask[at[0][inside], at[1][inside]]
    return out
