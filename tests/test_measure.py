from __future__ import annotations

import numpy as np
import pytest

from tests.boxes import PIXEL_CM2, SHAPE, VOXEL_CM3, axial_geometry, boxes, scan
from thighseg_core.geometry import Geometry
from thighseg_core.labels import LabelMap
from thighseg_core.measure import FULL, measure
from thighseg_core.measurement import Measurement
from thighseg_core.metrics import METRICS, REGIONS
from thighseg_core.tissue import PRESETS
from thighseg_core.volume import CTVolume

EXT_L, EXT_R, FLX_L, FLX_R, ADD_L, ADD_R, SAR_L, SAR_R = range(1, 9)
FEMUR_L, INTER_L, SUB_L = 11, 13, 15


def box(k: tuple[int, int], j: tuple[int, int], i: tuple[int, int]) -> tuple[slice, slice, slice]:
    return slice(*k), slice(*j), slice(*i)


def facts(volume: CTVolume, label_map: LabelMap, **options: object) -> dict[tuple[str, str, str], Measurement]:
    found = measure(volume, label_map, **options)  # type: ignore[arg-type]
    return {(m.region, m.side, m.metric): m for m in found if m.extent == FULL}


def one(found: dict[tuple[str, str, str], Measurement], region: str, side: str, metric: str) -> float | None:
    return found[region, side, metric].value


def test_a_box_has_the_volume_of_its_three_sides():
    found = facts(*boxes([(EXT_L, 50, box((2, 5), (6, 10), (10, 17)))]))  # 12 x 8 x 3.5 mm
    measured = found["extensor", "left", "volume"]
    assert measured.value == pytest.approx(0.336)
    assert (measured.status, measured.reason, measured.unit) == ("ok", "", "cm3")


def test_lean_and_fat_share_the_box_by_attenuation_and_the_rest_is_excluded():
    # 3 slices lean (84 voxels each 28), then on the same columns 1 slice fat, 1 slice neither
    found = facts(
        *boxes(
            [
                (EXT_L, 60, box((1, 4), (6, 10), (10, 17))),
                (EXT_L, -100, box((4, 5), (6, 10), (10, 17))),
                (EXT_L, 400, box((5, 6), (6, 10), (10, 17))),
            ]
        )
    )
    assert one(found, "extensor", "left", "volume") == pytest.approx(140 * VOXEL_CM3)
    assert one(found, "extensor", "left", "lean_volume") == pytest.approx(84 * VOXEL_CM3)
    assert one(found, "extensor", "left", "intramuscular_fat_volume") == pytest.approx(28 * VOXEL_CM3)
    assert one(found, "extensor", "left", "excluded_volume") == pytest.approx(28 * VOXEL_CM3)
    assert one(found, "extensor", "left", "intramuscular_fat_percent") == pytest.approx(25.0)  # 28 / (28 + 84)
    assert one(found, "extensor", "left", "lean_attenuation") == pytest.approx(60.0)
    assert one(found, "extensor", "left", "mask_attenuation") == pytest.approx((84 * 60 - 28 * 100 + 28 * 400) / 140)


@pytest.mark.parametrize(
    ("hu", "kind"),
    [
        (-191, "excluded_volume"),
        (-190, "intramuscular_fat_volume"),
        (-30, "intramuscular_fat_volume"),
        (-29, "lean_volume"),
        (150, "lean_volume"),
        (151, "excluded_volume"),
    ],
)
def test_both_ends_of_a_range_belong_to_it(hu, kind):
    found = facts(*boxes([(EXT_L, hu, box((1, 4), (6, 10), (10, 17)))]))
    for metric in ("excluded_volume", "intramuscular_fat_volume", "lean_volume"):
        assert one(found, "extensor", "left", metric) == pytest.approx(84 * VOXEL_CM3 if metric == kind else 0.0)


@pytest.mark.parametrize(
    ("hu", "low", "normal"), [(-1, 0, 0), (0, 1, 0), (34, 1, 0), (35, 0, 1), (100, 0, 1), (101, 0, 0)]
)
def test_low_and_normal_attenuation_follow_the_preset(hu, low, normal):
    found = facts(*boxes([(EXT_L, hu, box((1, 4), (6, 10), (10, 17)))]))
    full = 84 * VOXEL_CM3
    assert one(found, "extensor", "left", "low_attenuation_volume") == pytest.approx(low * full)
    assert one(found, "extensor", "left", "normal_attenuation_volume") == pytest.approx(normal * full)


