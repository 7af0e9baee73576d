"""The export as one zip: tables, dictionaries, REDCap files, readers, README, and a manifest with a hash of each file.

Long tables are written scan by scan, so a study need not fit in memory.
"""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TextIO

from thighseg_core import export, export_formats, export_redcap, export_scans
from thighseg_core.errors import InputError
from thighseg_core.manifest import git_commit, software_version, utc_now

MAX_CONVERTED_ROWS = 400_000  # a longer table is left as CSV: the other formats are made in memory
CSV, REDCAP = "csv", "redcap"
FORMATS = (CSV, REDCAP, *export_formats.FORMATS)
_BOM = "\ufeff"
_READERS = Path(__file__).parent / "export_readers"


@dataclass(frozen=True)
class Table:
    """One more table of an export, such as histograms or agreement: its columns with their meaning, and its rows."""

    name: str  # of the file, without ".csv"
    descriptions: Mapping[str, str]
    rows: Iterable[export.Row]


@dataclass(frozen=True)
class Options:
    """What the zip holds beside CSV, and how. `byte_order_mark` makes Excel read the CSVs as UTF-8."""

    formats: tuple[str, ...] = (CSV,)
    byte_order_mark: bool = False
    notes: tuple[str, ...] = ()  # sentences for the README: which filters were set, whether dates are shifted

    def __post_init__(self) -> None:
        unknown = [name for name in self.formats if name not in FORMATS]
        if unknown:
            raise InputError(f"an export can hold {', '.join(FORMATS)}, not {', '.join(unknown)}")


@dataclass
class _Counts:
    rows: dict[str, int] = field(default_factory=dict)
    skipped: list[str] = field(default_factory=list)
    events: list[str] = field(default_factory=list)


