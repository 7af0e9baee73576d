"""A thigh is a femur with the muscles of a thigh around it, on enough neighbouring slices."""

import numpy as np
import pytest
from leg_phantom import PAIR, Leg, grid, scan, truth

from thighseg_core.labels import CLASS_INDEX, class_of_label
from thighseg_core.thigh import find_thigh, without_groups

GEOMETRY = grid((12, 90, 90))
LEG = (Leg("left", 0.0),)
Y, X = np.ogrid[:90, :90]  # 2 mm pixels; the leg's centre is at 44.5, 44.5


def _thigh(geometry=GEOMETRY, legs=LEG):
    return class_of_label()[truth(geometry, legs).labels], scan(geometry, legs).attenuation_hu.copy()


def _judge(classes, hu, geometry=GEOMETRY):
    return find_thigh(classes, hu, body=hu > -300, spacing_mm=geometry.spacing_mm)


def _without_bone():
    classes, hu = _thigh()
    hu[hu == 290] = 55
    return classes, hu


def _disk(y, x, radius):
    return np.broadcast_to(np.hypot(Y - y, X - x) < radius, (12, 90, 90))


def test_a_thigh_is_one_on_every_slice():
    evidence = _judge(*_thigh())
    assert evidence.is_thigh
    assert evidence.shaft.all()
    assert not evidence.beyond.any()
    assert evidence.pairs == {}


def test_two_thighs_show_a_pair_of_shafts_at_their_columns():
    geometry = grid()
    evidence = _judge(*_thigh(geometry, PAIR), geometry)
    assert sorted(evidence.pairs) == list(range(12))
    assert evidence.pairs[5] == pytest.approx((47.0, 142.0), abs=0.6)  # 95 mm to each side of column 94.5


def test_a_femur_cut_by_the_edge_of_the_image_is_still_one():
    geometry = grid((12, 90, 43))
    evidence = _judge(*_thigh(geometry), geometry)
    assert evidence.is_thigh


def test_without_a_femur_it_is_none():
    evidence = _judge(*_without_bone())
    assert not evidence.is_thigh
    assert evidence.reason


def test_without_predicted_extensors_it_is_none():
    classes, hu = _thigh()
    classes[classes == CLASS_INDEX["extensor"]] = 0
    assert not _judge(classes, hu).is_thigh


def test_a_shin_is_none_two_bones_one_below_the_skin():
    classes, hu = _without_bone()
    hu[_disk(15, 44.5, 7) & (hu > -300)] = 290  # reaches to 2 mm below the skin
    assert not _judge(classes, hu).is_thigh
    classes, hu = _without_bone()
    hu[_disk(40, 40, 7) | _disk(55, 55, 5)] = 290
    assert not _judge(classes, hu).is_thigh


def test_a_long_bone_in_the_slice_is_none():
    classes, hu = _without_bone()
    hu[:, 42:47, 25:65] = 290  # 10 x 80 mm
    assert not _judge(classes, hu).is_thigh


def test_a_thin_bone_is_none():
    classes, hu = _without_bone()
    hu[_disk(44.5, 44.5, 4.5)] = 290  # 2.5 cm2
    assert not _judge(classes, hu).is_thigh


def test_ribs_beside_a_round_bone_make_it_none():
    classes, hu = _thigh()
    for y, x in ((20, 44), (44, 20), (44, 68)):
        hu[_disk(y, x, 3)] = 290  # 1.1 cm2 each
    assert not _judge(classes, hu).is_thigh


def test_a_slim_limb_is_none():
    legs = (Leg("left", 0.0, size=0.6),)
    classes, hu = _thigh(GEOMETRY, legs)
    hu[_disk(44.5, 44.5, 6)] = 290
    evidence = _judge(classes, hu)
    assert evidence.shaft.all()
    assert not evidence.is_thigh
    assert "55 cm2" in evidence.reason


def test_three_slices_in_a_long_scan_make_none_and_five_do():
    for n_slices, wanted in ((3, False), (5, True)):  # of 5 mm: a run takes 20 mm
        classes, hu = _thigh()
        classes[n_slices:] = 0
        evidence = _judge(classes, hu)
        assert int(evidence.shaft.sum()) == n_slices
        assert evidence.is_thigh is wanted


def test_a_gap_of_two_slices_does_not_end_a_run():
    classes, hu = _thigh()
    classes[[1, 2, 6, 7, 8, 9, 10, 11]] = 0
    evidence = _judge(classes, hu)
    assert evidence.is_thigh
    assert evidence.crotch == 2  # the run ends on slice 5; never below its half


def test_a_scan_of_one_slice_may_be_a_thigh():
    classes, hu = _thigh()
    assert _judge(classes[:1], hu[:1]).is_thigh


def test_nothing_predicted_is_none():
    assert not _judge(np.zeros((3, 8, 8), dtype=np.uint8), np.full((3, 8, 8), -1000, dtype=np.int16)).is_thigh


def test_slices_below_the_knee_are_beyond_the_thigh_and_lose_its_groups():
    geometry = grid((30, 90, 90))
    classes, hu = _thigh(geometry)
    hu[:20][hu[:20] == 290] = 55  # the lowest shaft is on slice 20; 70 mm below it is slice 6
    hu[[2, 8], 30:60, 40:50] = 290  # large bones on slices 2 and 8
    evidence = _judge(classes, hu, geometry)
    assert evidence.is_thigh
    assert np.flatnonzero(evidence.beyond).tolist() == [0, 1, 2]


def test_slices_without_any_bone_below_the_shaft_are_not_beyond_the_thigh():
    geometry = grid((30, 90, 90))
    classes, hu = _thigh(geometry)
    hu[:20][hu[:20] == 290] = 55
    assert not _judge(classes, hu, geometry).beyond.any()


def test_groups_beyond_the_thigh_become_other_muscle():
    classes = np.array([[[1, 2, 3, 4, 5, 6, 8]]] * 2, dtype=np.uint8)
    changed = without_groups(classes, np.array([True, False]))
    assert changed.tolist() == [[[5, 5, 5, 5, 5, 6, 8]], [[1, 2, 3, 4, 5, 6, 8]]]
