"""Export a study from the database as one zip: `python -m db.export STUDY FILE.zip`, and what the Export page calls."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session

from db import export_rows, queries, study_quality
from db.engine import open_database
from db.export_more import more_tables
from db.settings import deidentification_secret, read_settings
from thighseg_core import export
from thighseg_core.errors import InputError, ThighSegError
from thighseg_core.export_bundle import CSV, FORMATS, Options, write_bundle


@dataclass(frozen=True)
class Choice:
    """What of a study leaves. Rejected results never do."""

    study_id: int
    only_approved: bool = False
    regions: tuple[str, ...] = ()  # none: all
    metrics: tuple[str, ...] = ()
    extents: tuple[str, ...] = ()
    visits: tuple[int, ...] = ()
    shift_dates: bool = False
    histograms: bool = True  # about 10,000 rows a scan
    normalised: bool = True  # sizes over height, femur length and the like
    formats: tuple[str, ...] = (CSV,)
    byte_order_mark: bool = False

    def in_words(self) -> tuple[str, ...]:
        """Sentences for the README and the page."""
        chosen = (
            ("Only results that a reviewer approved.", self.only_approved),
            (f"Only these regions: {', '.join(self.regions)}.", self.regions),
            (f"Only these metrics: {', '.join(self.metrics)}.", self.metrics),
            (f"Only these extents: {', '.join(self.extents)}.", self.extents),
            (f"Only these visits: {', '.join(map(str, self.visits))}.", self.visits),
            (
                "Dates are shifted by an amount of each subject's own; intervals are true. No year of birth.",
                self.shift_dates,
            ),
        )
        return ("Rejected results are left out.", *(text for text, meant in chosen if meant))


def chosen_scans(session: Session, choice: Choice) -> list[queries.Row]:
    """The scans of `db.queries.scans` that leave, in the order of subjects and visits."""
    scans = queries.rows(session, queries.scans(study_id=choice.study_id))
    scans = [scan for scan in scans if scan["run_id"] is not None and scan["review"] != "rejected"]
    if choice.only_approved:
        scans = [scan for scan in scans if scan["review"] == "approved"]
    if choice.visits:
        scans = [scan for scan in scans if scan["visit"] in choice.visits]
    return sorted(scans, key=lambda scan: (scan["subject"], scan["visit"], scan["scan_id"]))


def export_dates(session: Session, choice: Choice, *, shift_key: bytes | None) -> export_rows.Dates:
    """Baselines of the subjects, and the shift when it was chosen. Raises InputError when the key is missing for it."""
    if choice.shift_dates and shift_key is None:
        raise InputError("shifting dates needs the key of this installation")
    first = queries.rows(session, queries.first_dates(study_id=choice.study_id))
    dates = {row["subject_id"]: row["first_date"] for row in first}
    return export_rows.Dates(first=dates, shift_key=shift_key if choice.shift_dates else None)


def long_by_scan(
    session: Session, scans: Sequence[queries.Row], choice: Choice, *, dates: export_rows.Dates
) -> Iterator[list[export.Row]]:
    """Rows of the long table, one list a scan; a few scans at a time are in memory."""
    wanted = (("region", choice.regions), ("metric", choice.metrics), ("extent", choice.extents))
    for scan in scans:
        values: list[dict[str, Any]] = queries.rows(session, queries.measurements(run_id=scan["run_id"]))
        values = [row for row in values if all(not names or row[key] in names for key, names in wanted)]
        if values:
            yield export_rows.long_rows(values, dates=dates)


def scan_table(
    session: Session, scans: Sequence[queries.Row], choice: Choice, *, dates: export_rows.Dates
) -> list[export.Row]:
    """The rows of the table of scans, each held against all scans of the study, those that stay included."""
    apart = study_quality.findings_by_scan(session, study_id=choice.study_id)
    return export_rows.scan_rows(scans, dates=dates, apart=apart)


def write_export(session: Session, target: Path, choice: Choice, *, shift_key: bytes | None = None) -> dict[str, Any]:
    """Write the zip of a study; returns its manifest. Raises InputError when nothing fits the choice."""
    scans = chosen_scans(session, choice)
    if not scans:
        raise InputError("no result fits this export; choose another study or fewer filters")
    dates = export_dates(session, choice, shift_key=shift_key)
    return write_bundle(
        target,
        study=scans[0]["study"],
        long_by_scan=long_by_scan(session, scans, choice, dates=dates),
        scans=scan_table(session, scans, choice, dates=dates),
        more=more_tables(
            session,
            scans,
            study_id=choice.study_id,
            histograms=choice.histograms,
            normalised=choice.normalised,
            regions=choice.regions,
            extents=choice.extents,
            metrics=choice.metrics,
        ),
        options=Options(formats=choice.formats, byte_order_mark=choice.byte_order_mark, notes=choice.in_words()),
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; 0 done, 2 nothing written."""
    parser = argparse.ArgumentParser(prog="python -m db.export", description=__doc__)
    parser.add_argument("study", help="name of the study")
    parser.add_argument("output", type=Path, help="the zip to write")
    parser.add_argument("--data", type=Path, help="data folder, else THIGHSEG_DATA")
    parser.add_argument("--formats", default=CSV, help=f"separated by commas: {', '.join(FORMATS)}")
    parser.add_argument("--only-approved", action="store_true", help="leave out what no reviewer approved")
    parser.add_argument("--no-histograms", action="store_true", help="leave out histograms.csv, the largest table")
    parser.add_argument("--shift-dates", action="store_true", help="move each subject's dates into the past")
    given = parser.parse_args(arguments)
    settings = read_settings() if given.data is None else read_settings({"THIGHSEG_DATA": str(given.data)})
    try:
        database = open_database(settings.database_path)
        with database.read() as session:
            studies = {row["study"]: row["study_id"] for row in queries.rows(session, queries.studies())}
            if given.study not in studies:
                raise InputError(f"there is no study {given.study!r}; there are: {', '.join(studies) or 'none'}")
            choice = Choice(
                study_id=studies[given.study],
                only_approved=given.only_approved,
                shift_dates=given.shift_dates,
                histograms=not given.no_histograms,
                formats=tuple(dict.fromkeys((CSV, *given.formats.split(",")))),
            )
            key = deidentification_secret(settings) if given.shift_dates else None
            manifest = write_export(session, given.output, choice, shift_key=key)
    except ThighSegError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    sys.stdout.write(f"{given.output}: {manifest['rows']['scans']} scans, {manifest['rows']['long']} numbers\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
