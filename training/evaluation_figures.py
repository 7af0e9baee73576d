"""Figures of an evaluation: agreement of areas, spread of Dice, and the worst slice of each structure."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from PIL import Image, ImageDraw

from thighseg_core.bland_altman import on_scale
from thighseg_core.labels import COLOURS, label_value
from thighseg_core.overlay import overlay_slice
from thighseg_core.reading import find_series, load_series
from training.evaluation_summary import STRUCTURES, size_agreement, sizes
from training.reference import REFERENCE_CLASSES, read_drawing

if TYPE_CHECKING:  # importing matplotlib makes its folder of settings
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_OTHER_COLOUR = "#5B6BC0"
_MARKS = {"shaft": "o", "hip": "^", "knee": "v", "all": "o"}


def write_figures(scores: pd.DataFrame, output: Path) -> None:
    """bland_altman.png and dice.png, each also as SVG."""
    import matplotlib as mpl

    names = [name for name in STRUCTURES if (scores["structure"] == name).any()]
    with mpl.rc_context(
        {"font.size": 8, "axes.spines.top": False, "axes.spines.right": False, "svg.hashsalt": "thighseg"}
    ):
        for stem, figure in (("bland_altman", _limits_figure(scores, names)), ("dice", _dice_figure(scores, names))):
            for suffix in ("png", "svg"):
                figure.savefig(
                    output / f"{stem}.{suffix}", dpi=150, metadata={"Date": None} if suffix == "svg" else None
                )


def _limits_figure(scores: pd.DataFrame, names: list[str]) -> Figure:
    from matplotlib.figure import Figure

    columns = min(3, len(names))
    lines = -(-len(names) // columns)
    figure = Figure(figsize=(3.4 * columns, 2.7 * lines), layout="constrained")
    for place, name in enumerate(names, start=1):
        _limits(figure.add_subplot(lines, columns, place), scores[scores["structure"] == name], name)
    return figure


def _limits(axes: Axes, scores: pd.DataFrame, name: str) -> None:
    """Difference in percent of the mean against the mean; slices with nothing predicted are counted in the title."""
    _, predicted, unit = sizes(scores)
    found = scores[predicted > 0]
    colour = COLOURS.get(name, _OTHER_COLOUR)
    for level, rows in found.groupby("level"):
        x, y, _ = sizes(rows)
        axes.scatter(
            (x + y) / 2,
            on_scale(x.to_numpy(), y.to_numpy(), scale="percent"),
            s=14, marker=_MARKS.get(str(level), "o"), color=colour, edgecolors="#333333", linewidths=0.4, label=level,
        )  # fmt: skip
    limits = size_agreement(found).percent
    if limits is not None:
        for one, style in ((limits.bias, "-"), (limits.lower, "--"), (limits.upper, "--")):
            axes.axhline(one.value, color="#333333", linewidth=0.9, linestyle=style)
            if one.low is not None and one.high is not None:
                axes.axhspan(one.low, one.high, color="#808080", alpha=0.15, linewidth=0)
    missed = f", {len(scores) - len(found)} missed" if len(found) < len(scores) else ""
    axes.set_title(f"{name}, n = {len(found)} of {scores['patient'].nunique()} patients{missed}", fontsize=8)
    axes.set_xlabel(f"mean of drawn and predicted ({unit.replace('2', '²').replace('3', '³')})")
    axes.set_ylabel("predicted - drawn (% of the mean)")


def _dice_figure(scores: pd.DataFrame, names: list[str]) -> Figure:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(1.1 * len(names) + 1.2, 3.0), layout="constrained")
    axes = figure.add_subplot()
    spread = np.random.default_rng(0)
    for place, name in enumerate(names):
        rows = scores[scores["structure"] == name]
        axes.boxplot(rows["dice"], positions=[place], widths=0.5, showfliers=False, medianprops={"color": "#333333"})
        for level, part in rows.groupby("level"):
            x = place + spread.uniform(-0.16, 0.16, len(part))
            colour = COLOURS.get(name, _OTHER_COLOUR)
            axes.scatter(x, part["dice"], s=12, marker=_MARKS.get(str(level), "o"), color=colour, edgecolors="#333333",
                         linewidths=0.4, zorder=3)  # fmt: skip
    axes.set_xticks(range(len(names)), names)
    axes.set_ylabel("Dice (circle shaft, triangle up hip, down knee)")
    axes.set_ylim(min(0.5, float(scores["dice"].min()) - 0.02), 1.01)
    return figure


def write_worst(scores: pd.DataFrame, output: Path, *, data: Path) -> None:
    """worst.png: the slice of the lowest Dice of each group, drawn on the left and predicted on the right."""
    pictures = []
    for name in REFERENCE_CLASSES:
        rows = scores[scores["structure"] == name]
        if rows.empty:
            continue
        worst = rows.iloc[int(rows["dice"].argmin())]
        k = int(worst["slice_index"])
        drawn = _drawn_picture(str(worst["patient"]), k, data=data)
        predicted = Image.open(output / f"{worst['patient']}_{k:03d}.png").convert("RGB")
        both = Image.new("RGB", (drawn.width + predicted.width, drawn.height + 16), "white")
        both.paste(drawn, (0, 16))
        both.paste(predicted, (drawn.width, 16))
        text = f"{name}: Dice {worst['dice']:.3f}, {worst['patient']} slice {k}; drawn, predicted"
        ImageDraw.Draw(both).text((4, 2), text, fill="black")
        pictures.append(both)
    if not pictures:
        return
    page = Image.new("RGB", (max(p.width for p in pictures), sum(p.height for p in pictures)), "white")
    top = 0
    for picture in pictures:
        page.paste(picture, (0, top))
        top += picture.height
    page.save(output / "worst.png")


def _drawn_picture(patient: str, k: int, *, data: Path) -> Image.Image:
    with tempfile.TemporaryDirectory() as work:
        volume = load_series(find_series(data / "ct_sarcoma" / patient / "CT", work_dir=Path(work)).series[0])
    values = read_drawing(data / "reference" / f"{patient}.nii.gz", like=volume.geometry)[k]
    labels = np.zeros(values.shape, dtype=np.uint8)
    for name, value in REFERENCE_CLASSES.items():
        labels[values == value] = label_value(name, "left")  # the drawing has no side
    picture = overlay_slice(volume.attenuation_hu[k], labels, opacity=0.4, window_centre_hu=40, window_width_hu=400)
    return Image.fromarray(picture).resize((picture.shape[1] * 2, picture.shape[0] * 2))
