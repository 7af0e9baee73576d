"""The body without the table: cylinders and slabs of known size."""

import numpy as np
import pytest
from leg_phantom import grid, scan

from thighseg_core.body import body_box, body_mask

SPACING_MM = (5.0, 2.0, 2.0)


def _legs():
    return scan(grid()).attenuation_hu.copy()


def test_the_mask_is_the_body_to_the_voxel_at_its_smooth_edge():
    hu = _legs()
    mask = body_mask(hu, SPACING_MM)
    tissue = hu > -300
    assert (mask & ~tissue).sum() == 0
    assert (tissue & ~mask).mean() < 0.001


def test_a_table_top_is_left_out_even_where_a_leg_lies_on_it():
    hu = _legs()
    table = np.zeros(hu.shape, dtype=bool)
    table[:, 82:85, :] = True  # 6 mm thick, below legs that end at row 81
    hu[table & (hu < -300)] = 150
    mask = body_mask(hu, SPACING_MM)
    assert not mask[:, 82:85, :20].any()  # no leg above: nothing of the table
    assert not mask[:, 82:85, 85:105].any()
    assert mask[table].mean() < 0.25  # right below the legs a part may stay
    assert mask[:, 40].any()


def test_padding_outside_the_field_of_view_is_air():
    for padding in (-1024, -2000, -3024):
        hu = _legs()
        hu[:, :, :60] = np.minimum(hu[:, :, :60], padding)
        assert not body_mask(hu, SPACING_MM)[:, :, :60].any()


def test_air_inside_the_body_counts_as_body():
    hu = _legs()
    hu[:, 40:45, 140:145] = -1000
    assert body_mask(hu, SPACING_MM)[:, 40:45, 140:145].all()


def test_the_box_holds_the_body_with_a_margin():
    mask = np.zeros((3, 100, 100), dtype=bool)
    mask[1, 40:50, 20:30] = True
    rows, columns = body_box(mask, (5.0, 2.0, 4.0))
    assert (rows.start, rows.stop) == (34, 56)
    assert (columns.start, columns.stop) == (17, 33)


@pytest.mark.parametrize("value", [-1000, -3024])
def test_air_alone_has_no_body(value):
    hu = np.full((3, 40, 40), value, dtype=np.int16)
    mask = body_mask(hu, SPACING_MM)
    assert not mask.any()
    assert body_box(mask, SPACING_MM) is None


def test_a_single_thin_slice_is_enough():
    hu = _legs()[:1]
    assert body_mask(hu, (0.6, 2.0, 2.0)).any()
