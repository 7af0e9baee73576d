"""A compact form of the atlas that ships with the project, for the demo study and for tests with known truth.

Each structure's distance field is kept as the low frequencies of its three-dimensional cosine transform: parameters
that we fitted, not the published surfaces. Edges are right to about 2 mm.

    python -m training.compact --atlas cache/atlas
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from scipy import fft, ndimage

from training.atlas import DEEP_UNIT_MM, PIXEL_MM, SLICE_MM, STRUCTURE_NAMES, UNIT_MM, AtlasLeg

SHIPPED = Path(__file__).parent / "compact_atlas.npz"
LEGS = ("VHF_Left", "VHM_Left")
LEVELS = (-0.03, 1.04)  # the whole femur
KEPT = (32, 20, 20)  # frequencies along slices, rows and columns
CLIP_MM = (-18.0, 18.0)  # far from an edge the distance does not matter
ENDING_INSIDE = ("femur", "other_bone")  # whose ends must be right: no jump from the last slice to none


def compress(leg: AtlasLeg) -> dict[str, np.ndarray]:
    """The coefficients of one leg, float16, and what is needed to expand them."""
    use = np.flatnonzero((leg.level >= LEVELS[0]) & (leg.level <= LEVELS[1]))
    coefficients = np.empty((len(STRUCTURE_NAMES), *KEPT), dtype=np.float16)
    for channel, name in enumerate(STRUCTURE_NAMES):
        unit_mm = DEEP_UNIT_MM if name == "deep" else UNIT_MM
        limits = (-40.0, 60.0) if name == "deep" else CLIP_MM
        field_mm = leg.distance[use, channel].astype(np.float32) * unit_mm
        if name in ENDING_INSIDE:
            field_mm = _distance_in_space_mm(field_mm < 0)
        field_mm = np.clip(field_mm, *limits)
        spectrum = fft.dctn(field_mm, norm="forward")
        coefficients[channel] = spectrum[: KEPT[0], : KEPT[1], : KEPT[2]]
    return {
        "coefficients": coefficients,
        "points_mm": leg.points_mm[use].astype(np.float16),
        "level": leg.level[use],
        "width": np.int64(leg.distance.shape[-1]),
        "femur_length_mm": np.float64(leg.femur_length_mm),
    }


def _distance_in_space_mm(mask: np.ndarray) -> np.ndarray:
    """Signed distance in three dimensions, negative inside: smooth beyond the ends of a structure, too."""
    if not mask.any():
        return np.full(mask.shape, CLIP_MM[1], dtype=np.float32)
    step_mm = (SLICE_MM, PIXEL_MM, PIXEL_MM)
    outside, inside = (ndimage.distance_transform_edt(part, sampling=step_mm) for part in (~mask, mask))
    return np.asarray(outside - inside, dtype=np.float32)


def expand(name: str, stored: dict[str, np.ndarray]) -> AtlasLeg:
    """A leg on the grid it was compressed from."""
    n_slices, width = len(stored["level"]), int(stored["width"])
    distance = np.empty((n_slices, len(STRUCTURE_NAMES), width, width), dtype=np.int8)
    for channel, structure in enumerate(STRUCTURE_NAMES):
        spectrum = np.zeros((n_slices, width, width), dtype=np.float32)
        spectrum[: KEPT[0], : KEPT[1], : KEPT[2]] = stored["coefficients"][channel]
        unit_mm = DEEP_UNIT_MM if structure == "deep" else UNIT_MM
        field_mm = fft.idctn(spectrum, norm="forward")
        distance[:, channel] = np.clip(np.round(field_mm / unit_mm), -127, 127)
    return AtlasLeg(
        name=name,
        distance=distance,
        level=stored["level"],
        points_mm=stored["points_mm"].astype(np.float32),
        femur_length_mm=float(stored["femur_length_mm"]),
    )


def load_shipped(path: Path = SHIPPED) -> tuple[AtlasLeg, ...]:
    """The two shipped legs: a woman's and a man's."""
    with np.load(path) as stored:
        parts = {key: stored[key] for key in stored.files}
    return tuple(
        expand(
            name, {key.removeprefix(f"{name}/"): value for key, value in parts.items() if key.startswith(f"{name}/")}
        )
        for name in LEGS
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--atlas", type=Path, default=Path("cache/atlas"))
    parser.add_argument("--output", type=Path, default=SHIPPED)
    arguments = parser.parse_args()
    tables = {
        f"{name}/{key}": value
        for name in LEGS
        for key, value in compress(AtlasLeg.load(arguments.atlas / f"{name}.npz")).items()
    }
    np.savez_compressed(arguments.output, **tables)
    print(f"{arguments.output}: {arguments.output.stat().st_size / 1e6:.2f} MB")
