"""The one definition of the tables that leave ThighSeg; the command line and the dashboard both write these.

Plain text: UTF-8, LF, a dot for the decimal, full precision, NA for missing with its reason beside it.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from numbers import Integral, Real
from typing import Any, TextIO

from thighseg_core.errors import InputError
from thighseg_core.manifest import RunManifest
from thighseg_core.measurement import Measurement
from thighseg_core.metrics import (
    EXTENT_DESCRIPTIONS,
    EXTENT_SHORT,
    FULL,
    METRICS,
    REGION_SHORT,
    REGIONS,
    SIDE_SHORT,
    combinations,
)
from thighseg_core.tissue import PRESETS

Row = dict[str, Any]

NA = "NA"
SCAN_ID_DIGITS = 12
_PLAIN = re.compile(r"[A-Za-z0-9_.%][^\t\r\n]*")  # text that stands in a CSV as it is

COLUMN_DESCRIPTIONS: dict[str, str] = {
    "scan_id": "The scan: ct_ and the first 12 hexadecimal digits of its digest. The same scan has the same id "
    "however it was packed.",
    "subject_id": "The subject's code as given at upload; NA on the command line.",
    "visit": "The visit as given at upload; NA on the command line.",
    "visit_date": "Date of the visit, YYYY-MM-DD; NA on the command line.",
    "side": "The patient's left or right; both: the two together.",
    "region": "What was measured: " + ", ".join(REGIONS) + ".",
    "extent": "Over what it was taken. " + " ".join(f"{name}: {text}" for name, text in EXTENT_DESCRIPTIONS.items()),
    "metric": "Name of the measured quantity.",
    "value": "The number at full precision; NA when missing.",
    "unit": "Unit of the value.",
    "status": "ok; flagged: the value stands, the reason says why to doubt it; missing: no value, the reason says why.",
    "reason": "Why the status is not ok; NA when it is.",
    "hu_preset": "Name of the table of Hounsfield ranges.",
    "lean_low_hu": "Lowest attenuation that counts as lean muscle (included).",
    "lean_high_hu": "Highest attenuation that counts as lean muscle (included).",
    "fat_low_hu": "Lowest attenuation that counts as fat (included).",
    "fat_high_hu": "Highest attenuation that counts as fat (included).",
    "software_version": "Version of ThighSeg.",
    "git_commit": "Commit of ThighSeg, with a g in front so that no program takes it for a number.",
    "model_name": "Network that drew the labels; external for a label map that was handed in.",
    "model_version": "Version of the network's weights.",
    "weights_sha256": "SHA-256 of the network's weights.",
    "label_scheme": "Version of the list of labels.",
    "group_map_version": "Version of the list of muscles in each group.",
    "device": "Where the network ran: cpu or cuda.",
    "run_utc": "When the run began, ISO 8601 in UTC.",
    "review_status": "Whether a person has reviewed the labels.",
    "result_version": "Version of the result: 1 is the first; a correction adds one. NA on the command line.",
    "result_kind": "automatic, corrected (by a person) or external (a label map handed in); NA on the command line.",
    "result_author": "Who made the labels or corrected them; NA for an automatic result.",
    "sex": "female, male or other; NA when not known, and on the command line.",
    "age_years": "Age at the visit: as given, else year of the visit minus year of birth (up to one year too high).",
    "days_since_baseline": "Days since the subject's first dated visit; NA outside the export of a study.",
}
LONG_COLUMNS: tuple[str, ...] = tuple(COLUMN_DESCRIPTIONS)
METRIC_DESCRIPTIONS: dict[str, str] = {metric.name: metric.description for metric in METRICS.values()}

WIDE_KEYS: tuple[str, ...] = (
    "subject_id", "visit", "visit_date", "days_since_baseline", "sex", "age_years", "scan_id", "hu_preset",
    "review_status", "run_utc", "model_name", "result_version", "result_kind", "result_author",
)  # fmt: skip


def scan_id(digest_sha256: str) -> str:
    """The scan's id in every table. The letters in front keep digits like 12e456789012 from being read as a number."""
    return f"ct_{digest_sha256[:SCAN_ID_DIGITS]}"


def long_rows(
    measurements: Iterable[Measurement],
    *,
    manifest: RunManifest,
    digest_sha256: str,
    subject_id: str | None = None,
    visit: str | int | None = None,
    visit_date: str | None = None,
    review_status: str | None = None,
    result_version: int | None = None,
    result_kind: str | None = None,
    result_author: str | None = None,
    sex: str | None = None,
    age_years: float | None = None,
    days_since_baseline: int | None = None,
) -> list[Row]:
    """One row of `LONG_COLUMNS` for each measurement; None where there is nothing (written as NA)."""
    preset = PRESETS.get(manifest.hu_preset)
    run: Row = {
        "scan_id": scan_id(digest_sha256),
        "subject_id": subject_id,
        "visit": visit,
        "visit_date": visit_date,
        "hu_preset": manifest.hu_preset,
        "lean_low_hu": preset.lean_hu[0] if preset else None,
        "lean_high_hu": preset.lean_hu[1] if preset else None,
        "fat_low_hu": preset.fat_hu[0] if preset else None,
        "fat_high_hu": preset.fat_hu[1] if preset else None,
        "software_version": manifest.software_version,
        "git_commit": _commit_text(manifest.git_commit),
        "model_name": manifest.model_name,
        "model_version": manifest.model_version or None,
        "weights_sha256": manifest.weights_sha256 or None,
        "label_scheme": manifest.label_scheme,
        "group_map_version": manifest.group_map_version,
        "device": manifest.device,
        "run_utc": manifest.started_at,
        "review_status": review_status,
        "result_version": result_version,
        "result_kind": result_kind,
        "result_author": result_author or None,
        "sex": None if sex == "unknown" else sex,
        "age_years": age_years,
        "days_since_baseline": days_since_baseline,
    }
    of_the_run = {column: run.get(column) for column in LONG_COLUMNS}
    return [of_the_run | _fact(measurement) for measurement in measurements]


