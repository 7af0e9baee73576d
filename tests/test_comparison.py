"""Two label maps of a box phantom compared; every number is worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from boxes import VOXEL_CM3, axial_geometry, scan

from thighseg_core.comparison import DESCRIPTIONS, OVERLAP_METRICS, QUANTITY_METRICS, Comparison, compare_label_maps
from thighseg_core.errors import GeometryMismatchError
from thighseg_core.geometry import Geometry
from thighseg_core.labels import LabelMap, label_value
from thighseg_core.volume import CTVolume

LEFT, RIGHT = label_value("extensor", "left"), label_value("extensor", "right")
FLEXOR = label_value("flexor", "left")


def _drawn(*boxes: tuple[int, slice, slice, slice], geometry: Geometry | None = None) -> LabelMap:
    geometry = geometry or axial_geometry()
    labels = np.zeros(geometry.shape, dtype=np.uint8)
    for value, k, j, i in boxes:
        labels[k, j, i] = value
    return LabelMap(labels, geometry)


def _ct(fat: tuple[slice, slice, slice] | None = None) -> CTVolume:
    hu = np.full(axial_geometry().shape, 50, dtype=np.int16)
    if fat is not None:
        hu[fat] = -100
    return scan(hu, axial_geometry())


def _value(found: Comparison, metric: str, *, region: str = "extensor", side: str = "left") -> float | None:
    (one,) = [v for v in found.values if (v.region, v.side, v.metric) == (region, side, metric)]
    return one.value


REFERENCE = (LEFT, slice(2, 6), slice(4, 14), slice(5, 25))  # 4 x 10 x 20 voxels of 4 x 2 x 0.5 mm


def test_overlap_and_volume_of_a_box_that_misses_its_last_slice() -> None:
    test = _drawn((LEFT, slice(2, 5), slice(4, 14), slice(5, 25)))
    found = compare_label_maps(_ct(), _drawn(REFERENCE), test)
    assert found.n_slices == 4
    assert not found.by_slice
    assert _value(found, "dice") == pytest.approx(2 * 600 / 1400)
    assert _value(found, "sensitivity") == pytest.approx(600 / 800)
    assert _value(found, "specificity") == 1
    assert _value(found, "accuracy") == pytest.approx(1 - 200 / (4 * 20 * 30))
    assert _value(found, "volume") == pytest.approx(-200 * VOXEL_CM3)
    assert _value(found, "hd95") == pytest.approx(4.0)


def test_quantities_are_those_of_each_label_map() -> None:
    """The lower half of the reference is fat; the other label map has the upper half only."""
    test = _drawn((LEFT, slice(2, 6), slice(4, 9), slice(5, 25)))
    found = compare_label_maps(_ct(fat=(slice(None), slice(9, 20), slice(None))), _drawn(REFERENCE), test)
    by_metric = {v.metric: v for v in found.values if v.region == "extensor"}
    fat = by_metric["intramuscular_fat_percent"]
    assert (fat.reference_value, fat.test_value, fat.value) == (50.0, 0.0, -50.0)
    lean = by_metric["lean_volume"]
    assert (lean.reference_value, lean.test_value, lean.value) == pytest.approx((400 * VOXEL_CM3,) * 2 + (0.0,))
    assert by_metric["lean_attenuation"].value == 0


def test_sides_are_compared_apart_and_a_swapped_side_scores_zero() -> None:
    right = (RIGHT, slice(2, 6), slice(4, 14), slice(26, 30))
    swapped = [(LEFT, *right[1:]), (RIGHT, *REFERENCE[1:])]
    found = compare_label_maps(_ct(), _drawn(REFERENCE, right), _drawn(*swapped))
    assert _value(found, "dice", side="left") == 0
    assert _value(found, "dice", side="right") == 0


def test_the_total_is_the_three_groups_together() -> None:
    flexor = (FLEXOR, slice(2, 6), slice(14, 18), slice(5, 25))
    adductor = (label_value("adductor", "left"), slice(2, 6), slice(18, 20), slice(5, 25))
    exchanged = [(FLEXOR, *REFERENCE[1:]), (LEFT, *flexor[1:]), adductor]
    found = compare_label_maps(_ct(), _drawn(REFERENCE, flexor, adductor), _drawn(*exchanged))
    assert _value(found, "dice", region="extensor") == 0
    assert _value(found, "dice", region="total") == 1
    assert _value(found, "surface_dice_1mm", region="total") == 1


def test_slices_that_the_reader_did_not_draw_do_not_count() -> None:
    reference = _drawn((LEFT, slice(1, 2), slice(4, 14), slice(5, 25)), (LEFT, slice(5, 6), slice(4, 14), slice(5, 25)))
    test = _drawn((LEFT, slice(0, 8), slice(4, 14), slice(6, 26)))  # shifted by one column, on every slice
    found = compare_label_maps(_ct(), reference, test)
    assert (found.n_slices, found.by_slice) == (2, True)
    assert _value(found, "volume") == 0
    assert _value(found, "dice") == pytest.approx(2 * 19 * 10 / (2 * 200))
    assert _value(found, "hd95") == pytest.approx(0.5)  # within the slices, not the 4 mm to the next one
    whole = compare_label_maps(_ct(), reference, test, drawn_slices_only=False)
    assert whole.n_slices == 8
    assert _value(whole, "volume") == pytest.approx(6 * 200 * VOXEL_CM3)


def test_a_region_that_the_other_lacks_scores_zero_and_has_no_distance() -> None:
    found = compare_label_maps(_ct(), _drawn(REFERENCE), _drawn())
    assert _value(found, "dice") == 0
    assert _value(found, "surface_dice_2mm") == 0
    (distance,) = [v for v in found.values if (v.metric, v.region) == ("hd95", "extensor")]
    assert distance.value is None
    assert "does not have" in distance.reason


def test_only_what_the_reference_holds_is_compared() -> None:
    test = _drawn(REFERENCE, (FLEXOR, slice(2, 6), slice(14, 18), slice(5, 25)))
    found = compare_label_maps(_ct(), _drawn(REFERENCE), test)
    assert {(v.region, v.side) for v in found.values} == {("extensor", "left")}  # and no total


def test_label_maps_of_another_grid_are_refused() -> None:
    moved = axial_geometry(origin_mm=(0, 0, 0))
    with pytest.raises(GeometryMismatchError):
        compare_label_maps(_ct(), _drawn(REFERENCE), _drawn(geometry=moved))


def test_every_metric_of_a_comparison_is_described() -> None:
    assert set(DESCRIPTIONS) == {*OVERLAP_METRICS, *QUANTITY_METRICS}
