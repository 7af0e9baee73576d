"""Change of a measure between two visits of the same subject, and whether it is more than measurement error."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from thighseg_core.errors import InputError

DAYS_PER_YEAR = 365.25
PERCENT = "%"
_KEY = ["study_id", "study", "subject_id", "subject", "sex", "region", "side", "extent", "metric", "unit"]
COLUMNS = (
    *_KEY, "from_visit", "to_visit", "from_date", "to_date", "from_value", "to_value",
    "days", "change", "change_percent", "change_per_year", "sdc95", "sdc95_unit", "exceeds_sdc95", "sdc95_source",
)  # fmt: skip


@dataclass(frozen=True)
class SDC95:
    """Smallest detectable change of a metric: 1.96 x sqrt(2) x SEM, from repeated measurements of the user's own.

    `value` is in the metric's unit, or with `unit` "%" in percent of the mean of the two visits. `region` and `extent`
    None: of every region, every extent. `source` says where it comes from and is shown beside every verdict.
    """

    metric: str
    value: float
    unit: str
    source: str
    region: str | None = None
    extent: str | None = None

    def __post_init__(self) -> None:
        if not self.value > 0:
            raise InputError(f"a smallest detectable change must be more than 0, got {self.value}")
        if not self.source.strip():
            raise InputError("a smallest detectable change needs its source: which repeated measurements gave it")


def one_value_a_visit(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows with a value; of several scans of a subject in one visit, the last stored."""
    known = frame.dropna(subset=["value"]).sort_values(["visit", "scan_id"])
    return known.drop_duplicates([*_KEY, "visit"], keep="last")


def changes(frame: pd.DataFrame, *, since: str = "previous", sdc95: Sequence[SDC95] = ()) -> pd.DataFrame:
    """One row a pair of visits and measure, `COLUMNS`, from the frame of `db.queries.measurements`.

    since: "previous" compares each visit with the one before, "baseline" with the subject's first.
    Of several scans in a visit the last stored counts. Missing values make no pair. Numbers that cannot
    be had are missing: percent of a zero start, days and change per year without both dates, the verdict
    `exceeds_sdc95` (True, False) without an SDC95 of that metric in its unit or in percent.
    """
    if since not in ("previous", "baseline"):
        raise ValueError(f"since must be 'previous' or 'baseline', got {since!r}")
    known = one_value_a_visit(frame)
    grouped = known.groupby(_KEY, sort=False)
    columns = {"visit": "from_visit", "visit_date": "from_date", "value": "from_value"}
    before = grouped[list(columns)].shift(1) if since == "previous" else grouped[list(columns)].transform("first")
    pairs = known.rename(columns={"visit": "to_visit", "visit_date": "to_date", "value": "to_value"})
    pairs = pairs.assign(**{new: before[old] for old, new in columns.items()})
    pairs = pairs[pairs["from_visit"].notna() & (pairs["from_visit"] != pairs["to_visit"])].copy()

    pairs["from_visit"] = pairs["from_visit"].astype(int)
    pairs["days"] = (pd.to_datetime(pairs["to_date"]) - pd.to_datetime(pairs["from_date"])).dt.days
    pairs["change"] = pairs["to_value"] - pairs["from_value"]
    pairs["change_percent"] = 100.0 * pairs["change"] / pairs["from_value"].where(pairs["from_value"] != 0)
    pairs["change_per_year"] = pairs["change"] * DAYS_PER_YEAR / pairs["days"].where(pairs["days"] > 0)
    pairs = _judged(pairs, sdc95)
    return pairs[list(COLUMNS)].sort_values([*_KEY, "to_visit"]).reset_index(drop=True)


def _judged(pairs: pd.DataFrame, limits: Sequence[SDC95]) -> pd.DataFrame:
    """The pairs with each one's limit and verdict; a later limit of `limits` takes the place of an earlier one."""
    value = pd.Series(np.nan, index=pairs.index)
    unit = pd.Series([None] * len(pairs), index=pairs.index, dtype=object)
    source = pd.Series([None] * len(pairs), index=pairs.index, dtype=object)
    verdict = pd.Series([None] * len(pairs), index=pairs.index, dtype=object)
    mean = (pairs["from_value"] + pairs["to_value"]) / 2
    percent_of_mean = 100.0 * pairs["change"].abs() / mean.abs().where(mean != 0)
    for limit in limits:
        meant = (pairs["metric"] == limit.metric) & ((pairs["unit"] == limit.unit) | (limit.unit == PERCENT))
        if limit.region is not None:
            meant &= pairs["region"] == limit.region
        if limit.extent is not None:
            meant &= pairs["extent"] == limit.extent
        # A metric that is itself in percent is judged by its points.
        size = pairs["change"].abs().where(pairs["unit"] == limit.unit, percent_of_mean)
        value[meant], unit[meant], source[meant] = limit.value, limit.unit, limit.source
        known = meant & size.notna()
        verdict[known] = (size[known] > limit.value).astype(object)
    return pairs.assign(sdc95=value, sdc95_unit=unit, exceeds_sdc95=verdict, sdc95_source=source)
