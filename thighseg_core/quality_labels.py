"""When to doubt the labels of a scan: coverage, cuts, shares, symmetry, pieces and sides."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from thighseg_core.census import Census
from thighseg_core.labels import GROUPS, SIDES, LabelMap, label_value
from thighseg_core.measure import cut_ends, leg_slices
from thighseg_core.measurement import QualityFlag
from thighseg_core.pieces import find_pieces

_STRUCTURES = (*GROUPS, "sartorius", "femur", "intermuscular", "subcutaneous")
_MUSCLES = (*GROUPS, "sartorius")

SMALLEST_GROUP_CM3 = 5.0  # our convention
FEWEST_SLICES = 10  # our convention
# Percent of extensor + flexor + adductor + sartorius. Bounds of our own around 50:19:28:3, the mean of 41 women
# (doi 10.1007/s00421-010-1477-8).
SHARE_BOUNDS_PERCENT = {"extensor": (40.0, 60.0), "flexor": (12.0, 27.0), "adductor": (18.0, 35.0)}
MOST_ASYMMETRIC_PERCENT = 25.0  # our convention: of the mean of left and right
FEWEST_SHARED_SLICES = 10  # our convention: fewer say little of asymmetry
MOST_PIECES = 2  # our convention: the gracilis may lie apart from the other adductors
LONGEST_GAP_MM = 15.0  # our convention


def label_flags(label_map: LabelMap, census: Census) -> Iterator[QualityFlag]:
    """Findings on the labels alone."""
    yield from _labelling(census)
    yield from _coverage(census)
    yield from _plausibility(census)
    yield from _asymmetry(census)
    yield from _pieces(label_map)
    yield from _side_order(label_map)


def _labelling(census: Census) -> Iterator[QualityFlag]:
    held = np.zeros(census.view.n_slices, dtype=bool)
    for side in SIDES:
        for name in GROUPS:
            held |= _voxels(census, name, side) > 0
    n_slices = int(held.sum())
    if n_slices == 0:
        yield QualityFlag(
            code="nothing_labelled",
            severity="error",
            message="no thigh muscle group is labelled",
            consequence="every measurement is missing; check that the scan shows a thigh",
        )
    elif n_slices < FEWEST_SLICES:
        yield QualityFlag(
            code="few_slices",
            severity="warning",
            message=f"only {n_slices} slices ({n_slices * census.view.slice_mm:.0f} mm) hold a muscle group",
            consequence="volumes describe a short piece of the thigh; use areas, or scan more of it",
        )


def _coverage(census: Census) -> Iterator[QualityFlag]:
    for side in SIDES:
        for name in _STRUCTURES:
            voxels = _voxels(census, name, side)
            for cut in cut_ends(census, voxels):
                yield QualityFlag(
                    code="truncated",
                    severity="warning" if name in _MUSCLES else "info",
                    message=f"{name} {side} is {cut}",
                    consequence="its volume is that of the piece in view; compare it only with the same piece",
                    region=name,
                    side=side,
                )
            touched = int(census.at_border[:, label_value(name, side)].sum())
            if touched:
                n_slices = int((voxels > 0).sum())
                yield QualityFlag(
                    code="touches_border",
                    severity="warning",
                    message=f"{name} {side} touches the edge of the image on {touched} of {n_slices} slices",
                    consequence="part of it may lie outside the image: its volume and area may be too small",
                    region=name,
                    side=side,
                )


def _plausibility(census: Census) -> Iterator[QualityFlag]:
    for side in SIDES:
        volumes_cm3 = {name: int(_voxels(census, name, side).sum()) * census.voxel_volume_cm3 for name in _MUSCLES}
        for name in GROUPS:
            if 0 < volumes_cm3[name] < SMALLEST_GROUP_CM3:
                yield QualityFlag(
                    code="small_volume",
                    severity="warning",
                    message=f"{name} {side} has only {volumes_cm3[name]:.1f} cm3",
                    consequence="it is a fragment: look at the overlay before using its numbers",
                    region=name,
                    side=side,
                )
        if all(volumes_cm3.values()) and all(_whole(census, name, side) for name in _MUSCLES):
            yield from _shares(volumes_cm3, side)


def _whole(census: Census, name: str, side: str) -> bool:
    """Whether a structure lies inside the field of view on all sides."""
    return not cut_ends(census, _voxels(census, name, side)) and not census.at_border[:, label_value(name, side)].any()


def _shares(volumes_cm3: dict[str, float], side: str) -> Iterator[QualityFlag]:
    total = sum(volumes_cm3.values())
    for name, (low, high) in SHARE_BOUNDS_PERCENT.items():
        share = 100 * volumes_cm3[name] / total
        if not low <= share <= high:
            yield QualityFlag(
                code="group_shares",
                severity="warning",
                message=f"{name} {side} is {share:.0f} % of the labelled muscle, expected {low:.0f} to {high:.0f} %",
                consequence="the borders between the groups may be wrong: look at the overlay",
                region=name,
                side=side,
            )


def _asymmetry(census: Census) -> Iterator[QualityFlag]:
    """Left against right over the slices that show both legs, of groups that no edge of the image cuts there."""
    shared = np.logical_and.reduce([leg_slices(census, side) for side in SIDES])
    if shared.sum() < FEWEST_SHARED_SLICES:
        return
    for name in GROUPS:
        if any(census.at_border[shared, label_value(name, side)].any() for side in SIDES):
            continue
        left, right = (float(_voxels(census, name, side)[shared].sum()) * census.voxel_volume_cm3 for side in SIDES)
        if min(left, right) < SMALLEST_GROUP_CM3:
            continue
        percent = 100 * (left - right) / ((left + right) / 2)
        if abs(percent) > MOST_ASYMMETRIC_PERCENT:
            yield QualityFlag(
                code="asymmetry",
                severity="warning",
                message=f"{name} left {left:.0f} cm3, right {right:.0f} cm3 over the slices that show both legs: "
                f"{percent:+.0f} % of their mean",
                consequence="legs that differ so much, legs placed unequally or a faulty label: look at the overlay",
                region=name,
            )


def _pieces(label_map: LabelMap) -> Iterator[QualityFlag]:
    for found in find_pieces(label_map):
        what = []
        if found.count > MOST_PIECES:
            what.append(f"lies in {found.count} pieces, the largest with {100 * found.largest_share:.0f} % of it")
        if found.gap_mm > LONGEST_GAP_MM:
            what.append(f"is missing on {found.gap_mm:.0f} mm of slices between others that show it")
        if what:
            yield QualityFlag(
                code="pieces",
                severity="warning",
                message=f"{found.group} {found.side} {' and '.join(what)}",
                consequence="part of the label is probably wrong or missing: look at the overlay",
                region=found.group,
                side=found.side,
            )


def _side_order(label_map: LabelMap) -> Iterator[QualityFlag]:
    left, right = (_mean_x_mm(label_map, side) for side in SIDES)
    if left is not None and right is not None and left <= right:
        yield QualityFlag(
            code="side_order",
            severity="error",
            message="what is labelled left lies on the patient's right of what is labelled right",
            consequence="left and right are probably swapped in the label map; do not use the sides before checking",
        )


def _mean_x_mm(label_map: LabelMap, side: str) -> float | None:
    """Mean LPS x of what is labelled on a side, from about 64 samples along each axis; None when there is none."""
    steps = [max(1, n // 64) for n in label_map.labels.shape]
    sample = label_map.labels[tuple(slice(None, None, step) for step in steps)]
    of_side = np.zeros(256, dtype=bool)
    of_side[[label_value(name, side) for name in _STRUCTURES]] = True
    index = np.argwhere(of_side[sample])
    return float(label_map.geometry.to_lps_mm(index.mean(axis=0) * steps)[0]) if len(index) else None


def _voxels(census: Census, name: str, side: str) -> NDArray[np.int64]:
    return np.asarray(census.voxels[:, label_value(name, side)])
