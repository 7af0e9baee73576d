"""Rows of the database as rows of the exported tables: through `thighseg_core.export`, the same as the command line.

Takes the results of `db.queries` as plain rows; no session.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import date, timedelta
from typing import Any

from thighseg_core import export
from thighseg_core.export_dates import date_shift
from thighseg_core.export_scans import SCAN_COLUMNS
from thighseg_core.manifest import RunManifest
from thighseg_core.measurement import Measurement, QualityFlag

Row = dict[str, Any]

UNREVIEWED = "unreviewed"
_MEASUREMENT_FIELDS = tuple(field.name for field in fields(Measurement))
_MANIFEST_FIELDS = tuple(field.name for field in fields(RunManifest))
# Column of scans.csv -> name in the rows of `db.queries.scans`, where they differ.
_SCAN_SOURCE = {
    "subject_id": "subject",
    "series_description": "description",
    "result_version": "run_version",
    "result_kind": "run_kind",
    "result_author": "run_author",
}


@dataclass(frozen=True)
class Dates:
    """How dates leave: the first dated visit of each subject (by its primary key), and whether dates are shifted.

    With a key every subject's dates are moved into the past by an amount of the subject's own; intervals stay.
    """

    first: Mapping[int, date]
    shift_key: bytes | None = None

    def text(self, row: Mapping[str, Any]) -> str | None:
        """Date of a row's visit as it leaves, YYYY-MM-DD."""
        day = row["visit_date"]
        if day is None:
            return None
        moved = timedelta(0) if self.shift_key is None else date_shift(key=self.shift_key, subject_code=row["subject"])
        return str((day - moved).isoformat())

    def since_baseline(self, row: Mapping[str, Any]) -> int | None:
        """Days since the subject's first dated visit."""
        first = self.first.get(row["subject_id"])
        return None if first is None or row["visit_date"] is None else int((row["visit_date"] - first).days)


_AS_THEY_ARE = Dates(first={})


def long_rows(measurements: Iterable[Mapping[str, Any]], *, dates: Dates = _AS_THEY_ARE) -> list[Row]:
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
            visit_date=dates.text(first),
            review_status=first["review"] or UNREVIEWED,
            result_version=first["run_version"],
            result_kind=first["run_kind"],
            result_author=first["run_author"],
            sex=first["sex"],
            age_years=first["age_years"],
            days_since_baseline=dates.since_baseline(first),
        )
    return table


def scan_rows(
    scans: Iterable[Mapping[str, Any]],
    *,
    dates: Dates = _AS_THEY_ARE,
    apart: Mapping[int, Sequence[QualityFlag]] | None = None,
) -> list[Row]:
    """Rows of `db.queries.scans` as rows of scans.csv, one a scan. apart: `db.study_quality.findings_by_scan`."""
    table = []
    for scan in scans:
        row = {column: scan.get(_SCAN_SOURCE.get(column, column)) for column in SCAN_COLUMNS}
        row["scan_id"] = export.scan_id(scan["digest_sha256"])
        row["sex"] = None if scan["sex"] == "unknown" else scan["sex"]
        row["visit_date"] = dates.text(scan)
        row["birth_year"] = scan["birth_year"] if dates.shift_key is None else None
        row["days_since_baseline"] = dates.since_baseline(scan)
        row["length_cm"] = round(scan["n_slices"] * scan["slice_spacing_mm"] / 10, 3)
        row["quality_flags"] = " ".join(flag["code"] for flag in scan["flags"] or [])
        row["study_flags"] = " ".join(flag.code for flag in (apart or {}).get(scan["scan_id"], ()))
        row["review_status"] = (scan["review"] or UNREVIEWED) if scan["run_id"] else None
        table.append(row)
    return table
