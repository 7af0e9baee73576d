"""Change of a measure between two visits of the same subject."""

from __future__ import annotations

import pandas as pd

DAYS_PER_YEAR = 365.25
_KEY = ["study_id", "study", "subject_id", "subject", "sex", "region", "side", "extent", "metric", "unit"]
COLUMNS = (
    *_KEY, "from_visit", "to_visit", "from_date", "to_date", "from_value", "to_value",
    "days", "change", "change_percent", "change_per_year",
)  # fmt: skip


def changes_between_visits(cohort: pd.DataFrame, *, since: str = "previous") -> pd.DataFrame:
    """One row a pair of visits and measure, from the frame of `queries.measurements`.

    since: "previous" compares each visit with the one before, "baseline" with the subject's first.
    Of several scans in a visit the last stored counts. Missing values make no pair. Numbers that cannot
    be had are missing: percent of a zero start, days and change per year without both dates.
    """
    if since not in ("previous", "baseline"):
        raise ValueError(f"since must be 'previous' or 'baseline', got {since!r}")
    known = cohort.dropna(subset=["value"]).sort_values(["visit", "scan_id"])
    known = known.drop_duplicates([*_KEY, "visit"], keep="last")
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
    return pairs[list(COLUMNS)].sort_values([*_KEY, "to_visit"]).reset_index(drop=True)
