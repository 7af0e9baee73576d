"""Standard extents on legs whose every length is known: an extensor of 74 x 44 mm along the whole femur."""

from __future__ import annotations

import numpy as np
import pytest

from tests.test_landmarks import levels_of
from tests.whole_femur import BONE_HU, LENGTH_MM, MUSCLE_MM, SHAFT_RADIUS_MM, Pose, legs_scan
from thighseg_core.extents import slice_shares
from thighseg_core.femur_shape import SliceStack
from thighseg_core.geometry import Geometry
from thighseg_core.histogram import band_volume_cm3, unpacked
from thighseg_core.labels import LabelMap, label_value
from thighseg_core.measure import measure_all
from thighseg_core.volume import CTVolume

WHOLE = (-40.0, 470.0)
AREA_CM2 = 2 * MUSCLE_MM[0] * MUSCLE_MM[1] / 100
PIXEL = (2.0, 2.0)


def facts(volume, label_map, **options):
    found = measure_all(volume, label_map, **options).measurements
    return {(m.region, m.side, m.extent, m.metric): m for m in found}


@pytest.fixture(scope="module")
def upright():
    return facts(*legs_scan(spacing_mm=(6.0, 2.0, 2.0), z_mm=WHOLE, pose=Pose(left_raised_mm=9.0)))


def test_slices_count_by_the_share_of_them_that_lies_inside():
    stack = SliceStack(np.array([0, 0, 1.0]), np.array([0.0, 4.0, 8.0, 12.0]), 4.0)  # faces at -2, 2, 6, 10, 14
    assert slice_shares(stack, 3.0, 11.0).tolist() == [0.0, 0.75, 1.0, 0.25]
    assert slice_shares(stack, 4.5, 5.5).tolist() == [0.0, 0.25, 0.0, 0.0]  # thinner than a slice


def test_the_standard_volume_is_that_of_three_fifths_of_the_femur_on_each_side(upright):
    for side in ("left", "right"):  # 258 mm of 32.56 cm2; the left leg lies 9 mm higher
        found = upright["extensor", side, "femur_20_80", "volume"]
        assert found.value == pytest.approx(0.6 * LENGTH_MM / 10 * AREA_CM2, rel=0.01)
        assert (found.status, found.reason) == ("ok", "")


def test_the_mid_thigh_area_is_the_section_there(upright):
    for metric in ("csa", "lean_csa", "csa_perpendicular"):
        found = upright["extensor", "left", "midthigh", metric]
        assert found.value == pytest.approx(AREA_CM2, rel=0.02), metric
    assert upright["extensor", "both", "midthigh", "csa"].value == pytest.approx(2 * AREA_CM2, rel=0.02)
    assert upright["extensor", "both", "midthigh", "csa_asymmetry"].value == pytest.approx(0.0, abs=0.1)


def test_the_femur_has_its_length_its_cover_and_its_cortex(upright):
    assert upright["femur", "left", "full", "femur_length"].value == pytest.approx(LENGTH_MM, abs=3)
    assert upright["femur", "left", "full", "femur_coverage"].value == pytest.approx(100.0)
    assert upright["femur", "left", "full", "midthigh_z"].value == pytest.approx(215.0 + 9.0, abs=2)
    disk_cm2 = np.pi * SHAFT_RADIUS_MM**2 / 100  # solid bone in this phantom
    assert upright["femur", "right", "midthigh", "cortical_area"].value == pytest.approx(disk_cm2, rel=0.05)


def test_at_the_ischial_tuberosity_there_is_a_section_too(upright):
    assert upright["extensor", "left", "ischial", "csa"].value == pytest.approx(AREA_CM2, rel=0.02)


def test_a_tilted_leg_has_the_same_section_across_its_femur_and_a_longer_one_on_the_slices():
    found = facts(*legs_scan(spacing_mm=(3.0, 2.0, 2.0), z_mm=(-60.0, 480.0), pose=Pose(tilt_deg=15.0)))
    across, axial = (found["extensor", "left", "midthigh", name].value for name in ("csa_perpendicular", "csa"))
    # the shaft leans 6 degrees to the side in every pose, which the block's section sees as 1 / cos of its own lean
    lean = np.arctan(40 / 370)
    assert across == pytest.approx(AREA_CM2 / np.cos(lean), rel=0.02)
    assert axial == pytest.approx(AREA_CM2 / np.cos(np.deg2rad(15.0)), rel=0.02)


