"""Check the level network on real series: is the level monotone along the scan, is its slope that of a femur?

    python -m training.level_check --data ../shared/data [--output docs/levels.md]

For each series that shows a thigh: rank correlation of the slices' own answers with their place, the femur length that
their own slope means (Theil and Sen, no likely length assumed), the length of the line that is used, and the middle
error of the slices around it. The label maps, which only say where the leg is, come from the shipped network.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import stats

from thighseg_core.checkpoint import DEFAULT_MODEL, Model, load_checkpoint
from thighseg_core.labels import LabelMap
from thighseg_core.level_estimate import fit_line, slice_answers
from thighseg_core.level_network import load_level_network
from thighseg_core.nifti import read_labels
from thighseg_core.preprocess import canonical_axes, canonical_geometry
from thighseg_core.segment import segment_with
from thighseg_core.volume import CTVolume
from training.prepare import load_scan_of

INTRODUCTION = """\
# Levels of slices

A small network tells from one slice of one leg and its label map where it lies along the femur (0 top of the head,
1 distal end of the condyles); a straight line holds the slices of a scan together ([numbers](numbers.md),
`level_estimate.py`). Written by `python -m training.level_check`.
"""
EXPLANATION = """\
Rank corr.: of the slices' own answers with their place (-1: strictly falling towards the head). Own length: the
femur that their slope means (Theil and Sen), nothing else assumed. Line: the length of the line in use, which
weighs in what a femur is likely to measure (440 +- 35 mm); its levels fall evenly by construction. Error:
median distance of the slices' own answers from it, share of the femur. Most series are full of tumour, which
makes the own slope too shallow: there the length is that assumed, and only the place comes from the picture.
At the hip of STS_029 and STS_036 bladder and bowel are labelled as thigh muscle, and the answers that rest on these
labels are wrong; the line goes past them."""


_FALLING = -0.8
_PLAUSIBLE_MM = (340.0, 560.0)  # of adult femurs, broad on purpose


@dataclass(frozen=True)
class LevelCheck:
    """One leg of one series; lengths in mm, levels and errors in shares of the femur."""

    patient: str
    side: str
    slices: int
    reach_mm: float
    lowest: float
    highest: float
    rank_correlation: float
    own_length_mm: float
    line_length_mm: float | None
    median_error: float | None


def check(patient: str, volume: CTVolume, label_map: LabelMap) -> list[LevelCheck]:
    """Both sides, where at least ten slices show a leg."""
    spacing_mm = canonical_geometry(volume.geometry, canonical_axes(volume.geometry)).spacing_mm[0]
    found = []
    for side, (own, width) in slice_answers(volume, label_map).items():
        seen = np.flatnonzero(np.isfinite(own))
        if len(seen) < 10:
            continue
        place_mm = np.arange(len(own)) * spacing_mm
        line = fit_line(place_mm, own, width)
        slope = float(stats.theilslopes(own[seen], place_mm[seen])[0])
        ends = line.at(place_mm[seen]) if line is not None else own[seen]
        found.append(
            LevelCheck(
                patient, side, len(seen), float(np.ptp(place_mm[seen])), float(ends.max()), float(ends.min()),
                float(stats.spearmanr(place_mm[seen], own[seen]).statistic), -1 / slope if slope else float("inf"),
                None if line is None else line.length_mm, None if line is None else line.median_error,
            )
        )  # fmt: skip
    return found


def _summary(checks: list[LevelCheck]) -> str:
    """How many legs of a series with the most slices pass, in one sentence."""
    most = {name: max((c for c in checks if c.patient == name), key=lambda c: c.slices) for name in _names(checks)}
    falling = sum(one.rank_correlation <= _FALLING for one in most.values())
    plausible = sum(_PLAUSIBLE_MM[0] <= one.own_length_mm <= _PLAUSIBLE_MM[1] for one in most.values())
    errors = [one.median_error for one in most.values() if one.median_error is not None]
    return (
        f"On the leg with most slices of {len(most)} thigh series: rank correlation {_FALLING} or beyond on {falling}, "
        f"own length {_PLAUSIBLE_MM[0]:.0f} to {_PLAUSIBLE_MM[1]:.0f} mm on {plausible}, a line on {len(errors)}; "
        f"mean over them of the error of the slices around it {np.mean(errors):.3f} of the femur."
    )


def _names(checks: list[LevelCheck]) -> list[str]:
    return sorted({one.patient for one in checks})


def as_markdown(checks: list[LevelCheck]) -> str:
    """The checks and the error on synthetic slices as Markdown."""
    card = load_level_network()[1]
    error = card["validation"]["synthetic"]["error_share_of_femur"]
    n_slices = card["validation"]["synthetic"]["slices"]
    lines = [
        INTRODUCTION,
        f"On {n_slices} synthetic slices, disturbed as in training (masses that push, mistaken classes, cut fields), "
        f"each by itself: mean absolute error {error['mean_absolute']:.3f} of the femur, 95 % within "
        f"{error['p95']:.3f}; beyond the femur {error['mean_absolute_beyond']:.3f}.",
        "",
        _summary(checks),
        "",
        "| series | side | slices | reach, mm | levels of the line | rank corr. | own length, mm | line, mm | error |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for one in checks:
        used = "none" if one.line_length_mm is None else f"{one.line_length_mm:.0f}"
        off = "" if one.median_error is None else f"{one.median_error:.3f}"
        lines.append(
            f"| {one.patient} | {one.side} | {one.slices} | {one.reach_mm:.0f} | {one.highest:.2f} to {one.lowest:.2f} "
            f"| {one.rank_correlation:.3f} | {one.own_length_mm:.0f} | {used} | {off} |"
        )
    lines += ["", EXPLANATION]
    return "\n".join(lines) + "\n"


def _label_map(volume: CTVolume, model: Model, stored: Path | None) -> LabelMap:
    if stored is not None and stored.is_file():
        return read_labels(stored, like=volume.geometry)
    return segment_with(volume, model, device="cpu").label_map


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--labels", type=Path, default=None, help="folder of <series>.nii.gz, to segment nothing anew")
    parser.add_argument("--output", type=Path, default=None)
    arguments = parser.parse_args()
    network = load_checkpoint(DEFAULT_MODEL, device="cpu")
    results: list[LevelCheck] = []
    for folder in sorted(path for path in (arguments.data / "ct_sarcoma").iterdir() if (path / "CT").is_dir()):
        scan = load_scan_of(folder / "CT")
        stored_path = None if arguments.labels is None else arguments.labels / f"{folder.name}.nii.gz"
        results += check(folder.name, scan, _label_map(scan, network, stored_path))
    text = as_markdown(results)
    print(text)
    if arguments.output is not None:
        arguments.output.write_text(text, encoding="utf-8")
