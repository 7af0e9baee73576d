from __future__ import annotations

import numpy as np
import pytest

from tests.whole_femur import LENGTH_MM, PLATEAU_MM, TUBEROSITY, Pose, from_leg, legs_scan, shaft_x_mm
from thighseg_core.geometry import Geometry
from thighseg_core.labels import LabelMap
from thighseg_core.landmarks import POINT_DESCRIPTIONS, find_landmarks
from thighseg_core.levels import SliceLevels
from thighseg_core.volume import CTVolume

WHOLE = (-40.0, 470.0)
UPPER, LOWER, SHAFT = (150.0, 470.0), (-40.0, 300.0), (130.0, 310.0)
TURNED = Pose(tilt_deg=8.0, shift_mm=2.3, left_raised_mm=9.0)


@pytest.mark.parametrize("pose", [Pose(), TURNED, Pose(tilt_deg=-6.0)])
@pytest.mark.parametrize("slice_mm", [3.0, 6.0, 7.0])
def test_the_femur_has_its_length_however_it_is_tilted_and_wherever_it_is_cut(pose, slice_mm):
    landmarks = find_landmarks(*legs_scan(spacing_mm=(slice_mm, 2.0, 1.75), z_mm=WHOLE, pose=pose))
    for side, leg in landmarks.legs.items():
        assert leg.femur_length_mm == pytest.approx(LENGTH_MM, abs=3.0), side
        assert leg.femur_cov_pct == pytest.approx(100.0)
        middle = from_leg((shaft_x_mm(LENGTH_MM / 2), 0.0, LENGTH_MM / 2), side, pose)
        assert leg.midthigh_mm == pytest.approx(middle, abs=2.0)
        assert leg.level_method == "both ends of the femur"


def test_every_point_lies_where_the_bones_have_it():
    pose = Pose(left_raised_mm=9.0)
    landmarks = find_landmarks(*legs_scan(spacing_mm=(3.0, 2.0, 1.75), z_mm=WHOLE, pose=pose))
    for side, leg in landmarks.legs.items():
        found = {name: point.point_mm for name, point in leg.points.items()}
        assert set(found) == set(POINT_DESCRIPTIONS)
        assert found["femoral_head_top"] == pytest.approx(from_leg((0, 0, LENGTH_MM), side, pose), abs=1.5)
        assert found["distal_condyles"] == pytest.approx(from_leg((0, 0, 0), side, pose), abs=1.5)
        assert found["knee_joint_line"] == pytest.approx(from_leg((0, 0, PLATEAU_MM / 2), side, pose), abs=1.5)
        assert found["ischial_tuberosity"] == pytest.approx(from_leg(TUBEROSITY, side, pose), abs=3.0)
        # on the ball (28, 12, 340) of radius 12 the point furthest to medial and posterior of the shaft
        assert found["lesser_trochanter"] == pytest.approx(from_leg((20.5, 20.5, 340), side, pose), abs=3.0)


def test_an_end_that_is_out_of_view_has_no_point_and_no_length_and_says_why():
    landmarks = find_landmarks(*legs_scan(spacing_mm=(4.0, 2.0, 1.75), z_mm=UPPER))
    leg = landmarks.legs["left"]
    assert leg.points["femoral_head_top"].point_mm is not None
    assert leg.points["distal_condyles"].reason == "the femur reaches the caudal end of the scan"
    assert leg.points["knee_joint_line"].point_mm is None
    assert (leg.femur_length_mm, leg.femur_cov_pct, leg.midthigh_mm, leg.scale) == (None, None, None, None)
    assert leg.length_reason == leg.level_reason == "the femur reaches the caudal end of the scan"
    assert np.isnan(leg.slice_level).all()


def test_a_label_that_stops_in_the_shaft_is_no_end_of_the_femur():
    volume, label_map = legs_scan(spacing_mm=(4.0, 2.0, 1.75), z_mm=WHOLE)
    labels = label_map.labels.copy()
    low, high = labels.copy(), labels.copy()
    low[:30] = low[-40:] = 0  # z below 80 and above 310: the network saw no femur there
    high[:15] = high[-14:] = 0  # z below 20 and above 414
    shaft = find_landmarks(volume, LabelMap(low, label_map.geometry)).legs["right"]
    assert shaft.points["femoral_head_top"].reason == (
        "the upper end of what is labelled femur is not shaped like its head"
    )
    assert shaft.points["distal_condyles"].reason == (
        "the lower end of what is labelled femur is not as wide as its condyles"
    )
    inside = find_landmarks(volume, LabelMap(high, label_map.geometry)).legs["right"]
    assert inside.points["femoral_head_top"].reason == "what is labelled femur stops within its head"
    assert inside.points["distal_condyles"].reason == "what is labelled femur stops within the condyles"
    assert inside.femur_length_mm is None


