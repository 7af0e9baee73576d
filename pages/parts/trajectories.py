"""Figures of change: a line a subject with the mixed model's trend; change since the first visit, with its SDC95."""

from __future__ import annotations

import numpy as np
import pandas as pd

from pages.parts.cohort_values import Measure
from pages.parts.distributions import DASHES, data_of, points_of, sexes_of
from pages.parts.drawing import GREY, MAX_LINES, Axis, Band, Drawing, Line, Mark, Rule, counted, share_words
from thighseg_core.cohort_statistics.change import DAYS_PER_YEAR
from thighseg_core.cohort_statistics.trend import Trend

_YEARS = "Years since the first visit"
_VISIT = "Visit"
_CHANGE_DATA = (
    "subject", "sex", "from_visit", "visit", "days", "from_value", "to_value", "change", "change_percent",
    "percent_of_mean", "exceeds_sdc95",
)  # fmt: skip


def with_years(frame: pd.DataFrame) -> pd.DataFrame:
    """Rows of subjects with two visits or more, with `years` since the subject's first dated visit (nan: no date)."""
    known = frame[frame["value"].notna()]
    visits = known.groupby("subject_id")["visit"].transform("nunique")
    repeated = known[visits >= 2]
    first = repeated.groupby("subject_id")["visit_date"].transform("min")
    return repeated.assign(years=(repeated["visit_date"] - first).dt.days / DAYS_PER_YEAR)


def spaghetti(frame: pd.DataFrame, measure: Measure, *, trend: Trend | None = None, filters: str = "") -> Drawing:
    """One line a subject over the years (over the visits where dates are missing), with the model's mean and its band.

    frame: as `with_years` gives it.
    """
    dated = bool(frame["years"].notna().all()) and len(frame) > 0
    x = "years" if dated else "visit"
    subjects = frame["subject_id"].unique()
    chosen = _even_share(subjects, MAX_LINES)
    shown = frame[frame["subject_id"].isin(chosen)].sort_values(["subject_id", x, "scan_id"])
    marks: list[Mark] = []
    for sex in sexes_of(shown):
        rows = shown[shown["sex"] == sex]
        lines = _with_gaps(rows, x)
        marks.append(
            Line(f"subjects, {sex}", lines[0], lines[1], measure.colour, width=1.2, opacity=0.45, legend=False)
        )
        marks.append(points_of(rows, rows[x], rows["value"], sex=sex, colour=measure.colour))
    method = ""
    if trend is not None and dated:
        marks += _trend_marks(trend)
        slope = trend.slope
        said = "" if trend.converged else " THE MODEL DID NOT CONVERGE: do not use it."
        method = (
            f" {trend.method} Change per year: {slope.estimate:+.3g} {measure.unit} "
            f"({slope.ci_low:+.3g} to {slope.ci_high:+.3g}).{said}"
        )
    visits = sorted({int(number) for number in frame["visit"]})
    ticks = () if dated else tuple((float(number), f"visit {number}") for number in visits)
    return Drawing(
        title="Over time",
        x=Axis(_YEARS if dated else _VISIT, ticks=ticks, grid=dated),
        y=Axis(measure.axis),
        marks=tuple(marks),
        caption=f"{measure.name} ({measure.unit}), {measure.extent_words}: a line for each subject with two visits or "
        f"more. {counted(len(subjects), frame['scan_id'].nunique())}.{filters}{method}"
        f"{share_words(len(subjects), len(chosen), what='subjects')}",
        data=data_of(frame, "years"),
        file_stem=f"{measure.file_stem}_over_time",
        height=420,
    )


