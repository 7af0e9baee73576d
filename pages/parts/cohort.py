"""Tables and warnings of the cohort page, from a tidy frame with one row a value. No Streamlit, no database.

The frame is that of `db.queries.measurements`, with the facts of `SCAN_FACTS` added to each row.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from pages.parts.charts import SEX_ORDER
from thighseg_core.cohort_statistics.change import SDC95, changes, one_value_a_visit

# Taken from `db.queries.scans`; `coverage_mm` is the length scanned: slices times their distance.
SCAN_FACTS = ("coverage_mm", "tube_voltage_kvp", "contrast_agent")

# Lengths of leg that differ by more than this share of their median are not "the same coverage". Our convention.
COVERAGE_TOLERANCE = 0.10
_WHY_COVERAGE_MATTERS = {
    "cm3": "A volume grows with the length scanned",
    "cm2": "The largest and the middle slice lie at different levels of the thigh",
}
_WHY_MEANS = "These are means over different parts of the thigh"


def summary_by_sex(frame: pd.DataFrame) -> pd.DataFrame:
    """n subjects, n values, median, quartiles and range per sex, and over all when there is more than one sex."""
    groups = [(sex, frame[frame["sex"] == sex]) for sex in SEX_ORDER if (frame["sex"] == sex).any()]
    if len(groups) > 1:
        groups.append(("all", frame))
    rows = [
        {
            "sex": sex,
            "subjects": rows["subject"].nunique(),
            "values": len(rows),
            "median": rows["value"].median(),
            "quartile_1": rows["value"].quantile(0.25),
            "quartile_3": rows["value"].quantile(0.75),
            "lowest": rows["value"].min(),
            "highest": rows["value"].max(),
        }
        for sex, rows in groups
    ]
    return pd.DataFrame(rows)


def with_scan_facts(measurements: pd.DataFrame, scans: pd.DataFrame) -> pd.DataFrame:
    """Add `SCAN_FACTS` of each value's scan."""
    facts = scans.assign(coverage_mm=scans["n_slices"] * scans["slice_spacing_mm"])[["scan_id", *SCAN_FACTS]]
    return measurements.merge(facts, on="scan_id", how="left", validate="many_to_one")


def change_table(frame: pd.DataFrame, *, since: str = "baseline", sdc95: Sequence[SDC95] = ()) -> pd.DataFrame:
    """`cohort_statistics.change.changes`, with the later visit's `scan_id` and `flagged`, and `same_coverage`.

    `same_coverage` is False where the lengths scanned differ by more than `COVERAGE_TOLERANCE`. Of several scans in a
    visit the last stored counts, here as there.
    """
    table = changes(frame, since=since, sdc95=sdc95)
    counted = one_value_a_visit(frame).set_index(["subject_id", "visit"])
    before = pd.MultiIndex.from_frame(table[["subject_id", "from_visit"]])
    after = pd.MultiIndex.from_frame(table[["subject_id", "to_visit"]])
    first, last = (counted["coverage_mm"].reindex(visit).to_numpy(float) for visit in (before, after))
    return table.assign(
        scan_id=counted["scan_id"].reindex(after).to_numpy(),
        flagged=counted["flagged"].reindex(after).to_numpy(bool),
        same_coverage=~(np.abs(first - last) > COVERAGE_TOLERANCE * (first + last) / 2),
    )


def warnings(frame: pd.DataFrame) -> list[str]:
    """Reasons, as sentences, why the values of one metric should not simply be compared; empty when there is none."""
    found = []
    scans = frame.drop_duplicates("scan_id")
    if len(scans) < 2:
        return found
    if not _comparable(list(scans["coverage_mm"])):
        shortest, longest = scans["coverage_mm"].min() / 10, scans["coverage_mm"].max() / 10
        why = _WHY_COVERAGE_MATTERS.get(str(frame["unit"].iloc[0]), _WHY_MEANS)
        found.append(
            f"These scans cover different lengths of the leg ({shortest:.1f} to {longest:.1f} cm). {why}, so the "
            "values are not comparable with each other. Narrow the filter *Length scanned* to compare like with like."
        )
    if frame["unit"].eq("HU").any():
        voltages = sorted({f"{value:g}" for value in scans["tube_voltage_kvp"].dropna()})
        if len(voltages) > 1:
            found.append(
                f"Tube voltages are mixed ({', '.join(voltages)} kVp). Attenuation of muscle shifts by several HU "
                "between 80 and 140 kVp, so compare within one voltage."
            )
        contrast = scans["contrast_agent"].fillna("").ne("")
        if contrast.any() and not contrast.all():
            found.append(
                "Scans with and without contrast agent are mixed. Contrast raises the attenuation of muscle by "
                "several HU, so compare within one kind."
            )
    models = sorted(set(scans["model_name"].dropna()))
    if len(models) > 1:
        found.append(f"Several networks measured these scans ({', '.join(models)}); their borders differ.")
    return found


def _comparable(lengths_mm: list[float]) -> bool:
    lengths = pd.Series(lengths_mm, dtype=float).dropna()
    if len(lengths) < 2:
        return True
    return bool(lengths.max() - lengths.min() <= COVERAGE_TOLERANCE * lengths.median())
