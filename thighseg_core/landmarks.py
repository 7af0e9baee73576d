"""Landmarks of each leg, its femur's length, how much of it is in view, and where mid-thigh is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from thighseg_core import bony_points
from thighseg_core.axial import axial_view
from thighseg_core.femur_axis import FemurScale, femur_length_mm, scale_from_ends, scale_from_levels, shaft_line
from thighseg_core.femur_shape import Box, FemurShape, SliceStack, femur_shape, slice_stack
from thighseg_core.labels import LABELS, SIDES, LabelMap, label_value
from thighseg_core.levels import SliceLevels
from thighseg_core.volume import CTVolume

# Name -> what it is.
POINT_DESCRIPTIONS: dict[str, str] = {
    "femoral_head_top": "Top of the ball fitted to the upper end of the femur, along the slices' normal.",
    "lesser_trochanter": "Tip of the bump at the medial and posterior side of the upper shaft.",
    "distal_condyles": "Middle of the condyles at the height of their distal end.",
    "knee_joint_line": "Below the middle of the condyles, halfway to the upper end of the shin bone.",
    "ischial_tuberosity": "Lowest point of the hip bone medial to and behind the upper femur.",
}
MIDTHIGH_LEVEL = 0.5  # our convention: halfway from the top of the femoral head to the distal end of the condyles
Levels = SliceLevels | Callable[[], SliceLevels | None]
NO_LEVEL = "the ends of the femur are not both in view"


@dataclass(frozen=True)
class Landmark:
    """point_mm: LPS, or None with the reason."""

    point_mm: tuple[float, float, float] | None
    reason: str = ""


@dataclass(frozen=True)
class LegLandmarks:
    """What is known of the place of one leg.

    points: every name of `POINT_DESCRIPTIONS`. femur_length_mm: along the mechanical axis, only where both ends are
    seen, else None with `length_reason`. scale: positions to levels (0 top of the head, 1 end of the condyles), None
    with `level_reason`. slice_level: (K,) level of each slice's middle in the order of the array, NaN where not known.
    femur_cov_pct: share of the femur's length that the slices cover. midthigh_mm: point of the shaft (LPS) halfway
    along the femur, midthigh_z_mm its z; they may lie outside the scan. shaft_axis: unit vector towards the head.
    """

    points: Mapping[str, Landmark]
    femur_length_mm: float | None
    length_reason: str
    scale: FemurScale | None
    level_reason: str
    slice_level: NDArray[np.float64]
    femur_cov_pct: float | None
    midthigh_mm: tuple[float, float, float] | None
    midthigh_z_mm: float | None
    shaft_axis: tuple[float, float, float] | None

    @property
    def level_method(self) -> str:
        """What the levels rest on, in words; "" where there are none."""
        return self.scale.method if self.scale else ""


@dataclass(frozen=True)
class Landmarks:
    """legs: "left" and "right", always both. stack: the planes of the slices, which levels refer to."""

    legs: Mapping[str, LegLandmarks]
    stack: SliceStack = field(repr=False)


def find_landmarks(volume: CTVolume, label_map: LabelMap, *, levels: Levels | None = None) -> Landmarks:
    """Landmarks of both legs of a labelled scan.

    levels: stand in where an end of a femur is not in view; a function that estimates them is called only then.
    """
    view = axial_view(label_map.geometry)
    stack = slice_stack(label_map.geometry, view)
    labels, attenuation = view.slices(label_map.labels), view.slices(volume.attenuation_hu)
    boxes: dict[int, Any] = dict(enumerate(ndimage.find_objects(labels, max_label=max(LABELS)), start=1))
    shapes: dict[str, FemurShape | None] = {}
    points = {}
    for side in SIDES:
        value = label_value("femur", side)
        box = boxes.get(value)
        shape = None
        if box is not None:
            shape = femur_shape(labels, value, box=box, view=view, geometry=label_map.geometry)
        points[side] = _points(labels, attenuation, shape, box, side, label_map, stack)
        shapes[side] = shape
    if callable(levels):
        present = [s for s in SIDES if any(boxes[v] for v, name in LABELS.items() if name.endswith(f"_{s}"))]
        levels = levels() if any(_scale(shapes[side], stack) is None for side in present) else None
    return Landmarks(legs={s: _leg(shapes[s], points[s], s, stack, levels) for s in SIDES}, stack=stack)


def _scale(shape: FemurShape | None, stack: SliceStack) -> FemurScale | None:
    return None if shape is None else scale_from_ends(shape, stack)


def _points(
    labels: NDArray[np.uint8],
    attenuation: NDArray[Any],
    shape: FemurShape | None,
    box: Box | None,
    side: str,
    label_map: LabelMap,
    stack: SliceStack,
) -> dict[str, Landmark]:
    if shape is None or box is None:
        return dict.fromkeys(POINT_DESCRIPTIONS, Landmark(None, f"no femur labelled on the {side}"))
    view, geometry = axial_view(label_map.geometry), label_map.geometry
    to_medial = -1.0 if side == "left" else 1.0  # x grows to the patient's left
    femurs = (label_value("femur", SIDES[0]), label_value("femur", SIDES[1]))
    top: NDArray[np.float64] | str = shape.head_reason
    if shape.head_mm is not None and shape.head_top_mm is not None:
        top = shape.head_mm + (shape.head_top_mm - shape.head_mm @ stack.normal) * stack.normal
    bottom: NDArray[np.float64] | str = shape.condyles_reason
    if shape.condyles_mm is not None and shape.bottom_mm is not None:
        bottom = shape.condyles_mm + (shape.bottom_mm - shape.condyles_mm @ stack.normal) * stack.normal
    found = {
        "femoral_head_top": top,
        "lesser_trochanter": bony_points.lesser_trochanter(shape, stack, to_medial=to_medial),
        "distal_condyles": bottom,
        "knee_joint_line": bony_points.knee_joint_line(
            labels, attenuation, shape, femur=label_value("femur", side), box=box, stack=stack, view=view
        ),
        "ischial_tuberosity": bony_points.ischial_tuberosity(
            labels, attenuation, shape, femurs=femurs, stack=stack, view=view, geometry=geometry, to_medial=to_medial
        ),
    }
    return {name: _landmark(point) for name, point in found.items()}


def _landmark(found: NDArray[np.float64] | str) -> Landmark:
    return Landmark(None, found) if isinstance(found, str) else Landmark(_triple(found))


def _triple(point: NDArray[np.float64]) -> tuple[float, float, float]:
    x, y, z = (round(float(value), 3) for value in point)
    return x, y, z


def _leg(
    shape: FemurShape | None,
    points: Mapping[str, Landmark],
    side: str,
    stack: SliceStack,
    levels: SliceLevels | None,
) -> LegLandmarks:
    length = f"no femur labelled on the {side}" if shape is None else femur_length_mm(shape, stack)
    scale: FemurScale | str | None = _scale(shape, stack)
    if scale is None and levels is not None and side in levels.level:
        scale = scale_from_levels(levels.level[side], levels.sd[side], source=levels.source, shape=shape, stack=stack)
    if scale is None:
        scale = length if isinstance(length, str) else NO_LEVEL
    known = None if isinstance(scale, str) else scale
    line = shaft_line(shape, stack, known) if shape is not None and known is not None else None
    return LegLandmarks(
        points=points,
        femur_length_mm=None if isinstance(length, str) else length[0],
        length_reason=length if isinstance(length, str) else "",
        scale=known,
        level_reason=scale if isinstance(scale, str) else "",
        slice_level=known.level(stack.position_mm) if known else np.full(len(stack.position_mm), np.nan),
        femur_cov_pct=_coverage_percent(known, stack) if known else None,
        midthigh_mm=_triple(line[0]) if line else None,
        midthigh_z_mm=_midthigh_z_mm(known, line, stack),
        shaft_axis=_triple(line[1]) if line else None,
    )


def _coverage_percent(scale: FemurScale, stack: SliceStack) -> float:
    low, high = stack.span_mm
    bottom, top = scale.position_mm(1.0), scale.position_mm(0.0)
    return 100.0 * max(0.0, min(high, top) - max(low, bottom)) / (top - bottom)


def _midthigh_z_mm(
    scale: FemurScale | None, line: tuple[NDArray[np.float64], NDArray[np.float64]] | None, stack: SliceStack
) -> float | None:
    if line is not None:
        return float(line[0][2])
    if scale is None or stack.normal[2] < 0.999:
        return None  # on an oblique grid a position of a slice has no one z
    return scale.position_mm(MIDTHIGH_LEVEL) / float(stack.normal[2])


def as_dict(landmarks: Landmarks) -> dict[str, Any]:
    """Everything about both legs in plain types, for a manifest or a database: NaN is None, positions LPS mm."""
    return {
        side: {
            "points": {
                name: {"lps_mm": list(point.point_mm) if point.point_mm else None, "reason": point.reason or None}
                for name, point in leg.points.items()
            },
            "femur_length_mm": leg.femur_length_mm,
            "femur_length_reason": leg.length_reason or None,
            "femur_coverage_percent": leg.femur_cov_pct,
            "midthigh_z_mm": leg.midthigh_z_mm,
            "midthigh_lps_mm": list(leg.midthigh_mm) if leg.midthigh_mm else None,
            "shaft_axis_lps": list(leg.shaft_axis) if leg.shaft_axis else None,
            "level_method": leg.level_method or None,
            "level_reason": leg.level_reason or None,
            "level_sd": leg.scale.sd if leg.scale else None,
            "slice_level": [None if np.isnan(level) else round(float(level), 5) for level in leg.slice_level],
        }
        for side, leg in landmarks.legs.items()
    }
