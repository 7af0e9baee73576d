"""Viewer pictures, read back as pixels: sides, proportions, colours, the line of the current slice."""

from __future__ import annotations

import ast
import base64
import io
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

import pages
from pages.parts import picture
from pages.parts.picture import Look
from thighseg_core.geometry import Geometry
from thighseg_core.labels import COLOURS, LabelMap, label_value
from thighseg_core.overlay import rgb
from thighseg_core.volume import CTVolume, SeriesInfo

SPACING_MM = (5.0, 0.5, 1.0)  # slice, row, column: half as high as it is wide


def scan(*, mirrored: bool = False, shape: tuple[int, int, int] = (4, 100, 100)) -> tuple[CTVolume, LabelMap]:
    """A water block; extensor of the patient's left in the quarter that is left and anterior, on slice 1 only.

    mirrored: columns run to the patient's right instead of to the left.
    """
    affine = np.zeros((4, 4))
    affine[2, 0], affine[1, 1], affine[0, 2] = (
        SPACING_MM[0],
        SPACING_MM[1],
        -SPACING_MM[2] if mirrored else SPACING_MM[2],
    )
    affine[3, 3] = 1
    geometry = Geometry(shape=shape, affine=affine)
    labels = np.zeros(shape, dtype=np.uint8)
    columns = slice(0, shape[2] // 2) if mirrored else slice(shape[2] // 2, None)
    labels[1, : shape[1] // 2, columns] = label_value("extensor", "left")
    info = SeriesInfo(series_uid="1.2", source_format="DICOM", digest_sha256="0" * 64)
    return CTVolume(np.zeros(shape, dtype=np.int16), geometry, info), LabelMap(labels, geometry)


def pixels(jpeg: bytes) -> NDArray[np.uint8]:
    return np.asarray(Image.open(io.BytesIO(jpeg)).convert("RGB"))


def near(pixel: NDArray[np.uint8], colour: tuple[int, int, int]) -> bool:
    return bool(np.abs(pixel.astype(int) - colour).max() < 12)


QUARTERS = (0.125, 0.375, 0.625, 0.875)
GREY_OF_WATER = 255 * (0 - (40 - 200)) / 400  # window 40/400


@pytest.mark.parametrize("mirrored", [False, True])
def test_the_patients_left_is_on_the_right_of_the_picture_however_the_columns_run(mirrored: bool) -> None:
    volume, labels = scan(mirrored=mirrored)
    shown = pixels(picture.slice_jpeg(volume, labels, 1, look=Look(opacity=1.0)))
    height, width, _ = shown.shape
    assert near(shown[height // 4, 3 * width // 4], rgb(COLOURS["extensor"])), "left anterior: upper right"
    for row, column in ((height // 4, width // 4), (3 * height // 4, width // 4), (3 * height // 4, 3 * width // 4)):
        assert near(shown[row, column], (int(GREY_OF_WATER),) * 3)


def test_pixels_are_square_whatever_the_spacing() -> None:
    volume, labels = scan()
    height, width, _ = pixels(picture.slice_jpeg(volume, labels, 1, look=Look())).shape
    assert (width, height) == (picture.LONG_SIDE_PX, picture.LONG_SIDE_PX // 2)  # 100 mm by 50 mm


def test_a_class_that_is_switched_off_shows_as_plain_image() -> None:
    volume, labels = scan()
    shown = pixels(picture.slice_jpeg(volume, labels, 1, look=Look(opacity=1.0, classes=("flexor",))))
    assert near(shown[shown.shape[0] // 4, 3 * shown.shape[1] // 4], (int(GREY_OF_WATER),) * 3)


def test_an_outline_leaves_the_inside_uncovered() -> None:
    volume, labels = scan()
    shown = pixels(picture.slice_jpeg(volume, labels, 1, look=Look(opacity=1.0, outline=True)))
    assert near(shown[shown.shape[0] // 4, 3 * shown.shape[1] // 4], (int(GREY_OF_WATER),) * 3)


def test_a_scan_without_labels_can_be_looked_at() -> None:
    volume, _ = scan()
    assert pixels(picture.slice_jpeg(volume, None, 0, look=Look())).shape[2] == 3
    assert picture.overview(volume, None).shape[2] == 3


def test_windows_differ_in_what_is_black() -> None:
    volume, labels = scan()
    brightness = {
        name: int(pixels(picture.slice_jpeg(volume, labels, 0, look=Look(window=name)))[120, 500, 0])
        for name in picture.WINDOWS
    }
    # water: (0 - low) / width of each window
    assert brightness["Muscle"] == pytest.approx(255 * 160 / 400, abs=3)
    assert brightness["Fat"] == pytest.approx(255 * 210 / 300, abs=3)
    assert brightness["Bone"] == pytest.approx(255 * 500 / 1800, abs=3)


def test_the_overview_has_the_head_up_and_tints_the_labelled_slice() -> None:
    volume, labels = scan()  # labels on slice 1 of 4, counted from the feet: the third quarter from the top
    shown = picture.overview(volume, labels)
    column = shown[:, 3 * shown.shape[1] // 4].astype(int)
    tinted = [abs(column[round(len(column) * at), 0] - column[round(len(column) * at), 2]) > 10 for at in QUARTERS]
    assert tinted == [False, False, True, False]


def test_the_line_of_the_current_slice_stands_where_it_is() -> None:
    volume, labels = scan()
    marked = pixels(picture.overview_jpeg(picture.overview(volume, labels), fraction_from_top=0.75))
    yellow = (marked[:, marked.shape[1] // 4, 0].astype(int) - marked[:, marked.shape[1] // 4, 2]) > 120
    assert np.flatnonzero(yellow).mean() == pytest.approx(0.75 * (marked.shape[0] - 1), abs=2)


def test_only_named_classes_are_kept_on_both_sides() -> None:
    labels = np.arange(18, dtype=np.uint8).reshape(3, 6)
    kept = picture.only_classes(labels, ("flexor", "other_bone"))
    assert set(np.unique(kept)) == {0, 3, 4, 17}


def test_an_address_holds_the_whole_picture() -> None:
    volume, labels = scan()
    jpeg = picture.slice_jpeg(volume, labels, 1, look=Look())
    kind, _, content = picture.data_url(jpeg).partition(",")
    assert (kind, base64.b64decode(content)) == ("data:image/jpeg;base64", jpeg)
    rgb_pixels = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)
    kind, _, content = picture.data_url(rgb_pixels).partition(",")
    assert kind == "data:image/png;base64"
    assert (pixels(base64.b64decode(content)) == rgb_pixels).all(), "without loss"


def test_no_page_leaves_a_picture_to_streamlit_which_forgets_it_at_the_next_run() -> None:
    shown = [
        ast.unparse(call)
        for path in Path(pages.__file__).parent.rglob("*.py")
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr == "image"
    ]
    assert len(shown) > 3
    assert [call for call in shown if "data_url(" not in call] == []
