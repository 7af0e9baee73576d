from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.boxes import boxes, scan
from thighseg_core.geometry import Geometry
from thighseg_core.labels import LabelMap, label_value
from thighseg_core.measurement import QualityFlag
from thighseg_core.quality import FLAG_DESCRIPTIONS, flags
from thighseg_core.volume import CTVolume

SHAPE = (30, 40, 60)
SPACING_MM = (5.0, 2.0, 2.0)  # a voxel is 20 mm3
AFFINE = np.array([[0, 0, 2.0, -60], [0, 2.0, 0, -40], [5.0, 0, 0, 0], [0, 0, 0, 1]])
DIAGNOSES = ("sarcopeni", "myosteatosis", "disease", "patholog", "atroph")


def leg(
    *, extensor: int = 50, flexor: int = 19, adductor: int = 28, sartorius: int = 3, slices: slice = slice(5, 25)
) -> list[tuple[int, int, tuple[slice, slice, slice]]]:
    """Both legs as stacks of rods: so many pixels of each group on each slice, the left leg at larger columns."""
    out = []
    counts = {"extensor": extensor, "flexor": flexor, "adductor": adductor, "sartorius": sartorius}
    for side, column in (("right", 3), ("left", 35)):
        for number, (name, pixels) in enumerate(counts.items()):
            row = 4 + 6 * number
            whole, rest = divmod(pixels, 20)
            for line in range(whole):
                place = (slices, slice(row + line, row + line + 1), slice(column, column + 20))
                out.append((label_value(name, side), 50, place))
            place = (slices, slice(row + whole, row + whole + 1), slice(column, column + rest))
            out.append((label_value(name, side), 50, place))
    return out


def scene(filled=None, **info: object) -> tuple[CTVolume, LabelMap]:
    geometry = Geometry(SHAPE, AFFINE)
    return boxes(leg() if filled is None else filled, geometry=geometry, slice_thickness_mm=5.0, **info)


def raised(volume: CTVolume, label_map: LabelMap) -> dict[str, list[QualityFlag]]:
    out: dict[str, list[QualityFlag]] = {}
    for flag in flags(volume, label_map):
        out.setdefault(flag.code, []).append(flag)
    return out


def test_a_good_scan_raises_no_flag():
    assert flags(*scene()) == ()


def test_an_empty_label_map_is_an_error():
    found = raised(*scene([]))
    assert found["nothing_labelled"][0].severity == "error"


def test_each_structure_that_reaches_an_end_of_the_scan_is_truncated_there():
    found = raised(*scene(leg(slices=slice(0, 25))))["truncated"]
    assert {(f.region, f.side) for f in found} == {
        (region, side) for region in ("extensor", "flexor", "adductor", "sartorius") for side in ("left", "right")
    }
    assert {f.message.split(" is ")[1] for f in found} == {"cut off at the caudal end of the scan"}


def test_a_femur_that_is_cut_is_information_only():
    place = (slice(0, 30), slice(36, 38), slice(10, 14))
    found = raised(*scene([*leg(), (label_value("femur", "right"), 900, place)]))["truncated"]
    assert [(f.region, f.side, f.severity) for f in found] == [("femur", "right", "info")]


def test_a_structure_at_the_edge_of_the_image_is_flagged_with_its_slices():
    place = (slice(10, 13), slice(30, 35), slice(55, 60))
    found = raised(*scene([*leg(), (label_value("adductor", "left"), 50, place)]))["touches_border"]
    assert [(f.region, f.side) for f in found] == [("adductor", "left")]
    assert "on 3 of 20 slices" in found[0].message


@pytest.mark.parametrize(("voxels", "hu", "expected"), [(10, 3001, True), (9, 3001, False), (50, 3000, False)])
def test_metal_is_bright_and_more_than_noise(voxels, hu, expected):
    volume, label_map = scene()
    shiny = volume.attenuation_hu.copy()
    shiny[12].flat[:voxels] = hu
    assert ("metal" in raised(scan(shiny, volume.geometry), label_map)) is expected


@pytest.mark.parametrize(("thickness_mm", "expected"), [(5.0, False), (6.0, True), (None, False)])
def test_slices_thicker_than_five_millimetres_are_flagged(thickness_mm, expected):
    volume, label_map = scene()
    volume = replace(volume, info=replace(volume.info, slice_thickness_mm=thickness_mm))
    assert ("thick_slices" in raised(volume, label_map)) is expected


def test_thin_slices_far_apart_are_flagged_too():
    affine = AFFINE.copy()
    affine[2, 0] = 8.0
    geometry = Geometry(SHAPE, affine)
    found = raised(*boxes(leg(), geometry=geometry, slice_thickness_mm=2.0))
    assert "8.0 mm" in found["thick_slices"][0].message


@pytest.mark.parametrize(("kvp", "severity"), [(140.0, "warning"), (80.0, "warning"), (None, "info")])
def test_another_or_an_unknown_tube_voltage_is_flagged(kvp, severity):
    assert raised(*scene(tube_voltage_kvp=kvp))["tube_voltage"][0].severity == severity


def test_a_contrast_agent_is_flagged():
    assert "contrast_agent" in raised(*scene(contrast_agent="iohexol"))


