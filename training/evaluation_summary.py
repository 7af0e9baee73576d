"""From the scores of an evaluation to its tables: per level (shaft, all), sex and structure."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from thighseg_core.agreement import Agreement, agreement
from thighseg_core.cluster_bootstrap import FEWEST_PERSONS, cluster_rows, percentile_interval, resampled_sums
from thighseg_core.labels import GROUPS
from thighseg_core.reliability import Interval

STRUCTURES = (*GROUPS, "sartorius", "total", "intermuscular", "subcutaneous", "femur")
MEANS = (
    "sensitivity", "specificity", "accuracy", "hd95_mm", "assd_mm", "surface_dice_1mm", "surface_dice_2mm",
)  # fmt: skip
FEWEST_OF_A_SEX = 3  # patients, for a table of its own
SLICE_REFERENCE = "hand-drawn slices of the TCIA Soft-tissue-Sarcoma CTs, by an AI reader, not by a radiologist"
# Parts of the scores with tables of their own; the first two are stored in the model card.
PARTS = ("shaft", "all", "female", "male")
DIGITS = 4


def summarise(scores: pd.DataFrame, *, reference: str = SLICE_REFERENCE) -> dict[str, Any]:
    """Every statistic of each structure, of the slices at shaft level, of all, and of each sex at all levels.

    scores: one row a structure and slice (or a structure, side and whole scan), as `training.evaluate` writes them.
    """
    case = [name for name in ("patient", "slice_index") if name in scores]
    out: dict[str, Any] = {
        "scans": int(scores["patient"].nunique()),
        "slices": int(scores[case].drop_duplicates().shape[0]),
        "reference": reference,
    }
    for name in PARTS:
        part = _part(scores, name)
        if name in ("female", "male") and part["patient"].nunique() < FEWEST_OF_A_SEX:
            continue
        rows = {s: of_structure(one) for s in STRUCTURES if len(one := part[part["structure"] == s])}
        if rows:
            out[name] = rows
    return out


def _part(scores: pd.DataFrame, name: str) -> pd.DataFrame:
    if name == "all":
        return scores
    column = "level" if name == "shaft" else "sex"
    return scores[scores[column] == name] if column in scores else scores.iloc[:0]


def of_structure(scores: pd.DataFrame) -> dict[str, Any]:
    """Statistics of one structure: overlap and surfaces as means over slices, areas (or volumes) as agreement.

    `missed`: slices on which nothing was predicted; they count with Dice 0 and have no distance.
    """
    worst = scores.iloc[int(scores["dice"].argmin())]
    dice = mean_with_interval(scores["dice"], scores["patient"])
    agreed = size_agreement(scores)
    reference, predicted, _ = sizes(scores)
    found: dict[str, Any] = {
        "n": len(scores),
        "patients": int(scores["patient"].nunique()),
        "dice_mean": dice.value,
        "dice_mean_low": dice.low,
        "dice_mean_high": dice.high,
        "dice_median": float(scores["dice"].median()),
        "dice_worst": float(worst["dice"]),
        "worst_case": _case(worst),
        "missed": int((predicted == 0).sum()),
        "area_error_percent": float((100 * (predicted - reference) / reference).mean()),
    }
    found |= {name: _mean(scores[name]) for name in MEANS if name in scores}
    found |= _agreement_figures(agreed)
    return {name: round(value, DIGITS) if isinstance(value, float) else value for name, value in found.items()}


def sizes(scores: pd.DataFrame) -> tuple[pd.Series, pd.Series, str]:
    """Reference and predicted areas or volumes, and their unit."""
    unit = "cm2" if "reference_cm2" in scores else "cm3"
    return scores[f"reference_{unit}"], scores[f"predicted_{unit}"], unit


def size_agreement(scores: pd.DataFrame) -> Agreement:
    """Agreement of predicted with drawn areas (or volumes); slices of one patient are a cluster."""
    reference, predicted, unit = sizes(scores)
    return agreement(reference.to_numpy(), predicted.to_numpy(), unit=unit, persons=list(scores["patient"]))


def mean_with_interval(values: pd.Series, persons: pd.Series) -> Interval:
    """Mean over rows with the interval from resampling persons; no interval for fewer than six persons."""
    rows = cluster_rows(list(persons))
    array = values.to_numpy(dtype=np.float64)
    if len(rows) < FEWEST_PERSONS:
        return Interval(float(array.mean()), None, None)
    draws = resampled_sums(np.array([(len(own), array[own].sum()) for own in rows]))
    low, high = percentile_interval(draws[:, 1:] / draws[:, :1])
    return Interval(float(array.mean()), float(low[0]), float(high[0]))


def _agreement_figures(agreed: Agreement) -> dict[str, float | None]:
    """The figures of an Agreement that the tables show, flat; "loa" are the limits of agreement."""
    found: dict[str, float | None] = {"sdc95": agreed.sdc95, "rms_cv_percent": agreed.rms_cv_percent}
    parts = {"icc_a1": agreed.icc_a1, "icc_c1": agreed.icc_c1}
    for scale, one in (("", agreed.absolute), ("_percent", agreed.percent)):
        for name in ("bias", "lower", "upper"):
            parts[f"{'loa_' if name != 'bias' else ''}{name}{scale}"] = getattr(one, name) if one else None
    for name, interval in parts.items():
        found[name] = interval.value if interval else None
        found[f"{name}_low"] = interval.low if interval else None
        found[f"{name}_high"] = interval.high if interval else None
    return found


def _mean(values: pd.Series) -> float | None:
    known = values.dropna()
    return float(known.mean()) if len(known) else None


def _case(row: pd.Series) -> str:
    side = f" {row['side']}" if "side" in row else ""
    return f"{row['patient']} slice {row['slice_index']}" if "slice_index" in row else f"{row['patient']}{side}"


def as_rows(summary: dict[str, Any], *, model: str, data_set: str) -> list[dict[str, Any]]:
    """The summary as rows of summary.csv: one a part (shaft, all, ...) and structure."""
    return [
        {"model": model, "data_set": data_set, "level": part, "structure": name, **facts}
        for part in PARTS
        for name, facts in summary.get(part, {}).items()
    ]


def as_markdown(summary: dict[str, Any], *, title: str) -> str:
    """The summary for people: the paper's table with distances, and the agreement of areas or volumes."""
    lines = [
        f"# {title}",
        "",
        f"{summary['slices']} slices of {summary['scans']} scans; reference: {summary['reference']}.",
        "Intervals (95 %) come from resampling patients. A slice on which nothing was predicted counts with Dice 0 and "
        "has no distance.",
        "",
        "| level | structure | n | Dice mean (95 % CI) | median | worst | worst case | sens. | spec. | acc. | HD95 mm "
        "| ASSD mm | surface Dice 1 mm | 2 mm | missed |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    parts = [(part, name, facts) for part in PARTS for name, facts in summary.get(part, {}).items()]
    lines += [
        f"| {part} | {name} | {v['n']} | {_number(v['dice_mean'])} {_interval(v, 'dice_mean')} "
        f"| {_number(v['dice_median'])} | {_number(v['dice_worst'])} | {v['worst_case']} "
        + "".join(f"| {_number(v.get(key))} " for key in ("sensitivity", "specificity", "accuracy"))
        + "".join(f"| {_number(v.get(key), 2)} " for key in ("hd95_mm", "assd_mm"))
        + "".join(f"| {_number(v.get(key))} " for key in ("surface_dice_1mm", "surface_dice_2mm"))
        + f"| {v['missed']} |"
        for part, name, v in parts
    ]
    lines += [
        "",
        "Size (area on the slice, or volume in the scan), predicted - drawn; limits in percent of the mean of both:",
        "",
        "| level | structure | n | mean error % | ICC(A,1) (95 % CI) | ICC(C,1) | bias % (95 % CI) | lower limit % "
        "| upper limit % | SDC95 |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {part} | {name} | {v['n']} | {v['area_error_percent']:+.1f} "
        f"| {_number(v['icc_a1'])} {_interval(v, 'icc_a1')} | {_number(v['icc_c1'])} "
        + "".join(
            f"| {_number(v[key], 1)} {_interval(v, key, 1)} "
            for key in ("bias_percent", "loa_lower_percent", "loa_upper_percent")
        )
        + f"| {_number(v['sdc95'], 2)} |"
        for part, name, v in parts
    ]
    return "\n".join(lines) + "\n"


def _number(value: float | None, digits: int = 3) -> str:
    return "NA" if value is None or value != value else f"{value:.{digits}f}"


def _interval(facts: dict[str, Any], name: str, digits: int = 3) -> str:
    low, high = facts[f"{name}_low"], facts[f"{name}_high"]
    return "" if low is None or high is None else f"({_number(low, digits)} to {_number(high, digits)})"
