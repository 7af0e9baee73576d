from __future__ import annotations

from dataclasses import replace

import pytest

from thighseg_core.quality_study import STUDY_FLAG_DESCRIPTIONS, Protocol, study_flags

USUAL = Protocol(tube_voltage_kvp=120.0, convolution_kernel="B30f", slice_thickness_mm=5.0, contrast_agent=None)


def codes(one: Protocol, others: list[Protocol]) -> set[str]:
    return {flag.code for flag in study_flags(one, [one, *others])}


def test_a_scan_acquired_as_the_others_is_not_set_apart():
    assert study_flags(USUAL, [USUAL] * 4) == ()
    assert codes(replace(USUAL, convolution_kernel=" b30F "), [USUAL] * 3) == set()
    assert codes(replace(USUAL, tube_voltage_kvp=120.2, contrast_agent="NONE"), [USUAL] * 3) == set()


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        (replace(USUAL, tube_voltage_kvp=100.0), "study_tube_voltage"),
        (replace(USUAL, convolution_kernel="B70s"), "study_kernel"),
        (replace(USUAL, slice_thickness_mm=1.0), "study_slice_thickness"),
        (replace(USUAL, contrast_agent="iohexol"), "study_contrast_agent"),
    ],
)
def test_what_most_scans_of_the_study_do_not_have_is_flagged(changed, code):
    (flag,) = study_flags(changed, [changed, USUAL, USUAL, USUAL])
    assert flag.code == code
    assert flag.code in STUDY_FLAG_DESCRIPTIONS
    assert "3 of the 4 scans" in flag.message
    assert flag.consequence


def test_a_study_without_a_usual_way_flags_nothing():
    other = replace(USUAL, tube_voltage_kvp=100.0)
    assert codes(other, [USUAL]) == set()  # two scans
    assert codes(other, [other, USUAL, USUAL]) == set()  # half and half


def test_what_the_header_does_not_say_is_not_compared():
    assert codes(replace(USUAL, convolution_kernel=None), [USUAL] * 3) == set()
    silent = replace(USUAL, convolution_kernel=None)
    assert codes(replace(USUAL, convolution_kernel="B70s"), [USUAL, silent, silent]) == set()