def test_what_the_scan_does_not_reach_is_missing_and_says_what_it_shows():
    found = facts(*legs_scan(spacing_mm=(6.0, 2.0, 2.0), z_mm=(120.0, 470.0)))
    missing = found["extensor", "left", "femur_20_80", "volume"]
    assert (missing.value, missing.reason) == (
        None,
        "its place along the femur is not known: the femur reaches the caudal end of the scan",
    )
    assert found["extensor", "left", "midthigh", "csa"].reason.startswith("mid-thigh is not known")
    assert found["extensor", "left", "full", "volume"].status == "flagged"  # kept, with its reason
    assert found["femur", "left", "full", "femur_length"].value is None


def test_estimated_levels_give_values_that_say_so():
    volume, label_map = legs_scan(spacing_mm=(6.0, 2.0, 2.0), z_mm=(70.0, 370.0))
    found = facts(volume, label_map, levels=levels_of(volume))
    volume_fact = found["extensor", "left", "femur_20_80", "volume"]
    assert volume_fact.value == pytest.approx(0.6 * LENGTH_MM / 10 * AREA_CM2, rel=0.01)
    assert volume_fact.status == "flagged"
    assert volume_fact.reason.startswith("level estimated by level network, mid-thigh to about ")
    short = facts(*(pair := legs_scan(spacing_mm=(6.0, 2.0, 2.0), z_mm=(130.0, 310.0))), levels=levels_of(pair[0]))
    assert short["extensor", "left", "femur_20_80", "volume"].reason == (
        "the scan shows 28 to 70 % of the femur, not 20 to 80 %"
    )
    assert short["extensor", "left", "midthigh", "csa"].value == pytest.approx(AREA_CM2, rel=0.02)


def test_a_muscle_cut_by_the_image_has_no_size_over_a_standard_extent():
    volume, label_map = legs_scan(spacing_mm=(6.0, 2.0, 2.0), z_mm=WHOLE)
    # cut the picture through the extensors: rows before y = -40 are gone (they begin at -130)
    affine = volume.geometry.affine.copy()
    affine[1, 3] += 90.0
    geometry = Geometry((volume.geometry.shape[0], volume.geometry.shape[1] - 45, volume.geometry.shape[2]), affine)
    cut = facts(
        CTVolume(volume.attenuation_hu[:, 45:], geometry, volume.info), LabelMap(label_map.labels[:, 45:], geometry)
    )
    for extent, metric in (
        ("femur_20_80", "volume"), ("femur_20_80", "lean_volume"), ("femur_20_80", "volume_asymmetry"),
        ("femur_20_80", "imat_volume"), ("midthigh", "csa"), ("midthigh", "csa_perpendicular"),
    ):  # fmt: skip
        region = "total" if metric == "imat_volume" else "extensor"
        fact = cut[region, "both", extent, metric]
        assert fact.value is None, metric
    assert cut["extensor", "left", "midthigh", "csa"].reason.startswith("cut away by the edge of the image on ")
    assert cut["extensor", "left", "full", "volume"].status == "flagged"
    assert cut["extensor", "left", "midthigh", "lean_attenuation"].status == "flagged"
    assert cut["femur", "left", "midthigh", "csa"].status == "ok"


def test_left_and_right_are_compared_over_one_length_only():
    apart = facts(*legs_scan(spacing_mm=(6.0, 2.0, 2.0), z_mm=(100.0, 300.0), pose=Pose(left_raised_mm=60.0)))
    assert apart["extensor", "both", "full", "volume_asymmetry"].reason == (
        "left and right are not known to be seen over the same length"
    )


def test_the_histogram_counts_any_band_without_the_images():
    volume, label_map = legs_scan(spacing_mm=(6.0, 2.0, 2.0), z_mm=WHOLE)
    attenuation = volume.attenuation_hu.copy()
    attenuation[40:60][label_map.labels[40:60] == label_value("extensor", "left")] = 120
    measured = measure_all(CTVolume(attenuation, volume.geometry, volume.info), label_map)
    values = {(m.region, m.side, m.extent, m.metric): m.value for m in measured.measurements}
    for extent in ("full", "femur_20_80"):
        for side in ("left", "right", "both"):
            of = {"region": "extensor", "side": side, "extent": extent}
            lean = band_volume_cm3(measured.histograms, (-29, 150), **of)
            assert lean == pytest.approx(values["extensor", side, extent, "lean_volume"])
            normal = band_volume_cm3(measured.histograms, (35, 100), **of)
            assert normal == pytest.approx(values["extensor", side, extent, "normal_attenuation_volume"])
    femur = next(h for h in measured.histograms if (h.region, h.side, h.extent) == ("femur", "left", "full"))
    assert (femur.lowest_hu, len(femur.voxels)) == (BONE_HU, 1)
    assert unpacked(femur.packed()).tolist() == femur.voxels.tolist()
    assert band_volume_cm3(measured.histograms, (-29, 150), region="flexor", side="left") is None  # none in the phantom
