"""A subject's report as PDF: one or two A4 pages, drawn by matplotlib. All of it is handed in; nothing is read."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pages.parts import words
from pages.parts.drawing import Drawing
from pages.parts.drawing_paper import draw_on, paper_style

if TYPE_CHECKING:
    from matplotlib.backends.backend_pdf import PdfPages
    from matplotlib.figure import Figure

_A4_INCH = (8.27, 11.69)
_ROWS_A_PAGE = 46
_TALLEST_PICTURE = 0.2  # of the page
_LETTER = 0.0078  # of the page's width, at the tables' size
_GREY = "#5A6078"


@dataclass(frozen=True, eq=False)
class Picture:
    """A picture with the line below it."""

    rgb: NDArray[np.uint8]
    caption: str


@dataclass(frozen=True, eq=False)
class Report:
    """What the report says. table: as `subject_visits.comparison` gives it."""

    title: str
    facts: Sequence[tuple[str, str]]
    visits: Sequence[Sequence[str]]  # first line is the head
    pictures: Sequence[Picture]
    change: Picture | None
    drawings: Sequence[Drawing]
    table: pd.DataFrame
    table_title: str
    doubts: Sequence[str]
    foot: str  # research use, software, date


def report_pdf(report: Report) -> bytes:
    """The file. Page 1: who, the visits, pictures, course; page 2: the table, doubts."""
    from matplotlib.backends.backend_pdf import PdfPages

    out = io.BytesIO()
    with paper_style(), PdfPages(out, metadata={"Title": report.title, "Creator": "ThighSeg"}) as pdf:
        _first_page(pdf, report)
        if len(report.table) or report.doubts:
            _second_page(pdf, report)
    return out.getvalue()


def _page(report: Report) -> Figure:
    from matplotlib.figure import Figure

    figure = Figure(figsize=_A4_INCH)
    figure.text(0.07, 0.955, report.title, fontsize=15, fontweight="bold")
    figure.text(0.07, 0.025, textwrap.fill(report.foot, 120), fontsize=6.5, color=_GREY, va="bottom")
    return figure


def _first_page(pdf: PdfPages, report: Report) -> None:
    figure = _page(report)
    facts = "   ·   ".join(f"{name}: {value}" for name, value in report.facts)
    figure.text(0.07, 0.935, textwrap.fill(facts, 130), fontsize=8, va="top")
    top = _table(figure, report.visits, top=0.895)
    pictures = [*report.pictures, *([report.change] if report.change else [])]
    if pictures:
        width = 0.86 / max(len(pictures), 2)
        tallest = max(picture.rgb.shape[0] / picture.rgb.shape[1] for picture in pictures)
        height = min(tallest * 0.96 * width * _A4_INCH[0] / _A4_INCH[1], _TALLEST_PICTURE)
        for number, picture in enumerate(pictures):
            axes = figure.add_axes((0.07 + number * width, top - height - 0.02, width * 0.96, height))
            axes.imshow(picture.rgb, aspect="equal")
            axes.set_anchor("N")
            axes.set_axis_off()
            caption = textwrap.fill(picture.caption, round(60 * width / 0.29))
            axes.annotate(
                caption, (0.5, 0), (0, -4), "axes fraction", "offset points", fontsize=6.5, ha="center", va="top"
            )
        top -= height + 0.06
    across = 2
    rows = -(-len(report.drawings) // across)
    height = min((top - 0.09) / max(rows, 1), 0.27)
    for number, drawing in enumerate(report.drawings):
        left = 0.115 + (number % across) * 0.44
        bottom = top - (number // across + 1) * height + 0.05
        draw_on(figure.add_axes((left, bottom, 0.355, height - 0.085)), drawing)
    pdf.savefig(figure)


def _second_page(pdf: PdfPages, report: Report) -> None:
    figure = _page(report)
    top = 0.925
    if len(report.table):
        figure.text(0.07, top, report.table_title, fontsize=9, fontweight="bold")
        top = _table(figure, table_lines(report.table), top=top - 0.012)
    if report.doubts:
        figure.text(0.07, top - 0.03, "When to doubt these numbers", fontsize=9, fontweight="bold")
        lines = [textwrap.fill(f"• {doubt}", 125, subsequent_indent="  ") for doubt in report.doubts]
        figure.text(0.07, top - 0.042, "\n".join(lines), fontsize=7, va="top", linespacing=1.3)
    pdf.savefig(figure)


def table_lines(table: pd.DataFrame) -> list[list[str]]:
    """The comparison as text, head first; a dagger behind the name where a value is flagged."""
    visits = [name for name in table.columns if name.startswith("visit_")]
    head = ["", *(name.replace("_", " ") for name in visits), "change", "%"]
    lines = [head]
    for row in table.to_dict("records"):
        name = f"{words.region_title(row['region'])}: {words.metric_title(row['metric']).lower()}"
        unit = words.unit_text(row["unit"])
        mark = " †" if row["marks"] else ""
        change = "–" if pd.isna(row["change"]) else f"{row['change']:+.{1 if abs(row['change']) >= 10 else 2}f}"
        percent = "–" if pd.isna(row["change_percent"]) else f"{row['change_percent']:+.1f}"
        lines.append([f"{name} ({unit}){mark}", *(words.number(row[visit]) for visit in visits), change, percent])
    return lines[:_ROWS_A_PAGE]


def _table(figure: Figure, lines: Sequence[Sequence[str]], *, top: float) -> float:
    """Lines of text in columns as wide as their texts, the first left, the others right aligned; returns its end."""
    step, left, right = 0.0155, 0.07, 0.93
    letters = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    first = max(letters[0] * _LETTER, 0.05)
    share = np.cumsum([0, *(most + 2 for most in letters[1:])]) / max(sum(most + 2 for most in letters[1:]), 1)
    ends = left + first + share * (right - left - first)
    for number, line in enumerate(lines):
        y = top - number * step
        weight = "bold" if number == 0 else "normal"
        for column, text in enumerate(line):
            x = left if column == 0 else float(ends[column])
            figure.text(x, y, text, fontsize=7.2, fontweight=weight, ha="left" if column == 0 else "right", va="top")
        if number == 0:
            figure.add_artist(_rule(left, right, y - step * 0.75))
    return top - len(lines) * step


def _rule(left: float, right: float, y: float) -> object:
    from matplotlib.lines import Line2D

    return Line2D([left, right], [y, y], color=_GREY, linewidth=0.6)
