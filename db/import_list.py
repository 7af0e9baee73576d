"""Import many scans at once from a list, through the same intake as an upload in the browser.

    python -m db.import_list LIST.csv --study NAME [--data DIR] [--wait]

LIST.csv has a header and one row a scan: `path` (DICOM folder, zip or NIfTI, relative to the list) and
`subject_code`; further columns may be left out or empty: sex, birth_year, visit_number, visit_label, visit_date,
age_years, height_cm, weight_kg, grip_strength_kg, gait_speed_m_s, knee_extension_torque_nm. `--wait` segments what was
queued before it returns.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from db import queries
from db.engine import Database, open_database
from db.entry import Entry
from db.intake import store_series
from db.settings import Settings, read_settings
from db.subject_list import FIELDS, read_fields, read_rows
from db.supervisor import ensure_worker_running
from thighseg_core.errors import InputError, NothingUsableError, ThighSegError, UnreadableFileError
from thighseg_core.reading import find_series

REQUIRED = ("path", "subject_code")
COLUMNS = ("path", *FIELDS)
WAIT_POLL_S = 1.0


@dataclass(frozen=True)
class ListedScan:
    """One row of a list: where the images are, and whose."""

    line: int
    path: Path
    entry: Entry


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
    known = {"study": study, "subject_code": ""} | fields
    return ListedScan(line=line, path=root / cells["path"], entry=Entry(**known))  # type: ignore[arg-type]


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
                for candidate in found.series:
                    stored = store_series(database, settings, candidate, entry=scan.entry, source_name=scan.path.name)
                    yield f"{where}: {stored.message}"
        except ThighSegError as error:
            yield f"{where}: FAILED: {error}"


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
