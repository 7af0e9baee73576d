"""The tables of an export beside long, wide and scans: histograms, normalised sizes, comparisons with readers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import fields
from itertools import chain

from sqlalchemy.orm import Session

from db import agreement, queries
from db.histograms import load_histograms
from thighseg_core import export
from thighseg_core.export_bundle import Table
from thighseg_core.histogram import HISTOGRAM_COLUMN_DESCRIPTIONS, histogram_rows
from thighseg_core.measurement import Measurement
from thighseg_core.normalise import DIVISORS, Body, normalised

NORMALISED_COLUMNS = {
    **{
        column: export.COLUMN_DESCRIPTIONS[column]
        for column in ("scan_id", "subject_id", "visit", "side", "region", "extent", "metric", "value", "unit")
    },
    "divided_by": "What the value is divided by. "
    + " ".join(f"{divisor.name}: {divisor.description}" for divisor in DIVISORS.values()),
    "normalised_value": "The value over its divisor; NA when missing.",
    "normalised_unit": "Unit of the normalised value.",
    "reason": "Why the normalised value is missing, or why to doubt the value.",
}
_FACTS = tuple(field.name for field in fields(Measurement))


def more_tables(
    session: Session,
    scans: Sequence[queries.Row],
    *,
    study_id: int,
    histograms: bool,
    normalised: bool,
    regions: Sequence[str] = (),
    extents: Sequence[str] = (),
    metrics: Sequence[str] = (),
) -> list[Table]:
    """The tables that have rows for these rows of `db.queries.scans`; empty lists of names mean all."""
    tables = []
    wanted = (("region", regions), ("extent", extents), ("metric", metrics))
    streams = []
    if histograms:
        counted = _histogram_rows(session, scans, wanted[:2])
        streams.append(("histograms", HISTOGRAM_COLUMN_DESCRIPTIONS, counted))
    if normalised:
        streams.append(("normalised", NORMALISED_COLUMNS, _normalised_rows(session, scans, wanted)))
    for name, described, rows in streams:
        if (first := next(rows, None)) is not None:
            tables.append(Table(name, described, chain([first], rows)))
    kept = {scan["scan_id"] for scan in scans}
    compared = queries.rows(session, agreement.compared_values(study_id=study_id))
    compared = [row for row in compared if row["scan_id"] in kept]
    if compared:
        names = {"subject": "subject_id", "scan": "scan_id"}
        described = {names.get(column, column): text for column, text in agreement.AGREEMENT_COLUMNS.items()}
        rows_ = [row | {"subject_id": row["subject"], "scan_id": row["scan"]} for row in compared]
        tables.append(Table("agreement", described, rows_))
    return tables


_Wanted = Sequence[tuple[str, Sequence[str]]]


def _histogram_rows(session: Session, scans: Sequence[queries.Row], wanted: _Wanted) -> Iterator[export.Row]:
    for scan in scans:
        counted = [
            histogram
            for histogram in load_histograms(session, run_id=scan["run_id"])
            if all(not names or getattr(histogram, key) in names for key, names in wanted)
        ]
        yield from histogram_rows(counted, scan_id=export.scan_id(scan["digest_sha256"]))


def _normalised_rows(session: Session, scans: Sequence[queries.Row], wanted: _Wanted) -> Iterator[export.Row]:
    """Divisors come from all that was measured, the rows only from what was chosen."""
    for scan in scans:
        values = queries.rows(session, queries.measurements(run_id=scan["run_id"]))
        facts = [Measurement(**{name: row[name] for name in _FACTS}) for row in values]
        body = Body(height_cm=scan["height_cm"], weight_kg=scan["weight_kg"])
        for size in normalised(facts, body):
            fact = size.measurement
            if any(names and getattr(fact, key) not in names for key, names in wanted):
                continue
            yield {
                "scan_id": export.scan_id(scan["digest_sha256"]),
                "subject_id": scan["subject"],
                "visit": scan["visit"],
                "side": fact.side,
                "region": fact.region,
                "extent": fact.extent,
                "metric": fact.metric,
                "value": fact.value,
                "unit": fact.unit,
                "divided_by": size.divisor,
                "normalised_value": size.value,
                "normalised_unit": size.unit,
                "reason": size.reason,
            }
