"""Reference tables: a CSV of the user's own with its citation, read strictly; and the young part of a cohort as one."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from thighseg_core.cohort_statistics.change import one_value_a_visit
from thighseg_core.errors import InputError
from thighseg_core.tissue import PRESETS

SITES = ("full", "femur_20_80", "midthigh", "ischial")
SIDE_BASES = ("one_thigh", "left", "right", "both", "not stated")
ROLES = ("age", "young")
NOT_STATED = "not stated"
REQUIRED = (
    "region", "metric", "unit", "site", "side_basis", "sex", "age_min", "age_max", "n", "population", "modality",
    "hu_lo", "hu_hi", "kvp", "contrast", "citation", "doi", "verified_by", "verified_on",
)  # fmt: skip
OPTIONAL = ("role", "mean", "sd", "p05", "p50", "p95", "lms_l", "lms_m", "lms_s")
YOUNG_MIN_SUBJECTS = 20  # of one sex before a cohort's young serve as a reference; our convention
_MISSING = ("", "NA")
_SHIPPED = Path(__file__).parent / "reference_tables"

# Which range of a Hounsfield preset a metric's value depends on; a metric that is not here depends on none.
_RANGE_OF = {
    "lean_volume": "lean",
    "lean_attenuation": "lean",
    "lean_volume_asymmetry": "lean",
    "lean_csa": "lean",
    "eroded_attenuation": "lean",
    "intramuscular_fat_volume": "fat",
    "intramuscular_fat_percent": "fat",
    "intramuscular_fat_csa": "fat",
    "imat_volume": "fat",
    "imat_csa": "fat",
    "fat_volume": "fat",
    "fat_csa": "fat",
    "low_attenuation_volume": "low",
    "low_attenuation_csa": "low",
    "normal_attenuation_volume": "normal",
    "normal_attenuation_csa": "normal",
}


@dataclass(frozen=True)
class ReferenceRow:
    """One line of a reference table: a mean and SD, or LMS values, of one sex and range of age (both ends included).

    `hu_range` is the range that the value depends on, None where it depends on none, `NOT_STATED` where the source
    does not say. `role` "young" rows make T-scores, "age" rows z-scores.
    """

    region: str
    metric: str
    unit: str
    site: str
    side_basis: str
    sex: str
    age_min: float
    age_max: float
    mean: float | None
    sd: float | None
    p05: float | None
    p50: float | None
    p95: float | None
    lms: tuple[float, float, float] | None
    n: int | None
    population: str
    modality: str
    hu_range: tuple[int, int] | str | None
    citation: str
    doi: str
    role: str = "age"


@dataclass(frozen=True)
class ReferenceTable:
    """A table that was read; `name` is what the user chooses it by."""

    name: str
    rows: tuple[ReferenceRow, ...]


def hu_range_of(metric: str, *, hu_preset: str) -> tuple[int, int] | None:
    """The Hounsfield range that a value of `metric` depends on under a preset; None where it depends on none."""
    if metric not in _RANGE_OF or hu_preset not in PRESETS:
        return None
    return PRESETS[hu_preset].ranges()[_RANGE_OF[metric]]


def load_reference(text: str, *, name: str) -> ReferenceTable:
    """Read a reference table from CSV text: every column of `REQUIRED`, of `OPTIONAL` mean and sd or the three of LMS.

    "NA" is nothing; "not stated" is allowed in side_basis, hu_lo, hu_hi, kvp and contrast. Raises InputError with the
    line's number for a line without a citation or with a word or number that cannot be.
    """
    reader = csv.DictReader(io.StringIO(text.removeprefix("\ufeff")))
    columns = tuple(reader.fieldnames or ())
    lacking = [column for column in REQUIRED if column not in columns]
    unknown = [column for column in columns if column not in (*REQUIRED, *OPTIONAL)]
    if lacking or unknown:
        raise InputError(
            f"the reference table {name} "
            + (f"lacks the columns {', '.join(lacking)}" if lacking else f"has unknown columns {', '.join(unknown)}")
            + "; docs/statistics.md describes the format"
        )
    rows = tuple(_row(line, where=f"line {number} of {name}") for number, line in enumerate(reader, start=2))
    if not rows:
        raise InputError(f"the reference table {name} has no rows")
    return ReferenceTable(name=name, rows=rows)


def shipped_references() -> tuple[ReferenceTable, ...]:
    """The tables that come with ThighSeg, by name; only values that were read in their source."""
    return tuple(load_reference(path.read_text("utf-8"), name=path.stem) for path in sorted(_SHIPPED.glob("*.csv")))


def young_reference(frame: pd.DataFrame, *, age_min: float = 20.0, age_max: float = 39.0) -> ReferenceTable:
    """The cohort's own young as a reference for T-scores: mean and SD of each measure by sex, first visit each.

    frame: rows of `db.queries.measurements`. Raises InputError when no sex has `YOUNG_MIN_SUBJECTS` of those ages.
    """
    known = one_value_a_visit(frame).dropna(subset=["age_years"])
    known = known[known["age_years"].astype(float).floordiv(1).between(age_min, age_max)]
    keys = ["region", "side", "extent", "metric", "unit", "hu_preset", "sex"]
    known = known.sort_values("visit").drop_duplicates(["subject_id", *keys[:-1]], keep="first")
    rows = []
    for values, group in known.groupby(keys, sort=True):
        region, side, extent, metric, unit, preset, sex = map(str, values)
        spread = float(group["value"].std(ddof=1)) if len(group) > 1 else 0.0
        if sex not in ("female", "male") or len(group) < YOUNG_MIN_SUBJECTS or not spread > 0:
            continue
        rows.append(
            ReferenceRow(
                region=region, metric=metric, unit=unit, site=extent, side_basis=side, sex=sex,
                age_min=age_min, age_max=age_max, mean=float(group["value"].mean()), sd=spread,
                p05=None, p50=None, p95=None, lms=None, n=len(group), population="this cohort", modality="CT",
                hu_range=hu_range_of(metric, hu_preset=preset), doi="", role="young",
                citation=f"This cohort: {len(group)} {sex} subjects of {age_min:g} to {age_max:g} years",
            )
        )  # fmt: skip
    if not rows:
        raise InputError(
            f"no sex has {YOUNG_MIN_SUBJECTS} subjects of {age_min:g} to {age_max:g} years with a value, so the cohort "
            "gives no T-score; load a reference table of young adults, or widen the ages"
        )
    return ReferenceTable(name=f"young of this cohort, {age_min:g} to {age_max:g} years", rows=tuple(rows))


def _row(line: dict[str, str | None], *, where: str) -> ReferenceRow:
    cell = {
        key: "" if (value or "").strip() in _MISSING else (value or "").strip() for key, value in line.items() if key
    }

    def number(column: str, *, needed: bool = False) -> float | None:
        text = cell.get(column, "")
        if not text:
            if needed:
                raise InputError(f"{where}: {column} is empty")
            return None
        try:
            return float(text)
        except ValueError:
            raise InputError(f"{where}: {column} must be a number, is {text!r}") from None

    def word(column: str, allowed: tuple[str, ...], default: str = "") -> str:
        text = cell.get(column, "") or default
        if text not in allowed:
            raise InputError(f"{where}: {column} must be one of {', '.join(allowed)}, is {text!r}")
        return text

    for column in ("citation", "population", "region", "metric", "unit"):
        if not cell[column]:
            raise InputError(
                f"{where}: {column} is empty" + ("; no number is used without its source" * (column == "citation"))
            )
    if cell["modality"] != "CT":
        raise InputError(
            f"{where}: modality is {cell['modality']!r}; values of another modality than CT cannot be compared"
        )
    mean, sd = number("mean"), number("sd")
    parts = (number("lms_l"), number("lms_m"), number("lms_s"))
    lms = None if None in parts else (float(parts[0] or 0), float(parts[1] or 0), float(parts[2] or 0))
    if (mean is None or sd is None or sd <= 0) and (lms is None or lms[1] <= 0 or lms[2] <= 0):
        raise InputError(f"{where}: needs mean and an sd above 0, or lms_l, lms_m and lms_s")
    low, high = number("age_min", needed=True), number("age_max", needed=True)
    if low is None or high is None or low > high:
        raise InputError(f"{where}: age_min {low} lies above age_max {high}")
    n = number("n")
    return ReferenceRow(
        region=cell["region"], metric=cell["metric"], unit=cell["unit"], site=word("site", SITES),
        side_basis=word("side_basis", SIDE_BASES), sex=word("sex", ("female", "male")), age_min=low, age_max=high,
        mean=mean, sd=sd, p05=number("p05"), p50=number("p50"), p95=number("p95"), lms=lms,
        n=None if n is None else int(n), population=cell["population"], modality="CT", hu_range=_hu_range(cell, where),
        citation=cell["citation"], doi=cell["doi"], role=word("role", ROLES, "age"),
    )  # fmt: skip


def _hu_range(cell: dict[str, str], where: str) -> tuple[int, int] | str | None:
    low, high = cell["hu_lo"], cell["hu_hi"]
    if NOT_STATED in (low, high):
        return NOT_STATED
    if not low and not high:
        return None
    try:
        return int(float(low)), int(float(high))
    except ValueError:
        raise InputError(f"{where}: hu_lo and hu_hi must be two numbers, both NA, or not stated") from None
