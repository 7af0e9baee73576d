"""Two slices on each other: areas and colours of squares laid out by hand, with unequal pixels and a shifted leg."""

from __future__ import annotations

import numpy as np
import pytest

from pages.parts.change_picture import GAINED, LOST, Level, change_rgb, enlarged
from thighseg_core.labels import label_value

ROW_MM, COLUMN_MM = 2.0, 5.0
FEMUR, MUSCLE = label_value("femur", "left"), label_value("extensor", "left")


def level(*, muscle: slice, femur_at: tuple[int, int], row_mm: float = ROW_MM) -> Level:
    """One femur pixel, and muscle over `muscle` of the columns on four rows below it."""
    labels = np.zeros((30, 40), dtype=np.uint8)
    row, column = femur_at
    labels[row, column] = FEMUR
    labels[row + 1 : row + 5, column + muscle.start : column + muscle.stop] = MUSCLE
    return Level(np.zeros(labels.shape, np.int16), labels, row_mm, COLUMN_MM, 0.0)


def test_what_is_lost_and_gained_is_counted_after_the_femurs_are_laid_on_each_other() -> None:
    before = level(muscle=slice(0, 6), femur_at=(10, 10))
    after = level(muscle=slice(2, 7), femur_at=(14, 3))  # the leg lies elsewhere
    picture, (area,) = change_rgb(before, after, classes=("extensor",))
    pixel_cm2 = ROW_MM * COLUMN_MM / 100
    assert area.side == "left"
    assert area.before_cm2 == pytest.approx(4 * 6 * pixel_cm2)
    assert area.after_cm2 == pytest.approx(4 * 5 * pixel_cm2)
    assert area.lost_cm2 == pytest.approx(4 * 2 * pixel_cm2)
    assert area.gained_cm2 == pytest.approx(4 * 1 * pixel_cm2)
    assert nearest(picture[15, 3]) == LOST
    assert nearest(picture[15, 9]) == GAINED


def nearest(colour: np.ndarray) -> str:
    """Which of the two colours a pixel is tinted with."""
    both = {name: np.array([int(name[i : i + 2], 16) for i in (1, 3, 5)]) for name in (LOST, GAINED)}
    return min(both, key=lambda name: float(np.abs(colour - 0.75 * both[name]).sum()))


def test_pixels_of_another_size_are_compared_in_millimetres() -> None:
    before = level(muscle=slice(0, 6), femur_at=(10, 10))
    labels = np.zeros((60, 40), dtype=np.uint8)
    labels[20, 10] = FEMUR
    labels[21:30, 10:16] = MUSCLE  # rows of 1 mm: the same four rows of 2 mm, and one more millimetre
    after = Level(np.zeros(labels.shape, np.int16), labels, ROW_MM / 2, COLUMN_MM, 0.0)
    _, (area,) = change_rgb(before, after, classes=("extensor",))
    assert area.before_cm2 == pytest.approx(2.4)
    assert area.after_cm2 == pytest.approx(2.7)
    assert area.lost_cm2 + area.gained_cm2 <= 0.6 + 1e-9  # at most a row of rounding above and below


def test_a_leg_without_femur_on_one_slice_is_left_out() -> None:
    before, after = (level(muscle=slice(0, 6), femur_at=(10, 10)) for _ in range(2))
    after.labels[after.labels == FEMUR] = 0
    assert change_rgb(before, after, classes=("extensor",))[1] == ()


def test_the_picture_is_cut_to_the_leg_with_square_millimetres() -> None:
    one = level(muscle=slice(0, 6), femur_at=(10, 10))
    picture, _ = change_rgb(one, one, classes=("extensor",))
    height, width, _ = enlarged(picture, one).shape
    # rows 10 to 14 with 8 rows (15 mm) around: 2 to 22, 21 rows of 2 mm at 3 px/mm; columns 7 to 18, 12 of 5 mm
    assert (height, width) == (21 * 2 * 3, 12 * 5 * 3)
