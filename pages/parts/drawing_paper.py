"""A `Drawing` as a file for a paper: PNG, SVG or PDF, 120 mm wide, with the caption below. Drawn by matplotlib."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np

from pages.parts.drawing import Axis, Band, Bars, Boxes, Drawing, Line, Points, Rule

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FORMATS = {"PNG": "image/png", "SVG": "image/svg+xml", "PDF": "application/pdf"}
WIDTH_MM = 120.0
DPI = 300
_MM_PER_INCH = 25.4
_CAPTION_LETTERS = 92  # on one line of that width at 6.5 points
_RASTER_FROM = 3_000  # points; more would make a vector file of many megabytes
_SMALL_FROM = 200  # points
_LEGEND_COLUMNS = 3
_LEGEND_ROW_POINTS = 11
_SYMBOLS = {"circle": "o", "diamond": "D", "square": "s", "x": "x"}
_DASHES = {"solid": "-", "dash": "--", "dot": ":"}
_STYLE = {
    "font.size": 8, "axes.titlesize": 9, "axes.labelsize": 8, "xtick.labelsize": 7, "ytick.labelsize": 7,
    "legend.fontsize": 7, "font.family": "DejaVu Sans", "pdf.fonttype": 42, "svg.fonttype": "none",
    "axes.spines.top": False, "axes.spines.right": False, "axes.linewidth": 0.6, "svg.hashsalt": "thighseg",
}  # fmt: skip
_ONE_AT_A_TIME = Lock()  # a download runs in a thread


def figure_file(drawing: Drawing, kind: str) -> bytes:
    """The file's bytes. kind: "PNG", "SVG" or "PDF"; text stays text in SVG and PDF."""
    if kind not in FORMATS:
        raise ValueError(f"kind must be one of {', '.join(FORMATS)}, got {kind!r}")
    from matplotlib.figure import Figure

    with paper_style():
        caption = textwrap.fill(drawing.caption, _CAPTION_LETTERS)
        caption_mm = 4.0 + 3.0 * (caption.count("\n") + 1)
        height_mm = max(WIDTH_MM * 0.62 * drawing.height / 380, 45.0) + caption_mm
        figure = Figure(figsize=(WIDTH_MM / _MM_PER_INCH, height_mm / _MM_PER_INCH), layout="constrained")
        figure.get_layout_engine().set(rect=(0, caption_mm / height_mm, 1, 1 - caption_mm / height_mm))
        draw_on(figure.subplots(), drawing)
        figure.text(0.02, 0.012, caption, fontsize=6.5, va="bottom", linespacing=1.25, color="#333333")
        return _bytes(figure, kind)


@contextmanager
def paper_style() -> Iterator[None]:
    """The fonts and lines of all files; one file at a time, as matplotlib's settings belong to the process."""
    import matplotlib as mpl

    with _ONE_AT_A_TIME, mpl.rc_context(_STYLE):
        yield


def _bytes(figure: Figure, kind: str) -> bytes:
    out = io.BytesIO()
    # no date in the file: the same figure is the same bytes
    dateless: dict[str, Any] = {"PNG": {}, "SVG": {"Date": None}, "PDF": {"CreationDate": None}}[kind]
    figure.savefig(out, format=kind.lower(), dpi=DPI, metadata=dateless)
    return out.getvalue()


