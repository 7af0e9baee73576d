"""At the height of the pelvis only what can be a thigh's muscle by its place stays one."""

import numpy as np
import pytest
from leg_phantom import Leg, grid, scan, stand_in, truth

from thighseg_core.bones import Bone
from thighseg_core.inference import InferenceOptions
from thighseg_core.labels import CLASS_INDEX, label_value
from thighseg_core.pelvis import Hip, find_hips, without_pelvis
from thighseg_core.segment import segment_with
from thighseg_core.volume import CTVolume

EXTENSOR, FLEXOR, ADDUCTOR, SARTORIUS, OTHER = (
    CLASS_INDEX[name] for name in ("extensor", "flexor", "adductor", "sartorius", "other_muscle")
)


def _bone(row_mm, column_mm, area_cm2=8.0):
    return Bone(area_cm2, ellipse=1.0, roundness=0.9, depth_mm=40.0, cut=False, centre_mm=(row_mm, column_mm))


FEMUR = _bone(100.0, 60.0)
SLICE_MM = 5.0


def _hips(*more, femurs=(FEMUR,), slices=20, start=2):
    """Hips of femurs that go straight up; `more`: bones with the slices that show them."""
    bones = [[*femurs, *(bone for bone, where in more if k in where)] for k in range(slices)]
    return find_hips(bones, list(femurs), start=start, slice_mm=SLICE_MM)


def test_the_hip_begins_where_a_bone_comes_in_behind_the_femur_and_stays():
    (hip,) = _hips((_bone(130.0, 130.0), range(9, 20)))
    assert (hip.first, hip.medial, hip.half_mm) == (9, 1, np.inf)
    assert hip.femur_mm == ((100.0, 60.0),) * 11


def test_a_hip_bone_at_smaller_columns_is_of_a_left_leg():
    (hip,) = _hips((_bone(130.0, 5.0), range(9, 20)))
    assert hip.medial == -1


@pytest.mark.parametrize(
    ("bone", "where"),
    [
        (_bone(130.0, 130.0), range(9, 12)),
        (_bone(130.0, 130.0, area_cm2=1.0), range(9, 20)),
        (_bone(60.0, 130.0), range(9, 20)),
        (_bone(100.0, 230.0), range(9, 20)),
    ],
    ids=["a mass on three slices", "a calcified vessel", "a mass in front", "the other femur"],
)
def test_what_is_no_hip_bone_makes_no_hip(bone, where):
    assert _hips((bone, where)) == ()


def test_the_femur_is_followed_and_stays_where_it_was_once_it_is_one_with_the_hip_bone():
    bones = [[_bone(100.0 + 4 * k, 60.0 + 2 * k)] + [_bone(150.0, 130.0)] * (k >= 5) for k in range(8)]
    bones += [[_bone(140.0, 100.0, area_cm2=30.0)]] * 6
    (hip,) = find_hips(bones, bones[2][:1], start=2, slice_mm=SLICE_MM)
    assert hip.first == 5
    assert hip.femur_mm == ((120.0, 70.0), (124.0, 72.0), (128.0, 74.0), *((128.0, 74.0),) * 6)


def test_each_of_two_femurs_has_its_own_hip_bone_and_half_the_way_to_the_other():
    other = _bone(100.0, 300.0)
    hips = _hips((_bone(130.0, 130.0), range(9, 20)), (_bone(130.0, 230.0), range(7, 20)), femurs=(FEMUR, other))
    assert [(hip.first, hip.medial, hip.half_mm) for hip in hips] == [(9, 1, 120.0), (7, -1, 120.0)]


# A right leg, 40 slices of 5 mm, pixels of 2 mm: femur around column 60 mm, hip bone at 120 to 132 mm from slice 10 on.
SPACING_MM = (5.0, 2.0, 2.0)
FIRST, SLICES = 10, 40
HIP = Hip(first=FIRST, medial=1, femur_mm=((100.0, 60.0),) * (SLICES - FIRST))
SHAPE = (SLICES, 100, 150)
ROWS = np.s_[40:60]  # those of the bones


def _at(first_mm, last_mm):
    return slice(int(first_mm / 2), int(last_mm / 2))


def _scan():
    hu = np.full(SHAPE, 50, dtype=np.int16)
    hu[:, 44:56, _at(48, 72)] = 600
    hu[FIRST:, ROWS, _at(120, 132)] = 600
    return np.zeros(SHAPE, dtype=np.uint8), hu


def _kept(classes, hu, *hips):
    """Where the classes stay what they were; what changes is other muscle."""
    changed = without_pelvis(classes, hu, hips or (HIP,), spacing_mm=SPACING_MM)
    assert (changed[changed != classes] == OTHER).all()
    return changed == classes