@pytest.mark.parametrize(("air_hu", "expected"), [(-1024, False), (-980, False), (-979, True), (-1025, True)])
def test_air_off_the_scale_is_flagged(air_hu, expected):
    volume, label_map = boxes(leg(), geometry=Geometry(SHAPE, AFFINE), background_hu=air_hu)
    assert ("air_attenuation" in raised(volume, label_map)) is expected


def test_clothes_and_pads_are_not_taken_for_air():
    volume, label_map = scene()
    dressed = volume.attenuation_hu.copy()
    dressed[:, 24:] = np.where(dressed[:, 24:] < -900, -920, dressed[:, 24:])
    dressed[:, :, 28:32] = -920
    assert "air_attenuation" not in raised(scan(dressed, volume.geometry), label_map)


def test_padding_is_not_taken_for_air():
    n = 64
    affine = np.array([[0, 0, 2.0, -63], [0, 2.0, 0, -63], [5.0, 0, 0, 0], [0, 0, 0, 1]])
    volume, label_map = boxes(leg(), geometry=Geometry((30, n, n), affine))
    y, x = np.indices((n, n)) - 31.5
    noisy = volume.attenuation_hu.copy()
    noise = np.random.default_rng(0).integers(-10, 11, noisy.shape)
    noisy[noisy < -500] = (-950 + noise)[noisy < -500]  # air off the scale, and more padding than a quarter of it
    noisy[:, np.hypot(x, y) > 29.5] = -1024
    found = raised(scan(noisy, volume.geometry), label_map)
    assert "has -955 HU" in found["air_attenuation"][0].message  # lower quartile of -960 to -940


@pytest.mark.parametrize(
    ("fat_hu", "expected"), [(-120, False), (-100, False), (-80, False), (-79, True), (-121, True)]
)
def test_subcutaneous_fat_off_its_range_is_flagged(fat_hu, expected):
    place = (slice(5, 25), slice(34, 37), slice(5, 25))  # 1200 voxels, 24 cm3
    found = raised(*scene([*leg(), (label_value("subcutaneous", "right"), fat_hu, place)]))
    assert ("subcutaneous_attenuation" in found) is expected


@pytest.mark.parametrize(("skin_rows", "expected"), [(4, False), (6, True)])
def test_the_median_of_subcutaneous_fat_decides_whatever_the_skin_is(skin_rows, expected):
    rows = slice(5, 15), slice(5 + skin_rows, 15)
    where = [(slice(5, 25), part, slice(24, 34)) for part in rows]
    label = label_value("subcutaneous", "right")
    found = raised(*scene([*leg(), (label, 20, where[0]), (label, -100, where[1])]))
    assert ("subcutaneous_attenuation" in found) is expected


def test_a_few_voxels_of_fat_say_nothing():
    place = (slice(5, 25), slice(34, 37), slice(5, 9))  # 240 voxels, 4.8 cm3
    assert flags(*scene([*leg(), (label_value("subcutaneous", "right"), -20, place)])) == ()


def test_a_fragment_of_a_group_is_flagged():
    found = raised(*scene(leg(flexor=12)))  # 12 x 20 voxels of 20 mm3: 4.8 cm3
    assert {(f.region, f.side) for f in found["small_volume"]} == {("flexor", "left"), ("flexor", "right")}


def test_unusual_shares_are_flagged_only_on_a_leg_that_was_seen_whole():
    uneven = {"extensor": 65, "flexor": 13, "adductor": 20, "sartorius": 2}
    found = raised(*scene(leg(**uneven)))["group_shares"]
    assert {(f.region, f.side) for f in found} == {("extensor", "left"), ("extensor", "right")}
    assert "65 % of the labelled muscle, expected 40 to 60 %" in found[0].message
    assert "group_shares" not in raised(*scene(leg(**uneven, slices=slice(0, 25))))


def test_few_slices_are_flagged():
    assert "only 9 slices (45 mm)" in raised(*scene(leg(slices=slice(5, 14))))["few_slices"][0].message
    assert "few_slices" not in raised(*scene(leg(slices=slice(5, 15))))


def test_swapped_sides_are_an_error():
    volume, label_map = scene()
    labels = label_map.labels.copy()
    muscle = (labels > 0) & (labels < 17)
    labels[muscle] = np.where(labels[muscle] % 2 == 1, labels[muscle] + 1, labels[muscle] - 1)
    assert raised(volume, LabelMap(labels, volume.geometry))["side_order"][0].severity == "error"


def test_every_flag_is_described_says_what_follows_and_makes_no_diagnosis():
    bad = scene(
        [
            *leg(slices=slice(0, 6), extensor=80),
            (label_value("subcutaneous", "left"), 0, (slice(0, 9), slice(0, 9), slice(0, 9))),
        ],
        contrast_agent="x",
        tube_voltage_kvp=100.0,
    )
    found = flags(*bad)
    assert len({f.code for f in found}) >= 6
    for flag in found:
        assert flag.code in FLAG_DESCRIPTIONS
        assert flag.severity in ("info", "warning", "error")
        text = f"{flag.message} {flag.consequence} {FLAG_DESCRIPTIONS[flag.code]}".lower()
        assert flag.consequence
        assert not any(word in text for word in DIAGNOSES)
