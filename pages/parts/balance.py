"""Figures of how muscle is made up and shared out: composition, groups, left against right, front against back."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from pages.parts import words
from pages.parts.charts import region_colour
from pages.parts.cohort_values import Measure
from pages.parts.distributions import boxed, n_words, sexes_of
from pages.parts.drawing import Axis, Bars, Drawing

AGE_BANDS = (0, 40, 50, 60, 70, 80, 131)  # years: below 40, decades, 80 and above
# Tol's muted scheme, told apart with any colour vision: tissues are no muscle groups and take none of their colours.
TISSUES = {
    "normal_attenuation_volume": ("normal-attenuation muscle", "#332288"),
    "low_attenuation_volume": ("low-attenuation muscle", "#88CCEE"),
    "intramuscular_fat_volume": ("intramuscular fat", "#DDCC77"),
    "rest": ("between the ranges, or outside them", "#BBBBBB"),
}
GROUP_PARTS = ("extensor", "flexor", "adductor", "sartorius")


def composition(frame: pd.DataFrame, measure: Measure, *, filters: str = "") -> Drawing:
    """Mean share of each tissue in a region's volume, one bar a sex and age band.

    frame: one row a scan with a column for each metric of `TISSUES` but "rest", and `volume`, all in cm3.
    """
    parts = [name for name in TISSUES if name != "rest"]
    shares = frame[parts].div(frame["volume"].where(frame["volume"] > 0), axis=0) * 100
    shares["rest"] = 100 - shares.sum(axis=1, skipna=False)
    table = frame.assign(**{name: shares[name] for name in TISSUES}).dropna(subset=list(TISSUES))
    return _stacked(
        table,
        TISSUES,
        title="Composition",
        axis="Share of the volume (%)",
        caption=f"{words.region_title(measure.region)}, {measure.side}, {measure.extent_words}: mean share of each "
        f"attenuation range in the volume. {n_words(table)}{filters}",
        file_stem=f"composition_{measure.region}_{measure.side}_{measure.extent}",
    )


def group_shares(frame: pd.DataFrame, measure: Measure, *, filters: str = "") -> Drawing:
    """Mean share of each muscle group in the sum of the four, one bar a sex and age band.

    frame: one row a scan with a column for each region of `GROUP_PARTS`, volumes in cm3.
    """
    volumes = frame[list(GROUP_PARTS)]
    shares = volumes.div(volumes.sum(axis=1, skipna=False), axis=0) * 100
    table = frame.assign(**{name: shares[name] for name in GROUP_PARTS}).dropna(subset=list(GROUP_PARTS))
    looks = {name: (words.region_title(name), region_colour(name)) for name in GROUP_PARTS}
    return _stacked(
        table,
        looks,
        title="Shares of the groups",
        axis="Share of the four groups' volume (%)",
        caption=f"Mean share of each group in the sum of the four, {measure.side}, {measure.extent_words}. "
        f"{n_words(table)}{filters}",
        file_stem=f"group_shares_{measure.side}_{measure.extent}",
    )


def left_right(left: pd.DataFrame, right: pd.DataFrame, measure: Measure, *, filters: str = "") -> Drawing:
    """Asymmetry by sex: 100 (left - right) / mean of both. Frames have the same scans in the same order."""
    one, other = left["value"].to_numpy(float), right["value"].to_numpy(float)
    mean = (one + other) / 2
    difference = 100 * (one - other) / np.where(mean > 0, mean, np.nan)
    flagged = left["flagged"].to_numpy() | right["flagged"].to_numpy()
    frame = left.assign(value=difference, flagged=flagged).dropna(subset=["value"])
    name = f"{words.region_title(measure.region)}: {words.metric_title(measure.metric)}"
    return boxed(
        frame,
        title="Left against right",
        axis="(left − right) / mean (%)",
        colour=measure.colour,
        caption=f"{name}, {measure.extent_words}: left minus right in percent of their mean; above 0 the left is "
        f"larger. {n_words(frame)}{filters}",
        file_stem=f"asymmetry_{measure.region}_{measure.metric}_{measure.extent}",
    )


def ratio(upper: pd.DataFrame, lower: pd.DataFrame, measure: Measure, *, filters: str = "") -> Drawing:
    """Extensor over flexor by sex. Frames have the same scans in the same order."""
    below = lower["value"].to_numpy(float)
    quotient = upper["value"].to_numpy(float) / np.where(below > 0, below, np.nan)
    flagged = upper["flagged"].to_numpy() | lower["flagged"].to_numpy()
    frame = upper.assign(value=quotient, flagged=flagged).dropna(subset=["value"])
    return boxed(
        frame,
        title="Extensor to flexor",
        axis="Extensor / flexor",
        colour=region_colour("extensor"),
        caption=f"{words.metric_title(measure.metric)} of the extensors over that of the flexors, {measure.side}, "
        f"{measure.extent_words}. {n_words(frame)}{filters}",
        file_stem=f"extensor_flexor_ratio_{measure.metric}_{measure.side}_{measure.extent}",
    )


def _stacked(
    table: pd.DataFrame, looks: Mapping[str, tuple[str, str]], *, title: str, axis: str, caption: str, file_stem: str
) -> Drawing:
    """One bar a sex and age band that has rows, women above men, the young on top; the mean of `looks`' columns."""
    band = pd.cut(table["age_years"], AGE_BANDS, right=False, labels=[_band(i) for i in range(len(AGE_BANDS) - 1)])
    banded = table.assign(age_band=band.cat.add_categories("age not known").fillna("age not known"))
    names, means, counts = [], [], []
    for sex in sexes_of(banded):
        of_sex = banded[banded["sex"] == sex]
        for label, rows in of_sex.groupby("age_band", observed=True, sort=True):
            names.append((sex, str(label)))
            means.append(rows[list(looks)].mean())
            counts.append(rows["subject_id"].nunique())
    positions = -np.arange(len(names), dtype=float)
    ticks = tuple(
        (position, f"{sex}, {label} (n = {n})")
        for position, (sex, label), n in zip(positions, names, counts, strict=True)
    )
    marks = tuple(
        Bars(name=text, positions=positions, lengths=np.array([mean[column] for mean in means]), colour=colour,
             words=tuple(label for _, label in ticks))
        for column, (text, colour) in looks.items()
    )  # fmt: skip
    data = pd.DataFrame(
        [
            {"sex": sex, "age_band": label, "subjects": n, **{f"{column}_percent": mean[column] for column in looks}}
            for (sex, label), mean, n in zip(names, means, counts, strict=True)
        ]
    )
    return Drawing(
        title=title,
        x=Axis(axis, limits=(0, 100)),
        y=Axis("", ticks=ticks, grid=False),
        marks=marks,
        caption=caption,
        data=data,
        file_stem=file_stem,
        height=max(200, 90 + 34 * len(names)),
    )


def _band(i: int) -> str:
    low, high = AGE_BANDS[i], AGE_BANDS[i + 1]
    if i == 0:
        return f"under {high}"
    return f"{low} and over" if i == len(AGE_BANDS) - 2 else f"{low} to {high - 1}"