def draw_on(axes: Axes, drawing: Drawing) -> None:
    """Put the drawing on matplotlib axes: a figure of its own, or a panel of a report."""
    for order, mark in enumerate(drawing.marks):
        _draw(axes, mark, order)
    _set(axes, drawing.x, "x")
    _set(axes, drawing.y, "y")
    handles, names = axes.get_legend_handles_labels()
    unique = dict(zip(names, handles, strict=True)) if drawing.legend else {}
    rows = -(-len(unique) // _LEGEND_COLUMNS)
    axes.set_title(drawing.title, loc="left", fontweight="bold", pad=5 + _LEGEND_ROW_POINTS * rows)
    if unique:
        axes.legend(
            unique.values(),
            unique.keys(),
            frameon=False,
            loc="lower left",  # between title and axes
            bbox_to_anchor=(0.0, 1.0),
            ncols=min(len(unique), _LEGEND_COLUMNS),
            handlelength=1.4,
            columnspacing=1.0,
            borderaxespad=0.1,
        )


def _set(axes: Axes, axis: Axis, which: str) -> None:
    target = axes.xaxis if which == "x" else axes.yaxis
    target.set_label_text(axis.title)
    if axis.ticks:
        target.set_ticks([at for at, _ in axis.ticks], [text.replace("<br>", "\n") for _, text in axis.ticks])
    if axis.limits:
        (axes.set_xlim if which == "x" else axes.set_ylim)(*axis.limits)
    if axis.grid:
        axes.grid(axis=which, linewidth=0.4, alpha=0.4)  # type: ignore[arg-type]
        axes.set_axisbelow(True)


def _draw(axes: Axes, mark: object, order: int) -> None:
    z = 2 + order * 0.01
    name = mark.name if getattr(mark, "legend", True) else f"_{mark.name}"  # type: ignore[attr-defined]
    match mark:
        case Points():
            many, some = len(mark.x) > _RASTER_FROM, len(mark.x) > _SMALL_FROM
            cross = mark.symbol == "x"
            axes.scatter(
                mark.x,
                mark.y,
                s=2 if many else 5 if some else 12,
                marker=_SYMBOLS.get(mark.symbol, "o"),
                facecolors=mark.colour if mark.filled or cross else "none",
                edgecolors=None if cross else mark.colour,
                linewidths=0.3 if some else 0.7,
                alpha=0.5 if many else 0.8,
                label=name,
                rasterized=many,
                zorder=z,
            )
        case Line():
            axes.plot(
                mark.x,
                mark.y,
                _DASHES[mark.dash],
                color=mark.colour,
                linewidth=0.6 * mark.width,
                alpha=mark.opacity,
                label=name,
                zorder=z,
            )
        case Band():
            axes.fill_between(
                mark.x, mark.low, mark.high, color=mark.colour, alpha=mark.opacity, linewidth=0, label=name, zorder=z
            )
        case Boxes():
            parts = zip(mark.low, mark.quartile_1, mark.median, mark.quartile_3, mark.high, strict=True)
            stats = [
                {"whislo": low, "q1": q1, "med": median, "q3": q3, "whishi": high, "fliers": []}
                for low, q1, median, q3, high in parts
            ]
            line = {"color": mark.colour, "linewidth": 0.9}
            axes.bxp(
                stats,
                positions=np.asarray(mark.positions, float),
                widths=mark.width,
                showfliers=False,
                boxprops=line,
                medianprops=line,
                whiskerprops=line,
                capprops=line,
                manage_ticks=False,
                zorder=z,
            )
        case Rule():
            along = axes.axhline if mark.axis == "y" else axes.axvline
            along(mark.value, color=mark.colour, linestyle=_DASHES[mark.dash], linewidth=0.9, label=name, zorder=z)
        case Bars():
            left = _stacked(axes, mark.positions)
            axes.barh(mark.positions, mark.lengths, left=left, color=mark.colour, height=0.65, label=name, zorder=z)
        case _:
            raise TypeError(f"a drawing has no mark of type {type(mark).__name__}")


def _stacked(axes: Axes, positions: np.ndarray) -> np.ndarray:
    """Where the bars drawn so far end, at each position."""
    ends = np.zeros(len(positions))
    for patch in axes.patches:
        middle = patch.get_y() + patch.get_height() / 2  # type: ignore[attr-defined]
        at = np.isclose(positions, middle)
        ends[at] = np.maximum(ends[at], patch.get_x() + patch.get_width())  # type: ignore[attr-defined]
    return ends
