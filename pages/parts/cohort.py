"""Tables and warnings of the cohort page, from a tidy frame with one row a value. No Streamlit, no database."""

from __future__ import annotations

import pandas as pd

from pages.parts.charts import SEX_ORDER

# What a cohort frame holds. `coverage_mm`: length of leg in the scan along its slices; `visit`: visit number.
COLUMNS = (
    "scan",
    "subject",
    "sex",
    "age_years",
    "visit",
    "visit_date",
    "region",
    "side",
    "extent",
    "metric",
    "value",
    "unit",
    "status",
    "reason",
    "decision",
    "coverage_mm",
    "tube_voltage_kvp",
    "contrast_agent",
    "model",
)

# Lengths of leg that differ by more than this share of their median are not "the same coverage". Our convention.
COVERAGE_TOLERANCE = 0.10
LENGTH_DEPENDENT_UNITS = ("cm3",)  # a sum over slices grows with the number of slices


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


def one_value_a_visit(frame: pd.DataFrame) -> pd.DataFrame:
    """Keep the most recently added scan where a visit has several, so that a subject counts once a visit."""
    return frame.sort_values("scan").drop_duplicates(["subject", "visit"], keep="last")


def change_table(frame: pd.DataFrame) -> pd.DataFrame:
    """First and last visit of each subject with at least two: values, absolute and relative change, days between.

    `same_coverage` is False where the two scans cover lengths that differ by more than `COVERAGE_TOLERANCE`.
    """
    rows = []
    for subject, visits in one_value_a_visit(frame).sort_values("visit").groupby("subject", sort=True):
        if len(visits) < 2:
            continue
        first, last = visits.iloc[0], visits.iloc[-1]
        change = last["value"] - first["value"]
        rows.append(
            {
                "subject": subject,
                "sex": first["sex"],
                "first_visit": first["visit"],
                "last_visit": last["visit"],
                "first_value": first["value"],
                "last_value": last["value"],
                "change": change,
                "change_percent": 100 * change / first["value"] if first["value"] else None,
                "days": _days(first["visit_date"], last["visit_date"]),
                "same_coverage": _comparable([first["coverage_mm"], last["coverage_mm"]]),
            }
        )
    return pd.DataFrame(rows)


def warnings(frame: pd.DataFrame) -> list[str]:
    """Reasons, as sentences, why the values in the frame should not simply be compared; empty when there is none."""
    found = []
    scans = frame.drop_duplicates("scan")
    if len(scans) < 2:
        return found
    if frame["unit"].isin(LENGTH_DEPENDENT_UNITS).any() and not _comparable(list(scans["coverage_mm"])):
        shortest, longest = scans["coverage_mm"].min() / 10, scans["coverage_mm"].max() / 10
        found.append(
            f"These scans cover different lengths of the leg ({shortest:.1f} to {longest:.1f} cm). "
            "A volume grows with the length scanned, so these volumes must not be compared with each other. "
            "Choose a cross-sectional area or the mean attenuation, or narrow the coverage filter."
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
    models = sorted(set(scans["model"].dropna()))
    if len(models) > 1:
        found.append(f"Several networks measured these scans ({', '.join(models)}); their borders differ.")
    return found


def _comparable(lengths_mm: list[float]) -> bool:
    lengths = pd.Series(lengths_mm, dtype=float).dropna()
    if len(lengths) < 2:
        return True
    return bool(lengths.max() - lengths.min() <= COVERAGE_TOLERANCE * lengths.median())


def _days(first: object, last: object) -> int | None:
    if pd.isna(first) or pd.isna(last):
        return None
    return int((pd.Timestamp(last) - pd.Timestamp(first)).days)
