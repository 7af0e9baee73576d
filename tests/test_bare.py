"""What looks like muscle but lies bare under the skin: genitals between the legs, never a muscle of a leg."""

import numpy as np

from thighseg_core.bare import bare_pieces
from thighseg_core.labels import CLASS_INDEX
from thighseg_core.legs import find_legs

SPACING_MM = (4.0, 1.0, 1.0)
SHAPE = (20, 120, 190)
LEG, OTHER, STRIP = (60, 130), (60, -10), (60, 61)  # middles: row, column
MUSCLE, FAT, FEMUR = (CLASS_INDEX[name] for name in ("adductor", "subcutaneous", "femur"))


def _disk(middle, radius_mm, squeeze=1.0):
    """An ellipse `squeeze` times as wide as it is high."""
    row, column = np.ogrid[: SHAPE[1], : SHAPE[2]]
    return (row - middle[0]) ** 2 + ((column - middle[1]) / squeeze) ** 2 <= radius_mm**2


def _scan(fat_mm=12.0, strip_from=6, strip_to=12):
    """A leg, a piece of another one cut by the image, and a strip of bare tissue between them with 2 mm of skin."""
    classes = np.zeros(SHAPE, dtype=np.uint8)
    classes[:, _disk(LEG, 55.0)] = FAT
    classes[:, _disk(OTHER, 55.0)] = FAT
    classes[:, _disk(LEG, 55.0 - fat_mm)] = MUSCLE
    classes[:, _disk(OTHER, 55.0 - fat_mm)] = MUSCLE
    classes[:, _disk(LEG, 14.0)] = FEMUR
    strip = np.zeros(SHAPE, dtype=bool)
    strip[strip_from:strip_to] = _disk(STRIP, 40.0, squeeze=0.2)
    classes[strip] = FAT
    inner = strip & _disk(STRIP, 38.0, squeeze=6.0 / 38.0)
    classes[inner] = MUSCLE
    return classes, inner


def _bare(classes):
    body = classes > 0
    return bare_pieces((classes == MUSCLE) | (classes == FEMUR), classes == FEMUR, body, spacing_mm=SPACING_MM)


def test_a_strip_of_bare_tissue_between_legs_is_found_and_no_voxel_of_a_leg():
    classes, strip = _scan()
    assert (_bare(classes) == strip).all()


def test_legs_alone_show_nothing_bare():
    classes, _ = _scan(strip_from=0, strip_to=0)
    assert not _bare(classes).any()


def test_a_muscle_of_a_lean_leg_close_under_the_skin_is_not_bare():
    classes, _ = _scan(fat_mm=3.0, strip_from=0, strip_to=0)
    cleft = _disk(LEG, 44.0) & ~_disk(LEG, 41.0)  # fat parts a thin outer muscle from the others
    classes[:, cleft] = FAT
    assert not _bare(classes).any()


def test_the_strip_goes_on_above_within_its_own_outline_for_30_mm():
    classes, strip = _scan(strip_from=4, strip_to=8)
    classes[8:, 20:100, 40:140] = MUSCLE  # the perineum joins all: muscle from leg to leg
    found = _bare(classes)
    outline = strip[7]
    assert found[8:15, outline].mean() > 0.95  # 7 slices of 4 mm
    assert not found[8:, ~outline].any()
    assert not found[15:].any()


def _numbers(classes, **more):
    return find_legs(classes, classes > 0, spacing_mm=SPACING_MM, **more).numbers


def test_bare_tissue_is_of_no_leg_and_takes_no_fat_from_the_leg_it_touches():
    classes, strip = _scan()
    touching = np.s_[9:12, 40:80, 66:80]  # skin on skin, on some slices
    classes[touching] = np.where(classes[touching] == 0, FAT, classes[touching])
    numbers = _numbers(classes)
    assert not numbers[strip].any()
    leg = np.broadcast_to(_disk(LEG, 55.0), SHAPE)
    assert (numbers[leg] == 2).mean() > 0.999
    other = np.broadcast_to(_disk(OTHER, 55.0), SHAPE)
    assert (numbers[other] == 1).mean() > 0.999


def test_where_skins_touch_the_fat_of_each_leg_is_its_own_however_thick():
    classes = np.zeros(SHAPE, dtype=np.uint8)
    leg = np.broadcast_to(_disk((60, 125), 61.0), SHAPE)
    other = np.broadcast_to(_disk((60, 0), 65.0), SHAPE) & ~leg  # skin on skin around column 65
    classes[leg | other] = FAT
    classes[:, _disk((60, 125), 56.0)] = MUSCLE  # 4 mm of fat on this one
    classes[:, _disk((60, 125), 14.0)] = FEMUR
    classes[:, _disk((60, 0), 25.0)] = MUSCLE  # 40 mm on that one
    attenuation_hu = np.where(classes == FAT, -105, np.where(classes > 0, 55, -1000)).astype(np.int16)
    for whole, middle, radius in ((leg, 125, 59.0), (other, 0, 62.0)):
        skin = whole & ~np.broadcast_to(_disk((60, middle), radius), SHAPE)
        attenuation_hu[skin] = 0
    numbers = _numbers(classes, attenuation_hu=attenuation_hu)
    assert (numbers[leg & (classes == FAT)] == 2).mean() > 0.98
    assert (numbers[other] == 1).mean() > 0.98