def test_muscle_between_the_hip_bones_is_none():
    classes, hu = _scan()
    classes[:, ROWS, _at(80, 110)] = ADDUCTOR  # between femur and hip bone
    classes[:, ROWS, _at(140, 200)] = ADDUCTOR  # a bladder that goes on below
    kept = _kept(classes, hu)
    below_the_end = np.s_[: FIRST + 16]
    assert kept[below_the_end, :, _at(80, 110)].all()
    assert kept[:FIRST].all()
    assert not kept[FIRST:, ROWS, _at(140, 200)].any()


def test_in_front_of_the_hip_bone_muscle_reaches_30_mm_further_in():
    classes, hu = _scan()
    classes[:, 10:30, _at(100, 240)] = ADDUCTOR
    kept = _kept(classes, hu)[FIRST : FIRST + 16, 10:30]
    assert kept[..., _at(100, 158)].all()
    assert not kept[..., _at(164, 240)].any()


def test_adductors_lie_on_the_inner_side_of_the_femur_and_extensors_on_both():
    classes, hu = _scan()
    classes[:, 10:30, _at(20, 90)] = ADDUCTOR
    classes[:, 70:90, _at(20, 90)] = EXTENSOR
    kept = _kept(classes, hu)[FIRST : FIRST + 16]
    assert not kept[:, 10:30, _at(20, 60)].any()
    assert kept[:, 10:30, _at(60, 90)].all()
    assert kept[:, 70:90].all()


@pytest.mark.parametrize(
    ("value", "last"), [(FLEXOR, FIRST + 12), (ADDUCTOR, FIRST + 16), (EXTENSOR, FIRST + 18), (SARTORIUS, 39)]
)
def test_each_group_ends_where_its_uppermost_muscle_arises(value, last):
    classes, hu = _scan()
    classes[:, 10:30, _at(70, 100)] = value  # 60, 80, 90 and 170 mm above the first slice with the ischium
    shown = (_kept(classes, hu) & (classes == value)).any(axis=(1, 2))
    assert np.flatnonzero(shown).tolist() == list(range(last + 1))


def test_a_muscle_that_does_not_run_down_into_the_thigh_is_none_but_the_thin_sartorius_may_be_torn():
    classes, hu = _scan()
    classes[:, 10:20, _at(70, 90)] = EXTENSOR
    classes[15:20, 10:20, _at(100, 110)] = EXTENSOR
    classes[15:20, 70:80, _at(100, 110)] = SARTORIUS
    kept = _kept(classes, hu)[15:20]
    assert kept[:, 10:20, _at(70, 90)].all()
    assert not kept[:, 10:20, _at(100, 110)].any()
    assert kept[:, 70:80].all()


def test_the_sartorius_lies_within_70_mm_of_the_femur():
    classes, hu = _scan()
    classes[:, 10:20, _at(100, 150)] = SARTORIUS
    kept = _kept(classes, hu)[FIRST:, 10:20]
    assert kept[..., _at(100, 130)].all()
    assert not kept[..., _at(132, 150)].any()


def test_one_hip_does_not_judge_the_half_of_the_other_leg():
    classes, hu = _scan()
    classes[:, ROWS, _at(140, 280)] = ADDUCTOR
    near = Hip(first=FIRST, medial=1, femur_mm=HIP.femur_mm, half_mm=120.0)  # up to column 180 mm
    kept = _kept(classes, hu, near)[FIRST:, ROWS]
    assert not kept[..., _at(140, 180)].any()
    assert kept[:16, :, _at(184, 280)].all()


def test_without_a_hip_nothing_is_changed():
    classes, hu = _scan()
    classes[:] = ADDUCTOR
    assert without_pelvis(classes, hu, (), spacing_mm=SPACING_MM) is classes


def test_segment_paints_no_bladder_of_a_scan_that_shows_hip_bones():
    """A bladder as bright as adductors behind a hip bone, beside a left leg whose adductors stay."""
    geometry = grid((40, 90, 130))
    leg = (Leg("left", 50.0),)  # middle of its femur at row 44.5, column 89.5
    hu, labels = scan(geometry, leg).attenuation_hu.copy(), truth(geometry, leg).labels
    row, column = np.ogrid[:90, :130]
    hu[22:, np.hypot(row - 44.5, column - 89.5) < 12] = 290  # the trochanters, no shaft any more
    hu[20:, 10:80, 4:60] = 40  # a body
    hu[20:, 46:70, 48:54] = 290  # 70 to 80 mm inwards of the femur, behind its middle
    hu[20:, 46:70, 10:44] = 90
    volume = CTVolume(hu, geometry, scan(geometry, leg).info)
    options = InferenceOptions(flip_averaging=False)
    got = segment_with(volume, stand_in(2.0), device="cpu", options=options).label_map.labels
    adductors = np.isin(got, [label_value("adductor", side) for side in ("left", "right")])
    assert not adductors[20:, 46:70, 10:44].any()
    true = (labels == label_value("adductor", "left")) & (hu == 90)
    assert adductors[:36][true[:36]].mean() > 0.97
