from __future__ import annotations

import numpy as np
import pytest

from tests.boxes import SHAPE, axial_geometry, boxes, scan
from thighseg_core.census import HU_MIN, take_census
from thighseg_core.errors import GeometryMismatchError
from thighseg_core.geometry import Geometry
from thighseg_core.labels import LabelMap
from thighseg_core.volume import CTVolume

INSIDE = (slice(2, 5), slice(6, 10), slice(10, 17))  # 3 x 4 x 7 voxels
EXTENSOR_LEFT = 1


def test_voxels_are_counted_by_slice_label_and_attenuation():
    census = take_census(*boxes([(EXTENSOR_LEFT, 55, INSIDE), (4, -80, (slice(0, 8), slice(1, 2), slice(1, 4)))]))
    assert census.voxels[:, EXTENSOR_LEFT].tolist() == [0, 0, 28, 28, 28, 0, 0, 0]
    assert census.voxels[:, 4].tolist() == [3] * 8
    assert census.voxels[0, 0] == 20 * 30 - 3
    assert census.histogram[EXTENSOR_LEFT, 55 - HU_MIN] == 84
    assert census.histogram[EXTENSOR_LEFT].sum() == 84
    assert census.histogram[4, -80 - HU_MIN] == 24


def test_slabs_do_not_lose_or_repeat_slices():
    geometry = axial_geometry((37, 5, 6))  # more than two slabs, the last one short
    volume, label_map = boxes([(3, 10, (slice(None), slice(1, 3), slice(1, 4)))], geometry=geometry)
    census = take_census(volume, label_map)
    assert census.voxels[:, 3].tolist() == [6] * 37
    assert census.histogram[3, 10 - HU_MIN] == 222


@pytest.mark.parametrize(
    ("where", "touches"),
    [
        ((slice(2, 4), slice(0, 3), slice(5, 9)), True),
        ((slice(2, 4), slice(17, 20), slice(5, 9)), True),
        ((slice(2, 4), slice(5, 9), slice(0, 2)), True),
        ((slice(2, 4), slice(5, 9), slice(28, 30)), True),
        ((slice(2, 4), slice(1, 19), slice(1, 29)), False),
        ((slice(0, 8), slice(5, 9), slice(5, 9)), False),  # the first and last slice are no in-plane edge
    ],
)
def test_only_the_edge_within_the_slice_is_a_border(where, touches):
    census = take_census(*boxes([(EXTENSOR_LEFT, 50, where)]))
    expected = [touches and where[0].start <= k < where[0].stop for k in range(8)]
    assert census.at_border[:, EXTENSOR_LEFT].tolist() == expected


def round_reconstruction(*, centre: tuple[float, float], radius: float, noise_hu: float) -> tuple[CTVolume, LabelMap]:
    """Air of -1000 HU inside a circle, -1024 outside; label 15 up to column 62 of a slice, 16 up to 59 of another."""
    n = 64
    geometry = Geometry((6, n, n), axial_geometry().affine)
    y, x = np.indices((n, n))
    attenuation = np.random.default_rng(0).normal(-1000, noise_hu, (6, n, n)).astype(np.int16)
    attenuation[:, np.hypot(y - centre[0], x - centre[1]) > radius] = -1024
    labels = np.zeros((6, n, n), dtype=np.uint8)
    labels[1, 30:34, 55:63] = 15
    labels[2, 30:34, 55:60] = 16
    attenuation[labels > 0] = 50
    return scan(attenuation, geometry), LabelMap(labels, geometry)


@pytest.mark.parametrize(("centre", "radius"), [((31.5, 31.5), 31.0), ((20.0, 22.0), 42.0)])
def test_tissue_at_the_rim_of_the_reconstruction_circle_touches_the_border(centre, radius):
    # the circle ends at column 62 or 63 in these rows; label 15 reaches it, label 16 stays three pixels away
    census = take_census(*round_reconstruction(centre=centre, radius=radius, noise_hu=10))
    assert census.at_border[:, 15].tolist() == [False, True, False, False, False, False]
    assert not census.at_border[:, 16].any()


def test_noise_that_is_cut_off_at_the_value_of_the_padding_does_not_hide_the_circle():
    volume, label_map = round_reconstruction(centre=(31.5, 31.5), radius=31.0, noise_hu=40)
    clipped = np.maximum(volume.attenuation_hu, -1024).astype(np.int16)  # a quarter of the air is -1024 now
    assert take_census(scan(clipped, volume.geometry), label_map).at_border[1, 15]


def test_constant_air_is_not_taken_for_the_outside_of_a_circle():
    volume, label_map = round_reconstruction(centre=(31.5, 31.5), radius=31.0, noise_hu=0)
    flat = np.where(volume.attenuation_hu < -900, np.int16(-1024), volume.attenuation_hu)
    census = take_census(scan(flat, volume.geometry), label_map)
    assert not census.never_filled.any()
    assert not census.at_border.any()


def test_quiet_air_that_is_the_same_on_every_slice_is_no_circle():
    # noise is cut off at -1000 and weak in one corner, as in real low-dose scans with clothes around the leg
    volume, label_map = round_reconstruction(centre=(31.5, 31.5), radius=99.0, noise_hu=10)
    quiet = np.maximum(volume.attenuation_hu, -1000).astype(np.int16)
    y, x = np.indices(quiet.shape[1:])
    quiet[:, y + x < 40] = -1000
    census = take_census(scan(quiet, volume.geometry), label_map)
    assert not census.never_filled.any()


def test_without_a_constant_corner_there_is_no_circle():
    volume, label_map = round_reconstruction(centre=(31.5, 31.5), radius=99.0, noise_hu=10)
    assert not take_census(volume, label_map).never_filled.any()


def test_metal_is_counted_on_each_slice_even_where_nothing_is_labelled():
    volume, label_map = boxes([(EXTENSOR_LEFT, 50, INSIDE)])
    shiny = volume.attenuation_hu.copy()
    shiny[6, 0, :5] = 3001
    shiny[7, 0, :5] = 3000  # not above the limit
    assert take_census(scan(shiny, volume.geometry), label_map).metal.tolist() == [0, 0, 0, 0, 0, 0, 5, 0]


def test_a_label_map_on_another_grid_is_refused_with_what_to_do():
    volume, _ = boxes([])
    moved = axial_geometry(origin_mm=(-7, -19, 101))
    with pytest.raises(GeometryMismatchError, match="resample the label map"):
        take_census(volume, LabelMap(np.zeros(SHAPE, dtype=np.uint8), moved))


def test_an_empty_label_map_gives_an_empty_census():
    census = take_census(*boxes([]))
    assert census.voxels[:, 1:].sum() == 0
    assert census.histogram.sum() == 0
