"""Figures of one measure across subjects: by sex with every scan a point, and by age with centiles and references."""

from __future__ import annotations

import numpy as np
import pandas as pd

from pages.parts.charts import SEX_ORDER
from pages.parts.cohort_values import Measure, point_words
from pages.parts.drawing import (
    GREY,
    MAX_POINTS,
    Axis,
    Band,
    Boxes,
    Drawing,
    Line,
    Mark,
    Points,
    counted,
    five_numbers,
    share_of,
    share_words,
)

SYMBOLS = {"female": "circle", "male": "diamond", "other": "square", "unknown": "x"}
DASHES = {"female": "solid", "male": "dash", "other": "dot", "unknown": "dot"}
_JITTER = 0.15  # half-width of the point cloud beside a box, in categories
_BOX_SHIFT, _POINT_SHIFT, _BOX_WIDTH = -0.2, 0.18, 0.3
_GOLDEN = 0.6180339887498949  # spreads running numbers evenly over an interval
_AGE = "Age at the visit (years)"
DATA_COLUMNS = ("study", "subject", "visit", "visit_date", "sex", "age_years", "scan_id", "value", "flagged")


def sexes_of(frame: pd.DataFrame) -> list[str]:
    """The sexes present, in the order they are always drawn."""
    present = set(frame["sex"])
    return [sex for sex in SEX_ORDER if sex in present]


def points_of(frame: pd.DataFrame, x: np.ndarray, y: np.ndarray, *, sex: str, colour: str) -> Points:
    """Markers of one sex: told by shape and filling, not by colour alone."""
    return Points(
        name=sex,
        x=np.asarray(x, float),
        y=np.asarray(y, float),
        colour=colour,
        symbol=SYMBOLS.get(sex, "x"),
        filled=sex != "male",
        scan_ids=frame["scan_id"].to_numpy(np.int64),
        words=point_words(frame),
    )


def by_sex(frame: pd.DataFrame, measure: Measure, *, filters: str = "") -> Drawing:
    """Box of each sex over all its scans, every scan a point beside it. Rows need `value`."""
    return boxed(
        frame,
        title="By sex",
        axis=measure.axis,
        colour=measure.colour,
        caption=f"{measure.name} ({measure.unit}), {measure.extent_words}. {n_words(frame)}{filters}",
        file_stem=f"{measure.file_stem}_by_sex",
    )


