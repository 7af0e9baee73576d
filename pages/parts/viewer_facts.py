"""What the 3-D viewer shows beside the picture: the slices, the cross-section along the leg, places along it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from thighseg_core.axial import axial_view
from thighseg_core.display_grid import display_grid
from thighseg_core.labels import CLASSES, COLOURS, GROUPS, LABELS, SIDES, LabelMap, label_value
from thighseg_core.volume import CTVolume

PROFILE_GROUPS = (*GROUPS, "sartorius")
_PLACES = {
    "femoral_head_top": "Top of the femoral head",
    "lesser_trochanter": "Lesser trochanter",
    "distal_condyles": "End of the condyles",
    "knee_joint_line": "Knee joint line",
    "ischial_tuberosity": "Ischial tuberosity",
}
_AROUND_THE_MUSCLES = ("subcutaneous", "intermuscular", "other_bone")  # would hide them in 3-D


@dataclass(frozen=True)
class ViewerFacts:
    """One scan with one result, from the feet to the head.

    z_mm: (n_slices,) LPS z of each shown slice.
    step_mm: distance between slices.
    thinned: every how manieth row and column is shown.
    voxel_cm3: volume that one painted voxel stands for.
    area_cm2: (n_slices, labels) cross-section of each label.
    """

    z_mm: tuple[float, ...]
    step_mm: float
    thinned: int
    voxel_cm3: float
    area_cm2: NDArray[np.float64]

    @property
    def n_slices(self) -> int:
        return len(self.z_mm)


def viewer_facts(volume: CTVolume, label_map: LabelMap | None) -> ViewerFacts:
    """Count a scan's labels slice by slice on its own grid; without labels the areas are zero."""
    view = axial_view(volume.geometry)
    grid = display_grid(volume, label_map)
    shown = view.caudal_to_cranial()[grid.start[0] : grid.stop[0]]
    n_labels = max(LABELS) + 1
    voxels = np.zeros((len(shown), n_labels))
    if label_map is not None:
        labels = view.slices(label_map.labels)
        for position, index in enumerate(shown):
            voxels[position] = np.bincount(labels[index].ravel(), minlength=n_labels)
    voxels[:, 0] = 0
    return ViewerFacts(
        z_mm=tuple(float(view.z_mm[index]) for index in shown),
        step_mm=view.slice_mm,
        thinned=grid.step[1],
        voxel_cm3=volume.geometry.voxel_volume_cm3 * grid.step[1] * grid.step[2],
        area_cm2=voxels * view.face_area_mm2 / 100.0,
    )


def classes(titles: dict[str, str]) -> list[dict[str, Any]]:
    """Label classes for the viewer: title, colour and label value of each side."""
    return [
        {
            "name": name,
            "title": titles.get(name, name),
            "colour": COLOURS[name],
            "left": label_value(name, "left"),
            "right": label_value(name, "right"),
            "deep": name not in _AROUND_THE_MUSCLES,
        }
        for name in CLASSES[1:]
    ]


def profile(facts: ViewerFacts, *, titles: dict[str, str], marks: list[dict[str, Any]]) -> dict[str, Any] | None:
    """Lines of the cross-section along the leg; None where nothing is labelled."""
    lines = []
    for name in PROFILE_GROUPS:
        for side in SIDES:
            area = facts.area_cm2[:, label_value(name, side)]
            if area.any():
                title = f"{titles.get(name, name)}, {side}: up to {area.max():.1f} cm²"
                lines.append(
                    {
                        "group": name,
                        "side": side,
                        "colour": COLOURS[name],
                        "title": title,
                        "cm2": area.round(2).tolist(),
                    }
                )
    return {"lines": lines, "marks": marks, "step_mm": facts.step_mm} if lines else None


def start_slice(facts: ViewerFacts) -> int:
    """Where to begin: the largest cross-section of muscle, else the middle."""
    muscle = facts.area_cm2[:, [label_value(name, side) for name in PROFILE_GROUPS for side in SIDES]].sum(axis=1)
    return int(muscle.argmax()) if muscle.any() else facts.n_slices // 2


def shown_slice(facts: ViewerFacts, z_mm: float) -> int | None:
    """The shown slice nearest to a height in the patient; None when it lies beyond the first or last slice."""
    z = np.array(facts.z_mm)
    nearest = int(np.abs(z - z_mm).argmin())
    return nearest if abs(z[nearest] - z_mm) <= facts.step_mm else None


def marks(landmarks: dict[str, Any], facts: ViewerFacts) -> list[dict[str, Any]]:
    """Mid-thigh and the landmarks of both legs that lie on a shown slice, from the feet up: {"slice", "text"}.

    landmarks: as `thighseg_core.landmarks.as_dict` gives them; empty for results older than landmarks.
    """
    found = []
    for side, leg in landmarks.items():
        heights = {"Mid-thigh": leg.get("midthigh_z_mm")}
        for name, point in leg.get("points", {}).items():
            heights[_PLACES.get(name, name)] = point["lps_mm"][2] if point["lps_mm"] else None
        for text, z_mm in heights.items():
            index = None if z_mm is None else shown_slice(facts, z_mm)
            if index is not None:
                found.append({"slice": index, "text": f"{text}, {side}"})
    return sorted(found, key=lambda mark: int(mark["slice"]))
