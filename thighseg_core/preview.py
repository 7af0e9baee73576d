"""Five slices of a labelled scan side by side: the picture to look at before the numbers are believed."""

from __future__ import annotations

from PIL import Image, ImageDraw, ImageFont

from thighseg_core.axial import AxialView, axial_view
from thighseg_core.labels import CLASSES, COLOURS, LabelMap
from thighseg_core.overlay import SOFT_TISSUE_CENTRE_HU, SOFT_TISSUE_WIDTH_HU, overlay_slice, rgb
from thighseg_core.volume import CTVolume

SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)  # of the labelled extent, from the feet to the head
OPACITY = 0.4
_PANEL_PX = 320  # width of a panel, longer side of a slice
_MARGIN_PX = 8
_TEXT_PX = 16
_INK = (255, 255, 255)
_GROUND = (0, 0, 0)
_SHEET = (48, 48, 48)  # tells neighbouring slices apart


def preview(volume: CTVolume, label_map: LabelMap) -> Image.Image:
    """First, 25 %, 50 %, 75 % and last slice of the labelled extent, feet to head, with overlay, marks and legend.

    Radiological display: the patient's right (R) is on the left of each slice. Without labels the whole scan counts.
    """
    view = axial_view(volume.geometry)
    indices = preview_slices(label_map, view)
    panels = [_panel(volume, label_map, view, index) for index in indices]
    width, height = panels[0].size
    caption_px = _TEXT_PX + _MARGIN_PX
    sheet = Image.new(
        "RGB",
        (len(panels) * (width + _MARGIN_PX) + _MARGIN_PX, height + 2 * (caption_px + _MARGIN_PX)),
        _SHEET,
    )
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(_TEXT_PX)
    for number, (panel, index) in enumerate(zip(panels, indices, strict=True)):
        x = _MARGIN_PX + number * (width + _MARGIN_PX)
        sheet.paste(panel, (x, _MARGIN_PX))
        text = f"slice {index + 1} of {view.n_slices}, z {view.z_mm[index]:.0f} mm"
        draw.text((x, height + _MARGIN_PX), text, fill=_INK, font=font)
    _legend(draw, (_MARGIN_PX, height + _MARGIN_PX + caption_px), sheet.width, font)
    return sheet


def preview_slices(label_map: LabelMap, view: AxialView) -> list[int]:
    """The slice indices of the five panels, from the feet to the head."""
    labels = view.slices(label_map.labels)
    order = view.caudal_to_cranial()
    held = [position for position, index in enumerate(order) if labels[index].any()]
    first, last = (held[0], held[-1]) if held else (0, len(order) - 1)
    return [order[first + round(share * (last - first))] for share in SHARES]


def _panel(volume: CTVolume, label_map: LabelMap, view: AxialView, index: int) -> Image.Image:
    """One slice with square millimetres and the marks R and L, on a panel of fixed width."""
    picture = Image.fromarray(
        overlay_slice(
            view.picture(volume.attenuation_hu, index),
            view.picture(label_map.labels, index),
            opacity=OPACITY,
            window_centre_hu=SOFT_TISSUE_CENTRE_HU,
            window_width_hu=SOFT_TISSUE_WIDTH_HU,
        )
    )
    width_mm, height_mm = picture.width * view.column_mm, picture.height * view.row_mm
    scale = _PANEL_PX / max(width_mm, height_mm)
    size = (max(1, round(width_mm * scale)), max(1, round(height_mm * scale)))
    picture = picture.resize(size, Image.Resampling.BILINEAR)
    draw = ImageDraw.Draw(picture)
    font = ImageFont.load_default(_TEXT_PX + 4)
    middle = picture.height / 2
    outline = {"fill": _INK, "font": font, "stroke_width": 2, "stroke_fill": _GROUND}
    draw.text((3, middle), "R", anchor="lm", **outline)  # type: ignore[arg-type]
    draw.text((picture.width - 3, middle), "L", anchor="rm", **outline)  # type: ignore[arg-type]
    panel = Image.new("RGB", (_PANEL_PX, picture.height), _GROUND)
    panel.paste(picture, ((_PANEL_PX - picture.width) // 2, 0))
    return panel


def _legend(
    draw: ImageDraw.ImageDraw, at: tuple[int, int], width: int, font: ImageFont.FreeTypeFont | ImageFont.ImageFont
) -> None:
    """A coloured square and a name for each class, as many as fit."""
    x, y = at
    for name in CLASSES[1:]:
        text = name.replace("_", " ")
        needed = _TEXT_PX + 6 + round(draw.textlength(text, font=font)) + 2 * _MARGIN_PX
        if x + needed > width:
            return
        draw.rectangle((x, y + 2, x + _TEXT_PX - 4, y + _TEXT_PX - 2), fill=rgb(COLOURS[name]))
        draw.text((x + _TEXT_PX, y), text, fill=_INK, font=font)
        x += needed
