"""The columns that say whose a scan is, read from a CSV: for lists of scans to import, and beside an upload.

A list beside an upload names its scans by `path` (the folder, zip or file as it was uploaded) or by `patient_id` (the
number in the scan's header, which is compared and never stored).
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import PurePosixPath

from thighseg_core.errors import InputError, UnreadableFileError

_WHOLE = ("birth_year", "visit_number")
_DECIMAL = ("age_years", "height_cm", "weight_kg", "grip_strength_kg", "gait_speed_m_s", "knee_extension_torque_nm")
_TEXT = ("subject_code", "sex", "visit_label")
FIELDS = (*_TEXT, "visit_date", *_WHOLE, *_DECIMAL)
KEYS = ("path", "patient_id")

Fields = dict[str, str | int | float | date]


@dataclass(frozen=True)
class ListedSubject:
    """One row: what it says of a scan, and by what the scan is known ("" where the column is empty)."""

    line: int
    path: str
    patient_id: str
    fields: Fields


def read_fields(cells: dict[str, str]) -> Fields:
    """The filled cells among FIELDS as values of `db.entry.Entry`. InputError names the column."""
    fields: Fields = {}
    for name in FIELDS:
        if not (cell := cells.get(name, "")):
            continue
        try:
            if name in _WHOLE:
                fields[name] = int(cell)
            elif name in _DECIMAL:
                fields[name] = float(cell)
            elif name == "visit_date":
                fields[name] = date.fromisoformat(cell)
            else:
                fields[name] = cell
        except ValueError as error:
            expected = "a date like 2026-03-05" if name == "visit_date" else "a number"
            raise InputError(f"{name} must be {expected}, got {cell!r}") from error
    return fields


def read_rows(content: bytes, *, name: str, columns: Sequence[str], required: Sequence[str]) -> list[dict[str, str]]:
    """Rows of a UTF-8 CSV with stripped cells. Raises when columns are missing or unknown; commas or semicolons."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UnreadableFileError(f"{name} cannot be read as a UTF-8 CSV ({error}); save it as CSV UTF-8") from error
    lines = text.splitlines()
    semicolons = bool(lines) and lines[0].count(";") > lines[0].count(",")  # Excel where the comma is the decimal point
    table = csv.DictReader(lines, delimiter=";" if semicolons else ",")
    names = [header.strip() for header in table.fieldnames or []]
    missing = [header for header in required if header not in names]
    unknown = [header for header in names if header not in columns]
    if missing or unknown:
        words = [f"lacks {', '.join(missing)}"] * bool(missing) + [f"has unknown {', '.join(unknown)}"] * bool(unknown)
        raise InputError(f"{name}: the header {' and '.join(words)}; columns are {', '.join(columns)}")
    table.fieldnames = names
    return [{header: (cell or "").strip() for header, cell in row.items() if header} for row in table]


def read_subject_list(content: bytes, *, name: str) -> list[ListedSubject]:
    """All rows of a list beside an upload. Raises InputError that names line and column."""
    rows = read_rows(content, name=name, columns=(*KEYS, *FIELDS), required=("subject_code",))
    if rows and not any(key in rows[0] for key in KEYS):
        raise InputError(f"{name}: the header lacks a column that says which scan is meant: path or patient_id")
    listed = []
    for line, cells in enumerate(rows, start=2):
        try:
            fields = read_fields(cells)
        except InputError as error:
            raise InputError(f"{name}, line {line}: {error}") from error
        if not any(cells.get(key) for key in KEYS) or "subject_code" not in fields:
            raise InputError(f"{name}, line {line}: needs a subject_code, and a path or a patient_id")
        listed.append(
            ListedSubject(line=line, path=cells.get("path", ""), patient_id=cells.get("patient_id", ""), fields=fields)
        )
    return listed


def row_for(listed: Iterable[ListedSubject], *, source: str, patient_id: str) -> ListedSubject | None:
    """The row that means a scan from `source` (its path as uploaded) of `patient_id`; None when none or several do.

    A row that gives both must fit in both. A path fits when its folders follow each other somewhere in `source`.
    """
    fitting = [row for row in listed if _fits(row, source=source, patient_id=patient_id)]
    return fitting[0] if len(fitting) == 1 else None


def _fits(row: ListedSubject, *, source: str, patient_id: str) -> bool:
    if row.path and not _within(_parts(row.path), _parts(source)):
        return False
    return not row.patient_id or row.patient_id == patient_id


def _within(wanted: tuple[str, ...], found: tuple[str, ...]) -> bool:
    return any(found[at : at + len(wanted)] == wanted for at in range(len(found) - len(wanted) + 1))


def _parts(path: str) -> tuple[str, ...]:
    return tuple(part for part in PurePosixPath(path.replace("\\", "/")).parts if part not in (".", "..", "/"))
