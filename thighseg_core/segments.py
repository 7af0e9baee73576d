"""Segments that a reader drew elsewhere, on the grid of the scan, and their way to our labels.

Names are matched by the words in them ("Left Quadriceps", "extensor_R"); what is not recognised is left for a person to
assign. The synonyms follow our group map; those of other tools are the compartments they name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from thighseg_core.errors import GeometryMismatchError, InputError
from thighseg_core.geometry import Geometry
from thighseg_core.labels import CLASSES, LABELS, OTHER_BONE, SIDES, LabelMap, label_value

ON_GRID_VOXELS = 0.1  # how far a voxel of a drawing may lie from one of the scan
IGNORE = 0  # a segment that is assigned to background is not used

_SYNONYMS = {
    "quadriceps": "extensor",
    "anterior compartment": "extensor",
    "hamstring": "flexor",
    "hamstrings": "flexor",
    "posterior compartment": "flexor",
    "medial compartment": "adductor",
    "subcutaneous fat": "subcutaneous",
    "intermuscular fat": "intermuscular",
    "femoral bone": "femur",
}
_SIDE_WORDS = {"left": "left", "l": "left", "lt": "left", "right": "right", "r": "right", "rt": "right"}


@dataclass(frozen=True)
class Segments:
    """What a reader drew: values (K, J, I) uint8 on `geometry`, and the name of each value where the file has one.

    Where segments overlap the later one stands; `n_overlap` voxels were covered more than once.
    """

    values: NDArray[np.uint8]
    geometry: Geometry
    names: Mapping[int, str]
    source_format: str
    n_overlap: int = 0

    def present(self) -> list[int]:
        """Values above 0 that are drawn anywhere."""
        return [int(value) for value in np.unique(self.values) if value]


def match_label(name: str) -> tuple[str, str | None] | None:
    """(class, side or None) that a segment's name speaks of; None when it names none or several of our classes."""
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)  # LeftExtensor
    words = " ".join(re.findall(r"[a-z]+", words.lower()))
    sides = {_SIDE_WORDS[word] for word in words.split() if word in _SIDE_WORDS}
    plain = {known: known.replace("_", " ") for known in CLASSES[1:]}
    found = {known for known, text in plain.items() if re.search(rf"\b{text}s?\b", words)}
    found |= {known for text, known in _SYNONYMS.items() if re.search(rf"\b{text}\b", words)}
    if len(found) != 1 or len(sides) > 1:
        return None
    return found.pop(), next(iter(sides), None)


def suggested(segments: Segments, *, side: str | None = None) -> dict[int, int]:
    """Segment value -> label value for every drawn segment; `IGNORE` where a person has to say.

    A file without names is taken to hold our own label values when all of its values are labels. side: of segments
    whose name says none.
    """
    present = segments.present()
    if not segments.names:
        return {value: value if value in LABELS else IGNORE for value in present}
    out = {}
    for value in present:
        matched = match_label(segments.names.get(value, ""))
        known_side = matched and (matched[1] or side)
        if matched and (known_side or label_value(matched[0], SIDES[0]) == OTHER_BONE):
            out[value] = label_value(matched[0], known_side or SIDES[0])
        else:
            out[value] = IGNORE
    return out


def as_label_map(segments: Segments, assigned: Mapping[int, int]) -> LabelMap:
    """The label map that results when each segment value becomes `assigned[value]`; values not in it are left out.

    Raises InputError when nothing is assigned, or a label that does not exist.
    """
    unknown = sorted(set(assigned.values()) - set(LABELS))
    if unknown:
        raise InputError(f"label {unknown[0]} does not exist; choose one of 0 to {OTHER_BONE}")
    table = np.zeros(256, dtype=np.uint8)
    for value, label in assigned.items():
        table[value] = label
    labels = table[segments.values]
    if not labels.any():
        raise InputError("no drawn segment is assigned to a label; say which structure each segment is")
    return LabelMap(labels, segments.geometry)


def place_on_grid(
    values: NDArray[np.uint8], affine: NDArray[np.float64], *, like: Geometry, name: str
) -> NDArray[np.uint8]:
    """Values on a grid of their own (affine: index -> LPS mm) put into an array on the grid of `like`.

    Axes may be permuted or flipped and the values may cover a part of the scan only; nothing is resampled.
    Raises GeometryMismatchError when the voxels do not lie on those of the scan, or labelled ones outside it.
    """
    placed = np.zeros(like.shape, dtype=np.uint8)
    part, into = part_of_grid(values, affine, like=like, name=name)
    placed[into] = part
    return placed


def part_of_grid(
    values: NDArray[np.uint8], affine: NDArray[np.float64], *, like: Geometry, name: str
) -> tuple[NDArray[np.uint8], tuple[slice, ...]]:
    """As `place_on_grid`, but the values in the order of the scan's axes, and the box of the scan that they fill."""
    to_like = np.linalg.inv(like.affine) @ affine
    whole = np.rint(to_like)
    corners = np.array(np.meshgrid(*[(0, n - 1) for n in values.shape])).reshape(3, -1)
    corners = np.vstack([corners, np.ones(corners.shape[1])])
    off = np.abs((to_like @ corners - whole @ corners)[:3]).max()
    order = np.abs(whole[:3, :3]).argmax(axis=1)  # which axis of the values runs along each axis of the scan
    if off > ON_GRID_VOXELS or sorted(order) != [0, 1, 2] or np.abs(whole[:3, :3]).sum() != 3:
        raise GeometryMismatchError(
            f"{name} is not on the grid of the scan: its voxels lie up to {off:.2f} voxels beside those of the scan. "
            "Draw on this very scan, or resample the drawing to it"
        )
    moved = values.transpose(order)
    into, take = [], []
    for axis in range(3):
        step, start = int(whole[axis, order[axis]]), int(whole[axis, 3])
        if step < 0:
            moved, start = np.flip(moved, axis), start - (moved.shape[axis] - 1)
        first, last = max(start, 0), min(start + moved.shape[axis], like.shape[axis])
        into.append(slice(first, max(last, first)))
        take.append(slice(first - start, max(last, first) - start))
    part = moved[tuple(take)]
    if part.size != values.size and np.count_nonzero(part) != np.count_nonzero(values):
        raise GeometryMismatchError(f"{name} has labelled voxels outside the scan; it was drawn on another one")
    return part, tuple(into)
