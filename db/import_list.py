"""Import many scans at once from a list, through the same intake as an upload in the browser.

    python -m db.import_list LIST.csv --study NAME [--data DIR] [--wait]

LIST.csv has a header and one row a scan: `path` (DICOM folder, zip or NIfTI, relative to the list) and
`subject_code`; further columns may be left out or empty: sex, birth_year, visit_number, visit_label, visit_date,
age_years, height_cm, weight_kg, grip_strength_kg, gait_speed_m_s, knee_extension_torque_nm, and reading (a drawing made
on this scan, relative to the list) with reader (whose it is). `--wait` segments what was queued before it returns.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from db import agreement, queries, storage
from db.engine import Database, open_database
from db.entry import Entry
from db.intake import store_series
from db.models import Scan
from db.readings import record_reading
from db.settings import Settings, read_settings
from db.subject_list import FIELDS, read_fields, read_rows
from db.supervisor import ensure_worker_running
from thighseg_core.errors import InputError, NothingUsableError, ThighSegError, UnreadableFileError
from thighseg_core.reading import find_series
from thighseg_core.segments import IGNORE, as_label_map, suggested
from thighseg_core.segments_reading import read_segments

REQUIRED = ("path", "subject_code")
READING = ("reading", "reader")
COLUMNS = ("path", *FIELDS, *READING)
WAIT_POLL_S = 1.0


@dataclass(frozen=True)
class ListedScan:
    """One row of a list: where the images are, and whose; and the drawing that `reader` made of them, if any."""

    line: int
    path: Path
    entry: Entry
    reading: Path | None = None
    reader: str = ""


def read_list(path: Path, *, study: str) -> list[ListedScan]:
    """All rows of a list. Raises InputError that names the line and the column, before anything is stored."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UnreadableFileError(
            f"{path} cannot be read ({error}); check the path, and save it as CSV UTF-8"
        ) from error
    rows = read_rows(content, name=path.name, columns=COLUMNS, required=REQUIRED)
    scans = []
    for line, row in enumerate(rows, start=2):
        try:
            scans.append(_listed(row, line=line, root=path.parent, study=study))
        except InputError as error:
            raise InputError(f"{path.name}, line {line}: {error}") from error
    return scans


def _listed(cells: dict[str, str], *, line: int, root: Path, study: str) -> ListedScan:
    fields = read_fields(cells)
    if not cells.get("path"):
        raise InputError("the path is empty; name a DICOM folder, a zip or a NIfTI file")
    drawing, reader = (cells.get(name, "") for name in READING)
    if bool(drawing) != bool(reader):
        raise InputError("reading and reader belong together; fill in both, or neither")
    if drawing and not (root / drawing).is_file():
        raise InputError(f"the reading {drawing} is no file; give its path relative to the list")
    known = {"study": study, "subject_code": ""} | fields
    return ListedScan(
        line=line,
        path=root / cells["path"],
        entry=Entry(**known),  # type: ignore[arg-type]
        reading=root / drawing if drawing else None,
        reader=" ".join(reader.split()),
    )


def import_list(database: Database, settings: Settings, scans: Sequence[ListedScan]) -> Iterator[str]:
    """Store and queue every listed scan; yields a line for each series, failures too. A failure stops nothing."""
    for scan in scans:
        where = f"line {scan.line}, {scan.entry.subject_code}"
        try:
            with tempfile.TemporaryDirectory() as work:
                found = find_series(scan.path, work_dir=Path(work))
                if not found.series:
                    reasons = "; ".join(one.reason for one in found.rejected) or "no image was found"
                    raise NothingUsableError(f"{scan.path} holds no usable CT: {reasons}")
                if scan.reading and len(found.series) > 1:
                    raise InputError(f"{len(found.series)} series, and one reading; give each series its own line")
                for candidate in found.series:
                    stored = store_series(database, settings, candidate, entry=scan.entry, source_name=scan.path.name)
                    yield f"{where}: {stored.message}"
                    if scan.reading:
                        yield f"{where}: {_store_reading(database, settings, scan, scan_id=stored.scan_id)}"
        except ThighSegError as error:
            yield f"{where}: FAILED: {error}"


def _store_reading(database: Database, settings: Settings, scan: ListedScan, *, scan_id: int) -> str:
    """Bring the row's drawing in, unless this reader's very same drawing is there; says which.

    Raises InputError where a segment does not say what it is.
    """
    assert scan.reading is not None
    with database.read() as session:
        geometry = storage.load_volume(settings, session.get_one(Scan, scan_id).storage_path).geometry
        kept = queries.rows(session, agreement.readings(scan_id=scan_id))
    segments = read_segments(scan.reading, like=geometry)
    assigned = suggested(segments)
    unknown = [segments.names.get(value) or str(value) for value, label in assigned.items() if label == IGNORE]
    if unknown:
        raise InputError(
            f"{scan.reading.name}: which label is segment {', '.join(unknown)}? Bring it in on the Agreement page"
        )
    drawn = as_label_map(segments, assigned)
    for row in kept:
        before = storage.load_label_map(settings, row["label_map_path"], like=geometry)
        if row["reader"] == scan.reader and np.array_equal(before.labels, drawn.labels):
            return f"The reading by {scan.reader} is there already."
    record_reading(database, settings, drawn, scan_id=scan_id, reader=scan.reader, source_format=segments.source_format)
    return f"Reading by {scan.reader} stored."


def wait_for_queue(database: Database, settings: Settings) -> Iterator[str]:
    """Keep a worker running until no job is live; yields a line whenever the number of live jobs changes."""
    before = -1
    while True:
        with database.read() as session:
            live = len(queries.rows(session, queries.jobs(live_only=True)))
        if live == 0:
            return
        ensure_worker_running(settings)
        if live != before:
            yield f"{live} scans to go"
            before = live
        time.sleep(WAIT_POLL_S)


def main(argv: Sequence[str] | None = None) -> int:
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m db.import_list", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("list", type=Path)
    parser.add_argument("--study", required=True)
    parser.add_argument("--data", type=Path, help="data folder (default: THIGHSEG_DATA, or data/)")
    parser.add_argument("--wait", action="store_true", help="segment before returning")
    arguments = parser.parse_args(argv)
    settings = read_settings()
    if arguments.data:
        settings = replace(settings, data_dir=arguments.data.resolve())
    try:
        database = open_database(settings.database_path)
        scans = read_list(arguments.list, study=arguments.study)
    except ThighSegError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    failed = 0
    for message in import_list(database, settings, scans):
        failed += "FAILED" in message
        sys.stderr.write(f"{message}\n")
    if arguments.wait:
        for message in wait_for_queue(database, settings):
            sys.stderr.write(f"{message}\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
