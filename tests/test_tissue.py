from __future__ import annotations

import numpy as np
import pytest

from thighseg_core.tissue import DEFAULT_PRESET, PRESETS, HUPreset, rounded_hu


def test_the_default_ranges_are_those_of_the_literature():
    assert DEFAULT_PRESET.lean_hu == (-29, 150)
    assert DEFAULT_PRESET.fat_hu == (-190, -30)
    assert DEFAULT_PRESET.low_hu == (0, 34)
    assert DEFAULT_PRESET.normal_hu == (35, 100)


def test_fat_and_lean_meet_without_gap_or_overlap_in_every_preset():
    for preset in PRESETS.values():
        assert preset.fat_hu[1] + 1 == preset.lean_hu[0]


def test_every_preset_names_its_source_and_unread_sources_are_called_our_convention():
    assert all(preset.citation for preset in PRESETS.values())
    assert "our convention" in PRESETS["nama_lama"].citation


def test_a_preset_whose_ranges_overlap_is_refused():
    with pytest.raises(ValueError, match="count twice"):
        HUPreset("bad", lean_hu=(-30, 150), fat_hu=(-190, -30), low_hu=(0, 34), normal_hu=(35, 100), citation="x")


def test_a_preset_whose_range_runs_backwards_is_refused():
    with pytest.raises(ValueError, match="range low"):
        HUPreset("bad", lean_hu=(-29, 150), fat_hu=(-190, -30), low_hu=(34, 0), normal_hu=(35, 100), citation="x")


def test_attenuation_that_is_not_whole_is_rounded_so_that_none_falls_between_fat_and_lean():
    assert rounded_hu(np.array([-29.6, -29.4, 150.4, 40.0], dtype=np.float32)).tolist() == [-30, -29, 150, 40]


def test_attenuation_beyond_int16_is_clipped_not_wrapped():
    assert rounded_hu(np.array([1e6, -1e6], dtype=np.float32)).tolist() == [32767, -32768]


def test_whole_attenuation_is_passed_through_unchanged():
    values = np.array([-3024, 0, 3071], dtype=np.int16)
    assert rounded_hu(values) is values or np.array_equal(rounded_hu(values), values)
