"""Tables that leave the dashboard: rows of the database through `thighseg_core.export`, the same as the command line.

Takes the results of `db.queries` as plain rows; no Streamlit, no session.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import Any

from thighseg_core import export
from thighseg_core.manifest import RunManifest
from thighseg_core.measurement import Measurement
from thighseg_core.metrics import METRICS, REGION_DESCRIPTIONS, SIDE_SHORT

Row = dict[str, Any]

UNREVIEWED = "unreviewed"
_MEASUREMENT_FIELDS = tuple(field.name for field in fields(Measurement))
_MANIFEST_FIELDS = tuple(field.name for field in fields(RunManifest))

# Column of scans.csv -> what it holds. Taken from the rows of `db.queries.scans` under the name in `_SCAN_SOURCE`, or
# under its own.
SCAN_COLUMN_DESCRIPTIONS: dict[str, str] = {
    "scan_id": export.COLUMN_DESCRIPTIONS["scan_id"],
    "study": "Name of the study.",
    "subject_id": "The subject's code as given at upload.",
    "sex": "female, male or other; NA when not known.",
    "birth_year": "Year of birth.",
    "visit": "Number of the visit.",
    "visit_date": "Date of the visit, YYYY-MM-DD.",
    "age_years": "Age at the visit: as given, else year of the visit minus year of birth (up to one year too high).",
    "height_cm": "Height at the visit.",
    "weight_kg": "Weight at the visit.",
    "series_description": "What the series calls itself.",
    "source_format": "DICOM or NIfTI.",
    "n_slices": "Number of slices.",
    "slice_spacing_mm": "Distance between slice centres.",
    "row_spacing_mm": "Distance between rows.",
    "column_spacing_mm": "Distance between columns.",
    "length_cm": "Length scanned: slices times their distance. Volumes are comparable only over equal lengths.",
    "tube_voltage_kvp": "Tube voltage.",
    "convolution_kernel": "Reconstruction kernel.",
    "contrast_agent": "Contrast agent; NA when none is recorded.",
    "result_version": "Version of the result: 1 is the first; a correction adds one.",
    "result_kind": "automatic, corrected (by a person) or external (a label map handed in).",
    "result_author": export.COLUMN_DESCRIPTIONS["result_author"],
    "model_name": export.COLUMN_DESCRIPTIONS["model_name"],
    "quality_flags": "Codes of the quality flags, separated by spaces.",
    "review_status": export.COLUMN_DESCRIPTIONS["review_status"],
    "reviewer": "Who reviewed.",
}
_SCAN_SOURCE = {
    "subject_id": "subject",
    "series_description": "description",
    "result_version": "run_version",
    "result_kind": "run_kind",
    "result_author": "run_author",
}


def long_rows(measurements: Iterable[Mapping[str, Any]]) -> list[Row]:
    """Rows of `db.queries.measurements` as rows of the long table, run by run, in their order."""
    by_run: dict[int, list[Mapping[str, Any]]] = {}
    for row in measurements:
        by_run.setdefault(row["run_id"], []).append(row)
    table: list[Row] = []
    for rows in by_run.values():
        first = rows[0]
        table += export.long_rows(
            [Measurement(**{name: row[name] for name in _MEASUREMENT_FIELDS}) for row in rows],
            manifest=RunManifest(**{name: first[name] for name in _MANIFEST_FIELDS}),
            digest_sha256=first["digest_sha256"],
            subject_id=first["subject"],
            visit=first["visit"],
            visit_date=first["visit_date"].isoformat() if first["visit_date"] else None,
            review_status=first["review"] or UNREVIEWED,
            result_version=first["run_version"],
            result_kind=first["run_kind"],
            result_author=first["run_author"],
        )
    return table


def scan_rows(scans: Iterable[Mapping[str, Any]]) -> list[Row]:
    """Rows of `db.queries.scans` as rows of scans.csv, one a scan."""
    table = []
    for scan in scans:
        row = {column: scan.get(_SCAN_SOURCE.get(column, column)) for column in SCAN_COLUMN_DESCRIPTIONS}
        row["scan_id"] = export.scan_id(scan["digest_sha256"])
        row["sex"] = None if scan["sex"] == "unknown" else scan["sex"]
        row["visit_date"] = scan["visit_date"].isoformat() if scan["visit_date"] else None
        row["length_cm"] = round(scan["n_slices"] * scan["slice_spacing_mm"] / 10, 3)
        row["quality_flags"] = " ".join(flag["code"] for flag in scan["flags"] or [])
        row["review_status"] = (scan["review"] or UNREVIEWED) if scan["run_id"] else None
        table.append(row)
    return table


def dictionary_rows() -> list[Row]:
    """The data dictionary: every column of every table, and every metric and region of the long one."""
    rows = [_entry("long.csv", name, "", text) for name, text in export.COLUMN_DESCRIPTIONS.items()]
    rows += [_entry("long.csv: metric", metric.name, metric.unit, metric.description) for metric in METRICS.values()]
    rows += [_entry("long.csv: region", name, "", text) for name, text in REGION_DESCRIPTIONS.items()]
    rows += [_entry("wide.csv", name, "", export.COLUMN_DESCRIPTIONS[name]) for name in export.WIDE_KEYS]
    rows += [
        _entry(
            "wide.csv",
            export.wide_name(region, side, metric.name),
            metric.unit,
            f"{metric.name} of {region}, {side}. {metric.description}",
        )
        for metric in METRICS.values()
        for region in metric.regions
        for side in SIDE_SHORT
    ]
    described = {row["column"] for row in rows}
    rows += [
        _entry("wide.csv", name, "", "Worst status of that region and side: ok, flagged or missing.")
        for name in export.wide_columns()
        if name not in described
    ]
    rows += [_entry("scans.csv", name, "", text) for name, text in SCAN_COLUMN_DESCRIPTIONS.items()]
    return rows


DICTIONARY_COLUMNS = ("table", "column", "unit", "description")


def _entry(table: str, column: str, unit: str, description: str) -> Row:
    return dict(zip(DICTIONARY_COLUMNS, (table, column, unit, description), strict=True))