def test_another_preset_gives_other_numbers():
    scene = boxes([(EXT_L, 180, box((1, 4), (6, 10), (10, 17)))])
    assert one(facts(*scene), "extensor", "left", "lean_volume") == 0.0
    assert one(facts(*scene, preset=PRESETS["dennis_200"]), "extensor", "left", "lean_volume") == pytest.approx(0.336)


def test_float_attenuation_is_rounded_before_it_is_classed():
    volume, label_map = boxes([(EXT_L, 0, box((1, 4), (6, 10), (10, 17)))])
    attenuation = volume.attenuation_hu.astype(np.float32)
    attenuation[1:4, 6:10, 10:17] = -29.6  # between fat (to -30) and lean (from -29) when it is not rounded
    found = facts(scan(attenuation, volume.geometry), label_map)
    assert one(found, "extensor", "left", "intramuscular_fat_percent") == 100.0
    assert one(found, "extensor", "left", "mask_attenuation") == -30.0


def test_the_largest_section_is_found_with_its_position():
    found = facts(
        *boxes(
            [
                (EXT_L, 50, box((1, 7), (6, 10), (10, 17))),  # 28 pixels on slices 1 to 6
                (EXT_L, 50, box((5, 6), (6, 11), (10, 17))),  # 35 pixels on slice 5
            ]
        )
    )
    assert one(found, "extensor", "left", "csa_max") == pytest.approx(35 * PIXEL_CM2)
    assert one(found, "extensor", "left", "csa_max_z") == pytest.approx(120.0)  # 100 + 5 x 4


def test_the_middle_section_is_that_of_the_field_of_view_holding_the_leg():
    found = facts(
        *boxes(
            [
                (SUB_L, -100, box((1, 8), (2, 4), (2, 4))),  # the leg is on slices 1 to 7: the middle is 4
                (EXT_L, 50, box((1, 4), (6, 10), (10, 17))),
                (EXT_L, 50, box((4, 5), (6, 9), (10, 17))),  # 21 pixels there
            ]
        )
    )
    assert one(found, "extensor", "left", "csa_mid") == pytest.approx(21 * PIXEL_CM2)
    assert one(found, "extensor", "left", "csa_mid_z") == pytest.approx(116.0)


def test_of_two_middle_slices_the_one_nearer_the_head_counts_whichever_way_the_slices_are_stored():
    volume, label_map = boxes([(EXT_L, 50, box((2, 6), (6, 10), (10, 17)))])  # slices 2 to 5: middle 3 or 4
    up = facts(volume, label_map)
    affine = volume.geometry.affine.copy()
    affine[:3, 3] = volume.geometry.to_lps_mm(np.array([7.0, 0, 0]))
    affine[:3, 0] *= -1
    flipped = Geometry(SHAPE, affine)
    down = facts(scan(volume.attenuation_hu[::-1], flipped), LabelMap(label_map.labels[::-1], flipped))
    assert one(up, "extensor", "left", "csa_mid_z") == one(down, "extensor", "left", "csa_mid_z") == 116.0
    assert {key: m.value for key, m in up.items()} == {key: m.value for key, m in down.items()}


def test_a_muscle_that_is_not_on_the_middle_slice_has_no_middle_area():
    found = facts(*boxes([(EXT_L, 50, box((1, 7), (6, 10), (10, 17))), (SAR_L, 50, box((1, 3), (2, 4), (2, 4)))]))
    missing = found["sartorius", "left", "csa_mid"]
    assert (missing.value, missing.status) == (None, "missing")
    assert missing.reason == "no sartorius on the middle slice of the leg"
    assert found["sartorius", "left", "volume"].status == "ok"


