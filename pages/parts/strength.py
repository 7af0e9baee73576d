"""Figures of muscle against what it does (grip, knee extension, gait), and of size against attenuation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from pages.parts.cohort_values import Measure, by_subject
from pages.parts.distributions import DASHES, data_of, points_of, sexes_of
from pages.parts.drawing import MAX_POINTS, Axis, Drawing, Line, Mark, share_of, share_words

# Columns of the visit that a person enters: title and unit.
FUNCTIONS = {
    "grip_strength_kg": "Grip strength (kg)",
    "knee_extension_torque_nm": "Knee extension torque (Nm)",
    "gait_speed_m_s": "Gait speed (m/s)",
}
FEWEST = 4  # subjects of a sex for a line and a correlation: with fewer no confidence interval can be had
YOUNG_YEARS = (20, 40)  # our convention for "young adults of this cohort"
FEWEST_YOUNG = 10  # of a sex, before their mean and SD are used


@dataclass(frozen=True)
class Limits:
    """Low size and low attenuation of one sex, both relative to the cohort at hand."""

    sex: str
    size: float
    attenuation_hu: float


def against_function(frame: pd.DataFrame, measure: Measure, *, function: str, filters: str = "") -> Drawing:
    """Function against the measure with a least-squares line and Pearson's r for each sex; one visit a subject."""
    known = by_subject(frame[frame[function].notna()])
    marks: list[Mark] = []
    said = []
    sexes, drawn = sexes_of(known), 0
    for sex in sexes:
        rows = known[known["sex"] == sex]
        shown = share_of(rows, limit=MAX_POINTS // len(sexes))
        drawn += len(shown)
        marks.append(points_of(shown, shown["value"], shown[function], sex=sex, colour=measure.colour))
        x, y = rows["value"].to_numpy(float), rows[function].to_numpy(float)
        if len(rows) < FEWEST or np.ptp(x) == 0 or np.ptp(y) == 0:
            said.append(f"{sex}: n = {len(rows)}, too few or too alike for a correlation")
            continue
        found = stats.pearsonr(x, y)
        interval = found.confidence_interval(0.95)
        rank = float(stats.spearmanr(x, y).statistic)
        said.append(
            f"{sex}: n = {len(rows)}, r = {found.statistic:.2f} ({interval.low:.2f} to {interval.high:.2f}), rank "
            f"correlation {rank:.2f}"
        )
        slope, intercept = np.polyfit(x, y, 1)
        ends = np.array([x.min(), x.max()])
        marks.append(
            Line(
                f"line, {sex}",
                ends,
                intercept + slope * ends,
                measure.colour,
                dash=DASHES.get(sex, "dot"),
                legend=False,
            )
        )
    return Drawing(
        title=FUNCTIONS[function].split(" (")[0],
        x=Axis(measure.axis),
        y=Axis(FUNCTIONS[function]),
        marks=tuple(marks),
        caption=f"{FUNCTIONS[function]} against {measure.name} ({measure.unit}), {measure.extent_words}; each "
        f"subject's first visit with both.{filters} Pearson's r with 95 % confidence interval, Spearman's rank "
        "correlation. "
        + "; ".join(said) + "." + share_words(len(known), drawn),
        data=data_of(known, function),
        file_stem=f"{measure.file_stem}_{function}",
    )  # fmt: skip


def lowest_fifth(frame: pd.DataFrame) -> list[Limits]:
    """Limits at the 20th centile of each sex here. frame: `value` (size) and `attenuation_hu`, one row a scan."""
    return [
        Limits(sex, float(rows["value"].quantile(0.2)), float(rows["attenuation_hu"].quantile(0.2)))
        for sex in sexes_of(frame)
        for rows in [frame[frame["sex"] == sex]]
    ]


def below_young(frame: pd.DataFrame) -> list[Limits]:
    """Limits two standard deviations below the mean of this cohort's young adults, for sexes with enough of them."""
    found = []
    low, high = YOUNG_YEARS
    for sex in sexes_of(frame):
        young = by_subject(frame[(frame["sex"] == sex) & frame["age_years"].between(low, high, inclusive="left")])
        if len(young) >= FEWEST_YOUNG:
            size, attenuation = young["value"], young["attenuation_hu"]
            found.append(Limits(sex, size.mean() - 2 * size.std(), attenuation.mean() - 2 * attenuation.std()))
    return found


def size_against_attenuation(
    frame: pd.DataFrame, measure: Measure, *, limits: list[Limits], limits_words: str, filters: str = ""
) -> Drawing:
    """Size against attenuation; the lines of a sex cut off the quadrant in which both are low.

    frame: one row a scan with `value` (size) and `attenuation_hu`, both known.
    """
    marks: list[Mark] = []
    sexes, drawn = sexes_of(frame), 0
    for sex in sexes:
        rows = share_of(frame[frame["sex"] == sex], limit=MAX_POINTS // len(sexes))
        drawn += len(rows)
        marks.append(points_of(rows, rows["attenuation_hu"], rows["value"], sex=sex, colour=measure.colour))
    said, low = [], pd.Series(False, index=frame.index)
    left, right = float(frame["attenuation_hu"].min()), float(frame["attenuation_hu"].max())
    bottom, top = float(frame["value"].min()), float(frame["value"].max())
    for limit in limits:
        of_sex = frame["sex"] == limit.sex
        both = of_sex & (frame["value"] < limit.size) & (frame["attenuation_hu"] < limit.attenuation_hu)
        low |= both
        said.append(
            f"{limit.sex}: below {limit.size:.4g} {measure.unit} and {limit.attenuation_hu:.1f} HU are "
            f"{frame[both]['subject_id'].nunique()} of {frame[of_sex]['subject_id'].nunique()} subjects"
        )
        dash = DASHES.get(limit.sex, "dot")
        across = (np.array([left, right]), np.full(2, limit.size))
        upward = (np.full(2, limit.attenuation_hu), np.array([bottom, top]))
        for x, y in (across, upward):
            marks.append(Line(f"limits, {limit.sex}", x, y, "#7A8099", width=1.5, dash=dash))
    return Drawing(
        title="Size against attenuation",
        x=Axis("Mean attenuation of lean muscle (HU)"),
        y=Axis(measure.axis),
        marks=tuple(marks),
        caption=f"{measure.name} ({measure.unit}), {measure.extent_words}, against mean attenuation of its lean "
        f"voxels. Every point is a scan.{filters} Lines: {limits_words}. "
        + "; ".join(said) + "." * bool(said) + share_words(len(frame), drawn),
        data=data_of(frame.assign(both_low=low), "attenuation_hu", "both_low"),
        file_stem=f"{measure.file_stem}_against_attenuation",
        height=440,
    )  # fmt: skip
