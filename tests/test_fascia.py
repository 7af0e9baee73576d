"""Fat outside the muscles of drawn legs: which of it lies deep to the fascia."""

import numpy as np
import pytest

from thighseg_core.fascia import split_fat_at_fascia
from thighseg_core.labels import CLASS_INDEX

EXT, FLEX, INTER, SUB = (CLASS_INDEX[name] for name in ("extensor", "flexor", "intermuscular", "subcutaneous"))


def _two_muscles(fat_class, *, gap_mm, spacing_mm=(1.0, 2.0)):
    """Two blocks of 60 x 40 mm, one above the other, `gap_mm` apart, in fat of one class; 200 x 160 mm."""
    classes = np.full((int(200 / spacing_mm[0]), int(160 / spacing_mm[1])), fat_class, dtype=np.uint8)
    columns = slice(int(60 / spacing_mm[1]), int(100 / spacing_mm[1]))
    top = int(30 / spacing_mm[0])
    below = int((90 + gap_mm) / spacing_mm[0])
    classes[top : int(90 / spacing_mm[0]), columns] = EXT
    classes[below : below + int(60 / spacing_mm[0]), columns] = FLEX
    return classes


def _all(classes):
    return np.ones(classes.shape, dtype=bool)


@pytest.mark.parametrize("fat_class", [INTER, SUB])
def test_fat_in_a_narrow_cleft_is_deep_and_fat_around_the_muscles_is_not(fat_class):
    classes = _two_muscles(fat_class, gap_mm=10)
    sorted_fat = split_fat_at_fascia(classes, _all(classes), spacing_mm=(1.0, 2.0))
    assert (sorted_fat[92:98, 35:45] == INTER).all()  # the middle of the cleft
    outside = np.ones_like(classes, dtype=bool)
    outside[28:162, 28:52] = False
    assert (sorted_fat[outside] == (SUB if fat_class == INTER else fat_class)).all()
    assert ((sorted_fat == EXT) == (classes == EXT)).all()
    assert ((sorted_fat == FLEX) == (classes == FLEX)).all()


def test_a_wide_valley_is_subcutaneous_whatever_was_painted():
    classes = _two_muscles(INTER, gap_mm=46)
    sorted_fat = split_fat_at_fascia(classes, _all(classes), spacing_mm=(1.0, 2.0))
    assert (sorted_fat[110:116] != INTER).all()


def test_the_edge_of_the_image_is_no_edge_of_the_leg():
    classes = _two_muscles(INTER, gap_mm=10)[:, :40]  # the picture ends within the muscles
    sorted_fat = split_fat_at_fascia(classes, _all(classes), spacing_mm=(1.0, 2.0))
    assert (sorted_fat[92:98, 35:40] == INTER).all()


def test_a_crumb_of_muscle_far_out_does_not_lift_the_fascia():
    classes = _two_muscles(INTER, gap_mm=10)
    classes[60:64, 72:75] = EXT  # 24 mm2, 44 mm beside the muscles
    sorted_fat = split_fat_at_fascia(classes, _all(classes), spacing_mm=(1.0, 2.0))
    assert (sorted_fat[60:64, 65:72] == SUB).all()


def test_a_vessel_outside_the_sheet_stays_what_it_is():
    classes = _two_muscles(INTER, gap_mm=10)
    fat = _all(classes)
    fat[50:60, 53:57] = False
    sorted_fat = split_fat_at_fascia(classes, fat, spacing_mm=(1.0, 2.0))
    assert (sorted_fat[50:60, 53:57] == INTER).all()
    assert (sorted_fat[62:70, 53:57] == SUB).all()
