"""What a correction changed: voxels added and removed, Dice and volume of every structure that is not as it was."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from thighseg_core.errors import GeometryMismatchError
from thighseg_core.labels import LABELS, OTHER_BONE, SIDES, LabelMap


@dataclass(frozen=True)
class LabelChange:
    """One structure on one side before and after.

    region, side: label class and the patient's side ("both" for other bone).
    added_voxels, removed_voxels: voxels it gained and lost.
    before_cm3, after_cm3: its volume on the scan's own grid.
    dice: 2 |before and after| / (|before| + |after|) (Dice 1945); None where it was and is empty.
    """

    region: str
    side: str
    added_voxels: int
    removed_voxels: int
    before_cm3: float
    after_cm3: float
    dice: float | None


def label_changes(before: LabelMap, after: LabelMap) -> tuple[LabelChange, ...]:
    """The structures that differ between two label maps of one scan, in the order of the labels.

    Raises GeometryMismatchError when they do not lie on one grid.
    """
    if not before.geometry.matches(after.geometry):
        raise GeometryMismatchError(
            f"two versions to compare must lie on one grid, got {before.geometry.shape} and {after.geometry.shape}"
        )
    changed = before.labels != after.labels
    n_labels = max(LABELS) + 1
    removed = np.bincount(before.labels[changed], minlength=n_labels)
    added = np.bincount(after.labels[changed], minlength=n_labels)
    sizes = np.bincount(before.labels.ravel(), minlength=n_labels)
    cm3 = before.geometry.voxel_volume_cm3
    found = []
    for value, name in LABELS.items():
        if value == 0 or not (added[value] or removed[value]):
            continue
        n_before = int(sizes[value])
        n_after = n_before + int(added[value]) - int(removed[value])
        region, _, side = name.rpartition("_")
        found.append(
            LabelChange(
                region=region if side in SIDES else LABELS[OTHER_BONE],
                side=side if side in SIDES else "both",
                added_voxels=int(added[value]),
                removed_voxels=int(removed[value]),
                before_cm3=n_before * cm3,
                after_cm3=n_after * cm3,
                dice=2 * (n_before - int(removed[value])) / (n_before + n_after) if n_before + n_after else None,
            )
        )
    return tuple(found)
