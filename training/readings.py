"""Slices of the real series that AI readers drew for this project, beside the reference slices, as polygons.

readings/STS_xxx.json holds, for every slice number of the canonical stack, polygons [{"name", "points": [[column, row],
...]}] in pixels (0, 0: the middle of the first). Later polygons overwrite earlier ones; names are those of the groups,
"other", "none" (a vessel taken out again) and "unsure" (teaches nothing). How they were drawn: training/README.md.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from scipy import ndimage

from training.drawings import OTHER_MUSCLE
from training.reference import NOT_ANNOTATED, REFERENCE_CLASSES, TISSUE_HU

FOLDER = Path(__file__).parent / "readings"
VALUES = REFERENCE_CLASSES | {"other": OTHER_MUSCLE, "none": 0, "unsure": NOT_ANNOTATED}
AROUND_PIXELS = 5
_FINER = 8

Polygon = dict[str, Any]


def load_reading(path: Path) -> dict[int, list[Polygon]]:
    """Polygons of every slice that was read. A name that is no group is a ValueError that names it."""
    slices = {int(k): polygons for k, polygons in json.loads(path.read_text(encoding="utf-8")).items()}
    for k, polygons in slices.items():
        for polygon in polygons:
            if polygon["name"] not in VALUES:
                raise ValueError(f"{path}, slice {k}: {polygon['name']!r} is none of {', '.join(VALUES)}")
    return slices


def painted(attenuation_hu: NDArray[Any], polygons: list[Polygon], *, tumour: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """(J, I) attenuation and tumour of a slice -> (J, I) values as in the reference drawings: lean tissue inside the
    polygons; the tumour and what lies near it is not annotated."""
    lean = (attenuation_hu >= TISSUE_HU[0]) & (attenuation_hu <= TISSUE_HU[1])
    drawn = np.zeros(attenuation_hu.shape, dtype=np.uint8)
    for polygon in polygons:
        inside = _inside(polygon["points"], drawn.shape)
        drawn[inside if polygon["name"] == "unsure" else inside & lean] = VALUES[polygon["name"]]
    drawn[near(tumour)] = NOT_ANNOTATED
    return drawn


def near(region: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The region (J, I) and what lies up to `AROUND_PIXELS` beside it; nothing where there is none."""
    return region if not region.any() else ndimage.distance_transform_edt(~region) <= AROUND_PIXELS


def _inside(points: list[list[float]], shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Pixels of which at least half lies inside the polygon."""
    fine = Image.new("L", (shape[1] * _FINER, shape[0] * _FINER))
    corners = [((x + 0.5) * _FINER, (y + 0.5) * _FINER) for x, y in points]
    ImageDraw.Draw(fine).polygon(corners, fill=1)
    shares = np.asarray(fine).reshape(shape[0], _FINER, shape[1], _FINER).mean(axis=(1, 3))
    return np.asarray(shares >= 0.5, dtype=np.bool_)
