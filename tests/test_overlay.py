from __future__ import annotations

import numpy as np
import pytest

from thighseg_core.errors import InputError
from thighseg_core.overlay import grey, overlay_slice, rgb, rim

ORANGE = (213, 94, 0)  # extensor, #D55E00
BLUE = (0, 114, 178)  # flexor, #0072B2
WINDOW = {"window_centre_hu": 40.0, "window_width_hu": 400.0}


def test_the_window_runs_from_black_to_white_and_clips_beyond():
    values = np.array([[-1000, -160, 40, 240, 3000]], dtype=np.int16)
    assert grey(values, **WINDOW).tolist() == [[0, 0, 128, 255, 255]]


def test_labels_are_mixed_into_the_grey_by_their_opacity():
    image = np.full((1, 3), 40, dtype=np.int16)  # grey 128
    labels = np.array([[0, 1, 4]], dtype=np.uint8)  # background, left extensor, right flexor
    half = overlay_slice(image, labels, opacity=0.5, **WINDOW)
    assert half.dtype == np.uint8
    assert half[0, 0].tolist() == [128, 128, 128]
    assert half[0, 1].tolist() == [170, 111, 64]  # (128 + 213) / 2 = 170.5, to even
    assert overlay_slice(image, labels, opacity=1, **WINDOW)[0, 2].tolist() == list(BLUE)
    assert overlay_slice(image, labels, opacity=0, **WINDOW)[0, 1].tolist() == [128, 128, 128]


def test_left_and_right_of_one_class_have_one_colour():
    labels = np.array([[1, 2]], dtype=np.uint8)
    picture = overlay_slice(np.zeros((1, 2), dtype=np.int16), labels, opacity=1, **WINDOW)
    assert picture[0].tolist() == [list(ORANGE), list(ORANGE)]


def test_an_outline_colours_the_rim_and_leaves_the_inside_grey():
    labels = np.zeros((7, 8), dtype=np.uint8)
    labels[1:6, 1:7] = 1
    picture = overlay_slice(np.full((7, 8), 40, dtype=np.int16), labels, opacity=1, outline=True, **WINDOW)
    coloured = (picture == ORANGE).all(axis=2)
    assert coloured.sum() == 5 * 6 - 3 * 4
    assert picture[3, 3].tolist() == [128, 128, 128]


def test_the_rim_runs_between_two_labels_and_along_the_edge_of_the_picture():
    labels = np.array([[1, 1, 1, 3, 3, 3]], dtype=np.uint8)
    assert rim(labels).all()  # one row: every pixel lies at the edge
    tall = np.repeat(labels, 5, axis=0)
    assert rim(tall)[2].tolist() == [True, False, True, True, False, True]


def test_slices_of_different_shape_are_refused():
    with pytest.raises(InputError, match="one shape"):
        overlay_slice(np.zeros((2, 3), np.int16), np.zeros((3, 2), np.uint8), opacity=0.5, **WINDOW)


@pytest.mark.parametrize(("opacity", "width"), [(1.5, 400), (-0.1, 400), (0.5, 0)])
def test_an_impossible_opacity_or_window_is_refused(opacity, width):
    with pytest.raises(InputError):
        overlay_slice(
            np.zeros((2, 2), np.int16),
            np.zeros((2, 2), np.uint8),
            opacity=opacity,
            window_centre_hu=40,
            window_width_hu=width,
        )


def test_a_colour_is_read_as_red_green_blue():
    assert rgb("#D55E00") == ORANGE
