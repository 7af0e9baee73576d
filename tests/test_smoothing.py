"""What is taken out of a noisy slice before counting, and what stays."""

from __future__ import annotations

import numpy as np
import pytest

from tests.boxes import boxes, scan
from tests.test_quality import AFFINE, SHAPE, raised
from thighseg_core.census import take_census
from thighseg_core.comparison import compare_label_maps
from thighseg_core.geometry import Geometry
from thighseg_core.histogram import band_volume_cm3
from thighseg_core.labels import LabelMap, label_value
from thighseg_core.measure import measure_all
from thighseg_core.smoothing import reach_hu, smoothed
from thighseg_core.tissue import DEFAULT_PRESET, PRESETS
from thighseg_core.volume import CTVolume

MUSCLE, FAT = label_value("extensor", "left"), label_value("subcutaneous", "left")
PLACE = (slice(2, 28), slice(5, 35), slice(32, 58))


def test_nothing_is_smoothed_up_to_the_ordinary_noise_and_more_the_more_it_exceeds_it():
    assert reach_hu(8.0, 8.0) == reach_hu(None, 8.0) == reach_hu(50.0, None) == 0.0
    assert reach_hu(10.0, 8.0) == pytest.approx(2 * 2**0.5 * 6.0)  # 6, 8 and 10 make a right angle
    assert reach_hu(8.001, 8.0) < 0.5
    assert reach_hu(80.0, 8.0) == 60.0  # fat of -100 and muscle of 30 HU are 130 HU apart


def test_a_pixel_becomes_the_mean_of_the_pixels_of_its_label_within_two_millimetres_and_within_reach():
    hu = np.array([[0, 10, 20, 30, 40, -100, 0]], dtype=np.int16)
    labels = np.array([[1, 1, 1, 1, 1, 1, 2]], dtype=np.uint8)
    found = smoothed(hu, labels, reach_hu=20.0, pixel_mm=(1.0, 1.0))
    # the third: 0, 10, 20, 30, 40; the fifth: 20, 30, 40 but not -100; label 2 and fat have nothing like them
    assert found.tolist() == [[10, 15, 20, 25, 30, -100, 0]]


def test_a_mean_halfway_between_two_whole_numbers_goes_towards_the_pixels_own_value():
    hu, labels = np.array([[-31, -28, -200, 40, 43]], dtype=np.int16), np.ones((1, 5), dtype=np.uint8)
    found = smoothed(hu, labels, reach_hu=5.0, pixel_mm=(2.0, 2.0))
    assert found.tolist() == [[-30, -29, -200, 41, 42]]  # means -29.5 and 41.5


@pytest.mark.parametrize("pixel_mm", [(1.0, 2.0), (2.0, 1.0)])
def test_the_window_is_two_millimetres_wide_whatever_the_pixel(pixel_mm):
    hu, labels = np.zeros((7, 7), dtype=np.int16), np.ones((7, 7), dtype=np.uint8)
    hu[3, 3] = 9
    changed = np.argwhere(smoothed(hu, labels, reach_hu=9.0, pixel_mm=pixel_mm) != hu) - 3
    reach = [int(2 / step) for step in pixel_mm]
    assert np.abs(changed).max(axis=0).tolist() == reach


def test_unlabelled_pixels_and_whatever_has_no_like_stay_as_they_are():
    hu = np.random.default_rng(0).integers(-3000, 3000, (9, 11)).astype(np.int16)
    assert (smoothed(hu, np.zeros(hu.shape, dtype=np.uint8), reach_hu=60.0, pixel_mm=(1.0, 1.0)) == hu).all()
    apart = np.arange(99, dtype=np.uint8).reshape(9, 11) + 1
    assert (smoothed(hu, apart, reach_hu=60.0, pixel_mm=(1.0, 1.0)) == hu).all()


def streaked(sd_hu: float) -> tuple[CTVolume, LabelMap]:
    """Muscle of 30 HU, 30 rows, of which 4 are fat of -90 HU, in white noise."""
    volume, labels = boxes([(MUSCLE, 30, PLACE)], geometry=Geometry(SHAPE, AFFINE), slice_thickness_mm=5.0)
    hu = volume.attenuation_hu.astype(float)
    hu[2:28, 25:35:3, 32:58] = -90
    hu[PLACE] += np.random.default_rng(4).normal(0, sd_hu, hu[PLACE].shape)
    return scan(np.rint(hu).astype(np.int16), volume.geometry), labels


def fat_percent(preset: str, sd_hu: float) -> float:
    found = measure_all(*streaked(sd_hu), preset=PRESETS[preset]).measurements
    (value,) = [
        m.value
        for m in found
        if (m.region, m.side, m.extent, m.metric) == ("extensor", "left", "full", "intramuscular_fat_percent")
    ]
    assert value is not None
    return value


def test_fat_in_noise_is_nearer_the_truth_than_counted_as_it_is_and_equal_to_it_without_noise():
    assert fat_percent("long_dennis_150", 7.0) == fat_percent("long_dennis_150_as_is", 7.0)
    true_percent = 100 * 4 / 30
    error = abs(fat_percent("long_dennis_150", 35.0) - true_percent)
    assert error < 0.7 * abs(fat_percent("long_dennis_150_as_is", 35.0) - true_percent)


def test_the_stored_histogram_is_of_what_was_measured_so_that_bands_agree_with_the_measurements():
    measured = measure_all(*streaked(30.0))
    assert measured.census.reach_hu > 0
    values = {(m.region, m.side, m.extent, m.metric): m.value for m in measured.measurements}
    lean = band_volume_cm3(measured.histograms, DEFAULT_PRESET.lean_hu, region="extensor", side="left")
    assert lean == pytest.approx(values["extensor", "left", "full", "lean_volume"])
    raw = take_census(*streaked(30.0))
    assert lean != pytest.approx(raw.histogram[MUSCLE, 2**15 - 29 : 2**15 + 151].sum() * raw.voxel_volume_cm3)


def test_a_scan_that_was_smoothed_says_so():
    from thighseg_core.quality import flags

    for sd_hu, expected in ((6.0, False), (15.0, True)):
        volume, labels = streaked(sd_hu)
        codes = {flag.code for flag in flags(volume, labels, census=measure_all(volume, labels).census)}
        assert ("noise_smoothed" in codes) is expected
    assert "noise_smoothed" not in raised(*streaked(15.0))  # counted as it is


def test_a_comparison_with_a_reader_counts_what_was_measured():
    volume, labels = streaked(30.0)
    measured = {(m.region, m.side, m.extent, m.metric): m.value for m in measure_all(volume, labels).measurements}
    compared = {(v.region, v.side, v.metric): v for v in compare_label_maps(volume, labels, labels).values}
    for metric in ("lean_volume", "intramuscular_fat_percent", "lean_attenuation"):
        found = compared["extensor", "left", metric]
        assert (found.reference_value, found.test_value) == (
            pytest.approx(measured["extensor", "left", "full", metric]),
        ) * 2
