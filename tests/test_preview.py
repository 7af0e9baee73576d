from __future__ import annotations

import numpy as np

from tests.boxes import boxes, scan
from thighseg_core.axial import axial_view
from thighseg_core.geometry import Geometry
from thighseg_core.labels import LabelMap
from thighseg_core.preview import preview, preview_slices

SHAPE = (21, 40, 60)
AFFINE = np.array([[0, 0, 2.0, -60], [0, 3.0, 0, -60], [5.0, 0, 0, -300], [0, 0, 0, 1]])
GEOMETRY = Geometry(SHAPE, AFFINE)
LEFT_EXTENSOR = (1, 50, (slice(4, 17), slice(10, 30), slice(40, 55)))  # larger columns: the patient's left


def orange(picture: np.ndarray) -> np.ndarray:
    """Pixels tinted with the colour of the extensors: clearly more red than blue."""
    return picture[..., 0].astype(int) - picture[..., 2] > 40


def test_five_slices_from_the_first_to_the_last_that_is_labelled():
    volume, label_map = boxes([LEFT_EXTENSOR], geometry=GEOMETRY)
    assert preview_slices(label_map, axial_view(volume.geometry)) == [4, 7, 10, 13, 16]


def test_slices_run_from_the_feet_to_the_head_whichever_way_they_are_stored():
    volume, label_map = boxes([LEFT_EXTENSOR], geometry=GEOMETRY)
    affine = AFFINE.copy()
    affine[2, 0], affine[2, 3] = -5.0, -200.0
    flipped = Geometry(SHAPE, affine)
    stored = LabelMap(label_map.labels[::-1], flipped)
    assert preview_slices(stored, axial_view(flipped)) == [16, 13, 10, 7, 4]
    one = np.asarray(preview(volume, label_map).crop((0, 0, 1600, 300)))
    other = np.asarray(preview(scan(volume.attenuation_hu[::-1], flipped), stored).crop((0, 0, 1600, 300)))
    assert np.array_equal(one, other)


def test_the_patients_left_is_on_the_right_of_every_panel():
    sheet = np.asarray(preview(*boxes([LEFT_EXTENSOR], geometry=GEOMETRY)))[:300]
    panel = (sheet.shape[1] - 8) // 5
    for number in range(5):
        part = orange(sheet[:, 8 + number * panel : 8 + (number + 1) * panel])
        assert part[:, panel // 2 + 10 :].sum() > 1000
        assert part[:, : panel // 2 - 10].sum() == 0


def test_millimetres_are_square_whatever_the_spacing():
    sheet = np.asarray(preview(*boxes([LEFT_EXTENSOR], geometry=GEOMETRY)))[:300, :328]
    rows, columns = np.nonzero(orange(sheet))
    # 20 rows of 3 mm by 15 columns of 2 mm
    ratio = (np.ptp(rows) + 1) / (np.ptp(columns) + 1)
    assert abs(ratio - 2) < 0.05


def test_a_scan_without_labels_or_of_one_slice_still_has_a_preview():
    assert preview(*boxes([], geometry=GEOMETRY)).width > 1000
    assert preview(*boxes([], geometry=Geometry((1, 40, 60), AFFINE))).width > 1000
