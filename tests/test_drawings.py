"""Drawings of muscle groups become sets of classes: a square of muscle in fat, with bone, air and fascia around."""

import numpy as np
import pytest

from training.allowed import ALL_BITS, bits_of
from training.drawings import BONE, FAT, NONE_OF_THE_GROUPS, allowed_of_drawing

SPACING = (1.0, 1.0)


@pytest.fixture
def picture() -> tuple[np.ndarray, np.ndarray]:
    """60 x 80 pixels of fat: extensor at rows 20-30, columns 20-30, a vessel beside it, air on top, bone below."""
    hu = np.full((60, 80), -100, dtype=np.int16)
    drawn = np.zeros((60, 80), dtype=np.uint8)
    hu[20:30, 20:30] = 50
    drawn[20:30, 20:30] = 1
    hu[24:26, 24:26], drawn[24:26, 24:26] = -80, 0  # fat inside the muscle
    hu[25, 34] = 45  # a vessel
    hu[:14] = -1000
    hu[32:44, 18:30] = 800
    hu[35:41, 21:27] = -60  # marrow
    hu[20:30, 60:70] = 50  # the other leg, not drawn
    return hu, drawn


def test_a_drawn_pixel_is_of_its_group_alone(picture) -> None:
    allowed = allowed_of_drawing(*picture, fascia=None, spacing_mm=SPACING)
    assert allowed[21, 21] == bits_of("extensor")


def test_what_is_not_drawn_near_the_leg_may_be_anything_but_a_group(picture) -> None:
    allowed = allowed_of_drawing(*picture, fascia=None, spacing_mm=SPACING)
    assert allowed[25, 34] == NONE_OF_THE_GROUPS
    assert allowed[25, 36] == FAT
    assert allowed[33, 25] == BONE
    assert allowed[38, 24] == BONE  # marrow is fat by its attenuation, and still bone
    assert allowed[12, 25] == bits_of("background")


def test_fat_inside_a_muscle_may_belong_to_the_group(picture) -> None:
    allowed = allowed_of_drawing(*picture, fascia=None, spacing_mm=SPACING)
    assert allowed[24, 24] == FAT | bits_of("extensor")


def test_the_other_leg_and_pixels_not_annotated_teach_nothing(picture) -> None:
    hu, drawn = picture
    drawn[29, 29] = 255
    allowed = allowed_of_drawing(hu, drawn, fascia=None, spacing_mm=SPACING)
    assert (allowed[20:30, 60:70] == ALL_BITS).all()
    assert allowed[29, 29] == ALL_BITS


def test_near_is_ten_millimetres_whatever_the_pixel_size(picture) -> None:
    allowed = allowed_of_drawing(*picture, fascia=None, spacing_mm=(1.0, 2.0))
    assert allowed[25, 34] == NONE_OF_THE_GROUPS  # five columns from the muscle are 10 mm
    assert allowed[25, 35] == ALL_BITS  # six are 12


def test_the_fascia_tells_fat_within_from_fat_without(picture) -> None:
    hu, drawn = picture
    fascia = np.zeros_like(drawn)
    fascia[16:34, 16:38] = 1
    allowed = allowed_of_drawing(hu, drawn, fascia=fascia, spacing_mm=SPACING)
    assert allowed[27, 34] == bits_of("intermuscular")
    assert allowed[25, 34] == bits_of("intermuscular", "femur", "other_bone")  # the vessel
    assert allowed[27, 39] == bits_of("background", "subcutaneous")
