"""The bones on one slice, by attenuation alone: size, shape and depth of each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

_BONE_HU = 180  # our convention: cortical bone is far brighter, muscle and unenhanced blood are darker
_SMALLEST_CM2 = 0.5
_BRIDGE_MM = 2.0  # gaps of this size in a cortex are closed before it is filled
_MIRROR_MM = 40.0  # so much is mirrored at the edge of the image, to close the ring of a bone that is cut there


@dataclass(frozen=True)
class Bone:
    """area_cm2: with the marrow; of a cut bone the part that is seen. ellipse: area over that of the ellipse with the
    same second moments. roundness: short over long axis of that ellipse. depth_mm: least distance to air outside the
    body. cut: by the edge of the image (shape is then that of the bone and its mirror image). centre_mm: (row, column).
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
    mirrored = np.pad(bright, [(n, n) for n in margin], mode="symmetric")
    closed = ndimage.binary_closing(mirrored, iterations=max(1, round(_BRIDGE_MM / min(spacing_mm))))
    pieces, _ = ndimage.label(ndimage.binary_fill_holes(closed))
    inner = np.s_[margin[0] : margin[0] + rows, margin[1] : margin[1] + columns]
    depth_mm = ndimage.distance_transform_edt(np.pad(body, 1, mode="edge"), sampling=spacing_mm)[1:-1, 1:-1]
    pixel_cm2 = spacing_mm[0] * spacing_mm[1] / 100
    boxes: list[Any] = list(ndimage.find_objects(pieces))
    bones = []
    for number in np.unique(pieces[inner]):
        seen = pieces[inner] == number
        area_cm2 = float(seen.sum()) * pixel_cm2
        if number == 0 or area_cm2 < _SMALLEST_CM2:
            continue
        box = boxes[int(number) - 1]
        ellipse, roundness = _shape(pieces[box] == number, spacing_mm)
        y, x = np.nonzero(seen)
        bones.append(
            Bone(
                area_cm2=area_cm2,
                ellipse=ellipse,
                roundness=roundness,
                depth_mm=float(depth_mm[seen].min()),
                cut=bool(y.min() == 0 or x.min() == 0 or y.max() == rows - 1 or x.max() == columns - 1),
                centre_mm=(float(y.mean()) * spacing_mm[0], float(x.mean()) * spacing_mm[1]),
            )
        )
    return bones


def _shape(piece: NDArray[np.bool_], spacing_mm: tuple[float, float]) -> tuple[float, float]:
    """(area over that of the ellipse with the same moments, short over long axis)."""
    y, x = np.nonzero(piece)
    moments = np.cov(np.stack([y * spacing_mm[0], x * spacing_mm[1]])) + np.diag(np.square(spacing_mm)) / 12
    small, large = np.linalg.eigvalsh(moments)
    area_mm2 = float(piece.sum()) * spacing_mm[0] * spacing_mm[1]
    return area_mm2 / (4 * np.pi * float(np.sqrt(small * large))), float(np.sqrt(small / large))
