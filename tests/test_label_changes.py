"""What a correction changed, counted by hand on boxes of known size."""

from __future__ import annotations

import numpy as np
import pytest
from boxes import axial_geometry, boxes

from thighseg_core.errors import GeometryMismatchError
from thighseg_core.label_changes import label_changes
from thighseg_core.labels import OTHER_BONE, LabelMap, label_value

# 2 slices x 5 rows x 10 columns = 100 voxels of 0.004 cm3
BOX = (slice(2, 4), slice(5, 10), slice(10, 20))


def test_a_slab_given_to_another_muscle_is_lost_here_and_gained_there() -> None:
    flexor, extensor = label_value("flexor", "left"), label_value("extensor", "left")
    _, before = boxes([(flexor, 55, BOX)])
    labels = before.labels.copy()
    labels[2:4, 5:10, 18:20] = extensor  # 2 x 5 x 2 = 20 voxels
    gained, lost = label_changes(before, LabelMap(labels, before.geometry))
    assert (gained.region, gained.side, gained.added_voxels, gained.removed_voxels) == ("extensor", "left", 20, 0)
    assert (gained.before_cm3, gained.after_cm3) == pytest.approx((0.0, 0.08))
    assert gained.dice == 0.0
    assert (lost.region, lost.added_voxels, lost.removed_voxels) == ("flexor", 0, 20)
    assert (lost.before_cm3, lost.after_cm3) == pytest.approx((0.4, 0.32))
    assert lost.dice == pytest.approx(2 * 80 / 180)


def test_a_structure_that_moved_has_its_volume_and_a_lower_dice() -> None:
    right = label_value("adductor", "right")
    _, before = boxes([(right, 55, BOX)])
    _, after = boxes([(right, 55, (BOX[0], BOX[1], slice(15, 25)))])
    (change,) = label_changes(before, after)
    assert (change.side, change.added_voxels, change.removed_voxels) == ("right", 50, 50)
    assert change.before_cm3 == change.after_cm3 == pytest.approx(0.4)
    assert change.dice == pytest.approx(0.5)


def test_bone_without_a_side_is_named_so() -> None:
    _, before = boxes([(OTHER_BONE, 900, BOX)])
    (change,) = label_changes(before, LabelMap(np.zeros_like(before.labels), before.geometry))
    assert (change.region, change.side, change.removed_voxels, change.dice) == ("other_bone", "both", 100, 0.0)


def test_nothing_changed_is_nothing() -> None:
    _, before = boxes([(1, 55, BOX)])
    assert label_changes(before, before) == ()


def test_versions_of_different_scans_are_not_compared() -> None:
    _, before = boxes([(1, 55, BOX)])
    _, other = boxes([(1, 55, BOX)], geometry=axial_geometry((9, 20, 30)))
    with pytest.raises(GeometryMismatchError, match="one grid"):
        label_changes(before, other)
