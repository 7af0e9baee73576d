"""Tables and the figure of the Agreement page, from the frame of `db.agreement.compared_values`. No Streamlit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from pages.parts import words
from pages.parts.charts import region_colour, regions_in_order
from pages.parts.drawing import GREY, Axis, Band, Drawing, Mark, Points, Rule, counted
from thighseg_core.agreement import Agreement, agreement
from thighseg_core.bland_altman import BlandAltman, Scale, on_scale
from thighseg_core.comparison import OVERLAP_METRICS, QUANTITY_METRICS
from thighseg_core.reliability import Interval

OVERLAP_TITLES = {
    "dice": "Dice",
    "sensitivity": "Sensitivity",
    "specificity": "Specificity",
    "accuracy": "Accuracy",
    "hd95": "HD95 (mm)",
    "assd": "ASSD (mm)",
    "surface_dice_1mm": "Surface Dice 1 mm",
    "surface_dice_2mm": "Surface Dice 2 mm",
}
SCALE_TITLES: dict[Scale, str] = {"absolute": "in the unit", "percent": "in % of the mean", "log": "as a ratio"}
_SYMBOLS = {"left": "circle", "right": "diamond"}


def pairs_of_raters(frame: pd.DataFrame) -> list[tuple[str, str]]:
    """(reference, test) that were compared, those with most scans first."""
    counts = frame.groupby(["reference", "test"], sort=True)["scan_id"].nunique()
    return [(str(a), str(b)) for a, b in counts.sort_values(ascending=False, kind="stable").index]


def overlap_rows(frame: pd.DataFrame) -> list[dict[str, str]]:
    """The paper's table: one row a region with means over thighs, and the worst Dice with its scan."""
    out = []
    for region in regions_in_order(list(frame["region"].unique())):
        own = frame[(frame["region"] == region) & frame["metric"].isin(OVERLAP_METRICS)]
        dice = own[own["metric"] == "dice"]
        if dice.empty:
            continue
        worst = dice.iloc[int(dice["value"].argmin())]
        means = own.groupby("metric")["value"].mean()
        out.append(
            {
                "Region": words.region_title(region),
                "Thighs": str(len(dice)),
                "Subjects": str(dice["subject_id"].nunique()),
                **{
                    title: _number(means.get(metric), 2 if OVERLAP_METRICS[metric] == "mm" else 3)
                    for metric, title in OVERLAP_TITLES.items()
                },
                "Dice, median": _number(dice["value"].median(), 3),
                "Dice, worst": f"{worst['value']:.3f} ({worst['subject']}, visit {worst['visit']}, {worst['side']})",
            }
        )
    return out


def quantity_agreement(frame: pd.DataFrame, metric: str, region: str) -> Agreement:
    """Agreement of a quantity in a region; both thighs of a subject, and its visits, are one cluster."""
    own = _pairs(frame, metric, region)
    return agreement(
        own["reference_value"].to_numpy(dtype=float),
        own["test_value"].to_numpy(dtype=float),
        unit=QUANTITY_METRICS[metric],
        persons=[str(key) for key in own["subject_id"]],
    )


def agreement_rows(frame: pd.DataFrame, metric: str) -> list[dict[str, str]]:
    """One row a region: coefficients, bias and limits of agreement with intervals, precision and detectable change."""
    out = []
    for region in regions_in_order(list(frame.loc[frame["metric"] == metric, "region"].unique())):
        found = quantity_agreement(frame, metric, region)
        limits = found.absolute
        out.append(
            {
                "Region": words.region_title(region),
                "Thighs": str(found.n),
                "Subjects": str(found.n_persons),
                "ICC(A,1)": with_interval(found.icc_a1, 3),
                "ICC(C,1)": with_interval(found.icc_c1, 3),
                "Bias": with_interval(limits.bias if limits else None, 2),
                "Lower limit": with_interval(limits.lower if limits else None, 2),
                "Upper limit": with_interval(limits.upper if limits else None, 2),
                "Bias, %": with_interval(found.percent.bias if found.percent else None, 1),
                "Proportional bias": _slope(limits),
                "RMS-CV, %": _number(found.rms_cv_percent, 2),
                "Repeatability": _number(found.repeatability, 2),
                "SDC95": _number(found.sdc95, 2),
            }
        )
    return out


def with_interval(interval: Interval | None, digits: int) -> str:
    """Such as `0.981 (0.950 to 0.993)`; a dash where there is no number."""
    if interval is None:
        return "–"
    value = _number(interval.value, digits)
    if interval.low is None or interval.high is None:
        return value
    return f"{value} ({_number(interval.low, digits)} to {_number(interval.high, digits)})"


def _slope(limits: BlandAltman | None) -> str:
    """Slope of the difference on the mean, and whether its interval leaves out 0."""
    if limits is None or limits.slope is None:
        return "–"
    text = f"{limits.slope.value:+.3f}"
    if limits.slope.low is None or limits.slope.high is None:
        return text
    return f"{text}, {'no' if limits.slope.low <= 0 <= limits.slope.high else 'yes'}"


def _number(value: float | None, digits: int) -> str:
    return "–" if value is None or value != value else f"{value:.{digits}f}"


def _pairs(frame: pd.DataFrame, metric: str, region: str) -> pd.DataFrame:
    own = frame[(frame["metric"] == metric) & (frame["region"] == region)]
    return own.dropna(subset=["reference_value", "test_value"])


