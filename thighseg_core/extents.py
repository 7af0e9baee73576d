"""Over what a value is taken: the whole field of view, or a stretch of the thigh that is the same in everybody."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from thighseg_core.census import N_LABELS
from thighseg_core.femur_axis import BOTH_ENDS, FemurScale
from thighseg_core.femur_shape import SliceStack
from thighseg_core.labels import LABELS, SIDES
from thighseg_core.landmarks import MIDTHIGH_LEVEL, Landmarks, LegLandmarks
from thighseg_core.metrics import FEMUR_20_80, FULL, ISCHIAL, MIDTHIGH

STANDARD_LEVELS = (0.2, 0.8)  # clinical convention: the same share of the femur in everybody
SLAB_MM = 10.0  # our convention: averages noise out, and is a classical slice


@dataclass(frozen=True)
class Stretch:
    """One extent on one leg. share: (K,) of each slice that lies in it, 0 to 1, in the order of the array.

    absent: why nothing can be measured over it ("" when it can). doubts: why to doubt where it lies.
    """

    share: NDArray[np.float64]
    absent: str = ""
    doubts: tuple[str, ...] = ()


Stretches = Mapping[tuple[str, str], Stretch]  # (extent, side) -> where it lies


def find_stretches(landmarks: Landmarks) -> dict[tuple[str, str], Stretch]:
    """Every extent on both sides."""
    stack = landmarks.stack
    found: dict[tuple[str, str], Stretch] = {}
    for side in SIDES:
        leg = landmarks.legs[side]
        found[FULL, side] = Stretch(np.ones(len(stack.position_mm)))
        found[FEMUR_20_80, side] = _between(leg, stack)
        found[MIDTHIGH, side] = _midthigh(leg, stack)
        found[ISCHIAL, side] = _ischial(leg, stack)
    return found


def label_shares(stretches: Stretches) -> dict[str, NDArray[np.float64]]:
    """Extent (but the whole) -> (K, N_LABELS) share of each slice that counts for each label."""
    sided = {side: [value for value, name in LABELS.items() if name.endswith(f"_{side}")] for side in SIDES}
    shares: dict[str, NDArray[np.float64]] = {}
    for (extent, side), stretch in stretches.items():
        if extent == FULL:
            continue
        table = shares.setdefault(extent, np.zeros((len(stretch.share), N_LABELS)))
        table[:, sided[side]] = stretch.share[:, None]
    return shares


def slice_shares(stack: SliceStack, low_mm: float, high_mm: float) -> NDArray[np.float64]:
    """(K,) share of each slice between two positions along the normal; slices touch, whatever their thickness."""
    half = stack.slice_mm / 2
    lower, upper = stack.position_mm - half, stack.position_mm + half
    inside = np.minimum(upper, high_mm) - np.maximum(lower, low_mm)
    return np.asarray(np.clip(inside / stack.slice_mm, 0.0, 1.0))


def _between(leg: LegLandmarks, stack: SliceStack) -> Stretch:
    if leg.scale is None:
        return _none(stack, f"its place along the femur is not known: {leg.level_reason}")
    high, low = (leg.scale.position_mm(level) for level in STANDARD_LEVELS)
    bottom, top = stack.span_mm
    if low < bottom or high > top:
        first, last = (float(leg.scale.level(np.array(end))) for end in (top, bottom))
        seen = f"the scan shows {100 * max(first, 0):.0f} to {100 * min(last, 1):.0f} % of the femur"
        return _none(stack, f"{seen}, not 20 to 80 %")
    return Stretch(slice_shares(stack, low, high), doubts=_doubts(leg.scale))


def _midthigh(leg: LegLandmarks, stack: SliceStack) -> Stretch:
    if leg.scale is None:
        return _none(stack, f"mid-thigh is not known: {leg.level_reason}")
    middle = leg.scale.position_mm(MIDTHIGH_LEVEL)
    return _slab(stack, middle, what="mid-thigh", doubts=_doubts(leg.scale))


def _ischial(leg: LegLandmarks, stack: SliceStack) -> Stretch:
    point = leg.points["ischial_tuberosity"]
    if point.point_mm is None:
        return _none(stack, point.reason)
    return _slab(stack, float(np.array(point.point_mm) @ stack.normal), what="the ischial tuberosity", doubts=())


def _slab(stack: SliceStack, middle_mm: float, *, what: str, doubts: tuple[str, ...]) -> Stretch:
    low, high = middle_mm - SLAB_MM / 2, middle_mm + SLAB_MM / 2
    bottom, top = stack.span_mm
    if low < bottom or high > top:
        return _none(stack, f"{what} lies outside the scan")
    return Stretch(slice_shares(stack, low, high), doubts=doubts)


def _doubts(scale: FemurScale) -> tuple[str, ...]:
    if scale.method == BOTH_ENDS:
        return ()
    return (f"level estimated by {scale.method}, mid-thigh to about {scale.sd * scale.span_mm:.0f} mm",)


def _none(stack: SliceStack, reason: str) -> Stretch:
    return Stretch(np.zeros(len(stack.position_mm)), absent=reason)