def boxed(frame: pd.DataFrame, *, title: str, axis: str, colour: str, caption: str, file_stem: str) -> Drawing:
    """Boxes by sex of the column `value`, whatever it is; the method is added to the caption."""
    sexes = sexes_of(frame)
    boxes, points, ticks = [], [], []
    for position, sex in enumerate(sexes):
        rows = frame[frame["sex"] == sex]
        boxes.append(five_numbers(rows["value"].to_numpy(float)))
        ticks.append((float(position), f"{sex}<br>n = {rows['subject_id'].nunique()}"))
        drawn = share_of(rows, limit=MAX_POINTS // len(sexes))
        shift = _POINT_SHIFT + (2 * np.modf(drawn["scan_id"].to_numpy(float) * _GOLDEN)[0] - 1) * _JITTER
        points.append(points_of(drawn, position + shift, drawn["value"].to_numpy(), sex=sex, colour=colour))
    marks: list[Mark] = list(points)
    if boxes:
        low, quartile_1, median, quartile_3, high = (np.array(part) for part in zip(*boxes, strict=True))
        positions = np.arange(len(boxes), dtype=float) + _BOX_SHIFT
        marks.insert(0, Boxes("", positions, low, quartile_1, median, quartile_3, high, colour, _BOX_WIDTH))
    return Drawing(
        title=title,
        x=Axis("", ticks=tuple(ticks), limits=(-0.6, max(len(sexes) - 0.4, 0.6)), grid=False),
        y=Axis(axis),
        marks=tuple(marks),
        caption=f"{caption} Box: median and quartiles; whiskers: furthest value within 1.5 quartile ranges; every "
        f"point is a scan.{share_words(len(frame), sum(len(mark.x) for mark in points))}",
        data=data_of(frame),
        file_stem=file_stem,
        legend=False,
    )


def by_age(
    frame: pd.DataFrame,
    measure: Measure,
    *,
    centiles: pd.DataFrame | None = None,
    centile_method: str = "",
    reference: pd.DataFrame | None = None,
    citation: str = "",
    filters: str = "",
) -> Drawing:
    """Value against age at the visit; rows without an age are left out.

    centiles: columns sex, age_years, centile (such as 5.0) and value. reference: columns sex, age_min, age_max, mean
    and sd, drawn as mean and a band of two standard deviations, with its `citation` in the caption.
    """
    aged = frame[frame["age_years"].notna()]
    marks: list[Mark] = []
    if reference is not None:
        marks += _reference_marks(reference)
    sexes, drawn = sexes_of(aged), 0
    for sex in sexes:
        rows = share_of(aged[aged["sex"] == sex], limit=MAX_POINTS // len(sexes))
        drawn += len(rows)
        marks.append(
            points_of(rows, rows["age_years"].to_numpy(), rows["value"].to_numpy(), sex=sex, colour=measure.colour)
        )
    if centiles is not None and len(centiles):
        marks += _centile_marks(centiles, measure.colour)
    method = f" Curves: {centile_method}." if centiles is not None and len(centiles) else ""
    source = f" Grey: mean and two standard deviations of {citation}." if reference is not None else ""
    left_out = len(frame) - len(aged)
    verb = "scan without an age is" if left_out == 1 else "scans without an age are"
    unaged = f" {left_out} {verb} left out." if left_out else ""
    return Drawing(
        title="By age",
        x=Axis(_AGE),
        y=Axis(measure.axis),
        marks=tuple(marks),
        caption=f"{measure.name} ({measure.unit}), {measure.extent_words}, against age. {n_words(aged)}{filters}"
        f"{unaged}{method}{source}{share_words(len(aged), drawn)}",
        data=data_of(aged),
        file_stem=f"{measure.file_stem}_by_age",
    )


def _centile_marks(centiles: pd.DataFrame, colour: str) -> list[Mark]:
    """One line a sex and centile; the middle one is drawn strong."""
    marks: list[Mark] = []
    for (sex, centile), rows in centiles.groupby(["sex", "centile"], sort=True, observed=True):
        strong = float(centile) == 50.0
        marks.append(
            Line(
                name=f"{sex}, centiles {_span(centiles)}",
                x=rows["age_years"].to_numpy(float),
                y=rows["value"].to_numpy(float),
                colour=colour,
                width=2.4 if strong else 1.2,
                dash=DASHES.get(str(sex), "dot"),
                legend=strong,
            )
        )
    return marks


def _span(centiles: pd.DataFrame) -> str:
    return ", ".join(f"{value:g}" for value in sorted(centiles["centile"].unique()))


def _reference_marks(reference: pd.DataFrame) -> list[Mark]:
    marks: list[Mark] = []
    for row in reference.itertuples():
        ages = np.array([row.age_min, row.age_max], float)
        mean, sd = float(row.mean), float(row.sd)
        marks.append(Band("reference, ±2 SD", ages, np.full(2, mean - 2 * sd), np.full(2, mean + 2 * sd), GREY, 0.13))
        dash = DASHES.get(str(row.sex), "dot")
        marks.append(Line(f"reference mean, {row.sex}", ages, np.full(2, mean), GREY, dash=dash))
    return marks


def data_of(frame: pd.DataFrame, *more: str) -> pd.DataFrame:
    """The columns of a figure's CSV; dates as ISO text, empty where there is none."""
    table = frame[[*(name for name in DATA_COLUMNS if name in frame), *more]].copy()
    if "visit_date" in table:
        table["visit_date"] = pd.to_datetime(table["visit_date"]).dt.strftime("%Y-%m-%d")
    return table


def n_words(frame: pd.DataFrame) -> str:
    """How many subjects and scans, as a sentence of a caption."""
    return counted(frame["subject_id"].nunique(), frame["scan_id"].nunique()) + "."
