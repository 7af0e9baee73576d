"""The bones on one slice, by attenuation alone: size, shape and depth of each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from thighseg_core.planes import dilated, eroded, filled

_BONE_HU = 180  # our convention: cortical bone is far brighter, muscle and unenhanced blood are darker
_SMALLEST_CM2 = 0.5
_BRIDGE_MM = 2.0  # gaps of this size in a cortex are closed before it is filled
_MIRROR_MM = 40.0  # so much is mirrored at the edge of the image, to close the ring of a bone that is cut there


@dataclass(frozen=True)
class Bone:
    """area_cm2: with the marrow; of a cut bone the part that is seen. ellipse: area over that of the ellipse with the
    same second moments. roundness: short over long axis of that ellipse. depth_mm: least distance to air outside the
    body, infinite where none is seen. cut: by the edge of the image (shape is then that of the bone and its mirror
    image). centre_mm: (row, column).
    """

    area_cm2: float
    ellipse: float
    roundness: float
    depth_mm: float
    cut: bool
    centre_mm: tuple[float, float]

    def distance_mm(self, other: Bone) -> float:
        """Between the centres."""
        return float(np.hypot(self.centre_mm[0] - other.centre_mm[0], self.centre_mm[1] - other.centre_mm[1]))


def find_bones(attenuation_hu: NDArray[Any], body: NDArray[np.bool_], *, spacing_mm: tuple[float, float]) -> list[Bone]:
    """Bones of at least 0.5 cm2 on a slice."""
    bright = (attenuation_hu >= _BONE_HU) & body
    if not bright.any():
        return []
    rows, columns = bright.shape
    margin = (min(round(_MIRROR_MM / spacing_mm[0]), rows), min(round(_MIRROR_MM / spacing_mm[1]), columns))
    steps = max(1, round(_BRIDGE_MM / min(spacing_mm)))
    mirrored = np.pad(bright, [(n, n) for n in margin], mode="symmetric")
    rows_in, columns_in = (np.flatnonzero(mirrored.any(axis=axis)) for axis in (1, 0))
    top, left = max(0, rows_in[0] - steps - 1), max(0, columns_in[0] - steps - 1)
    part = mirrored[top : rows_in[-1] + steps + 2, left : columns_in[-1] + steps + 2]
    pieces, _ = ndimage.label(filled(eroded(dilated(part, steps=steps), steps=steps)))
    skin = np.argwhere(~body & dilated(body)) * spacing_mm
    pixel_cm2 = spacing_mm[0] * spacing_mm[1] / 100
    boxes: list[Any] = list(ndimage.find_objects(pieces))
    bones = []
    for number, box in enumerate(boxes, start=1):
        piece = pieces[box] == number
        y, x = np.nonzero(piece)
        y, x = y + (box[0].start + top - margin[0]), x + (box[1].start + left - margin[1])
        seen = (y >= 0) & (y < rows) & (x >= 0) & (x < columns)
        if float(seen.sum()) * pixel_cm2 < _SMALLEST_CM2:
            continue
        ellipse, roundness = _shape(piece, spacing_mm)
        outline = (np.pad(piece, 1) & dilated(~np.pad(piece, 1)))[1:-1, 1:-1][piece][seen]
        y, x = y[seen], x[seen]
        bones.append(
            Bone(
                area_cm2=len(y) * pixel_cm2,
                ellipse=ellipse,
                roundness=roundness,
                depth_mm=_least_mm(np.stack([y, x], axis=1)[outline] * spacing_mm, skin),
                cut=bool(y.min() == 0 or x.min() == 0 or y.max() == rows - 1 or x.max() == columns - 1),
                centre_mm=(float(y.mean()) * spacing_mm[0], float(x.mean()) * spacing_mm[1]),
            )
        )
    return bones


def _least_mm(points_mm: NDArray[np.floating], others_mm: NDArray[np.floating]) -> float:
    """Least distance between two sets of points; infinite when one is empty."""
    if not len(points_mm) or not len(others_mm):
        return float("inf")
    down, across = (np.subtract.outer(points_mm[:, axis], others_mm[:, axis]) for axis in (0, 1))
    return float(np.sqrt((down**2 + across**2).min()))


def _shape(piece: NDArray[np.bool_], spacing_mm: tuple[float, float]) -> tuple[float, float]:
    """(area over that of the ellipse with the same moments, short over long axis)."""
    y, x = np.nonzero(piece)
    moments = np.cov(np.stack([y * spacing_mm[0], x * spacing_mm[1]])) + np.diag(np.square(spacing_mm)) / 12
    small, large = np.linalg.eigvalsh(moments)
    area_mm2 = float(piece.sum()) * spacing_mm[0] * spacing_mm[1]
    return area_mm2 / (4 * np.pi * float(np.sqrt(small * large))), float(np.sqrt(small / large))