def test_an_absent_structure_is_missing_with_its_reason_and_never_zero():
    found = facts(*boxes([(EXT_L, 50, box((2, 5), (6, 10), (10, 17)))]))
    for metric in METRICS.values():
        if metric.applies("flexor", "left", FULL):
            missing = found["flexor", "left", metric.name]
            assert (missing.value, missing.status, missing.reason) == (
                None,
                "missing",
                "no flexor labelled on the left",
            )


def test_both_sides_together_need_both_sides():
    left_only = facts(*boxes([(EXT_L, 50, box((2, 5), (6, 10), (10, 17)))]))
    assert left_only["extensor", "both", "volume"].reason == "no extensor labelled on the right"
    two = facts(*boxes([(EXT_L, 50, box((2, 5), (6, 10), (18, 25))), (EXT_R, 20, box((3, 5), (6, 10), (2, 9)))]))
    assert one(two, "extensor", "both", "volume") == pytest.approx((84 + 56) * VOXEL_CM3)
    assert one(two, "extensor", "both", "lean_attenuation") == pytest.approx((84 * 50 + 56 * 20) / 140)
    assert one(two, "extensor", "both", "csa_max") == pytest.approx(56 * PIXEL_CM2)
    assert one(two, "extensor", "both", "csa_mid_z") == pytest.approx(116.0)  # both legs are on slices 3 and 4


def test_legs_that_share_no_slice_have_no_common_middle():
    found = facts(*boxes([(EXT_L, 50, box((1, 3), (6, 10), (18, 25))), (EXT_R, 50, box((4, 6), (6, 10), (2, 9)))]))
    assert found["extensor", "both", "csa_mid"].reason == "the two legs share no slice"


def test_a_muscle_seen_on_one_side_only_of_the_common_middle_has_no_middle_area_of_both():
    found = facts(
        *boxes(
            [
                (EXT_L, 50, box((1, 7), (6, 10), (18, 25))),
                (SUB_L + 1, -100, box((1, 7), (2, 4), (2, 9))),  # the right leg is on the same slices,
                (EXT_R, 50, box((1, 3), (6, 10), (2, 9))),  # its extensor is not on the middle one
            ]
        )
    )
    assert found["extensor", "left", "csa_mid"].value == pytest.approx(28 * PIXEL_CM2)
    assert found["extensor", "both", "csa_mid"].reason == "no extensor on the middle slice of the leg"


def test_the_total_is_the_three_groups_without_sartorius():
    found = facts(
        *boxes(
            [
                (EXT_L, 50, box((2, 5), (2, 4), (2, 9))),  # 42 voxels
                (FLX_L, 50, box((2, 5), (6, 8), (2, 5))),  # 18
                (ADD_L, 50, box((2, 5), (10, 11), (2, 4))),  # 6
                (SAR_L, 50, box((2, 5), (14, 15), (2, 9))),  # 21
            ]
        )
    )
    assert one(found, "total", "left", "volume") == pytest.approx(66 * VOXEL_CM3)
    assert found["total", "left", "volume"].status == "ok"
    assert one(found, "sartorius", "left", "volume") == pytest.approx(21 * VOXEL_CM3)


def test_a_total_without_one_of_its_groups_is_flagged():
    found = facts(*boxes([(EXT_L, 50, box((2, 5), (2, 4), (2, 9))), (FLX_L, 50, box((2, 5), (6, 8), (2, 5)))]))
    total = found["total", "left", "volume"]
    assert total.value == pytest.approx(60 * VOXEL_CM3)
    assert (total.status, total.reason) == ("flagged", "adductor left not labelled")


@pytest.mark.parametrize(
    ("slices", "reason"),
    [
        ((0, 3), "cut off at the caudal end of the scan"),
        ((5, 8), "cut off at the cranial end of the scan"),
        ((0, 8), "cut off at the caudal and the cranial end of the scan"),
    ],
)
def test_a_truncated_muscle_keeps_its_value_and_says_where_it_is_cut(slices, reason):
    found = facts(*boxes([(EXT_L, 50, box(slices, (6, 10), (10, 17)))]))
    volume = found["extensor", "left", "volume"]
    assert volume.value == pytest.approx(28 * (slices[1] - slices[0]) * VOXEL_CM3)
    assert (volume.status, volume.reason) == ("flagged", reason)
    assert found["extensor", "left", "csa_mid"].status == "ok"  # that slice is whole


