"""Where slices lie along a femur: from its own ends, or from estimated levels where an end is not in view."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from thighseg_core.femur_shape import FemurShape, SliceStack

_PLAUSIBLE_LENGTH_MM = (250.0, 650.0)  # our convention, around adult femurs
_FEWEST_LEVELS = 5  # slices with an estimate
_FLATTEST_COSINE = 0.8  # between the femur and the slices' normal
_SHAFT_LEVELS = (0.35, 0.65)
_FEWEST_SHAFT_SLICES = 3


@dataclass(frozen=True)
class FemurScale:
    """Positions along the slices' normal to levels along the femur: level = (top_mm - position) / span_mm.

    method: in words, what it rests on. sd: standard error of the level at mid-thigh (0 from the femur's own ends).
    """

    top_mm: float
    span_mm: float
    method: str
    sd: float = 0.0

    def level(self, position_mm: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray((self.top_mm - position_mm) / self.span_mm)

    def position_mm(self, level: float) -> float:
        return self.top_mm - level * self.span_mm


BOTH_ENDS = "both ends of the femur"


def femur_length_mm(shape: FemurShape, stack: SliceStack) -> tuple[float, NDArray[np.float64]] | str:
    """(length, unit axis towards the head) of a femur seen whole, or why there is none.

    The length is that along the mechanical axis, from the middle of the condyles to the centre of the head: from the
    lowest point of the condyles to the top of the head, both along that axis.
    """
    reasons = [reason for reason in (shape.head_reason, shape.condyles_reason) if reason]
    if shape.head_mm is None or shape.head_radius_mm is None or shape.head_top_mm is None:
        return "; ".join(reasons)
    if shape.condyles_mm is None or shape.condyle_ends_mm is None:
        return "; ".join(reasons)
    axis = shape.head_mm - shape.condyles_mm
    axis = axis / np.linalg.norm(axis)
    cosine = float(axis @ stack.normal)
    if cosine < _FLATTEST_COSINE:
        return "the femur lies too far off the direction of the slices"
    # the second: where a tilted femur's lowest point lies beside the middle of a condyle
    lowest = min(float((shape.condyle_ends_mm @ axis).min()), float((shape.voxels_mm @ axis).min()))
    # the top as clipped to the slice in which it must lie
    top = float(shape.head_mm @ axis) + (shape.head_top_mm - float(shape.head_mm @ stack.normal))
    length = top - lowest
    if not _PLAUSIBLE_LENGTH_MM[0] <= length <= _PLAUSIBLE_LENGTH_MM[1]:
        return f"a length of {length:.0f} mm is not that of a femur"
    return length, axis


def scale_from_ends(shape: FemurShape, stack: SliceStack) -> FemurScale | None:
    """The scale of a femur seen whole: its levels are those at which the slices cut the mechanical axis."""
    found = femur_length_mm(shape, stack)
    if isinstance(found, str) or shape.head_mm is None or shape.head_top_mm is None:
        return None
    length, axis = found
    return FemurScale(top_mm=shape.head_top_mm, span_mm=length * float(axis @ stack.normal), method=BOTH_ENDS)


def scale_from_levels(
    level: NDArray[np.float64], sd: NDArray[np.float64], *, source: str, shape: FemurShape | None, stack: SliceStack
) -> FemurScale | str:
    """The scale from estimated levels of the slices (K,), held to the end of the femur that is in view, if one is.

    A straight line through the levels, weighted by 1/sd2 and shifted to that end. Returns the reason when they
    make no sense.
    """
    usable = np.isfinite(level) & np.isfinite(sd) & (sd > 0)
    if usable.sum() < _FEWEST_LEVELS:
        return f"{source} gave a level for fewer than {_FEWEST_LEVELS} slices"
    t, y, weight = stack.position_mm[usable], level[usable], 1 / sd[usable] ** 2
    anchor = None
    if shape is not None and shape.head_top_mm is not None:
        anchor = (shape.head_top_mm, 0.0, "top of the femoral head")
    elif shape is not None and shape.bottom_mm is not None:
        anchor = (shape.bottom_mm, 1.0, "distal end of the condyles")
    mean_t, mean_y = float(np.average(t, weights=weight)), float(np.average(y, weights=weight))
    spread = float((weight * (t - mean_t) ** 2).sum())
    slope = -float((weight * (t - mean_t) * (y - mean_y)).sum()) / spread if spread > 0 else 0.0
    if slope <= 0 or not _PLAUSIBLE_LENGTH_MM[0] <= 1 / slope <= _PLAUSIBLE_LENGTH_MM[1]:
        length = f"a femur of {1 / slope:.0f} mm" if slope > 0 else "no femur"
        return f"the levels of {source} change along the scan as in {length}"
    # Errors of the estimate are alike along a leg: the slope is kept and the line shifted to the end in view.
    through_t, through_level = (mean_t, mean_y) if anchor is None else (anchor[0], anchor[1])
    top = through_t + through_level / slope
    # For the same reason the error does not shrink with the number of slices: one sd for the place (none at an end in
    # view), and what the slope's uncertainty adds over the distance to mid-thigh.
    typical = float(np.sqrt(np.average(sd[usable] ** 2, weights=weight)))
    reach = abs(top - 0.5 / slope - through_t)
    half_length = max(float(np.ptp(t)) / 2, 1e-9)
    place = 0.0 if anchor is not None else typical
    at_middle = float(np.hypot(place, typical * min(reach / half_length, 2.0)))
    method = source if anchor is None else f"{anchor[2]} and {source}"
    return FemurScale(top_mm=top, span_mm=1 / slope, method=method, sd=at_middle)


def shaft_line(
    shape: FemurShape, stack: SliceStack, scale: FemurScale
) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """(point on the shaft at mid-thigh, unit direction towards the head), LPS mm, from the middles of the sections
    between 35 and 65 % of the femur; None when fewer than three slices show it there."""
    level = scale.level(stack.position_mm)
    use = (level >= _SHAFT_LEVELS[0]) & (level <= _SHAFT_LEVELS[1]) & (shape.area_mm2 > 0)
    if use.sum() < _FEWEST_SHAFT_SLICES:
        return None
    t, centres = stack.position_mm[use], shape.centre_mm[use]
    slope = np.polyfit(t, centres, 1)[0]
    direction = slope / np.linalg.norm(slope)
    middle = centres.mean(axis=0) + slope * (scale.position_mm(0.5) - t.mean())
    return np.asarray(middle), np.asarray(direction)
