"""z-scores and T-scores against a reference table, and the reason wherever a value has none."""

from __future__ import annotations

import numpy as np
import pandas as pd

from thighseg_core.cohort_statistics.reference import NOT_STATED, ReferenceRow, ReferenceTable, hu_range_of

COLUMNS = ("z_score", "z_reason", "z_citation", "t_score", "t_reason", "t_citation")
_KEY = ["region", "side", "extent", "metric", "unit", "hu_preset", "sex"]


def reference_scores(frame: pd.DataFrame, table: ReferenceTable, *, accept_not_stated: bool = False) -> pd.DataFrame:
    """`COLUMNS` for every row of the frame of `db.queries.measurements`, on its index.

    z against the reference of the same age and sex, T against the young of the same sex; (x - mean) / SD, or by LMS
    (Cole and Green 1992, doi 10.1002/sim.4780111005). A value is refused, with the reason, where region, metric, unit,
    site, side basis or Hounsfield range differ from the table's, or where the table does not state them; the last only
    until `accept_not_stated`.
    """
    out = pd.DataFrame({column: pd.Series(dtype=object) for column in COLUMNS}, index=frame.index)
    for letter in ("z", "t"):
        out[f"{letter}_score"] = np.nan
    for key, group in frame.groupby(_KEY, sort=False, dropna=False):
        facts = dict(zip(_KEY, map(str, key), strict=True))
        for letter, role in (("z", "age"), ("t", "young")):
            rows, reason = fitting_rows(table, facts, role=role, accept_not_stated=accept_not_stated)
            score, cited = _score(group, rows, any_age=role == "young")
            out.loc[group.index, f"{letter}_score"] = score
            out.loc[group.index, f"{letter}_citation"] = cited
            why = pd.Series(reason or "no age, or none that the reference covers", index=group.index, dtype=object)
            why = why.where(group["value"].notna(), "no value")
            out.loc[group.index, f"{letter}_reason"] = why.where(score.isna(), None)
    return out.where(out.notna(), None).astype({"z_score": float, "t_score": float})


def fitting_rows(
    table: ReferenceTable, facts: dict[str, str], *, role: str, accept_not_stated: bool = False
) -> tuple[tuple[ReferenceRow, ...], str]:
    """The rows that a value with these facts may be held against, or none and the reason.

    facts: region, side, extent, metric, unit, hu_preset, sex, as in `db.queries.measurements`.
    """
    kind = "young adults" if role == "young" else "an age"
    rows = [row for row in table.rows if row.role == role]
    if not rows:
        return (), f"{table.name} has no values of {kind}"
    rows = [row for row in rows if (row.region, row.metric) == (facts["region"], facts["metric"])]
    if not rows:
        return (), f"{table.name} has no {facts['metric']} of {facts['region']}"
    reasons = [_differs(row, facts, accept_not_stated) for row in rows]
    kept = tuple(row for row, reason in zip(rows, reasons, strict=True) if not reason)
    return kept, "" if kept else f"{table.name}: {reasons[0]}"


def _differs(row: ReferenceRow, facts: dict[str, str], accept_not_stated: bool) -> str:
    """Why this row and a value with these facts are different things; "" when they are not."""
    if row.unit != facts["unit"]:
        return f"its unit is {row.unit}, the value's {facts['unit']}"
    if row.site != facts["extent"]:
        return f"it is of {row.site}, the value of {facts['extent']}"
    thigh = {"one_thigh": ("left", "right"), NOT_STATED: ("left", "right", "both")}.get(
        row.side_basis, (row.side_basis,)
    )
    if facts["side"] not in thigh:
        return f"its side basis is {row.side_basis.replace('_', ' ')}, the value's {facts['side']}"
    depends = hu_range_of(facts["metric"], hu_preset=facts["hu_preset"])
    if row.hu_range not in (NOT_STATED, depends):
        return f"its Hounsfield range is {_range_text(row.hu_range)}, the value's {_range_text(depends)}"
    unstated = [
        name
        for name, stated in (("side basis", row.side_basis), ("Hounsfield range", row.hu_range))
        if stated == NOT_STATED
    ]
    if unstated and not accept_not_stated:
        return f"it does not state its {' and '.join(unstated)}; accept that to use it all the same"
    if row.sex != facts["sex"]:
        return f"it is of {row.sex} subjects"
    return ""


def _range_text(hu: tuple[int, int] | str | None) -> str:
    return f"{hu[0]} to {hu[1]} HU" if isinstance(hu, tuple) else "none"


def _score(group: pd.DataFrame, rows: tuple[ReferenceRow, ...], *, any_age: bool) -> tuple[pd.Series, pd.Series]:
    score = pd.Series(np.nan, index=group.index)
    cited = pd.Series([None] * len(group), index=group.index, dtype=object)
    value, age = group["value"].astype(float), group["age_years"].astype(float).floordiv(1)
    for row in rows:
        meant = value.notna() & (age.between(row.age_min, row.age_max) | any_age)
        if row.lms is not None:
            power, median, spread = row.lms
            ratio = (value / median).clip(lower=1e-9)
            found = np.log(ratio) / spread if power == 0 else (ratio**power - 1) / (power * spread)
        else:
            found = (value - (row.mean or 0.0)) / (row.sd or np.nan)
        score[meant], cited[meant] = found[meant], row.citation
    return score, cited
