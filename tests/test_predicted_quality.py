"""The network against its mirrored self: what is counted, and when it is said."""

from __future__ import annotations

import numpy as np
import pytest
from leg_phantom import ReadsAttenuation, grid, scan, stand_in
from test_inference import PREPROCESSING, _LooksLeft, _predict

from thighseg_core.inference import InferenceOptions
from thighseg_core.predicted_quality import MirrorAgreement
from thighseg_core.segment import segment_with

FLIPPED = InferenceOptions(flip_averaging=True)


def agreement(both: list[list[int]], answers: list[list[int]]) -> MirrorAgreement:
    return MirrorAgreement(np.array(both), np.array(answers))


def test_dice_of_the_two_answers_by_slice_and_by_group():
    # slice 1: 2 x (90 + 40) / (200 + 100) = 0.867; slice 2: nothing; slice 3: 2 x 10 / 60 = 1 / 3
    found = agreement([[90, 40, 0], [0, 0, 0], [0, 10, 0]], [[200, 100, 0], [0, 0, 20], [0, 60, 0]])
    assert found.slice_dice() == pytest.approx([260 / 300, np.nan, 1 / 3], nan_ok=True)
    assert found.group_dice() == {"extensor": 0.9, "flexor": pytest.approx(100 / 160), "adductor": None}


def test_a_group_and_slices_on_which_the_answers_differ_are_named():
    found = agreement([[90, 40, 0], [0, 0, 0], [0, 10, 0]], [[200, 100, 0], [0, 0, 20], [0, 60, 0]]).flags()
    assert [(flag.code, flag.severity, flag.region) for flag in found] == [
        ("network_disagreement", "warning", "flexor"),
        ("network_disagreement", "info", "scan"),
    ]
    assert "flexor: " in found[0].message
    assert "Dice of 0.62" in found[0].message
    assert "on 1 of 2 slices" in found[1].message
    assert "(slices 3 to 3 from the feet)" in found[1].message


def test_answers_that_share_no_pixel_are_named_too():
    found = agreement([[0, 90, 90]], [[200, 180, 180]]).flags()
    assert [flag.region for flag in found if flag.severity == "warning"] == ["extensor"]


def test_answers_that_agree_say_nothing():
    assert agreement([[100, 50, 50]] * 3, [[205, 104, 104]] * 3).flags() == ()


def test_a_network_that_reads_the_tissue_agrees_with_itself_and_one_that_reads_the_side_does_not():
    volume = scan(grid())
    alike = _predict(volume.attenuation_hu, ReadsAttenuation(PREPROCESSING), FLIPPED).mirror
    assert alike is not None
    assert alike.both.shape == (12, 3)
    assert min(alike.group_dice().values()) > 0.95  # the second answer comes from a larger picture: edges differ
    opposed = _predict(volume.attenuation_hu, _LooksLeft(), FLIPPED).mirror
    assert opposed is not None
    assert (opposed.slice_dice() < 0.2).all()


def test_without_flip_averaging_there_is_no_second_answer():
    assert _predict(scan(grid()).attenuation_hu, ReadsAttenuation(PREPROCESSING)).mirror is None


def test_a_segmentation_carries_it_and_raises_no_flag_where_both_agree():
    result = segment_with(scan(grid()), stand_in(), device="cpu")
    assert result.mirror is not None
    assert "network_disagreement" not in {flag.code for flag in result.flags}