def test_a_muscle_cut_by_the_image_edge_is_flagged_and_the_middle_area_only_where_it_is_cut():
    scene = [(EXT_L, 50, box((1, 4), (6, 10), (10, 17))), (EXT_L, 50, box((4, 6), (6, 10), (23, 30)))]
    found = facts(*boxes(scene))  # the leg is on slices 1 to 5, the middle is 3, the edge is touched on 4 and 5
    assert found["extensor", "left", "volume"].reason == "touches the edge of the image on 2 slices"
    assert found["extensor", "left", "csa_mid"].status == "ok"
    cut = facts(*boxes([(EXT_L, 50, box((1, 4), (6, 10), (23, 30)))]))
    assert cut["extensor", "left", "csa_mid"].reason == "touches the edge of the image on that slice"


def test_metal_makes_attenuation_doubtful_but_not_volume():
    volume, label_map = boxes([(EXT_L, 50, box((2, 5), (6, 10), (10, 17)))])
    shiny = volume.attenuation_hu.copy()
    shiny[4, 0, 0] = 3071
    found = facts(scan(shiny, volume.geometry), label_map)
    assert found["extensor", "left", "volume"].status == "ok"
    assert found["extensor", "left", "lean_attenuation"].reason == "metal on 1 of its 3 slices"
    assert found["extensor", "left", "intramuscular_fat_percent"].status == "flagged"


def test_fat_compartments_count_only_their_fat():
    found = facts(
        *boxes(
            [
                (SUB_L, -100, box((2, 5), (2, 4), (2, 9))),  # 42 voxels of fat
                (SUB_L, 30, box((2, 5), (4, 5), (2, 9))),  # 21 of skin
                (INTER_L, -60, box((2, 5), (10, 11), (2, 4))),  # 6
            ]
        )
    )
    assert one(found, "subcutaneous", "left", "fat_volume") == pytest.approx(42 * VOXEL_CM3)
    assert one(found, "intermuscular", "left", "fat_volume") == pytest.approx(6 * VOXEL_CM3)
    assert found["intermuscular", "right", "fat_volume"].status == "missing"


def test_bone_is_measured_whatever_its_attenuation():
    found = facts(*boxes([(FEMUR_L, 1200, box((2, 5), (6, 10), (10, 17)))]))
    assert one(found, "femur", "left", "volume") == pytest.approx(0.336)


def test_a_muscle_of_nothing_but_bright_voxels_has_no_lean_attenuation():
    found = facts(*boxes([(EXT_L, 900, box((2, 5), (6, 10), (10, 17)))]))
    assert found["extensor", "left", "lean_attenuation"].reason == "no voxel in the lean range"
    assert found["extensor", "left", "intramuscular_fat_percent"].status == "missing"
    assert one(found, "extensor", "left", "mask_attenuation") == 900.0


def test_sections_are_axial_whatever_the_order_of_the_array_axes():
    volume, label_map = boxes([(EXT_L, 50, box((2, 5), (6, 10), (10, 17)))])
    turned = Geometry((30, 8, 20), volume.geometry.affine[:, [2, 0, 1, 3]])
    found = facts(
        scan(np.transpose(volume.attenuation_hu, (2, 0, 1)).copy(), turned),
        LabelMap(np.transpose(label_map.labels, (2, 0, 1)).copy(), turned),
    )
    assert one(found, "extensor", "left", "csa_max") == pytest.approx(28 * PIXEL_CM2)
    assert one(found, "extensor", "left", "csa_mid_z") == pytest.approx(112.0)
    assert one(found, "extensor", "left", "volume") == pytest.approx(0.336)


def test_every_region_side_and_metric_comes_once_even_when_nothing_is_labelled():
    found = measure(*boxes([], geometry=axial_geometry()))
    expected = {(r, s, e, m.name) for m in METRICS.values() for r in m.regions for s in m.sides for e in m.extents}
    assert len(found) == len(expected)
    assert {(m.region, m.side, m.extent, m.metric) for m in found} == expected
    assert {m.status for m in found} == {"missing"}
    assert all(m.unit == METRICS[m.metric].unit for m in found)
    assert set(REGIONS) == {m.region for m in found}
