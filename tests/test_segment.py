"""The whole way on hand-made legs: the label map is the truth, on any grid, whatever its axes."""

import subprocess
import sys

import numpy as np
import pytest
from leg_phantom import PAIR, Leg, grid, scan, stand_in, truth

from thighseg_core.errors import ModelError
from thighseg_core.inference import InferenceOptions
from thighseg_core.labels import LABELS, label_value
from thighseg_core.segment import segment, segment_with
from thighseg_core.volume import CTVolume


def _grid(shape=(8, 60, 128), **more):
    return grid(shape, (5.0, 3.0, 3.0), **more)


GRIDS = {
    "plain": _grid(),
    "head first, reversed slices": _grid(reverse=(True, False, False)),
    "feet first": _grid(reverse=(True, False, True)),
    "prone, columns to the right": _grid(reverse=(False, True, True)),
    "rows to the front": _grid(reverse=(False, True, False)),
    "coronal": _grid(order=(1, 0, 2), reverse=(False, True, False)),
    "sagittal": _grid(order=(2, 0, 1), reverse=(True, True, True)),
    "columns first": _grid(order=(2, 1, 0), reverse=(False, False, True)),
    "oblique": _grid(turn_degrees=12),
    "oblique and permuted": _grid(order=(1, 2, 0), reverse=(True, False, True), turn_degrees=-12),
}


def _segment(volume, **more):
    return segment_with(volume, stand_in(3.0), device="cpu", options=InferenceOptions(flip_averaging=False), **more)


def _sided(names):
    return [label_value(name, side) for name in names for side in ("left", "right")]


@pytest.mark.parametrize("name", GRIDS, ids=lambda name: name.replace(" ", "_"))
def test_every_muscle_voxel_gets_its_group_and_the_patients_side_on_any__grid(name):
    geometry = GRIDS[name]
    segmentation = _segment(scan(geometry))
    wanted, got = truth(geometry).labels, segmentation.label_map.labels
    assert segmentation.label_map.geometry == geometry
    assert segmentation.flags == ()
    if "oblique" not in name:
        assert (got == wanted).all()
    for value in _sided(["extensor", "flexor", "adductor", "sartorius", "femur", "subcutaneous"]):
        a, b = got == value, wanted == value
        assert 2 * (a & b).sum() / (a.sum() + b.sum()) > 0.98, LABELS[value]


@pytest.mark.parametrize("name", GRIDS, ids=lambda name: name.replace(" ", "_"))
@pytest.mark.parametrize("side", ["left", "right"])
def test_one_leg_gets_one_side_and_it_is_the_patients(name, side):
    geometry = GRIDS[name]
    legs = (Leg(side, 60.0 if side == "left" else -60.0),)
    segmentation = _segment(scan(geometry, legs))
    found = {LABELS[int(value)] for value in np.unique(segmentation.label_map.labels)} - {"background"}
    assert {label.rsplit("_", 1)[1] for label in found} == {side}


def test_two_touching_legs_have_no_mixed_sides():
    legs = (Leg("left", 70.0), Leg("right", -70.0))
    geometry = _grid()
    got = _segment(scan(geometry, legs)).label_map.labels
    wanted = truth(geometry, legs).labels
    muscle = np.isin(wanted, _sided(["extensor", "flexor", "adductor", "sartorius", "femur"]))
    assert (got[muscle] == wanted[muscle]).all()


@pytest.mark.parametrize(("x_mm", "side"), [(20.0, "left"), (-20.0, "right")])
def test_a_leg_whose_anatomy_says_nothing_is_named_by_its_place_in_the_patient_not_in_the_image(x_mm, side):
    geometry = _grid()
    shifted = np.array(geometry.affine)
    shifted[0, 3] -= 4 * x_mm
    geometry = type(geometry)(geometry.shape, shifted)
    volume = scan(geometry, (Leg("left", x_mm),))  # on the far side of the image's middle
    plain = volume.attenuation_hu.copy()
    plain[np.isin(plain, [90, 125])] = 55
    segmentation = _segment(CTVolume(plain, geometry, volume.info))
    assert [flag.code for flag in segmentation.flags] == ["side_check"]
    assert segmentation.flags[0].side == side


def test_padding_does_not_change_the_answer():
    volume = scan(_grid())
    padded = volume.attenuation_hu.copy()
    padded[padded == -1000] = -3024
    got = _segment(CTVolume(padded, volume.geometry, volume.info)).label_map.labels
    assert (got == truth(volume.geometry).labels).all()


def test_float_attenuation_is_as_good_as_integer():
    volume = scan(_grid())
    got = _segment(CTVolume(volume.attenuation_hu.astype(np.float32), volume.geometry, volume.info))
    assert (got.label_map.labels == truth(volume.geometry).labels).all()


def test_one_slice_is_enough():
    geometry = _grid((1, 60, 128))
    assert (_segment(scan(geometry)).label_map.labels == truth(geometry).labels).all()


def test_air_alone_is_no_thigh():
    geometry = _grid((3, 40, 40))
    segmentation = _segment(CTVolume(np.full(geometry.shape, -1000, dtype=np.int16), geometry, scan(geometry).info))
    assert not segmentation.label_map.labels.any()
    assert [(flag.code, flag.severity) for flag in segmentation.flags] == [("not_a_thigh", "error")]


def test_a_limb_without_femur_is_no_thigh_and_nothing_is_painted():
    volume = scan(_grid(), PAIR)
    boneless = volume.attenuation_hu.copy()
    boneless[boneless == 290] = 20
    segmentation = _segment(CTVolume(boneless, volume.geometry, volume.info))
    assert not segmentation.label_map.labels.any()
    assert [flag.code for flag in segmentation.flags] == ["not_a_thigh"]


def test_progress_names_its_stages_and_ends_at_one():
    seen = []
    _segment(scan(_grid()), progress=lambda stage, share: seen.append((stage, share)))
    assert {stage for stage, _ in seen} == {"find body", "segment", "refine"}
    assert seen[-1] == ("refine", 1.0)


def test_a_missing_checkpoint_is_a_model_error_in_words():
    with pytest.raises(ModelError, match="no-such-network"):
        segment(scan(_grid((1, 60, 128))), model="no-such-network", device="cpu")


def test_importing_segment_does_not_import_torch():
    code = "import sys, thighseg_core.segment; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
