"""How far off the end of a real condyle is taken, by slice thickness, beside half a slice below the lowest section.

    python -m training.condyle_check --data ../shared/data/visible_human_surfaces

The bone's end is the inner surface of the cartilage of the Visible Human's knees: four legs, each also turned.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from thighseg_core.condyles import below_mm
from training.surfaces import PEOPLE, Surface, read_leg
from training.validate import as_table

STEP_MM = 0.5
TURNS_DEG = ((0.0, 0.0), (5.0, -3.0), (-4.0, 5.0), (3.0, 6.0))  # about x and y
SLICES_MM = (2.0, 3.0, 5.0, 7.0)
_PHASES = 6  # places of the slices
_SAME_MM = 0.05  # closer crossings are one


def bone_mm(cartilage: Surface, *, turn_deg: tuple[float, float] = (0.0, 0.0)) -> NDArray[np.float64]:
    """(columns, rows) height of the bone's lower surface over a grid of 0.5 mm, NaN where there is no cartilage: the
    second of the heights at which a line along z crosses the cartilage's surface."""
    x, y = np.radians(turn_deg)
    about_x = np.array([[1, 0, 0], [0, np.cos(x), -np.sin(x)], [0, np.sin(x), np.cos(x)]])
    about_y = np.array([[np.cos(y), 0, np.sin(y)], [0, 1, 0], [-np.sin(y), 0, np.cos(y)]])
    points = cartilage.vertices_mm @ (about_x @ about_y).T
    origin = points.min(axis=0) - 1
    size = np.ceil((points.max(axis=0) - origin + 1)[:2] / STEP_MM).astype(int)
    places, heights = [], []
    for corners in points[cartilage.faces]:
        flat = (corners[:, :2] - origin[:2]) / STEP_MM
        low, high = np.ceil(flat.min(axis=0)).astype(int), np.floor(flat.max(axis=0)).astype(int)
        first, second = flat[1] - flat[0], flat[2] - flat[0]
        area = first[0] * second[1] - first[1] * second[0]
        if (high < low).any() or abs(area) < 1e-9:
            continue
        i, j = np.meshgrid(np.arange(low[0], high[0] + 1), np.arange(low[1], high[1] + 1), indexing="ij")
        u = ((i - flat[0, 0]) * second[1] - (j - flat[0, 1]) * second[0]) / area
        v = (first[0] * (j - flat[0, 1]) - first[1] * (i - flat[0, 0])) / area
        hit = (u >= 0) & (v >= 0) & (u + v <= 1)
        places.append((i * size[1] + j)[hit])
        heights.append((corners[0, 2] + u * (corners[1, 2] - corners[0, 2]) + v * (corners[2, 2] - corners[0, 2]))[hit])
    crossings = pd.DataFrame({"place": np.concatenate(places), "mm": np.concatenate(heights)})
    outer = crossings.groupby("place")["mm"].transform("min")
    inner = crossings[crossings["mm"] > outer + _SAME_MM].groupby("place")["mm"].min()
    out = np.full(size.prod(), np.nan)
    out[inner.index] = inner
    return out.reshape(size)


def end_errors(bone: NDArray[np.float64], *, slice_mm: float) -> list[tuple[float, float]]:
    """(error with the program's end, with half a slice) of the lower end of a femur, mm too high, for some places of
    the slices."""
    half = len(bone) // 2
    errors = []
    for above_mm in slice_mm * (np.arange(_PHASES) + 0.5) / _PHASES:
        middles = np.nanmin(bone) + above_mm + slice_mm * np.arange(10)
        ends = []
        for condyle in (bone[:half], bone[half:]):
            areas = np.array([(condyle < middle).sum() * STEP_MM**2 for middle in middles])
            first = int(np.flatnonzero(areas)[0])
            ends.append(middles[first] - below_mm(areas[first : first + 5], slice_mm=slice_mm))
        errors.append((min(ends) - float(np.nanmin(bone)), above_mm - slice_mm / 2))
    return errors


def main(data: Path) -> None:
    """Print root mean square and largest error by slice thickness."""
    rows = []
    for person in PEOPLE:
        for side in ("Left", "Right"):
            cartilage = read_leg(data, person=person, side=side)["Cartilage_FemurDistal"]
            for turn in TURNS_DEG:
                bone = bone_mm(cartilage, turn_deg=turn)
                rows += [(t, *errors) for t in SLICES_MM for errors in end_errors(bone, slice_mm=t)]
    table = pd.DataFrame(rows, columns=["slices of mm", "ends by their sections", "half a slice"])
    by = table.groupby("slices of mm")
    rms = by.agg(lambda error: float(np.sqrt((error**2).mean()))).add_prefix("RMS mm: ")
    largest = by.agg(lambda error: float(error.abs().max())).add_prefix("largest mm: ")
    print(as_table(rms.join(largest).reset_index()))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of the surfaces")
    main(parser.parse_args().data)