def write_bundle(
    target: Path,
    *,
    study: str,
    long_by_scan: Iterable[Sequence[export.Row]],
    scans: Sequence[export.Row],
    more: Sequence[Table] = (),
    options: Options | None = None,
) -> dict[str, Any]:
    """Write the zip; returns its manifest. long_by_scan: the rows of `export.long_rows`, one run a scan.

    The zip appears complete or not at all. Raises InputError when there is no row.
    """
    options = options or Options()
    counts = _Counts()
    part = target.with_name(f".part-{target.name}")
    with TemporaryDirectory(prefix="export-", dir=target.parent) as name:
        folder = Path(name)
        _write_tables(folder, long_by_scan, scans, more, options, counts)
        if not counts.rows["long"]:
            raise InputError("no result fits this export; choose another study or fewer filters")
        dictionary = [*export_scans.dictionary_rows(), *_described(more)]
        _write_csv(folder / "data_dictionary.csv", dictionary, export_scans.DICTIONARY_COLUMNS, options)
        _convert(folder, options, more, counts)
        for reader in sorted(_READERS.glob("read.*")):
            (folder / reader.name).write_bytes(reader.read_bytes())
        (folder / "README.txt").write_text(_readme(study, options, counts, more), "utf-8")
        manifest = _manifest(folder, study, options, counts)
        (folder / "manifest.json").write_text(json.dumps(manifest, indent=2, ensure_ascii=False) + "\n", "utf-8")
        try:
            with zipfile.ZipFile(part, "w", compression=zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
                for path in sorted(folder.iterdir()):
                    archive.write(path, path.name)
            part.replace(target)
        finally:
            part.unlink(missing_ok=True)
    return manifest


def _write_tables(
    folder: Path,
    long_by_scan: Iterable[Sequence[export.Row]],
    scans: Sequence[export.Row],
    more: Sequence[Table],
    options: Options,
    counts: _Counts,
) -> None:
    places = Counter((scan["subject_id"], scan["visit"]) for scan in scans)
    with ExitStack() as files:
        long = _opened(files, folder / "long.csv", export.LONG_COLUMNS, options)
        wide = _opened(files, folder / "wide.csv", export.wide_columns(), options)
        redcap = _Redcap(files, folder, options, repeats=max(places.values(), default=1) > 1)
        counts.rows |= {"long": 0, "wide": 0}
        for rows in long_by_scan:
            counts.rows["long"] += export.write_rows(long, rows)
            in_wide = export.wide_rows(rows)
            counts.rows["wide"] += export.write_rows(wide, in_wide, columns=export.wide_columns())
            redcap.add(in_wide)
    counts.rows["scans"] = _write_csv(folder / "scans.csv", scans, export_scans.SCAN_COLUMNS, options)
    for table in more:
        path = folder / f"{table.name}.csv"
        counts.rows[table.name] = _write_csv(path, table.rows, tuple(table.descriptions), options)
    counts.events = [export_redcap.event(visit) for visit in sorted({visit for _, visit in places})]


class _Redcap:
    """The two files for REDCap, written row by row; nothing where they were not asked for."""

    def __init__(self, files: ExitStack, folder: Path, options: Options, *, repeats: bool) -> None:
        self._repeats = repeats
        self._seen: Counter[tuple[Any, Any]] = Counter()
        self._out: TextIO | None = None
        if REDCAP not in options.formats:
            return
        plain = Options()
        columns = export_redcap.DICTIONARY_COLUMNS
        out = _opened(files, folder / "redcap_dictionary.csv", columns, plain)
        export.write_rows(out, export_redcap.dictionary_rows(), columns=columns, missing="")
        self._columns = export_redcap.import_columns(repeats=repeats)
        self._out = _opened(files, folder / "redcap_import.csv", self._columns, plain)

    def add(self, wide: Sequence[export.Row]) -> None:
        """Write these rows of the wide table."""
        if self._out is None:
            return
        for row in wide:
            place = (row["subject_id"], row["visit"])
            self._seen[place] += 1
            instance = self._seen[place] if self._repeats else None
            imported = export_redcap.import_row(row, instance=instance)
            export.write_rows(self._out, [imported], columns=self._columns, missing="")


def _opened(files: ExitStack, path: Path, columns: Sequence[str], options: Options) -> TextIO:
    out = files.enter_context(path.open("w", encoding="utf-8", newline=""))
    out.write(_BOM if options.byte_order_mark else "")
    export.write_header(out, columns)
    return out


def _write_csv(path: Path, rows: Iterable[export.Row], columns: Sequence[str], options: Options) -> int:
    with ExitStack() as files:
        return export.write_rows(_opened(files, path, columns, options), rows, columns=columns)


def _convert(folder: Path, options: Options, more: Sequence[Table], counts: _Counts) -> None:
    """The tables in the other formats asked for; what is too long for that is named in the README."""
    descriptions = {
        "long": export.COLUMN_DESCRIPTIONS,
        "wide": export.COLUMN_DESCRIPTIONS | {name: text for name, (_, text) in export_scans.wide_values().items()},
        "scans": export_scans.SCAN_COLUMN_DESCRIPTIONS,
        **{table.name: table.descriptions for table in more},
    }
    wanted = [name for name in options.formats if name in export_formats.FORMATS]
    for name, described in descriptions.items():
        if not wanted:
            return
        if counts.rows[name] > MAX_CONVERTED_ROWS:
            counts.skipped.append(f"{name}.csv has {counts.rows[name]} rows and is here as CSV only.")
            continue
        text = (folder / f"{name}.csv").read_text("utf-8-sig")
        for to in wanted:
            (folder / f"{name}.{to}").write_bytes(export_formats.convert(text, to=to, descriptions=described))


def _described(more: Sequence[Table]) -> Iterator[export.Row]:
    for table in more:
        for column, text in table.descriptions.items():
            cells = (f"{table.name}.csv", column, "", text)
            yield dict(zip(export_scans.DICTIONARY_COLUMNS, cells, strict=True))


def _manifest(folder: Path, study: str, options: Options, counts: _Counts) -> dict[str, Any]:
    return {
        "study": study,
        "written_utc": utc_now(),
        "software_version": software_version(),
        "git_commit": git_commit(),
        "formats": list(options.formats),
        "notes": list(options.notes),
        "rows": counts.rows,
        "files": {
            path.name: {"bytes": path.stat().st_size, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
            for path in sorted(folder.iterdir())
        },
    }


def _readme(study: str, options: Options, counts: _Counts, more: Sequence[Table]) -> str:
    about = {
        "long.csv": "one row a number, with status, reason and the run that made it",
        "wide.csv": "one row a scan, one column a number",
        "scans.csv": "one row a scan: subject, visit, acquisition, quality flags, review",
        **{f"{table.name}.csv": "see data_dictionary.csv" for table in more},
        "data_dictionary.csv": "what every column, metric and region means",
        "read.R, read.py, read.do": "read the tables in R, Python and Stata; read.R fits the trend of the cohort page",
        "manifest.json": "what wrote this, rows and SHA-256 of every file",
    }
    if REDCAP in options.formats:
        about["redcap_dictionary.csv"] = "fields of the instrument thigh_ct, for a longitudinal project"
        about["redcap_import.csv"] = f"its data; missing is blank. Events to define: {', '.join(counts.events)}"
    width = max(map(len, about))
    lines = [
        f"ThighSeg {software_version()}: export of the study {study}",
        "",
        "Research use only. Not a medical device; not for diagnosis or treatment decisions.",
        "",
        *(f"{name:<{width}}  {text}" for name, text in about.items()),
        "",
        "CSV: UTF-8, comma, dot for the decimal, LF, full precision. Dates are YYYY-MM-DD. Missing is NA, never 0, and",
        "the column reason says why. Text that a spreadsheet would take for a formula has an apostrophe in front.",
        "Volumes are comparable only over equal lengths of the thigh: see length_cm in scans.csv and the reasons in",
        "long.csv. Attenuation depends on tube voltage, contrast and kernel: see scans.csv.",
        *(("", *options.notes) if options.notes else ()),
        *(("", *counts.skipped) if counts.skipped else ()),
    ]
    return "\n".join(lines) + "\n"