def test_without_a_femur_there_is_nothing_to_find():
    volume, label_map = legs_scan(spacing_mm=(8.0, 3.0, 3.0), z_mm=WHOLE)
    labels = np.where(label_map.labels == 11, 0, label_map.labels).astype(np.uint8)
    leg = find_landmarks(volume, LabelMap(labels, label_map.geometry)).legs["left"]
    assert {point.reason for point in leg.points.values()} == {"no femur labelled on the left"}
    assert leg.level_reason == "no femur labelled on the left"


def test_slices_stored_from_the_head_down_have_the_same_landmarks():
    volume, label_map = legs_scan(spacing_mm=(4.0, 2.0, 1.75), z_mm=WHOLE, pose=TURNED)
    affine = volume.geometry.affine.copy()
    affine[:3, 3] = volume.geometry.to_lps_mm(np.array([volume.geometry.shape[0] - 1.0, 0, 0]))
    affine[:3, 0] *= -1
    flipped = Geometry(volume.geometry.shape, affine)
    up = find_landmarks(volume, label_map)
    down = find_landmarks(
        CTVolume(volume.attenuation_hu[::-1], flipped, volume.info), LabelMap(label_map.labels[::-1], flipped)
    )
    for side in ("left", "right"):
        assert down.legs[side].femur_length_mm == pytest.approx(up.legs[side].femur_length_mm)
        assert down.legs[side].midthigh_mm == pytest.approx(up.legs[side].midthigh_mm, abs=0.01)
        assert down.legs[side].slice_level[::-1] == pytest.approx(up.legs[side].slice_level)


def levels_of(volume, *, error=0.0, sd=0.02):
    """True levels of an upright leg, all off by `error`."""
    z = volume.geometry.affine[2, 3] + volume.geometry.affine[2, 0] * np.arange(volume.geometry.shape[0])
    level = (LENGTH_MM - z) / LENGTH_MM + error
    return SliceLevels({"left": level}, {"left": np.full(len(z), sd)}, "level network")


def test_estimated_levels_stand_in_for_ends_out_of_view():
    volume, label_map = legs_scan(spacing_mm=(4.0, 2.0, 1.75), z_mm=SHAFT)
    legs = find_landmarks(volume, label_map, levels=levels_of(volume)).legs
    assert legs["left"].midthigh_z_mm == pytest.approx(215.0, abs=0.5)
    assert legs["left"].femur_length_mm is None  # an estimate is no measured length
    assert legs["left"].femur_cov_pct == pytest.approx(100 * 180 / LENGTH_MM, abs=0.5)
    assert legs["left"].level_method == "level network"
    assert legs["left"].scale.sd >= 0.02
    assert legs["right"].scale is None  # nothing was estimated for it


def test_levels_are_estimated_only_where_an_end_is_out_of_view():
    asked = []

    def estimate(volume):
        asked.append(volume.geometry.shape[0])
        return levels_of(volume)

    for z_mm, n_asked in ((WHOLE, 0), (SHAFT, 1)):
        volume, label_map = legs_scan(spacing_mm=(6.0, 2.0, 1.75), z_mm=z_mm)
        leg = find_landmarks(volume, label_map, levels=lambda volume=volume: estimate(volume)).legs["left"]
        assert leg.midthigh_z_mm == pytest.approx(215.0, abs=2.0)
        assert len(asked) == n_asked


def test_levels_are_held_to_the_end_that_is_in_view():
    # all levels too large by 0.05, which would put mid-thigh 21.5 mm too high; the head in view takes it back
    volume, label_map = legs_scan(spacing_mm=(4.0, 2.0, 1.75), z_mm=(100.0, 470.0))
    leg = find_landmarks(volume, label_map, levels=levels_of(volume, error=0.05)).legs["left"]
    assert leg.level_method == "top of the femoral head and level network"
    assert leg.midthigh_z_mm == pytest.approx(215.0, abs=1.0)
    assert leg.slice_level[-1] < 0  # above the head


def test_levels_that_fit_no_femur_are_refused():
    volume, label_map = legs_scan(spacing_mm=(4.0, 2.0, 1.75), z_mm=SHAFT)
    good = levels_of(volume)
    flat = SliceLevels({"left": good.level["left"] * 0.1}, good.sd, "level network")
    leg = find_landmarks(volume, label_map, levels=flat).legs["left"]
    assert leg.scale is None
    assert leg.level_reason == "the levels of level network change along the scan as in a femur of 4300 mm"


def test_levels_and_errors_of_different_length_are_refused():
    with pytest.raises(ValueError, match="levels but"):
        SliceLevels({"left": np.zeros(3)}, {"left": np.zeros(2)}, "x")