def limits_drawing(frame: pd.DataFrame, metric: str, region: str, *, scale: Scale, who: tuple[str, str]) -> Drawing:
    """Bland-Altman figure: difference against the mean of both, bias and limits with their 95 % intervals."""
    own = _pairs(frame, metric, region)
    x, y = (own[name].to_numpy(dtype=float) for name in ("reference_value", "test_value"))
    found = quantity_agreement(frame, metric, region)
    limits = {"absolute": found.absolute, "percent": found.percent, "log": found.log}[scale]
    if scale != "absolute" and limits is None:
        scale, limits = "absolute", found.absolute
    with np.errstate(divide="ignore", invalid="ignore"):
        difference = on_scale(x, y, scale=scale)
    difference = 100 * np.expm1(difference) if scale == "log" else difference
    table = own.assign(mean=(x + y) / 2, difference=difference)
    unit = words.unit_text(QUANTITY_METRICS[metric])
    name = f"{words.region_title(region)}: {words.metric_title(metric)}"
    return Drawing(
        title=f"{name}, {who[1]} against {who[0]}",
        x=Axis(f"Mean of both ({unit})"),
        y=Axis(f"{who[1]} − {who[0]} ({unit if scale == 'absolute' else '%'})"),
        marks=(*_bands(table, limits), *_points(table, region)),
        caption=f"{name} on the compared slices, {who[1]} minus {who[0]} {SCALE_TITLES[scale]}, one point a thigh. "
        f"{counted(own['subject_id'].nunique(), own['scan_id'].nunique())}. {_limits_words(limits)}",
        data=table[
            [
                "subject",
                "visit",
                "scan",
                "side",
                "region",
                "metric",
                "reference_value",
                "test_value",
                "mean",
                "difference",
            ]
        ],
        file_stem=f"agreement_{metric}_{region}_{scale}",
    )


def _limits_words(limits: BlandAltman | None) -> str:
    if limits is None:
        return "Too few subjects for limits of agreement."
    clustered = limits.n_clusters is not None and limits.n_clusters < limits.n
    how = "from resampling subjects" if clustered else "exact (Carkeet 2015)"
    return (
        f"Bias {limits.bias.value:.2f} {words.unit_text(limits.unit)}, limits of agreement {limits.lower.value:.2f} to "
        f"{limits.upper.value:.2f} (Bland and Altman); shaded: their 95 % intervals, {how}."
    )


def _bands(table: pd.DataFrame, limits: BlandAltman | None) -> list[Mark]:
    if limits is None or table.empty:
        return []
    ends = np.array([table["mean"].min(), table["mean"].max()], dtype=float)
    marks: list[Mark] = []
    for name, one in (
        ("bias", limits.bias),
        ("limits of agreement", limits.lower),
        ("limits of agreement", limits.upper),
    ):
        if one.low is not None and one.high is not None:
            low, high = np.full(2, one.low), np.full(2, one.high)
            marks.append(Band("95 % interval", ends, low, high, GREY, legend=name == "bias"))
        marks.append(Rule(name, one.value, dash="solid" if name == "bias" else "dash"))
    return marks


def _points(table: pd.DataFrame, region: str) -> list[Mark]:
    return [
        Points(
            side,
            rows["mean"].to_numpy(dtype=float),
            rows["difference"].to_numpy(dtype=float),
            region_colour(region),
            symbol=_SYMBOLS.get(str(side), "square"),
            filled=side != "right",
            scan_ids=rows["scan_id"].to_numpy(dtype=np.int64),
            words=tuple(f"{r.subject}, visit {r.visit}, {r.side}" for r in rows.itertuples()),
        )
        for side, rows in table.groupby("side", sort=True)
    ]


def card_rows(cards: Mapping[str, Mapping[str, Any]], *, level: str) -> list[dict[str, str]]:
    """The paper's table of every network on the drawn slices, from the model cards' figures at one level."""
    out = []
    for network, real in cards.items():
        for structure, facts in real.get(level, {}).items():
            row = {
                "Network": network,
                "Structure": words.region_title(structure),
                "Slices": str(facts["n"]),
                "Dice": f"{facts['dice_mean']:.3f}",
                "Dice, worst": f"{facts['dice_worst']:.3f}",
            }
            for key, title in (
                ("sensitivity", "Sensitivity"),
                ("specificity", "Specificity"),
                ("accuracy", "Accuracy"),
            ):
                row[title] = _number(facts.get(key), 3)
            row["HD95 (mm)"], row["ASSD (mm)"] = _number(facts.get("hd95_mm"), 2), _number(facts.get("assd_mm"), 2)
            row["Surface Dice 1 mm"] = _number(facts.get("surface_dice_1mm"), 3)
            row["Surface Dice 2 mm"] = _number(facts.get("surface_dice_2mm"), 3)
            row["Area ICC(A,1)"] = _card_interval(facts, "icc_a1", 3)
            row["Area bias, %"] = _card_interval(facts, "bias_percent", 1)
            row["Limits of agreement, %"] = (
                f"{_number(facts.get('loa_lower_percent'), 1)} to {_number(facts.get('loa_upper_percent'), 1)}"
            )
            out.append(row)
    return out


def _card_interval(facts: Mapping[str, Any], name: str, digits: int) -> str:
    value = facts.get(name)
    if value is None:
        return "–"
    return with_interval(Interval(value, facts.get(f"{name}_low"), facts.get(f"{name}_high")), digits)
