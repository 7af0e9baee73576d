"""One person over the visits: which scan stands for a visit, at which level it is shown, table and figure. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from pages.parts import charts, words
from pages.parts.distributions import DASHES
from pages.parts.drawing import Axis, Drawing, Line, Mark, Points
from thighseg_core.metrics import METRICS

Row = Mapping[str, Any]

REGIONS = ("extensor", "flexor", "adductor", "sartorius", "total")
TABLE_METRICS = (
    "volume", "lean_volume", "intramuscular_fat_percent", "lean_attenuation", "csa_max", "csa", "csa_mid",
)  # fmt: skip
_COVERAGE_TOLERANCE = 0.10  # as on the cohort page


@dataclass(frozen=True)
class LevelChoice:
    """Where a visit's slice is shown: z in the scan's own coordinates, and in words how it was found."""

    z_mm: float
    method: str


def one_scan_a_visit(scans: Iterable[Row]) -> list[Row]:
    """Of each visit the last stored scan that has a result, else the last stored; in the order of the visits."""
    best: dict[int, Row] = {}
    for scan in sorted(scans, key=lambda scan: scan["scan_id"]):
        kept = best.get(scan["visit"])
        if kept is None or scan["run_id"] is not None or kept["run_id"] is None:
            best[scan["visit"]] = scan
    return [best[visit] for visit in sorted(best)]


def level_of(rows: Iterable[Row], *, scan_id: int) -> LevelChoice | None:
    """Mid-thigh where it was found, else the middle of the slices that hold the leg; mean of both legs."""
    found: dict[str, list[float]] = {}
    for row in rows:
        if row["scan_id"] == scan_id and row["value"] is not None and row["metric"] in ("midthigh_z", "csa_mid_z"):
            found.setdefault(row["metric"], []).append(float(row["value"]))
    for metric, method in (("midthigh_z", "mid-thigh"), ("csa_mid_z", "middle of the field of view")):
        if metric in found:
            return LevelChoice(float(np.median(found[metric])), method)
    return None


def comparison(rows: Iterable[Row], *, side: str, extent: str, visits: Sequence[Row]) -> pd.DataFrame:
    """One row a region and metric: value at every visit, change from the first to the last, in percent too.

    visits: as `one_scan_a_visit` gives them. Columns: region, metric, unit, visit_1, ..., change, change_percent and
    marks (a value is flagged).
    """
    wanted = {scan["scan_id"]: int(scan["visit"]) for scan in visits}
    cells: dict[tuple[str, str], dict[int, Row]] = {}
    for row in rows:
        if row["scan_id"] in wanted and row["side"] == side and row["extent"] == extent:
            cells.setdefault((row["region"], row["metric"]), {})[wanted[row["scan_id"]]] = row
    table = []
    for region in REGIONS:
        for metric in TABLE_METRICS:
            at = cells.get((region, metric))
            if not at or all(row["value"] is None for row in at.values()):
                continue
            line: dict[str, Any] = {"region": region, "metric": metric, "unit": METRICS[metric].unit}
            values = [at[number]["value"] if number in at else None for number in sorted(wanted.values())]
            line |= {f"visit_{number}": value for number, value in zip(sorted(wanted.values()), values, strict=True)}
            known = [value for value in values if value is not None]
            both = len(known) >= 2 and values[0] is not None and values[-1] is not None
            line["change"] = known[-1] - known[0] if both else None
            line["change_percent"] = 100 * (known[-1] - known[0]) / known[0] if both and known[0] else None
            line["marks"] = any(row["status"] == "flagged" for row in at.values())
            table.append(line)
    return pd.DataFrame(table)


def coverage_differs(visits: Sequence[Row]) -> bool:
    """Whether the scans of the visits cover clearly different lengths of the leg."""
    lengths = [scan["n_slices"] * scan["slice_spacing_mm"] for scan in visits]
    return len(lengths) > 1 and max(lengths) - min(lengths) > _COVERAGE_TOLERANCE * float(np.median(lengths))


def over_visits(
    rows: Iterable[Row], *, metric: str, side: str, extent: str, visits: Sequence[Row], subject: str, height: int = 330
) -> Drawing:
    """The muscle groups of one person over the visits, each in its colour; over dates where all are known."""
    wanted = {scan["scan_id"]: scan for scan in visits}
    dated = len(visits) > 0 and all(scan["visit_date"] is not None for scan in visits)
    facts = [
        {
            "region": row["region"],
            "scan_id": row["scan_id"],
            "visit": wanted[row["scan_id"]]["visit"],
            "visit_date": wanted[row["scan_id"]]["visit_date"],
            "value": float(row["value"]),
            "flagged": row["status"] == "flagged",
        }
        for row in rows
        if row["scan_id"] in wanted
        and (row["metric"], row["side"], row["extent"]) == (metric, side, extent)
        and row["region"] in REGIONS
        and row["value"] is not None
    ]
    table = pd.DataFrame(facts, columns=["region", "scan_id", "visit", "visit_date", "value", "flagged"])
    if dated and len(table):
        dates = pd.to_datetime(table["visit_date"])
        table["years"] = (dates - dates.min()).dt.days / 365.25
    x = "years" if dated else "visit"
    marks: list[Mark] = []
    for region in charts.regions_in_order([name for name in REGIONS if name in set(table["region"])]):
        of_region = table[table["region"] == region].sort_values("visit")
        name, colour = words.region_title(region), charts.region_colour(region)
        at, value = of_region[x].to_numpy(float), of_region["value"].to_numpy(float)
        marks.append(Line(name, at, value, colour, width=2.2, dash=DASHES["female"], legend=False))
        said = tuple(
            f"{name}, visit {visit}{', has a quality flag' if flag else ''}"
            for visit, flag in zip(of_region["visit"], of_region["flagged"], strict=True)
        )
        marks.append(Points(name, at, value, colour, scan_ids=of_region["scan_id"].to_numpy(np.int64), words=said))
    numbers = sorted(int(scan["visit"]) for scan in visits)
    unit = words.unit_text(METRICS[metric].unit) if metric in METRICS else ""
    title = words.metric_title(metric)
    return Drawing(
        title=title,
        x=Axis("Years since the first visit")
        if dated
        else Axis("", ticks=tuple((float(number), f"visit {number}") for number in numbers), grid=False),
        y=Axis(f"{title} ({unit})"),
        marks=tuple(marks),
        caption=f"{subject}, {side}: {title.lower()} of each muscle group over {len(numbers)} visit"
        f"{'s' if len(numbers) != 1 else ''}.",
        data=table,
        file_stem=f"{_file_name(subject)}_{metric}_{side}",
        height=height,
    )


def _file_name(text: str) -> str:
    return "".join(letter if letter.isalnum() or letter in "-_" else "_" for letter in text)
