"""A figure as what it shows: axes, marks, caption and data. Drawn on the screen and on paper from the same description.

`drawing_screen` makes the Plotly figure, `drawing_paper` the PNG, SVG or PDF. Arrays of a mark have equal lengths.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Numbers = NDArray[np.float64]

GREY = "#7A8099"  # what belongs to no muscle group: medians, limits, reference bands
MAX_POINTS = 20_000  # drawn in one mark; above it an even share, and the caption says so
MAX_LINES = 300  # subjects drawn as single lines


@dataclass(frozen=True)
class Axis:
    """`ticks`: (position, text) where the positions stand for names; `limits` None: what the marks need."""

    title: str
    ticks: tuple[tuple[float, str], ...] = ()
    limits: tuple[float, float] | None = None
    grid: bool = True


@dataclass(frozen=True, eq=False)
class Points:
    """One marker a value. `scan_ids` opens a scan on a click, `words` are shown when pointed at."""

    name: str
    x: Numbers
    y: Numbers
    colour: str
    symbol: str = "circle"  # circle, diamond, square, x
    filled: bool = True
    scan_ids: NDArray[np.int64] | None = None
    words: tuple[str, ...] = ()
    legend: bool = True


@dataclass(frozen=True, eq=False)
class Line:
    """A line through the points; nan makes a gap, so that one line can hold many subjects."""

    name: str
    x: Numbers
    y: Numbers
    colour: str
    width: float = 2.0
    dash: str = "solid"  # solid, dash, dot
    opacity: float = 1.0
    legend: bool = True


@dataclass(frozen=True, eq=False)
class Band:
    """The area between two curves."""

    name: str
    x: Numbers
    low: Numbers
    high: Numbers
    colour: str
    opacity: float = 0.16
    legend: bool = True


@dataclass(frozen=True, eq=False)
class Boxes:
    """Median, quartiles and whiskers at positions of the x axis."""

    name: str
    positions: Numbers
    low: Numbers
    quartile_1: Numbers
    median: Numbers
    quartile_3: Numbers
    high: Numbers
    colour: str
    width: float = 0.5


@dataclass(frozen=True)
class Rule:
    """A straight line across the figure at a value of one axis."""

    name: str
    value: float
    axis: str = "y"
    colour: str = GREY
    dash: str = "dash"


@dataclass(frozen=True, eq=False)
class Bars:
    """One part of horizontal stacked bars, at positions of the y axis."""

    name: str
    positions: Numbers
    lengths: Numbers
    colour: str
    words: tuple[str, ...] = ()


Mark = Points | Line | Band | Boxes | Rule | Bars


@dataclass(frozen=True, eq=False)
class Drawing:
    """`caption`: number of subjects and scans, and the method. `data`: what is drawn, as it goes into the CSV."""

    title: str
    x: Axis
    y: Axis
    marks: tuple[Mark, ...]
    caption: str
    data: pd.DataFrame
    file_stem: str
    legend: bool = True
    height: int = 380
    notes: tuple[str, ...] = field(default=())  # for the screen only


def share_of(frame: pd.DataFrame, *, limit: int = MAX_POINTS) -> pd.DataFrame:
    """The frame, or `limit` of its rows, the same at every call."""
    return frame if len(frame) <= limit else frame.sample(limit, random_state=0).sort_index()


def share_words(n_all: int, n_drawn: int, *, what: str = "points") -> str:
    """A sentence for the caption when `share_of` left some out; else empty."""
    return "" if n_all <= n_drawn else f" {n_drawn} of {n_all} {what} are drawn, all are counted."


def five_numbers(values: Numbers) -> tuple[float, float, float, float, float]:
    """Lower whisker, quartiles, upper whisker: Tukey's, the furthest values within 1.5 quartile ranges of the box."""
    quartile_1, median, quartile_3 = np.percentile(values, [25, 50, 75])
    reach = 1.5 * (quartile_3 - quartile_1)
    inside = values[(values >= quartile_1 - reach) & (values <= quartile_3 + reach)]
    return float(inside.min()), float(quartile_1), float(median), float(quartile_3), float(inside.max())


def counted(subjects: int, scans: int) -> str:
    """Such as `12 subjects, 24 scans`."""
    return f"{subjects} subject{'s' if subjects != 1 else ''}, {scans} scan{'s' if scans != 1 else ''}"
