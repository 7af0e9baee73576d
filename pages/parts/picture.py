"""Slices and the overview as JPEG for the viewer: pure functions on a scan, its labels and a `Look`.

Radiological display: the patient's right is on the left of the picture, anterior is up. Pixels are drawn square
whatever the spacing. Colours and blending come from `thighseg_core.overlay`.
"""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from thighseg_core.axial import axial_view
from thighseg_core.labels import CLASS_INDEX, CLASSES, LabelMap, class_of_label
from thighseg_core.overlay import overlay_slice
from thighseg_core.volume import CTVolume

# (centre, width) in HU. Our choice of presets: the usual soft-tissue window, fat against muscle, cortical bone.
WINDOWS: dict[str, tuple[float, float]] = {"Muscle": (40.0, 400.0), "Fat": (-60.0, 300.0), "Bone": (400.0, 1800.0)}

LONG_SIDE_PX = 960  # of a slice; more is not seen and costs transfer
OVERVIEW_HEIGHT_PX = 420
_JPEG_QUALITY = 90
_SCALE_BAR_MM = 50.0
_INK = (255, 255, 255)


@dataclass(frozen=True)
class Look:
    """How a slice is shown. Hashable, so that it can be part of a cache key.

    classes: the label classes that are coloured; the others show as plain image.
    """

    window: str = "Muscle"
    opacity: float = 0.4
    outline: bool = False
    classes: tuple[str, ...] = CLASSES[1:]


def slice_jpeg(volume: CTVolume, label_map: LabelMap | None, index: int, *, look: Look) -> bytes:
    """One axial slice with its labels, side marks and a 5 cm bar. `index` counts along the scan's own slices."""
    view = axial_view(volume.geometry)
    plane = view.picture(volume.attenuation_hu, index)
    if label_map is None:
        labels = np.zeros(plane.shape, dtype=np.uint8)
    else:
        labels = only_classes(view.picture(label_map.labels, index), look.classes)
    size, px_per_mm = _display_size(plane.shape, view.row_mm, view.column_mm)
    centre_hu, width_hu = WINDOWS[look.window]
    picture = overlay_slice(
        np.asarray(Image.fromarray(plane.astype(np.float32)).resize(size, Image.Resampling.BICUBIC)),
        np.asarray(Image.fromarray(np.ascontiguousarray(labels)).resize(size, Image.Resampling.NEAREST)),
        opacity=look.opacity,
        window_centre_hu=centre_hu,
        window_width_hu=width_hu,
        outline=look.outline,
    )
    image = Image.fromarray(picture)
    _mark_sides(image)
    _scale_bar(image, px_per_mm)
    return _jpeg(image)


def overview(volume: CTVolume, label_map: LabelMap | None) -> NDArray[np.uint8]:
    """(height, width, 3) RGB: the scan seen from the front like a radiograph, muscle groups tinted, head end up."""
    view = axial_view(volume.geometry)
    order = view.caudal_to_cranial()[::-1]
    grey_rows = []
    colour_rows = []
    for index in order:
        plane = view.picture(volume.attenuation_hu, index)
        grey_rows.append(np.clip(plane, -300, 700).mean(axis=0))
        if label_map is None:
            continue
        labels = only_classes(view.picture(label_map.labels, index), _OVERVIEW_CLASSES)
        foremost = (labels > 0).argmax(axis=0)
        colour_rows.append(labels[foremost, np.arange(labels.shape[1])])
    thickness = np.asarray(grey_rows, dtype=np.float32)
    low, high = float(thickness.min()), float(np.percentile(thickness, 99.5))
    labels_2d = np.asarray(colour_rows) if colour_rows else np.zeros(thickness.shape, dtype=np.uint8)
    height = OVERVIEW_HEIGHT_PX
    width = round(height * thickness.shape[1] * view.column_mm / (thickness.shape[0] * view.slice_mm))
    size = (max(60, min(width, 2 * height)), height)
    return overlay_slice(
        np.asarray(Image.fromarray(thickness).resize(size, Image.Resampling.BILINEAR)),
        np.asarray(Image.fromarray(labels_2d).resize(size, Image.Resampling.NEAREST)),
        opacity=0.35,
        window_centre_hu=(low + high) / 2,
        window_width_hu=max(high - low, 1.0),
    )