def change_since_first(
    pairs: pd.DataFrame, measure: Measure, *, sdc95_percent: float | None = None, source: str = "", filters: str = ""
) -> Drawing:
    """Change since the first visit in percent of the two visits' mean, against the years between, and its SDC95 band.

    pairs: `cohort_statistics.change.changes(since="baseline")` with the later visit's `scan_id` and `flagged`.
    """
    mean = (pairs["from_value"] + pairs["to_value"]) / 2
    pairs = pairs.assign(percent_of_mean=100 * pairs["change"] / mean.where(mean != 0))
    known = pairs[pairs["percent_of_mean"].notna()].rename(columns={"to_visit": "visit"})
    dated = bool(known["days"].notna().all()) and len(known) > 0
    known = known.assign(years=known["days"] / DAYS_PER_YEAR)
    x = "years" if dated else "visit"
    chosen = _even_share(known["subject_id"].unique(), 10 * MAX_LINES)
    shown = known[known["subject_id"].isin(chosen)]
    marks: list[Mark] = [Rule("no change", 0.0, dash="solid")]
    exceeding = ""
    if sdc95_percent is not None and len(known):
        column = known[x].to_numpy(float)
        span, reach = np.array([min(0.0, column.min()), column.max()]), np.full(2, sdc95_percent)
        marks.append(Band(f"within SDC95 ({sdc95_percent:g} %)", span, -reach, reach, GREY))
        beyond = int((known["percent_of_mean"].abs() > sdc95_percent).sum())
        exceeding = (
            f" Grey: within the smallest detectable change of {sdc95_percent:g} % ({source}); "
            f"{beyond} of {len(known)} changes exceed it."
        )
    for sex in sexes_of(shown):
        rows = shown[shown["sex"] == sex]
        marks.append(points_of(rows, rows[x], rows["percent_of_mean"], sex=sex, colour=measure.colour))
    ticks = () if dated else tuple((float(v), f"visit {v}") for v in sorted({int(v) for v in known["visit"]}))
    limits = (0.0, 1.05 * float(known["years"].max())) if dated else None
    return Drawing(
        title="Change since the first visit",
        x=Axis(_YEARS if dated else _VISIT, ticks=ticks, limits=limits),
        y=Axis("Change (% of the mean of both visits)"),
        marks=tuple(marks),
        caption=f"{measure.name}, {measure.extent_words}: change since the subject's first visit in percent of the "
        f"mean of both visits. {known['subject_id'].nunique()} subjects, {len(known)} changes.{filters}{exceeding}"
        f"{share_words(known['subject_id'].nunique(), len(chosen), what='subjects')}",
        data=known[list(_CHANGE_DATA)],
        file_stem=f"{measure.file_stem}_change",
        height=420,
    )


def _trend_marks(trend: Trend) -> list[Mark]:
    marks: list[Mark] = []
    for sex, rows in trend.prediction.groupby("sex", sort=True):
        years, name = rows["years"].to_numpy(float), "trend" if sex == "all" else f"trend, {sex}"
        low, high = rows["ci_low"].to_numpy(float), rows["ci_high"].to_numpy(float)
        marks.append(Band(f"{name}, 95 % confidence", years, low, high, GREY, 0.3, legend=False))
        dash = "solid" if sex == "all" else DASHES.get(str(sex), "dot")
        marks.append(Line(name, years, rows["fitted"].to_numpy(float), GREY, width=3.4, dash=dash))
    return marks


def _even_share(subjects: np.ndarray, limit: int) -> np.ndarray:
    """All subjects, or `limit` of them at even steps of their order."""
    if len(subjects) <= limit:
        return subjects
    return np.sort(subjects)[np.linspace(0, len(subjects) - 1, limit).astype(int)]


def _with_gaps(rows: pd.DataFrame, x: str) -> tuple[np.ndarray, np.ndarray]:
    """x and y of every subject's line one after the other, a nan between two subjects. rows: sorted by subject."""
    ends = np.flatnonzero(np.diff(rows["subject_id"].to_numpy())) + 1
    return np.insert(rows[x].to_numpy(float), ends, np.nan), np.insert(rows["value"].to_numpy(float), ends, np.nan)