def _fact(measurement: Measurement) -> Row:
    return {
        "side": measurement.side,
        "region": measurement.region,
        "extent": measurement.extent,
        "metric": measurement.metric,
        "value": measurement.value,
        "unit": measurement.unit,
        "status": measurement.status,
        "reason": measurement.reason or None,
    }


def _commit_text(commit: str) -> str | None:
    return None if commit in ("", "unknown") else f"g{commit}"


def wide_columns() -> tuple[str, ...]:
    """Columns of the wide table: the keys, every value, and one status for each extent, region and side.

    Every name fits a statistics package and REDCap: ^[a-z][a-z0-9_]*$, at most 26 characters.
    """
    values = [wide_name(region, side, metric.name, extent=extent) for metric, region, side, extent in combinations()]
    statuses = dict.fromkeys(_status_name(region, side, extent) for _, region, side, extent in combinations())
    return (*WIDE_KEYS, *values, *statuses)


def wide_name(region: str, side: str, metric: str, *, extent: str = FULL) -> str:
    """Wide column of a value: ext_l_lean_cm3 over the whole field of view, mid_ext_l_csa_cm2 at mid-thigh."""
    return f"{_place(region, side, extent)}_{METRICS[metric].short}"


def _status_name(region: str, side: str, extent: str) -> str:
    return f"{_place(region, side, extent)}_status"


def _place(region: str, side: str, extent: str) -> str:
    short = EXTENT_SHORT[extent]
    return f"{f'{short}_' if short else ''}{REGION_SHORT[region]}_{SIDE_SHORT[side]}"


def wide_rows(rows: Iterable[Mapping[str, Any]]) -> list[Row]:
    """Long rows to one row per scan, hence one per subject and visit where a visit has one scan.

    The status of an extent, region and side is the worst of its metrics' ("ok" before "flagged" before "missing").
    Raises InputError when a scan comes with two runs: choose one of them first.
    """
    order = ("ok", "flagged", "missing")
    columns = wide_columns()
    out: dict[tuple[Any, ...], Row] = {}
    seen: set[tuple[Any, ...]] = set()
    for row in rows:
        key = (row["subject_id"], row["visit"], row["scan_id"])
        if key not in out:
            out[key] = dict.fromkeys(columns) | {column: row.get(column) for column in WIDE_KEYS}
        wide = out[key]
        name = wide_name(row["region"], row["side"], row["metric"], extent=row["extent"])
        if (key, name) in seen:
            raise InputError(
                f"scan {row['scan_id']} has more than one value of {name}; a wide table takes one run for each scan, "
                "choose one (the latest, or the reviewed one)"
            )
        seen.add((key, name))
        wide[name] = row["value"]
        status = _status_name(row["region"], row["side"], row["extent"])
        wide[status] = max(wide[status] or "ok", row["status"], key=order.index)
    return list(out.values())


def csv_text(rows: Iterable[Mapping[str, Any]], *, columns: Sequence[str] = LONG_COLUMNS, missing: str = NA) -> str:
    """Rows as CSV text; encode as UTF-8 to store. Every cell is filled: what is missing is NA."""
    out = io.StringIO(newline="")
    write_header(out, columns)
    write_rows(out, rows, columns=columns, missing=missing)
    return out.getvalue()


def write_header(out: TextIO, columns: Sequence[str]) -> None:
    """The first line of a CSV. Open files with newline="" and UTF-8."""
    csv.writer(out, lineterminator="\n").writerow(columns)


def write_rows(
    out: TextIO, rows: Iterable[Mapping[str, Any]], *, columns: Sequence[str] = LONG_COLUMNS, missing: str = NA
) -> int:
    """Lines of a CSV, for tables too long for the memory; returns how many. `missing` is blank for REDCap only."""
    writer = csv.writer(out, lineterminator="\n")
    count = 0
    for row in rows:
        writer.writerow([_cell(row.get(column), missing) for column in columns])
        count += 1
    return count


def _cell(value: object, missing: str) -> str:
    if type(value) is str and _PLAIN.fullmatch(value):  # nearly every cell
        return value
    if value is None or value == "" or value != value:  # the last: not a number
        return missing
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Integral):
        return str(int(value))
    if isinstance(value, Real):
        return repr(float(value))  # shortest text that reads back to the same number
    return _safe_text(str(value))


def _safe_text(text: str) -> str:
    """One line that no spreadsheet takes for a formula (OWASP, CSV Injection: = + - @ tab, carriage return)."""
    text = " ".join(text.split()) if any(c in text for c in "\t\r\n") else text
    return f"'{text}" if text.lstrip()[:1] in ("=", "+", "-", "@") else text