def overview_jpeg(overview_rgb: NDArray[np.uint8], *, fraction_from_top: float) -> bytes:
    """The overview with the current slice as a line; 0 is the head end, 1 the foot end."""
    image = Image.fromarray(overview_rgb)
    y = round(fraction_from_top * (image.height - 1))
    draw = ImageDraw.Draw(image)
    draw.line([(0, y), (image.width, y)], fill=(255, 214, 10), width=2)
    _mark_sides(image)
    return _jpeg(image)


def thumbnail_jpeg(
    attenuation_2d: NDArray[np.int16] | NDArray[np.float32], *, row_mm: float, column_mm: float
) -> bytes:
    """A slice without labels, 160 pixels on its long side."""
    size, _ = _display_size(attenuation_2d.shape, row_mm, column_mm, long_side_px=160)
    centre_hu, width_hu = WINDOWS["Muscle"]
    small = np.asarray(Image.fromarray(attenuation_2d.astype(np.float32)).resize(size, Image.Resampling.BILINEAR))
    nothing = np.zeros(small.shape, dtype=np.uint8)
    rgb = overlay_slice(small, nothing, opacity=0, window_centre_hu=centre_hu, window_width_hu=width_hu)
    return _jpeg(Image.fromarray(rgb))


def only_classes(labels_2d: NDArray[np.uint8], classes: tuple[str, ...]) -> NDArray[np.uint8]:
    """The labels whose class is among `classes`; 0 elsewhere."""
    class_of = class_of_label()
    keep = np.isin(class_of, [CLASS_INDEX[name] for name in classes])
    table = np.where(keep, np.arange(len(class_of)), 0).astype(np.uint8)
    return np.asarray(table[labels_2d], dtype=np.uint8)


def data_url(picture: bytes | NDArray[np.uint8]) -> str:
    """A JPEG, a PNG or (height, width, 3) RGB pixels as an address that holds the picture itself.

    Streamlit's own addresses are no good for pictures that are replaced: it forgets one at the next run of the script,
    and a browser that asks for it a moment later is told that there is none.
    """
    if isinstance(picture, np.ndarray):
        out = io.BytesIO()
        Image.fromarray(picture).save(out, "PNG")
        picture = out.getvalue()
    kind = "png" if picture.startswith(b"\x89PNG") else "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(picture).decode()}"


_OVERVIEW_CLASSES = tuple(name for name in CLASSES[1:] if name not in ("subcutaneous", "intermuscular", "other_bone"))


def _display_size(
    shape: tuple[int, ...], row_mm: float, column_mm: float, *, long_side_px: int = LONG_SIDE_PX
) -> tuple[tuple[int, int], float]:
    """((width, height) of the picture with square pixels, pixels per mm)."""
    height_mm, width_mm = shape[0] * row_mm, shape[1] * column_mm
    px_per_mm = long_side_px / max(height_mm, width_mm)
    return (max(1, round(width_mm * px_per_mm)), max(1, round(height_mm * px_per_mm))), px_per_mm


def _mark_sides(image: Image.Image) -> None:
    """R on the left edge and L on the right edge: the patient's sides as radiologists look at them."""
    font = ImageFont.load_default(size=max(14, max(image.size) // 26))
    draw = ImageDraw.Draw(image)
    middle, margin = image.height // 2, max(4, image.width // 90)
    outline = {"fill": _INK, "font": font, "stroke_width": 2, "stroke_fill": (0, 0, 0)}
    draw.text((margin, middle), "R", anchor="lm", **outline)
    draw.text((image.width - margin, middle), "L", anchor="rm", **outline)


def _scale_bar(image: Image.Image, px_per_mm: float) -> None:
    length = _SCALE_BAR_MM * px_per_mm
    if length > image.width / 2:
        return
    draw = ImageDraw.Draw(image)
    right, y = image.width - 18, image.height - 18
    draw.line([(right - length, y), (right, y)], fill=_INK, width=3)
    font = ImageFont.load_default(size=max(13, max(image.size) // 42))
    draw.text(
        (right - length / 2, y - 12), "5 cm", anchor="ms", fill=_INK, font=font, stroke_width=2, stroke_fill=(0, 0, 0)
    )


def _jpeg(image: Image.Image) -> bytes:
    out = io.BytesIO()
    image.save(out, "JPEG", quality=_JPEG_QUALITY)
    return out.getvalue()
